// ByteStream: a file or a pipe, read or written in order, some bytes at a time.
//
// A fence around open, poll, read and write for data that is streamed through a region: traces.
// What it does not do: seek, buffer, or retry what failed.

internal import Glibc

/// A file, or standard input, that is read from its beginning to its end; one thread.
public struct ByteSource: BitwiseCopyable, Sendable {
    private let descriptor: Int32

    /// The name that stands for standard input or standard output.
    public static let standardName = "-"

    /// Opens a file, a pipe or a device; `-` is standard input. Nil with an errno in `code`.
    public static func open(_ path: String, code: inout Int32) -> ByteSource? {
        guard path != standardName else { return ByteSource(descriptor: 0) }
        // SAFETY: the path is lent for the call.
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            code = errno
            return nil
        }
        return ByteSource(descriptor: descriptor)
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// Waits at most so long for bytes and reads at most `count` of them. Returns how many, 0 at
    /// the end, or a negated errno: -EAGAIN if none came in time.
    public func read(
        into region: Region, at offset: Int, count: Int, timeoutMilliseconds: Int32
    ) -> Int {
        // SAFETY (both): one entry, for the call; the region checks the bounds of its bytes.
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let ready = unsafe poll(&entry, 1, timeoutMilliseconds)
        guard ready > 0 else { return ready == 0 || errno == EINTR ? -Int(EAGAIN) : -Int(errno) }
        let address = unsafe region.uncheckedAddress(at: offset, count: count)
        let got = unsafe Glibc.read(descriptor, address, count)
        guard got < 0 else { return got }
        return errno == EINTR ? -Int(EAGAIN) : -Int(errno)
    }

    /// Closes it, unless it is standard input.
    public func close() {
        if descriptor > 0 { _ = Glibc.close(descriptor) }
    }
}

/// A new file, or standard output, that is written from its beginning; one thread.
public struct ByteSink: BitwiseCopyable, Sendable {
    private let descriptor: Int32

    /// Makes or empties a file, mode 0644 less the umask; `-` is standard output. Nil with an
    /// errno in `code`.
    public static func create(_ path: String, code: inout Int32) -> ByteSink? {
        guard path != ByteSource.standardName else { return ByteSink(descriptor: 1) }
        // SAFETY: the path is lent for the call.
        let descriptor = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            code = errno
            return nil
        }
        return ByteSink(descriptor: descriptor)
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// Writes all of `count` bytes. Returns 0 or an errno.
    public func write(_ region: Region, at offset: Int, count: Int) -> Int32 {
        var sent = 0
        while sent < count {
            // SAFETY: the region checks the bounds.
            let address = unsafe region.uncheckedAddress(at: offset + sent, count: count - sent)
            let taken = unsafe Glibc.write(descriptor, address, count - sent)
            if taken < 0 && errno == EINTR { continue }
            guard taken > 0 else { return taken < 0 ? errno : EIO }
            sent += taken
        }
        return 0
    }

    /// Closes it, unless it is standard output. Returns 0 or an errno.
    public func close() -> Int32 {
        descriptor > 1 && Glibc.close(descriptor) != 0 ? errno : 0
    }
}
