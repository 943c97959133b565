// Socket: an open socket, and the blocking calls on it that clients, tests and tools make.
//
// A worker never uses these: it goes through its ring. All of them may block.

internal import CUring
internal import Glibc
public import Primitives

/// An open socket, by descriptor. A plain value: who closes it is the connection's business.
public struct Socket: BitwiseCopyable, Equatable, Sendable {
    public var descriptor: Int32
    @inlinable public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Connects to `address`; TCP without delay of small segments.
    ///
    /// - Parameter timeoutMilliseconds: Longest wait (then ETIMEDOUT); 0 for as long as the
    ///   system waits.
    public static func connected(to address: SocketAddress, timeoutMilliseconds: Int = 0)
        throws(SocketError) -> Socket
    {
        let socket = try open(address)
        do throws(SocketError) {
            if timeoutMilliseconds > 0 { socket.setTimeout(SO_SNDTIMEO, timeoutMilliseconds) }
            if address.port != nil {
                try socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1, address)
            }
            try socket.connect(address)
            if timeoutMilliseconds > 0 { socket.setTimeout(SO_SNDTIMEO, 0) }
        } catch {
            socket.close()
            throw error
        }
        return socket
    }

    /// Two unix stream sockets, connected to each other.
    public static func pair() throws(SocketError) -> (Socket, Socket) {
        var ends: (Int32, Int32) = (-1, -1)
        // SAFETY: a tuple of two has the layout of an array of two.
        let code = unsafe withUnsafeMutablePointer(to: &ends) { pointer in
            unsafe pointer.withMemoryRebound(to: Int32.self, capacity: 2) {
                unsafe socketpair(AF_UNIX, curing_stream | curing_close_on_exec, 0, $0)
            }
        }
        guard code == 0 else {
            throw .failed(call: "socketpair", address: "unix", errno: errno)
        }
        return (Socket(descriptor: ends.0), Socket(descriptor: ends.1))
    }

    /// Sends once. Bytes taken, or a negated errno.
    public func send(from region: Region, at offset: Int, count: Int) -> Int {
        // SAFETY: the region checks the bounds; the bytes are read before the call returns.
        repeated {
            unsafe Glibc.send(
                descriptor, region.uncheckedAddress(at: offset, count: count), count,
                Int32(MSG_NOSIGNAL))
        }
    }

    /// Receives once. Bytes, 0 at the end of the stream, or a negated errno.
    public func receive(into region: Region, at offset: Int, count: Int) -> Int {
        // SAFETY: the region checks the bounds; the bytes are written before the call returns.
        repeated {
            unsafe Glibc.recv(
                descriptor, region.uncheckedAddress(at: offset, count: count), count, 0)
        }
    }

    /// Ends the receives that wait longer than this with -EAGAIN; 0 lets them wait for ever.
    public func setReceiveTimeout(milliseconds: Int) { setTimeout(SO_RCVTIMEO, milliseconds) }

    private func setTimeout(_ name: Int32, _ milliseconds: Int) {
        var time = timeval()
        time.tv_sec = milliseconds / 1000
        time.tv_usec = milliseconds % 1000 * 1000
        // SAFETY: a local of the size that is passed.
        let code = unsafe setsockopt(
            descriptor, SOL_SOCKET, name, &time, socklen_t(MemoryLayout<timeval>.size))
        precondition(code == 0)
    }

    /// Asks for buffers of about this many bytes in the system; it rounds as it likes.
    public func setBufferBytes(send: Int32? = nil, receive: Int32? = nil) {
        if let send { _ = option(SOL_SOCKET, SO_SNDBUF, send) }
        if let receive { _ = option(SOL_SOCKET, SO_RCVBUF, receive) }
    }

    /// Whether small segments go out at once (TCP only; false for others).
    public var isWithoutDelay: Bool { value(Int32(IPPROTO_TCP), TCP_NODELAY) ?? 0 != 0 }

    /// Tells the peer that nothing more will come; receiving goes on.
    public func endSending() { _ = Glibc.shutdown(descriptor, Int32(SHUT_WR)) }

    /// Makes `close` reset the connection instead of ending it (TCP).
    public func resetOnClose() {
        var value = linger(l_onoff: 1, l_linger: 0)
        // SAFETY: a local of the size that is passed.
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    public func close() { _ = Glibc.close(descriptor) }

    // MARK: For this module

    /// An option that is a number; nil, and an errno, if the socket has none such.
    func value(_ level: Int32, _ name: Int32) -> Int32? {
        var value: Int32 = 0
        var count = socklen_t(MemoryLayout<Int32>.size)
        // SAFETY: a local of the size that is passed.
        let code = unsafe getsockopt(descriptor, level, name, &value, &count)
        return code == 0 ? value : nil
    }

    static func open(_ address: SocketAddress, flags: Int32 = 0) throws(SocketError) -> Socket {
        let type = curing_stream | curing_close_on_exec | flags
        let descriptor = Glibc.socket(address.family, type, 0)
        guard descriptor >= 0 else {
            throw .failed(call: "socket", address: "\(address)", errno: errno)
        }
        return Socket(descriptor: descriptor)
    }

    func option(_ level: Int32, _ name: Int32, _ value: Int32) -> Int32 {
        var value = value
        // SAFETY: a local of the size that is passed.
        return unsafe setsockopt(
            descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    func set(_ level: Int32, _ name: Int32, _ value: Int32, _ address: SocketAddress)
        throws(SocketError)
    {
        guard option(level, name, value) == 0 else {
            throw .failed(call: "setsockopt", address: "\(address)", errno: errno)
        }
    }

    func bind(_ address: SocketAddress) throws(SocketError) {
        // SAFETY: the address is lent for the call.
        let code = unsafe address.withSystemAddress { unsafe Glibc.bind(descriptor, $0, $1) }
        guard code == 0 else {
            throw .failed(call: "bind", address: "\(address)", errno: errno)
        }
    }

    func listen(_ backlog: Int32, _ address: SocketAddress) throws(SocketError) {
        guard Glibc.listen(descriptor, backlog) == 0 else {
            throw .failed(call: "listen", address: "\(address)", errno: errno)
        }
    }

    private func connect(_ address: SocketAddress) throws(SocketError) {
        // SAFETY: the address is lent for the call.
        let code = unsafe address.withSystemAddress { unsafe Glibc.connect(descriptor, $0, $1) }
        guard code != 0 else { return }
        var failure = errno
        if failure == EINTR { failure = interruptedConnect() }
        // What the system calls a connect that took longer than the time set: TCP, then unix.
        if failure == EINPROGRESS || failure == EAGAIN { failure = ETIMEDOUT }
        guard failure == 0 else {
            throw .failed(call: "connect", address: "\(address)", errno: failure)
        }
    }

    /// A connect that a signal interrupted goes on by itself; waits for its end. An errno or 0.
    private func interruptedConnect() -> Int32 {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        // SAFETY: one entry, a local.
        while unsafe poll(&wanted, 1, -1) < 0 {
            guard errno == EINTR else { return errno }
        }
        var value: Int32 = 0
        var count = socklen_t(MemoryLayout<Int32>.size)
        // SAFETY: a local of the size that is passed.
        let code = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &value, &count)
        return code == 0 ? value : errno
    }

    /// Makes the call until no signal interrupts it.
    private func repeated(_ call: () -> Int) -> Int {
        while true {
            let count = call()
            if count >= 0 { return count }
            guard errno == EINTR else { return -Int(errno) }
        }
    }
}
