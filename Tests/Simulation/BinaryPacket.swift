// BinaryPacket: a packet of the binary protocol as a peer writes requests and reads replies. It is
// written apart from the server's own code, which it checks; what a packet means is its user's.

/// A request, or a reply.
///
/// ```text
/// byte 0       1        2           4         5    6        8       12       16    24
///      | magic | opcode | key bytes | extras  | 0  | status | body  | opaque | cas | extras
///      |       |        |           | bytes   |    |        | bytes |        |     | key value
/// ```
public struct BinaryPacket: Sendable {
    public var opcode: UInt8
    /// Of a reply; 0: done.
    public var status = 0
    public var opaque: UInt32
    public var cas: UInt64 = 0
    public var extras: [UInt8] = []
    public var key: [UInt8] = []
    public var value: [UInt8] = []

    public static let headBytes = 24

    public init(_ opcode: UInt8, opaque: UInt32) {
        self.opcode = opcode
        self.opaque = opaque
    }

    public var byteCount: Int { Self.headBytes + extras.count + key.count + value.count }

    /// As a request.
    public var bytes: [UInt8] {
        var head: [UInt8] = [0x80, opcode]
        head += Self.bytes(UInt64(key.count), 2)
        head += [UInt8(extras.count), 0, 0, 0]
        head += Self.bytes(UInt64(byteCount - Self.headBytes), 4)
        head += Self.bytes(UInt64(opaque), 4)
        head += Self.bytes(cas, 8)
        return head + extras + key + value
    }

    /// The lowest `count` bytes of a number, the highest of them first.
    public static func bytes(_ number: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * (count - 1 - $0))) }
    }

    /// The number that these bytes are, the highest first.
    public static func number(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// What a peer is sent.
    public enum Heard {
        /// Not whole yet.
        case more
        case reply(BinaryPacket)
        case nonsense
    }

    /// Reads the reply that begins at `start`.
    public static func reply(in bytes: [UInt8], at start: Int = 0) -> Heard {
        guard bytes.count > start else { return .more }
        guard bytes[start] == 0x81 else { return .nonsense }
        guard bytes.count >= start + headBytes else { return .more }
        func field(_ at: Int, _ count: Int) -> UInt64 {
            number(bytes[start + at..<start + at + count])
        }
        let (keyBytes, extrasBytes) = (Int(field(2, 2)), Int(bytes[start + 4]))
        let bodyBytes = Int(field(8, 4))
        guard keyBytes + extrasBytes <= bodyBytes else { return .nonsense }
        let end = start + headBytes + bodyBytes
        guard bytes.count >= end else { return .more }
        var packet = BinaryPacket(bytes[start + 1], opaque: UInt32(field(12, 4)))
        packet.status = Int(field(6, 2))
        packet.cas = field(16, 8)
        let keyStart = start + headBytes + extrasBytes
        packet.extras = Array(bytes[start + headBytes..<keyStart])
        packet.key = Array(bytes[keyStart..<keyStart + keyBytes])
        packet.value = Array(bytes[keyStart + keyBytes..<end])
        return .reply(packet)
    }
}
