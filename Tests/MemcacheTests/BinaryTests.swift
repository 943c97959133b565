// The client's side of the binary protocol: requests byte by byte, replies in parts of any size.

import Memcache
import Primitives
import Testing

/// What a few encoder calls wrote, as hexadecimal digits.
private func hex(_ encode: (inout ByteWriter) -> Void) throws -> String {
    let region = try Region.map(byteCount: 4096)
    var writer = ByteWriter(region, at: 0, capacity: 4096)
    encode(&writer)
    #expect(!writer.overflowed)
    return (0..<writer.count).map { offset in
        let digits = String(region.uint8(at: offset), radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}

private let key = Array("Hello".utf8)
private let keyDigits = "48656c6c6f"

/// The samples are those of the protocol's own description (BinaryProtocolRevamped).
@Test func binaryRequestsAreTheseBytes() throws {
    #expect(
        try hex { BinaryEncoder.get(.get, key.span, opaque: 0, to: &$0) }
            == "80000005" + "00000000" + "00000005" + "00000000" + "0000000000000000" + keyDigits)
    #expect(
        try hex { BinaryEncoder.get(.getKQ, key.span, opaque: 0x0102_0304, to: &$0) }
            == "800d0005" + "00000000" + "00000005" + "01020304" + "0000000000000000" + keyDigits)
    let value = Array("World".utf8)
    #expect(
        try hex {
            BinaryEncoder.storeHead(
                .add, key.span, flags: 0xdead_beef, expiry: 0x1c20, bytes: 5, opaque: 0, to: &$0)
            $0.append(value.span)
        } == "80020005" + "08000000" + "00000012" + "00000000" + "0000000000000000"
            + "deadbeef" + "00001c20" + keyDigits + "576f726c64")
    #expect(
        try hex { BinaryEncoder.delete(key.span, opaque: 9, to: &$0) }
            == "80040005" + "00000000" + "00000005" + "00000009" + "0000000000000000" + keyDigits)
    #expect(
        try hex {
            BinaryEncoder.count(.decrement, key.span, by: 0x0102_0304_0506_0708, opaque: 1, to: &$0)
        } == "80060005" + "14000000" + "00000019" + "00000001" + "0000000000000000"
            + "0102030405060708" + "0000000000000000" + "ffffffff" + keyDigits)
    #expect(
        try hex { BinaryEncoder.touch(key.span, expiry: 60, opaque: 2, to: &$0) }
            == "801c0005" + "04000000" + "00000009" + "00000002" + "0000000000000000"
            + "0000003c" + keyDigits)
    #expect(
        try hex { BinaryEncoder.getAndTouch(key.span, expiry: 60, opaque: 2, to: &$0) }
            == "801d0005" + "04000000" + "00000009" + "00000002" + "0000000000000000"
            + "0000003c" + keyDigits)
    #expect(
        try hex {
            BinaryEncoder.plain(.noop, opaque: 3, to: &$0)
            BinaryEncoder.plain(.quitQ, opaque: 0, to: &$0)
        } == "800a0000" + "00000000" + "00000000" + "00000003" + "0000000000000000"
            + "80170000" + "00000000" + "00000000" + "00000000" + "0000000000000000")
}

/// A reply, by its fields.
private func reply(
    _ opcode: UInt8, status: UInt16 = 0, opaque: UInt8 = 0, cas: UInt8 = 0,
    extras: [UInt8] = [], key: String = "", value: [UInt8] = []
) -> [UInt8] {
    let body = extras.count + key.utf8.count + value.count
    let head: [UInt8] = [
        0x81, opcode, 0, UInt8(key.utf8.count), UInt8(extras.count), 0,
        UInt8(status >> 8), UInt8(status & 0xFF), 0, 0, UInt8(body >> 8), UInt8(body & 0xFF),
        0, 0, 0, opaque, 0, 0, 0, 0, 0, 0, 0, cas,
    ]
    return head + extras + Array(key.utf8) + value
}

private func answers(_ bytes: [UInt8], cuts: [Int] = [])
    -> (lines: [String], fault: ParsedBinaryAnswer.Fault?)
{
    var parser = BinaryReplyParser()
    var (rest, lines, body): ([UInt8], [String], [UInt8]) = ([], [], [])
    var start = 0
    for cut in cuts + [bytes.count] {
        rest += bytes[start..<cut]
        start = cut
        parsing: while true {
            switch parser.next(rest.span) {
            case .answer(let answer, let consumed):
                if answer.isBody {
                    body += rest[answer.text]
                    if answer.isLast {
                        lines.append("body \(text(body))")
                        body = []
                    }
                } else {
                    #expect(answer.isLast == (answer.bytes == 0))
                    lines.append(
                        "\(answer.opcode) s\(answer.status) o\(answer.opaque) "
                            + "k\(text(rest[answer.key])) f\(answer.flags) b\(answer.bytes) "
                            + "c\(answer.cas) n\(answer.number)")
                }
                rest.removeFirst(consumed)
            case .needMore(let atLeast):
                #expect(atLeast > rest.count)
                break parsing
            case .fault(let fault):
                return (lines, fault)
            }
        }
    }
    #expect(rest.isEmpty)
    return (lines, nil)
}

@Test func binaryRepliesArriveInParts() {
    let bytes =
        reply(0x00, opaque: 1, cas: 7, extras: [0, 0, 0, 5], value: Array("World".utf8))
        + reply(0x00, status: 1, opaque: 2, value: Array("Not found".utf8))
        + reply(0x0D, opaque: 3, extras: [0, 0, 1, 0], key: "Hello", value: [])
        + reply(0x01, opaque: 4, cas: 9)
        + reply(0x05, opaque: 5, value: [0, 0, 0, 0, 0, 1, 0, 2])
        + reply(0x05, status: 6, opaque: 6, value: Array("Non-numeric".utf8))
        + reply(0x0A, opaque: 7)
    let expected = [
        "0 s0 o1 k f5 b5 c7 n0", "body World", "0 s1 o2 k f0 b9 c0 n0", "body Not found",
        "13 s0 o3 kHello f256 b0 c0 n0", "1 s0 o4 k f0 b0 c9 n0", "5 s0 o5 k f0 b0 c0 n65538",
        "5 s6 o6 k f0 b11 c0 n0", "body Non-numeric", "10 s0 o7 k f0 b0 c0 n0",
    ]
    #expect(answers(bytes).lines == expected)
    for cut in 0...bytes.count { #expect(answers(bytes, cuts: [cut]).lines == expected) }
    #expect(answers(bytes, cuts: Array(1..<bytes.count)).lines == expected)
}

@Test func whatIsNoBinaryReplyIsAFault() {
    #expect(answers(Array("ERROR\r\n".utf8)).fault == .notBinary)
    #expect(answers([0x80]).fault == .notBinary)
    // Longer than the body; and longer than the protocol allows.
    var bytes = reply(0x00, key: "Hello")
    bytes[11] = 4
    #expect(answers(bytes).fault == .badLengths)
    bytes = reply(0x00, extras: [UInt8](repeating: 0, count: 33))
    #expect(answers(bytes).fault == .badLengths)
    bytes = reply(0x00, key: String(repeating: "k", count: 251))
    #expect(answers(bytes).fault == .badLengths)
    // The longest that is taken in one piece.
    bytes = reply(
        0x0C, extras: [UInt8](repeating: 0, count: 32), key: String(repeating: "k", count: 250))
    #expect(bytes.count == BinaryReplyParser.headBytesMax)
    #expect(answers(bytes, cuts: Array(1..<bytes.count)).lines.count == 1)
}

@Test func randomBytesNeverHurtTheBinaryParser() {
    var state: UInt64 = 42
    for _ in 0..<20_000 {
        var bytes: [UInt8] = [0x81]
        for _ in 0..<40 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes.append(state >> 60 < 9 ? 0 : UInt8(truncatingIfNeeded: state >> 33))
        }
        var parser = BinaryReplyParser()
        var rest = bytes[...]
        parsing: while !rest.isEmpty {
            switch parser.next(Array(rest).span) {
            case .answer(_, let consumed):
                #expect(consumed > 0 && consumed <= rest.count)
                rest = rest.dropFirst(consumed)
            case .needMore(let atLeast):
                #expect(atLeast > rest.count)
                break parsing
            case .fault: break parsing
            }
        }
    }
}
