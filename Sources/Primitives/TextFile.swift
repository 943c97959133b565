// TextFile: writes short texts whole: a file of one line, a line on standard error.
//
// A fence around open, write and rename for things that happen once. Not for data: the store has
// its own ways.

internal import Glibc

/// Short texts, written with as few system calls as there are.
public enum TextFile {
    /// Replaces the file at `path` by one that holds `text`; readers see the old or the new one,
    /// never half. Mode 0644 less the umask. Returns 0 or an errno.
    ///
    /// Neither a link at `path` nor one at its draft, `path` with ".new", is followed: whoever else
    /// may write to the folder cannot make this process write to another file.
    public static func replace(_ path: String, with text: String) -> Int32 {
        let draft = path + ".new"
        // SAFETY (all): paths and bytes are lent for the call.
        // A draft that is there was left by a process that was killed, or is not ours at all.
        _ = unsafe unlink(draft)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = unsafe open(draft, flags, 0o644)
        guard descriptor >= 0 else { return errno }
        let written = write(text, to: descriptor)
        _ = close(descriptor)
        guard written == 0 else {
            _ = unsafe unlink(draft)
            return written
        }
        guard unsafe rename(draft, path) == 0 else {
            let code = errno
            _ = unsafe unlink(draft)
            return code
        }
        return 0
    }

    /// Removes the file at `path`. Returns 0 or an errno.
    public static func remove(_ path: String) -> Int32 {
        // SAFETY: the path is lent for the call.
        unsafe unlink(path) == 0 ? 0 : errno
    }

    /// Writes `text` to standard error in one system call, so that lines of threads do not mix.
    /// What cannot be written is lost.
    public static func writeToStandardError(_ text: String) { _ = write(text, to: 2) }

    /// Writes `text` to standard output at once, whoever reads it. Returns 0 or an errno.
    public static func writeToStandardOutput(_ text: String) -> Int32 { write(text, to: 1) }

    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            // SAFETY: the slice lies within `bytes`, which is lent for the call.
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            sent += count
        }
        return 0
    }
}

/// The system's words for an errno.
public func errorText(_ code: Int32) -> String {
    // SAFETY: strerror answers a string that ends in a zero byte; copied at once.
    unsafe String(cString: strerror(code))
}
