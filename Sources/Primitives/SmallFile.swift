// SmallFile: the few calls on files that the store makes beside its database, fenced.

internal import Glibc

/// Paths are passed as they are; no call follows a missing directory or retries.
public enum SmallFile {
    /// A descriptor for reading, or -1; `close` it.
    public static func openForReading(_ path: String) -> Int32 {
        // SAFETY (all): a nul-terminated path for the time of the call.
        unsafe open(path, O_RDONLY | O_CLOEXEC)
    }

    public static func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    /// Size in bytes; 0 if there is no such file.
    public static func byteCount(_ path: String) -> Int {
        let descriptor = openForReading(path)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        return max(Int(lseek(descriptor, 0, SEEK_END)), 0)
    }

    /// Who may do what with it; nil if there is no such file.
    public static func permissions(_ path: String) -> UInt32? {
        var entry = stat()
        guard unsafe stat(path, &entry) == 0 else { return nil }
        return entry.st_mode & 0o777
    }

    /// Whether it is there, and no directory, pipe or device: opening one of those may wait.
    public static func isRegular(_ path: String) -> Bool {
        var entry = stat()
        guard unsafe stat(path, &entry) == 0 else { return false }
        return entry.st_mode & S_IFMT == S_IFREG
    }

    /// Makes the file if it is missing, and one byte longer.
    public static func lengthen(_ path: String) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        _ = ftruncate(descriptor, lseek(descriptor, 0, SEEK_END) + 1)
        close(descriptor)
    }

    public static func remove(_ path: String) { _ = unsafe unlink(path) }

    /// Whether `path` is called `target` now.
    public static func rename(_ path: String, to target: String) -> Bool {
        unsafe Glibc.rename(path, target) == 0
    }
}
