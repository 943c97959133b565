// ServiceSocket: tells the service manager how the process is, in datagrams.
//
// A fence around socket and sendto. What cannot be sent is nobody's fault, and forgotten.

internal import Glibc

/// The socket that $NOTIFY_SOCKET names: a path, or `@` and an abstract name.
public struct ServiceSocket: Sendable, Equatable {
    private let name: [UInt8]
    private static let nameBytesMax = 107

    /// Nil for what names no socket.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count > 1, bytes.count <= Self.nameBytesMax, !bytes.contains(0),
            bytes[0] == UInt8(ascii: "/") || bytes[0] == UInt8(ascii: "@")
        else { return nil }
        name = bytes[0] == UInt8(ascii: "@") ? [0] + bytes.dropFirst() : bytes
    }

    /// Sends lines of `NAME=value` as one datagram, without waiting. Whether they were taken.
    @discardableResult
    public func send(_ text: String) -> Bool {
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { return false }
        defer { _ = close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: at most 107 of the 108 bytes of the field; the rest stays zero.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
        // The length of an abstract name is part of it.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bytes = Array(text.utf8)
        // SAFETY: the address and the bytes are lent for the call.
        let count = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                unsafe bytes.withUnsafeBytes {
                    unsafe sendto(
                        descriptor, $0.baseAddress, $0.count,
                        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), place, length)
                }
            }
        }
        return count == bytes.count
    }
}
