// KeyLine: get, gets, gat and gats, one key at a time.
//
// A key is answered as soon as its end is seen, so a line of any length needs no more input at
// once than its longest key. What is wrong in the middle of a line is found only then: the values
// before it have been answered, and the error line stands where END would.

import Primitives

extension ClassicParser {
    /// What stands where a word has ended.
    private enum Break: BitwiseCopyable {
        /// A blank; more may follow.
        case blank
        /// The end of the line, and where the next begins.
        case line(next: Int)
        /// A carriage return, and no telling what follows it.
        case pending
        /// A character that has no business there.
        case control
    }

    @inline(__always)
    private func lineBreak(_ input: Span<UInt8>, at position: Int) -> Break {
        switch input[position] {
        case 0x20: return .blank
        case UInt8(ascii: "\n"): return .line(next: position &+ 1)
        case UInt8(ascii: "\r"):
            guard position &+ 1 < input.count else { return .pending }
            return input[position &+ 1] == UInt8(ascii: "\n")
                ? .line(next: position &+ 2) : .control
        default: return .control
        }
    }

    /// The first key of a line; `start` follows the verb and a blank.
    @inline(__always)
    mutating func beginKeys(_ input: Span<UInt8>, _ verb: Verb, at start: Int) -> Parsed {
        var position = start
        var word = start
        var expiry: Int64? = 0
        if verb == .gat || verb == .gats {
            word = ByteScan.nonBlank(in: input, from: start)
            guard word < input.count else { return beginsLater(input, word) }
            position = ByteScan.wordEnd(in: input, from: word)
            guard position < input.count else { return beginsLater(input, position) }
            expiry = Decimal.expiry(input, Slice(word, position))
            guard word <= Limits.lineBytesMax, position <= Limits.lineBytesMax else {
                return tooLong(input)
            }
        }
        // After a verb or an expiry: blanks, then a key, or else nothing to get.
        let first = ByteScan.nonBlank(in: input, from: position)
        let hasExpiry = verb == .gat || verb == .gats
        guard first < input.count else {
            return hasExpiry ? beginsLater(input, first) : blanks(input, first, verb)
        }
        guard first <= Limits.lineBytesMax || !hasExpiry else { return tooLong(input) }
        switch lineBreak(input, at: first) {
        case .line(let next):
            phase = .line
            // With an expiry and no key: as newer versions say.
            let isPart = hasExpiry && position > word
            return .fault(Fault(isPart ? .badFormat : .unknownCommand, consumed: next))
        case .pending: return .needMore(atLeast: input.count &+ 1)
        case .control where first == position && first > start:
            return .fault(restOfLine(input, from: first, .badExpiry))
        case .control, .blank: break
        }
        guard let expiry else { return .fault(restOfLine(input, from: first, .badExpiry)) }
        return key(input, at: first, verb, expiry)
    }

    /// The next key of a line that was begun, or its end.
    mutating func nextKey(_ input: Span<UInt8>) -> Parsed {
        let first = ByteScan.nonBlank(in: input, from: 0)
        guard first < input.count else { return dropBlanks(input, first) }
        switch lineBreak(input, at: first) {
        case .line(let next):
            phase = .line
            return .request(Request(verb: .keysEnd), consumed: next)
        case .pending:
            return .needMore(atLeast: input.count &+ 1)
        case .control, .blank:
            return key(input, at: first, verb, expiry)
        }
    }

    /// The key that begins at `start`, which lies in the input.
    @inline(__always)
    private mutating func key(
        _ input: Span<UInt8>, at start: Int, _ verb: Verb, _ expiry: Int64
    ) -> Parsed {
        let end = ByteScan.wordEnd(in: input, from: start)
        guard end &- start <= Limits.keyBytesMax else {
            return .fault(restOfLine(input, from: start, .keyTooLong))
        }
        guard end < input.count else { return .needMore(atLeast: input.count &+ 1) }
        switch lineBreak(input, at: end) {
        case .blank, .line: break
        case .pending: return .needMore(atLeast: input.count &+ 1)
        case .control: return .fault(restOfLine(input, from: start, .badFormat))
        }
        phase = .keys
        self.verb = verb
        self.expiry = expiry
        var request = Request(verb: verb)
        request.key = Slice(start, end)
        request.expiry = expiry
        return .request(request, consumed: end)
    }

    /// Only blanks have come so far, up to `end`; many are not kept. Out of the way of the keys.
    @inline(never)
    private func dropBlanks(_ input: Span<UInt8>, _ end: Int) -> Parsed {
        guard end > Limits.blankRunMax else { return .needMore(atLeast: input.count &+ 1) }
        var fault = Fault(.rest, consumed: end)
        fault.isQuiet = true
        return .fault(fault)
    }

    /// The same before the first key of a list; what is dropped includes the verb.
    @inline(never)
    private mutating func blanks(_ input: Span<UInt8>, _ end: Int, _ verb: Verb) -> Parsed {
        if end > Limits.blankRunMax {
            phase = .firstKey
            self.verb = verb
        }
        return dropBlanks(input, end)
    }

    /// The input ends before the first key of a line with an expiry begins, at `position`.
    private func beginsLater(_ input: Span<UInt8>, _ position: Int) -> Parsed {
        guard position <= Limits.lineBytesMax else { return tooLong(input) }
        return .needMore(atLeast: input.count &+ 1)
    }
}
