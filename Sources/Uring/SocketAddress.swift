// SocketAddress: where a socket listens or connects, as a value, and the forms people write it in.
//
// Everything that names a sockaddr is here. Opening sockets is not; see Listener and Socket.

internal import CUring
internal import Glibc

/// Why a socket could not be opened, named or bound.
public enum SocketError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not of the form `host`, `host:port`, `[address]:port`, or a port outside 0...65535.
    case malformed(String)
    /// No address for the name; the reason is the resolver's.
    case unresolved(host: String, reason: String)
    /// A system call failed.
    case failed(call: String, address: String, errno: Int32)
    /// Someone answers on this unix socket.
    case occupied(path: String)
    /// A descriptor that was handed to the process is no stream socket that listens.
    case notListening(String)
    /// The path names something that is not a socket, so it is left alone.
    case notSocket(path: String)
    /// A unix socket's path has at most `SocketAddress.pathBytesMax` bytes, and at least one.
    case pathLength(String)

    public var description: String {
        switch self {
        case .malformed(let text): "\"\(text)\" is not host, host:port or [address]:port"
        case .unresolved(let host, let reason): "no address for \"\(host)\": \(reason)"
        case .failed(let call, let address, let code):
            "\(call) \(address): \(SystemError.text(code))"
        case .occupied(let path): "another process listens on \(path)"
        case .notListening(let name): "\(name) is no stream socket that listens"
        case .notSocket(let path): "\(path) exists and is not a socket"
        case .pathLength(let path):
            "\"\(path)\" is empty or longer than \(SocketAddress.pathBytesMax) bytes"
        }
    }
}

/// A host and a port as written, either of them possibly missing.
public struct Endpoint: Equatable, Sendable {
    /// Nil for all interfaces (`*` or nothing before the colon).
    public var host: String?
    public var port: UInt16?

    public init(host: String?, port: UInt16?) {
        self.host = host
        self.port = port
    }

    /// Reads `host`, `host:port`, `*`, `:port`, `[::1]`, `[::1]:port` or a bare `::1`.
    public init(parsing text: String) throws(SocketError) {
        let host: Substring
        let port: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw .malformed(text) }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { throw .malformed(text) }
            port = rest.isEmpty ? nil : rest.dropFirst()
            guard host.contains(":") else { throw .malformed(text) }
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        } else {
            host = text[...]
            port = nil
            guard !text.isEmpty else { throw .malformed(text) }
        }
        self.host = host.isEmpty || host == "*" ? nil : String(host)
        guard !host.utf8.contains(0) else { throw .malformed(text) }
        guard let port else { return }
        guard port.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = UInt16(port) else {
            throw .malformed(text)
        }
        self.port = number
    }
}

/// An address that a socket can have.
public enum SocketAddress: Hashable, Sendable {
    /// The four bytes, first one highest.
    case ipv4(UInt32, port: UInt16)
    /// The sixteen bytes, first one highest; the scope is an interface's number or 0.
    case ipv6(high: UInt64, low: UInt64, scope: UInt32, port: UInt16)
    /// A path; empty for a peer without a name, "@…" for one outside the file system.
    case unix(path: String)

    /// What fits beside the terminating zero.
    public static let pathBytesMax = 107

    public static func loopback(port: UInt16) -> SocketAddress { .ipv4(0x7F00_0001, port: port) }

    /// Nil for a unix socket.
    public var port: UInt16? {
        switch self {
        case .ipv4(_, let port), .ipv6(_, _, _, let port): port
        case .unix: nil
        }
    }

    /// All addresses of an endpoint, IPv4 and IPv6, in the resolver's order. Blocks.
    public static func resolve(_ endpoint: Endpoint, defaultPort: UInt16) throws(SocketError)
        -> [SocketAddress]
    {
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = curing_stream
        unsafe hints.ai_flags = AI_PASSIVE
        let port = endpoint.port ?? defaultPort
        var list: UnsafeMutablePointer<addrinfo>?
        // SAFETY: terminated strings; the list is read until its end and freed once.
        let code = unsafe getaddrinfo(endpoint.host, String(port), &hints, &list)
        guard code == 0 else {
            let reason =
                code == EAI_SYSTEM
                ? SystemError.text(errno) : unsafe String(cString: gai_strerror(code))
            throw .unresolved(host: endpoint.host ?? "*", reason: reason)
        }
        defer { unsafe freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            var storage = sockaddr_storage()
            let count = unsafe min(Int(entry.pointee.ai_addrlen), storageBytes)
            unsafe memcpy(&storage, entry.pointee.ai_addr, count)
            if let address = SocketAddress(storage, count: count), !found.contains(address) {
                found.append(address)
            }
            unsafe next = unsafe entry.pointee.ai_next
        }
        return found
    }

    /// The address that this socket is bound to: the real port where 0 was asked for.
    public static func local(of socket: Socket) -> SocketAddress? {
        name(of: socket, isPeer: false)
    }

    /// The address of the other side; nil if there is none (any more).
    public static func peer(of socket: Socket) -> SocketAddress? {
        name(of: socket, isPeer: true)
    }

    private static func name(of socket: Socket, isPeer: Bool) -> SocketAddress? {
        var storage = sockaddr_storage()
        var count = socklen_t(storageBytes)
        // SAFETY: a local of the size that is passed; the result is at most that long.
        let code = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                isPeer
                    ? unsafe getpeername(socket.descriptor, address, &count)
                    : unsafe getsockname(socket.descriptor, address, &count)
            }
        }
        guard code == 0 else { return nil }
        return SocketAddress(storage, count: min(Int(count), storageBytes))
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `127.0.0.1:11211`, `[::1]:11211`, or the path.
    public var description: String {
        switch self {
        case .ipv4(_, let port): "\(hostText):\(port)"
        case .ipv6(_, _, let scope, let port):
            "[\(hostText)\(scope == 0 ? "" : "%\(scope)")]:\(port)"
        case .unix(let path): path
        }
    }

    /// With the transport in front: `tcp:127.0.0.1:11211`, `tcp6:[::1]:11211`, `unix:/path`.
    public var labelled: String {
        switch self {
        case .ipv4: "tcp:\(self)"
        case .ipv6: "tcp6:\(self)"
        case .unix: "unix:\(self)"
        }
    }

    /// The address without the port; the path of a unix socket.
    public var hostText: String {
        switch self {
        case .ipv4(let bits, _):
            return [24, 16, 8, 0].map { String(bits >> UInt32($0) & 0xFF) }
                .joined(separator: ".")
        case .ipv6(let high, let low, _, _):
            var bytes = in6_addr()
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            // SAFETY: sixteen bytes in, the text's own size out.
            unsafe withUnsafeMutableBytes(of: &bytes) { raw in
                unsafe raw.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                unsafe raw.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            _ = unsafe inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count))
            return String(
                decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        case .unix(let path):
            return path
        }
    }
}

// MARK: As the system has it

private let storageBytes = MemoryLayout<sockaddr_storage>.size
/// Where the path begins in a sockaddr_un.
private let pathOffset = MemoryLayout<sa_family_t>.size

extension SocketAddress {
    var family: Int32 {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Lends the address in the system's form.
    @unsafe func withSystemAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var storage = sockaddr_storage()
        let count = store(into: &storage)
        // SAFETY: `count` bytes of a local, lent until the body returns.
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, socklen_t(count))
            }
        }
    }

    private func store(into storage: inout sockaddr_storage) -> Int {
        // SAFETY: every variant is shorter than sockaddr_storage, whose alignment serves all;
        // the path was checked against pathBytesMax before, and is cut off here in any case.
        unsafe withUnsafeMutableBytes(of: &storage) { raw in
            switch self {
            case .ipv4(let bits, let port):
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = port.bigEndian
                address.sin_addr.s_addr = bits.bigEndian
                unsafe raw.storeBytes(of: address, as: sockaddr_in.self)
                return MemoryLayout<sockaddr_in>.size
            case .ipv6(let high, let low, let scope, let port):
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = port.bigEndian
                address.sin6_scope_id = scope
                unsafe raw.storeBytes(of: address, as: sockaddr_in6.self)
                unsafe raw.storeBytes(of: high.bigEndian, toByteOffset: 8, as: UInt64.self)
                unsafe raw.storeBytes(of: low.bigEndian, toByteOffset: 16, as: UInt64.self)
                return MemoryLayout<sockaddr_in6>.size
            case .unix(let path):
                let bytes = path.utf8.prefix(Self.pathBytesMax)
                unsafe raw.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
                for (index, byte) in bytes.enumerated() { unsafe raw[pathOffset + index] = byte }
                return pathOffset + bytes.count + 1
            }
        }
    }

    /// Nil for a family that is none of ours, or an address cut short.
    init?(_ storage: sockaddr_storage, count: Int) {
        // SAFETY: a local copy; nothing is read beyond `count`, which is at most its size.
        let address: SocketAddress? = unsafe withUnsafeBytes(of: storage) { raw in
            switch Int32(storage.ss_family) {
            case AF_INET where count >= MemoryLayout<sockaddr_in>.size:
                let address = unsafe raw.load(as: sockaddr_in.self)
                return .ipv4(
                    UInt32(bigEndian: address.sin_addr.s_addr),
                    port: UInt16(bigEndian: address.sin_port))
            case AF_INET6 where count >= MemoryLayout<sockaddr_in6>.size:
                let address = unsafe raw.load(as: sockaddr_in6.self)
                let high = unsafe raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                let low = unsafe raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
                return .ipv6(
                    high: UInt64(bigEndian: high), low: UInt64(bigEndian: low),
                    scope: address.sin6_scope_id, port: UInt16(bigEndian: address.sin6_port))
            case AF_UNIX where count >= pathOffset:
                var bytes = unsafe Array(raw[pathOffset..<count])
                if bytes.first == 0, bytes.count > 1 {
                    bytes = bytes.map { $0 == 0 ? 0x40 : $0 }
                }
                return .unix(
                    path: String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
            default:
                return nil
            }
        }
        guard let address else { return nil }
        self = address
    }
}
