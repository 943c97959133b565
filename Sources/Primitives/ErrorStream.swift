// ErrorStream: standard error as a place for lines that never makes the writer wait.
//
// A file takes what it is given. A pipe or a terminal is opened once more, so that it can be
// written without waiting and no other process that shares it notices; a socket is asked call by
// call. Where none of that is possible, the stream is asked first whether it has room.

internal import Glibc

/// Standard error. Any thread; lines of threads do not mix, each is one call.
public struct ErrorStream: Sendable {
    private enum Way { case file, socket, ownPipe, asked }

    private let way: Way
    private let descriptor: Int32
    /// Which file it is.
    private let device: UInt64
    private let number: UInt64

    /// Longest line that a pipe takes whole or not at all.
    public static let lineBytesMax = 4096

    public init() {
        var status = stat()
        // SAFETY: a local to fill.
        let isKnown = unsafe fstat(2, &status) == 0
        device = isKnown ? UInt64(status.st_dev) : 0
        number = isKnown ? UInt64(status.st_ino) : 0
        let kind = status.st_mode & S_IFMT
        if isKnown, kind == S_IFREG {
            (way, descriptor) = (.file, 2)
            return
        }
        if isKnown, kind == S_IFSOCK {
            (way, descriptor) = (.socket, 2)
            return
        }
        let flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        // SAFETY: the path is lent for the call.
        let own = unsafe open("/proc/self/fd/2", flags)
        (way, descriptor) = own >= 0 ? (.ownPipe, own) : (.asked, 2)
    }

    /// Whether it is the stream that $JOURNAL_STREAM names: `device:inode`.
    public func isNamed(by text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 && UInt64(parts[0]) == device && UInt64(parts[1]) == number
            && number != 0
    }

    /// Writes a line; false if there was no room for it now, or nobody to take it.
    public func write(_ line: [UInt8]) -> Bool {
        if way == .asked {
            var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            // SAFETY: one entry, a local.
            guard unsafe poll(&wanted, 1, 0) == 1, wanted.revents & Int16(POLLOUT) != 0 else {
                return false
            }
        }
        while true {
            // SAFETY: the bytes are lent for the call.
            let count = unsafe line.withUnsafeBytes {
                way == .socket
                    ? unsafe send(
                        descriptor, $0.baseAddress, $0.count,
                        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                    : unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            return count == line.count
        }
    }
}
