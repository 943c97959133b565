// BinaryReplyParser: the client's side of the binary protocol, bytes to replies.
//
// For the load generator and for tests. Values are handed on in parts, so that a reply of any
// size passes through a small buffer. It does not know which request a reply belongs to: its
// opaque says so. Format: see BinaryEncoder, with 0x81 first and a status in place of the bucket.

import Primitives

/// A parser for the replies of one connection; a trivially copyable value, nothing allocates.
public struct BinaryReplyParser: BitwiseCopyable, Sendable {
    /// Longest extras of a reply that are taken, in bytes; those of a value have 4.
    static let extrasBytesMax = 32
    /// The most bytes that are taken in one piece: header, extras and key.
    public static let headBytesMax =
        BinaryEncoder.headerBytes + extrasBytesMax + Limits.keyBytesMax

    /// Bytes of the value being read that are still to come; 0 for none.
    private var valueLeft: UInt32 = 0

    public init() {}

    /// Parses what stands at the start of `input`.
    public mutating func next(_ input: Span<UInt8>) -> ParsedBinaryAnswer {
        guard valueLeft == 0 else { return body(input) }
        guard !input.isEmpty else { return .needMore(atLeast: BinaryEncoder.headerBytes) }
        guard input[0] == 0x81 else { return .fault(.notBinary) }
        guard input.count >= BinaryEncoder.headerBytes else {
            return .needMore(atLeast: BinaryEncoder.headerBytes)
        }
        let (keyBytes, extrasBytes) = (Int(BigEndian.short(input, 2)), Int(input[4]))
        let bodyBytes = BigEndian.word(input, 8)
        guard keyBytes <= Limits.keyBytesMax, extrasBytes <= Self.extrasBytesMax,
            keyBytes &+ extrasBytes <= Int(bodyBytes)
        else { return .fault(.badLengths) }
        var answer = BinaryAnswer()
        answer.opcode = input[1]
        answer.status = BigEndian.short(input, 6)
        answer.opaque = BigEndian.word(input, 12)
        answer.cas = BigEndian.long(input, 16)
        let keyStart = BinaryEncoder.headerBytes &+ extrasBytes
        let valueStart = keyStart &+ keyBytes
        let valueBytes = bodyBytes &- UInt32(truncatingIfNeeded: keyBytes &+ extrasBytes)
        // A number comes with the head: there is nothing to gain from handing it on in parts.
        let isNumber =
            answer.status == BinaryAnswer.Status.ok && valueBytes == 8
            && (answer.opcode == BinaryOpcode.increment.rawValue
                || answer.opcode == BinaryOpcode.decrement.rawValue)
        let wanted = isNumber ? valueStart &+ 8 : valueStart
        guard input.count >= wanted else { return .needMore(atLeast: wanted) }
        if extrasBytes >= 4 { answer.flags = BigEndian.word(input, BinaryEncoder.headerBytes) }
        answer.key = Slice(keyStart, valueStart)
        if isNumber {
            answer.number = BigEndian.long(input, valueStart)
        } else {
            answer.bytes = valueBytes
            valueLeft = valueBytes
        }
        answer.isLast = valueLeft == 0
        return .answer(answer, consumed: wanted)
    }

    private mutating func body(_ input: Span<UInt8>) -> ParsedBinaryAnswer {
        guard !input.isEmpty else { return .needMore(atLeast: 1) }
        let count = min(input.count, Int(valueLeft))
        valueLeft &-= UInt32(truncatingIfNeeded: count)
        var answer = BinaryAnswer()
        answer.isBody = true
        answer.text = Slice(0, count)
        answer.isLast = valueLeft == 0
        return .answer(answer, consumed: count)
    }
}
