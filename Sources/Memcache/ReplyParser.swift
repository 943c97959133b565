// ReplyParser: the client's side of the text protocols, classic and meta, bytes to replies.
//
// For the load generator and for tests. Values are handed on in parts, so that a reply of any
// size passes through a small buffer. It does not know which request a reply belongs to.

import Primitives

/// A parser for the replies of one connection; a trivially copyable value, nothing allocates.
public struct ReplyParser: BitwiseCopyable, Sendable {
    /// Longest line that is read.
    public static let lineBytesMax = 2048

    /// Bytes of the value being read that are still to come.
    private var valueLeft: UInt32 = 0
    private var isInValue = false

    public init() {}

    /// Parses what stands at the start of `input`.
    public mutating func next(_ input: Span<UInt8>) -> ParsedAnswer {
        precondition(input.count < Int(UInt32.max))
        guard !isInValue else { return body(input) }
        if let parsed = common(input) { return parsed }
        let reach = min(input.count, Self.lineBytesMax)
        let newline = ByteScan.newline(in: input.extracting(0..<reach), from: 0)
        guard newline < reach else {
            return reach == Self.lineBytesMax
                ? .fault(.lineTooLong) : .needMore(atLeast: input.count &+ 1)
        }
        let hasReturn = newline > 0 && input[newline &- 1] == UInt8(ascii: "\r")
        var words = Words(from: 0, to: hasReturn ? newline &- 1 : newline)
        let word = words.next(input).slice
        guard let kind = Self.kind(input, word) else {
            return .answer(Self.other(input, words, word), consumed: newline &+ 1)
        }
        var answer = Answer(kind)
        switch kind {
        case .value:
            let isRead =
                word.count == 2
                ? Self.metaValue(input, words, &answer) : Self.value(input, words, &answer)
            guard isRead else { return .fault(.badValueLine) }
            valueLeft = answer.bytes
            isInValue = true
        case .stat:
            answer.key = words.next(input).slice
            answer.text = words.rest(input)
        default:
            answer.text = words.rest(input)
        }
        return .answer(answer, consumed: newline &+ 1)
    }

    // MARK: What comes most

    /// A whole `VALUE <key> <flags> <bytes>\r\n` or `END\r\n`, in one pass; nil for all else,
    /// which the long way reads.
    @inline(__always)
    private mutating func common(_ input: Span<UInt8>) -> ParsedAnswer? {
        let head = ByteScan.word(in: input, at: 0)
        if head & 0xff_ffff_ffff == 0x0a0d_444e45 { return .answer(Answer(.end), consumed: 5) }
        guard head & 0xffff_ffff_ffff == 0x2045_554c_4156 else { return nil }
        let keyEnd = ByteScan.wordEnd(in: input, from: 6)
        guard keyEnd > 6, keyEnd < Self.lineBytesMax, keyEnd < input.count,
            input[keyEnd] == UInt8(ascii: " ")
        else { return nil }
        var position = keyEnd &+ 1
        guard let flags = Decimal.number(input, &position, before: UInt8(ascii: " ")),
            let bytes = Decimal.number(input, &position, before: UInt8(ascii: "\r")),
            position < input.count, input[position] == UInt8(ascii: "\n"),
            bytes <= Limits.declaredBytesMax
        else { return nil }
        var answer = Answer(.value)
        answer.key = Slice(6, keyEnd)
        answer.flags = UInt32(truncatingIfNeeded: flags)
        answer.bytes = UInt32(truncatingIfNeeded: bytes)
        valueLeft = answer.bytes
        isInValue = true
        return .answer(answer, consumed: position &+ 1)
    }

    // MARK: Values

    private mutating func body(_ input: Span<UInt8>) -> ParsedAnswer {
        var answer = Answer(.body)
        let left = Int(valueLeft)
        if input.count >= left &+ 2 {
            guard input[left] == UInt8(ascii: "\r"), input[left &+ 1] == UInt8(ascii: "\n") else {
                return .fault(.badValueEnd)
            }
            answer.text = Slice(0, left)
            answer.isLast = true
            isInValue = false
            valueLeft = 0
            return .answer(answer, consumed: left &+ 2)
        }
        // The last part takes the line end with it, so it keeps a byte back.
        let part = min(input.count, left &- 1)
        guard part > 0 else { return .needMore(atLeast: min(input.count &+ 1, left &+ 2)) }
        answer.text = Slice(0, part)
        valueLeft &-= UInt32(truncatingIfNeeded: part)
        return .answer(answer, consumed: part)
    }

    private static func value(
        _ input: Span<UInt8>, _ words: Words, _ answer: inout Answer
    ) -> Bool {
        var words = words
        answer.key = words.next(input).slice
        guard let flags = Decimal.unsigned(input, words.next(input).slice),
            let bytes = Decimal.unsigned(input, words.next(input).slice),
            bytes <= Limits.declaredBytesMax
        else { return false }
        answer.flags = UInt32(truncatingIfNeeded: flags)
        answer.bytes = UInt32(truncatingIfNeeded: bytes)
        let cas = words.next(input).slice
        guard !cas.isEmpty else { return true }
        guard let number = Decimal.unsigned(input, cas) else { return false }
        answer.cas = number
        answer.hasCas = true
        return words.next(input).isEmpty
    }

    /// `VA <bytes> <flags>*`
    private static func metaValue(
        _ input: Span<UInt8>, _ words: Words, _ answer: inout Answer
    ) -> Bool {
        var words = words
        guard let bytes = Decimal.unsigned(input, words.next(input).slice),
            bytes <= Limits.declaredBytesMax
        else { return false }
        answer.bytes = UInt32(truncatingIfNeeded: bytes)
        answer.text = words.rest(input)
        while true {
            let flag = words.next(input).slice
            guard !flag.isEmpty else { return true }
            let rest = Slice(offset: flag.offset &+ 1, count: flag.count &- 1)
            switch input[Int(flag.offset)] {
            case UInt8(ascii: "k"):
                answer.key = rest
            case UInt8(ascii: "c"):
                guard let number = Decimal.unsigned(input, rest) else { return false }
                answer.cas = number
                answer.hasCas = true
            case UInt8(ascii: "f"):
                guard let number = Decimal.unsigned(input, rest) else { return false }
                answer.flags = UInt32(truncatingIfNeeded: number)
            default:
                continue
            }
        }
    }

    // MARK: Lines

    private static func other(_ input: Span<UInt8>, _ words: Words, _ word: Slice) -> Answer {
        var answer = Answer(.other)
        if let number = Decimal.unsigned(input, word), words.rest(input).isEmpty {
            answer.kind = .number
            answer.number = number
        } else {
            answer.text = Slice(Int(word.offset), words.rest(input).end)
        }
        return answer
    }

    private static func kind(_ input: Span<UInt8>, _ word: Slice) -> Answer.Kind? {
        let head = ByteScan.word(in: input, at: Int(word.offset))
        switch word.count {
        case 2 where head & 0xffff == 0x4b4f: return .ok
        case 2 where head & 0xffff == 0x4e4d: return .noop
        case 2: return metaKind(head & 0xffff)
        case 3 where head & 0xff_ffff == 0x44_4e45: return .end
        case 4 where head & 0xffff_ffff == 0x5441_5453: return .stat
        case 5 where head & 0xff_ffff_ffff == 0x45_554c_4156: return .value
        case 5 where head & 0xff_ffff_ffff == 0x54_4553_4552: return .reset
        case 5 where head & 0xff_ffff_ffff == 0x52_4f52_5245: return .error
        case 6 where head & 0xffff_ffff_ffff == 0x4445_524f_5453: return .stored
        case 6 where head & 0xffff_ffff_ffff == 0x5354_5349_5845: return .exists
        case 7 where head & 0xff_ffff_ffff_ffff == 0x44_4554_454c_4544: return .deleted
        case 7 where head & 0xff_ffff_ffff_ffff == 0x44_4548_4355_4f54: return .touched
        case 7 where head & 0xff_ffff_ffff_ffff == 0x4e_4f49_5352_4556: return .version
        case 9 where head == 0x4e55_4f46_5f54_4f4e: return .notFound  // "NOT_FOUN"
        case 10 where head == 0x524f_5453_5f54_4f4e: return .notStored  // "NOT_STOR"
        case 12 where head == 0x455f_544e_4549_4c43: return .clientError  // "CLIENT_E"
        case 12 where head == 0x455f_5245_5652_4553: return .serverError  // "SERVER_E"
        default: return nil
        }
    }

    private static func metaKind(_ word: UInt64) -> Answer.Kind? {
        switch word {
        case 0x4156: .value  // "VA"
        case 0x4448: .done  // "HD"
        case 0x4e45: .end  // "EN"
        case 0x534e: .notStored  // "NS"
        case 0x464e: .notFound  // "NF"
        case 0x5845: .exists  // "EX"
        default: nil
        }
    }
}
