// SignInLine: the text protocol of who has not signed in: an entry to the parser of its own.
//
// A `set`, or an `ms`, of any key brings the token as its value; version, mn and quit are served,
// because load balancers ask for them. All else is refused, with its value if it has one, so that
// nothing of it is ever taken for a command.

import Primitives

extension ClassicParser {
    /// Longest token, in bytes.
    static let tokenBytesMax: UInt64 = 1024
    /// A longer value that is announced is not waited for: nobody sends a token of that length, and
    /// what comes next is taken for a line, as memcached takes it. (All lines are refused still.)
    static let tokenDroppedBytesMax: UInt64 = 1 << 20

    /// What stands at the start of `input`.
    mutating func nextGuarded(_ input: Span<UInt8>) -> Parsed {
        guard input[0] != 0x80 else { return binary(input) }
        let first = ByteScan.nonBlank(in: input, from: 0)
        switch wholeLine(input, from: first) {
        case .pending: return .needMore(atLeast: input.count &+ 1)
        case .tooLong: return tooLong(input)
        case .whole(let end, let consumed):
            var words = Words(from: first, to: end)
            switch Command(input, words.next(input).slice) {
            case .classic(let verb) where verb.carriesValue:
                let line = storageLine(input, verb, words, consumed)
                guard verb == .set else { return refuse(line, consumed) }
                return token(input, line, .signIn, consumed)
            case .meta(.metaSet):
                return token(input, metaSetLine(input, words, consumed), .metaSignIn, consumed)
            case .classic(let verb) where verb == .version || verb == .noop || verb == .quit:
                return .request(Request(verb: verb), consumed: consumed)
            default:
                return .fault(Fault(.unsigned, consumed: consumed))
            }
        }
    }

    private func refuse(_ line: StorageLine, _ consumed: Int) -> Parsed {
        switch line {
        case .request(let request):
            return .fault(
                refused(
                    .unsigned, .bytes(UInt64(request.valueBytes)), consumed, isQuiet: false))
        case .fault(var fault):
            fault.kind = .unsigned
            fault.key = .empty
            fault.isQuiet = false
            return .fault(fault)
        }
    }

    /// A line that brings a token, and the token.
    private func token(
        _ input: Span<UInt8>, _ line: StorageLine, _ verb: Verb, _ consumed: Int
    ) -> Parsed {
        let valueBytes: UInt64
        switch line {
        case .request(let sent): valueBytes = UInt64(sent.valueBytes)
        case .fault(let fault) where fault.kind == .tooLarge: valueBytes = fault.swallow &- 2
        // A length that no value has.
        case .fault(let fault) where fault.closes: valueBytes = .max
        case .fault: return refuse(line, consumed)
        }
        guard valueBytes <= Self.tokenDroppedBytesMax else {
            return .fault(Fault(.signInLong, consumed: consumed))
        }
        guard valueBytes <= Self.tokenBytesMax else {
            return .fault(refused(.signInLong, .bytes(valueBytes), consumed, isQuiet: false))
        }
        let end = consumed &+ Int(valueBytes)
        guard input.count >= end &+ 2 else { return .needMore(atLeast: end &+ 2) }
        guard input[end] == UInt8(ascii: "\r"), input[end &+ 1] == UInt8(ascii: "\n") else {
            return .fault(Fault(.signInEnd, consumed: end &+ 2))
        }
        var request = Request(verb: verb)
        request.value = Slice(consumed, end)
        return .request(request, consumed: end &+ 2)
    }
}
