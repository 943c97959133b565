// ScratchFolder: a folder that exists for a while, in the system's place for such things.
//
// A fence around mkdtemp, unlink and rmdir. Removal follows no link and stays below the folder.

internal import Glibc

/// A folder with a name of its own; empty at first.
public struct ScratchFolder: Sendable {
    public let path: String
    /// Deeper trees are not removed whole.
    private static let depthMax = 16

    /// Makes `PREFIX-XXXXXX` below TMPDIR, or /tmp. Others may write into it: a server that
    /// drops its privileges must be able to. Throws the errno.
    public init(prefix: String) throws(ProcessError) {
        // SAFETY: the environment's text is copied at once; the template is ours.
        let given = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
        let top = given.hasPrefix("/") ? given : "/tmp"
        var template = Array("\(top)/\(prefix)-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw ProcessError(errno: errno) }
        path = String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard unsafe chmod(path, 0o777) == 0 else { throw ProcessError(errno: errno) }
    }

    /// Removes it with all that is in it; what may not be removed stays.
    public func remove() { Self.remove(path, depth: 0) }

    private static func remove(_ path: String, depth: Int) {
        // SAFETY (all): paths are lent for the calls.
        if unsafe unlink(path) == 0 || depth > depthMax { return }
        for name in SystemTree.names(in: path) { remove("\(path)/\(name)", depth: depth + 1) }
        _ = unsafe rmdir(path)
    }
}
