// The parser on binary requests: every field, wrong lengths, and random packets that are cut
// anywhere. Whole conversations are in Tests/transcripts/binary.

import Memcache
import Support
import Testing

/// A request, with lengths that may lie.
private func packet(
    _ opcode: UInt8, key: [UInt8] = [], value: [UInt8] = [], extras: [UInt8] = [], cas: UInt64 = 0,
    keyBytes: Int? = nil, extrasBytes: Int? = nil, bodyBytes: Int? = nil
) -> [UInt8] {
    let key16 = keyBytes ?? key.count
    let body = bodyBytes ?? key.count + value.count + extras.count
    var bytes: [UInt8] = [0x80, opcode, UInt8(key16 >> 8 & 255), UInt8(key16 & 255)]
    bytes += [UInt8(truncatingIfNeeded: extrasBytes ?? extras.count), 0, 0, 0]
    bytes += (0..<4).reversed().map { UInt8(body >> (8 * $0) & 255) }
    bytes += [0xde, 0xad, 0xbe, 0xef]
    bytes += (0..<8).reversed().map { UInt8(cas >> (8 * UInt64($0)) & 255) }
    return bytes + extras + key + value
}

private let key = Array("key".utf8)

@Test func everyFieldOfAStorageRequestIsRead() throws {
    let bytes = packet(
        0x12, key: key, value: [1, 2], extras: [0, 0, 1, 2, 0xff, 0xff, 0xff, 0xff],
        cas: 0x0102_0304_0506_0708)
    var parser = ClassicParser(itemBytesMax: 1 << 20)
    guard case .request(let request, let consumed) = parser.next(bytes.span) else {
        Issue.record("no request")
        return
    }
    #expect(parser.isBinary && consumed == bytes.count && request.isBinary)
    #expect(request.head == BinaryHead(opcode: 0x12, opaque: 0xdead_beef) && request.isQuiet)
    #expect(request.flags == 0x102 && request.expiry == Int64(UInt32.max))
    #expect(request.cas == 0x0102_0304_0506_0708 && request.valueBytes == 2)
    #expect(bytes[request.key] == key && bytes[request.value] == [1, 2])
}

@Test func aCounterHasItsNumbers() {
    let extras: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 9] + [1, 2, 3, 4, 5, 6, 7, 8] + [0, 0, 0, 60]
    var parser = ClassicParser(itemBytesMax: 1 << 20)
    let parsed = parser.next(packet(0x05, key: key, extras: extras).span)
    guard case .request(let request, _) = parsed else {
        Issue.record("\(parsed)")
        return
    }
    #expect(request.delta == 9 && request.initial == 0x0102_0304_0506_0708 && request.expiry == 60)
}

@Test func theFirstByteTellsTheProtocol() {
    func kind(_ bytes: [UInt8], _ dialects: Dialects) -> Bool? {
        var parser = ClassicParser(itemBytesMax: 1 << 20, dialects: dialects)
        guard case .request(let request, _) = parser.next(bytes.span) else { return nil }
        return request.isBinary
    }
    let (text, binary) = (Array("version\r\n".utf8), packet(0x0b))
    #expect(kind(text, .any) == false && kind(binary, .any) == true)
    #expect(kind(text, .text) == false && kind(binary, .text) == nil)
    #expect(kind(text, .binary) == nil && kind(binary, .binary) == true)
}

@Test(arguments: 0..<40 as Range<UInt64>)
func randomPacketsNeverTrapAndReadTheSameInPieces(seed: UInt64) {
    var random = Chance(seed: seed)
    for _ in 0..<200 {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...6, using: &random) { bytes += randomPacket(&random) }
        let whole = events(bytes, itemBytesMax: 200)
        var cuts = Set<Int>()
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            cuts.insert(Int.random(in: 0...bytes.count, using: &random))
        }
        let pieces = events(bytes, cuts: cuts.sorted(), itemBytesMax: 200)
        #expect(whole.complaints.isEmpty && pieces.complaints.isEmpty, "seed \(seed): \(bytes)")
        guard whole.events == pieces.events else {
            Issue.record("seed \(seed), cuts \(cuts.sorted()): \(bytes)")
            return
        }
    }
}

/// Sound more often than not, so that the next one is read at all.
private func randomPacket(_ random: inout Chance) -> [UInt8] {
    let opcode = UInt8.random(in: 0...0x26, using: &random)
    let extras = [0, 4, 8, 20].randomElement(using: &random) ?? 0
    let key = [UInt8](repeating: 107, count: Int.random(in: 0...5, using: &random))
    let value = [UInt8](
        repeating: 118, count: [0, 3, 150].randomElement(using: &random) ?? 0)
    var bytes = packet(
        opcode, key: key, value: value, extras: [UInt8](repeating: 1, count: extras))
    if Int.random(in: 0..<5, using: &random) == 0 {
        let place = Int.random(in: 0..<min(12, bytes.count), using: &random)
        bytes[place] = UInt8.random(in: 0...3, using: &random)
    }
    return bytes
}

/// memcached once copied extras by the length that the header claims, and once took a body for
/// longer than it was.
@Test func theLengthOfExtrasIsCheckedForEveryOpcode() {
    for opcode in UInt8.min...UInt8.max {
        for extras in 0...255 where opcode <= 0x26 || [0, 1, 8, 20, 254, 255].contains(extras) {
            let first = packet(opcode, key: key, extras: [UInt8](repeating: 1, count: extras))
            let read = events(first + packet(0x0a))
            #expect(read.complaints.isEmpty, "opcode \(opcode), \(extras) bytes of extras")
            // It is taken whole, and the next one is read; or that was the end.
            #expect(read.events.count == 2 || read.events.count == 1)
        }
    }
}

@Test func lengthsThatDoNotFitTogetherEndTheConnection() {
    let bounds = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]
    for opcode in [UInt8](0...0x26) {
        for body in bounds {
            for (keyBytes, extrasBytes) in [(0, 0), (3, 0), (3, 8), (0xffff, 0), (250, 255)]
            where keyBytes + extrasBytes > body {
                let bytes = packet(
                    opcode, keyBytes: keyBytes, extrasBytes: extrasBytes, bodyBytes: body)
                let read = events(bytes + packet(0x08))
                #expect(read.complaints.isEmpty && read.events.count == 1, "\(bytes)")
                guard case .fault(_, _, _, let closes) = read.events[0] else {
                    Issue.record("taken: \(bytes)")
                    continue
                }
                #expect(closes, "\(bytes)")
            }
            // However long a value is to be, what follows the header is not executed.
            let long = packet(opcode, key: key, bodyBytes: body)
            let read = events(long + packet(0x08))
            #expect(read.complaints.isEmpty, "\(long)")
            if body > 1 << 20 { #expect(read.events.count <= 1, "\(long)") }
        }
    }
}
