// BinaryStatistics: the lines of a statistics text as packets of the binary protocol.
//
// Off the hot road: built with ordinary arrays, as the texts are.

internal import Memcache
internal import Primitives

enum BinaryStatistics {
    /// One packet for each STAT line, and an empty one at the end; an error if the text is one.
    static func packets(
        of text: [UInt8], _ request: StatisticsRequest, _ head: BinaryHead
    ) -> [UInt8] {
        var packets: [UInt8] = []
        var details: [UInt8] = []
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if line.starts(with: "PREFIX ".utf8) {
                details += line + "\r\n".utf8
            } else if line.starts(with: "STAT ".utf8) {
                let rest = line.dropFirst(5)
                let end = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
                append(head, key: rest[..<end], value: rest[end...].dropFirst(), to: &packets)
            } else if line.elementsEqual("ERROR".utf8) || line.contains(UInt8(ascii: "_")) {
                return packet(head, status: BinaryStatus.notFound, body: Array("Not found".utf8))
            }
        }
        if request == .detail(.dump) {
            append(head, key: "detailed".utf8, value: details + "END\r\n".utf8, to: &packets)
        }
        return packets + packet(head, status: BinaryStatus.ok, body: [])
    }

    private static func append(
        _ head: BinaryHead, key: some Collection<UInt8>, value: some Collection<UInt8>,
        to packets: inout [UInt8]
    ) {
        packets += packet(
            head, status: BinaryStatus.ok, keyBytes: key.count, body: Array(key) + Array(value))
    }

    private static func packet(
        _ head: BinaryHead, status: UInt16, keyBytes: Int = 0, body: [UInt8]
    ) -> [UInt8] {
        var packet: [UInt8] = [0x81, head.opcode]
        packet += bigEndian(UInt16(truncatingIfNeeded: keyBytes))
        packet += [0, 0]
        packet += bigEndian(status)
        packet += bigEndian(UInt32(truncatingIfNeeded: body.count))
        packet += bigEndian(head.opaque)
        packet += bigEndian(UInt64(0))
        return packet + body
    }

    private static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        (0..<number.bitWidth / 8).reversed().map {
            UInt8(truncatingIfNeeded: number >> (8 * $0))
        }
    }
}
