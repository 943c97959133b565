// FileMode: who may do what with a file.

internal import Glibc

public enum FileMode {
    /// The permission bits, as chmod takes them; nil if there is no such file.
    public static func permissions(_ path: String) -> UInt32? {
        var status = stat()
        // SAFETY: the path is lent for the call; a local of the right type.
        guard unsafe stat(path, &status) == 0 else { return nil }
        return status.st_mode & 0o7777
    }
}
