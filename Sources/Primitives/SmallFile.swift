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

    /// What a file begins with, up to so many bytes; nil if it cannot be read. Of a pipe that
    /// nobody writes to, nothing.
    public static func read(_ path: String, byteCountMax: Int) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var count = 0
        var bytes = [UInt8](repeating: 0, count: max(byteCountMax, 0))
        while count < bytes.count {
            // SAFETY: `count` to its end lies in the array, which lives through the call.
            let got = unsafe bytes.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress?.advanced(by: count), $0.count - count)
            }
            guard got >= 0 else { return nil }
            guard got > 0 else { break }
            count += got
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// Makes the file if it is missing, for its owner alone, and has it hold just these bytes.
    /// Errors are not told.
    public static func write(_ path: String, _ bytes: [UInt8]) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // SAFETY: the array lives through the call.
        let put = unsafe bytes.withUnsafeBytes {
            unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0)
        }
        _ = ftruncate(descriptor, off_t(max(put, 0)))
    }

    public static func remove(_ path: String) { _ = unsafe unlink(path) }
}
