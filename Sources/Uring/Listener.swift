// Listener: a socket that accepts, of any kind that the server serves.
//
// TCP over IPv4 and IPv6, and unix stream sockets with their file. Accepting is the ring's work.
// Options that accepted sockets should have are set on the listener, from which Linux hands
// them down: an accepted connection costs no further system call.

internal import CUring
internal import Glibc

/// A listening socket and the address it has. Close it once; copies name the same socket.
public struct Listener: Sendable {
    public let socket: Socket
    /// As bound: with the real port where 0 was asked for.
    public let address: SocketAddress
    /// The socket's file, to remove no other at the end.
    private let file: FileIdentity?

    /// Listens for TCP connections.
    ///
    /// - Parameter backlog: Connections that may wait to be accepted; the system caps it.
    public static func tcp(_ address: SocketAddress, backlog: Int32 = 1024) throws(SocketError)
        -> Listener
    {
        precondition(address.port != nil)
        let socket = try Socket.open(address)
        do throws(SocketError) {
            try socket.set(SOL_SOCKET, SO_REUSEADDR, 1, address)
            try socket.set(SOL_SOCKET, SO_KEEPALIVE, 1, address)
            try socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1, address)
            if address.family == AF_INET6 {
                try socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1, address)
            }
            try socket.bind(address)
            try socket.listen(backlog, address)
        } catch {
            socket.close()
            throw error
        }
        return Listener(
            socket: socket, address: SocketAddress.local(of: socket) ?? address, file: nil)
    }

    /// Listens on a unix stream socket at `path`.
    ///
    /// A socket file that nobody listens on is removed first; any other file is left alone.
    /// The file has its owner and its mode before the first connection is possible.
    ///
    /// - Parameters:
    ///   - mode: Permissions of the file, 0o000...0o777.
    ///   - owner: User and group that the file is given to; nil leaves it to this process's.
    public static func unix(
        path: String, mode: UInt32 = 0o700, owner: (user: UInt32, group: UInt32)? = nil,
        backlog: Int32 = 1024
    ) throws(SocketError) -> Listener {
        guard !path.isEmpty, path.utf8.count <= SocketAddress.pathBytesMax,
            !path.utf8.contains(0)
        else { throw .pathLength(path) }
        let address = SocketAddress.unix(path: path)
        try removeStale(address, path)
        let socket = try Socket.open(address)
        do throws(SocketError) {
            try socket.bind(address)
        } catch {
            socket.close()
            throw error
        }
        let file = FileIdentity(path: path)
        let listener = Listener(socket: socket, address: address, file: file)
        do throws(SocketError) {
            // SAFETY (both): a terminated string.
            if let owner, unsafe lchown(path, owner.user, owner.group) != 0 {
                throw .failed(call: "chown", address: path, errno: errno)
            }
            guard unsafe chmod(path, mode & 0o777) == 0 else {
                throw .failed(call: "chmod", address: path, errno: errno)
            }
            try socket.listen(backlog, address)
        } catch {
            listener.close()
            throw error
        }
        return listener
    }

    /// Takes over a socket that listens already, which the process was started with. The file of a
    /// unix socket stays whose it is.
    public static func adopt(descriptor: Int32) throws(SocketError) -> Listener {
        let socket = Socket(descriptor: descriptor)
        let name = "descriptor \(descriptor)"
        guard let kind = socket.value(SOL_SOCKET, SO_TYPE) else {
            throw .failed(call: "getsockopt", address: name, errno: errno)
        }
        guard kind == curing_stream, socket.value(SOL_SOCKET, SO_ACCEPTCONN) == 1,
            let address = SocketAddress.local(of: socket)
        else { throw .notListening(name) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        if address.port != nil {
            try socket.set(SOL_SOCKET, SO_KEEPALIVE, 1, address)
            try socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1, address)
        }
        return Listener(socket: socket, address: address, file: nil)
    }

    /// Closes the socket, and removes the file of a unix socket if it is still this one's.
    public func close() {
        if case .unix(let path) = address, let file, FileIdentity(path: path) == file {
            // SAFETY: a terminated string.
            _ = unsafe unlink(path)
        }
        socket.close()
    }

    private static func removeStale(_ address: SocketAddress, _ path: String)
        throws(SocketError)
    {
        guard let found = FileIdentity(path: path) else { return }
        guard found.isSocket else { throw .notSocket(path: path) }
        // Without waiting: a listener whose backlog is full is a listener all the same.
        let probe = try Socket.open(address, flags: curing_no_wait)
        defer { probe.close() }
        // SAFETY: the address is lent for the call.
        let code = unsafe address.withSystemAddress { unsafe connect(probe.descriptor, $0, $1) }
        if code == 0 { throw .occupied(path: path) }
        switch errno {
        case ECONNREFUSED: break
        case ENOENT: return
        case EAGAIN, EINPROGRESS, EPROTOTYPE: throw .occupied(path: path)
        default: throw .failed(call: "connect", address: path, errno: errno)
        }
        // SAFETY: a terminated string.
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw .failed(call: "unlink", address: path, errno: errno)
        }
    }
}

/// Which file a path names now.
private struct FileIdentity: Equatable, Sendable {
    var device: UInt64
    var number: UInt64
    var isSocket: Bool

    /// Nil if there is no such file; does not follow a symbolic link.
    init?(path: String) {
        var status = stat()
        // SAFETY: a terminated string, and a local to fill.
        guard unsafe lstat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
        isSocket = status.st_mode & S_IFMT == S_IFSOCK
    }
}
