// StoreLock: one process per store directory.
//
// The lock is flock(2) on a file "lock" in the directory: the kernel drops it when the process
// ends, however it ends, so nothing stale is ever left behind. LMDB's own lock file is another
// matter ("lock.mdb": readers and the writer of one environment).

internal import Glibc

/// Why the lock could not be had.
public enum StoreLockError: Error, Equatable, Sendable {
    /// Another process (or another lock in this one) holds it; its process id where it is known.
    case inUse(processId: Int32?)
    /// The system refused; the errno.
    case io(errno: Int32)
}

/// Holds a directory for this process until it goes out of scope.
public struct StoreLock: ~Copyable, Sendable {
    public static let name = "lock"
    private let descriptor: Int32

    /// Takes the lock of `directory`, which exists, without waiting.
    public init(directory: String) throws(StoreLockError) {
        let path = directory + "/" + StoreLock.name
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .io(errno: errno) }
        var code: Int32
        repeat { code = flock(descriptor, LOCK_EX | LOCK_NB) } while code < 0 && errno == EINTR
        if code < 0 {
            let refusal = errno
            let holder = refusal == EWOULDBLOCK ? StoreLock.holder(descriptor) : nil
            _ = close(descriptor)
            guard refusal == EWOULDBLOCK else { throw .io(errno: refusal) }
            throw .inUse(processId: holder)
        }
        self.descriptor = descriptor
        writeHolder()
    }

    deinit { _ = close(descriptor) }

    /// For the eyes of whoever finds the store in use; the lock does not depend on it.
    private func writeHolder() {
        let line = Array("\(getpid())\n".utf8)
        _ = ftruncate(descriptor, 0)
        // SAFETY: the array lives through the call.
        _ = unsafe pwrite(descriptor, line, line.count, 0)
    }

    private static func holder(_ descriptor: Int32) -> Int32? {
        var line = [UInt8](repeating: 0, count: 16)
        // SAFETY: sixteen bytes, as said.
        let count = unsafe pread(descriptor, &line, 16, 0)
        guard count > 0 else { return nil }
        let digits = line[0..<count].prefix { $0 >= 0x30 && $0 <= 0x39 }
        return Int32(String(decoding: digits, as: UTF8.self))
    }
}
