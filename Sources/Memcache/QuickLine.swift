// QuickLine: the lines that come most, read in one pass: `get <key>`, `mg` and a plain `set`.
//
// Whatever differs from the form that nearly every client sends (one blank between words, numbers
// without a sign, no `noreply`) is left to the long way, KeyLine, MetaLine and StorageLine, which
// also says what is wrong. What is read here is read alike there; a test holds both together.

public import Primitives

extension ClassicParser {
    /// Where the key of `get <key>\r\n` ends, if just that stands at the start of the input: the
    /// key begins at 4, the next line 2 bytes behind its end. 0 for anything else.
    ///
    /// It is worth two calls of `next`, one for the key and one for the end of its list.
    @inlinable @inline(__always)
    public func endOfGet(_ input: Span<UInt8>) -> Int {
        guard phase == .line, input.count >= 8,
            ByteScan.word(in: input, at: 0) & 0xffff_ffff == 0x2074_6567  // "get "
        else { return 0 }
        let end = ByteScan.wordEnd(in: input, from: 4)
        guard end > 4, end <= 4 &+ Limits.keyBytesMax, end &+ 1 < input.count,
            input[end] == UInt8(ascii: "\r"), input[end &+ 1] == UInt8(ascii: "\n")
        else { return 0 }
        return end
    }

    /// Where the key and the flags of `mg <key>[ <flags>]\r\n` end, if just that stands at the
    /// start of the input: the key begins at 3, the flags a blank behind its end, the next line 2
    /// bytes behind theirs. A key that ends at 0 stands for anything else.
    ///
    /// It is worth a call of `next`.
    @inlinable @inline(__always)
    public func endsOfMetaGet(_ input: Span<UInt8>) -> (key: Int, flags: Int) {
        guard phase == .line, input.count >= 8,
            ByteScan.word(in: input, at: 0) & 0xff_ffff == 0x20_676d  // "mg "
        else { return (0, 0) }
        let end = ByteScan.wordEnd(in: input, from: 3)
        guard end > 3, end <= 3 &+ Limits.keyBytesMax, end &+ 1 < input.count else {
            return (0, 0)
        }
        let next = ByteScan.word(in: input, at: end)
        if next & 0xffff_ffff == 0x0a0d_7620 { return (end, end &+ 2) }  // " v\r\n"
        if next & 0xffff == 0x0a0d { return (end, end) }
        guard next & 0xff == 0x20 else { return (0, 0) }
        let flagsEnd = endOfFlags(input, from: end &+ 1)
        return flagsEnd == 0 ? (0, 0) : (end, flagsEnd)
    }

    /// Where flags end that begin at `start`, and end their line; 0 if there are blanks around.
    @usableFromInline func endOfFlags(_ input: Span<UInt8>, from start: Int) -> Int {
        // A few short ones and their line's end lie in one word.
        let word = ByteScan.word(in: input, at: start)
        let lineFeed = ByteScan.first(UInt8(ascii: "\n"), in: word)
        if lineFeed >= 2, lineFeed < 8, word & 0xff != 0x20 {
            let last = word &>> (UInt64(truncatingIfNeeded: lineFeed &- 2) &* 8)
            if last & 0xff00 == 0x0d00, last & 0xff != 0x20 { return start &+ lineFeed &- 1 }
        }
        guard case .whole(let end, let consumed) = wholeLine(input, from: start),
            consumed == end &+ 2, end > start, input[start] != 0x20, input[end &- 1] != 0x20
        else { return 0 }
        return end
    }

    /// A plain `set` that stands at the start of the input with all of its value; nil for anything
    /// else. It is worth a call of `next`.
    public func wholeSet(_ input: Span<UInt8>) -> PlainSet? {
        guard phase == .line, input.count >= 8,
            ByteScan.word(in: input, at: 0) & 0xffff_ffff == 0x2074_6573,  // "set "
            let line = plainSet(input, at: 4), endsValue(input, line)
        else { return nil }
        return line
    }

    /// The same for `next`, which knows how much is missing.
    @inline(__always)
    func setRequest(_ input: Span<UInt8>, at start: Int) -> Parsed? {
        guard let line = plainSet(input, at: start) else { return nil }
        guard input.count >= line.consumed else { return .needMore(atLeast: line.consumed) }
        guard endsValue(input, line) else { return nil }
        return .request(line.request, consumed: line.consumed)
    }

    /// A plain `set` line whose words begin at `start`, whether or not its value has come.
    @inline(__always)
    private func plainSet(_ input: Span<UInt8>, at start: Int) -> PlainSet? {
        let end = ByteScan.wordEnd(in: input, from: start)
        guard end > start, end <= start &+ Limits.keyBytesMax, end < input.count,
            input[end] == UInt8(ascii: " ")
        else { return nil }
        var position = end &+ 1
        var flags: UInt64 = 0
        var expiry: UInt64 = 0
        if input.count &- end >= 8,
            ByteScan.word(in: input, at: end) & 0xff_ffff_ffff == 0x20_3020_3020  // " 0 0 "
        {
            position = end &+ 5
        } else {
            guard let first = Decimal.number(input, &position, before: UInt8(ascii: " ")),
                let second = Decimal.number(input, &position, before: UInt8(ascii: " "))
            else { return nil }
            flags = first
            expiry = second
        }
        guard let bytes = Decimal.number(input, &position, before: UInt8(ascii: "\r")),
            position < input.count, input[position] == UInt8(ascii: "\n"),
            flags <= UInt64(UInt32.max), expiry <= UInt64(Int32.max),
            bytes <= Limits.declaredBytesMax, position <= Limits.lineBytesMax,
            Limits.itemBytes(
                keyBytes: end &- start, valueBytes: bytes,
                flags: UInt32(truncatingIfNeeded: flags)) <= UInt64(itemBytesMax)
        else { return nil }
        return PlainSet(
            key: Slice(start, end), flags: UInt32(truncatingIfNeeded: flags),
            expiry: UInt32(truncatingIfNeeded: expiry),
            value: Slice(
                offset: UInt32(truncatingIfNeeded: position &+ 1),
                count: UInt32(truncatingIfNeeded: bytes)))
    }

    /// Whether all of the value is there, and ends as it should.
    @inline(__always)
    private func endsValue(_ input: Span<UInt8>, _ line: PlainSet) -> Bool {
        let end = line.value.end
        return input.count >= end &+ 2 && input[end] == UInt8(ascii: "\r")
            && input[end &+ 1] == UInt8(ascii: "\n")
    }
}

/// What a plain `set` says; of a request that is long, the part that is not zero.
public struct PlainSet: BitwiseCopyable, Sendable {
    public let key: Slice
    public let flags: UInt32
    public let expiry: UInt32
    public let value: Slice

    /// Bytes up to the next request.
    @inlinable public var consumed: Int { value.end &+ 2 }

    @inlinable public var request: Request {
        var request = Request(verb: .set)
        request.key = key
        request.value = value
        request.flags = flags
        request.expiry = Int64(expiry)
        request.valueBytes = value.count
        return request
    }
}
