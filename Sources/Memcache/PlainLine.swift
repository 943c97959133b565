// PlainLine: the commands that are one line and nothing else.
//
// How many words each takes, which of them may be `noreply`, and which error comes first is
// memcached's order, observed on 1.6.

import Primitives

extension ClassicParser {
    /// Reads the words that follow a verb without keys and without a value.
    func plainLine(
        _ input: Span<UInt8>, _ verb: Verb, _ words: Words, _ consumed: Int
    ) -> Parsed {
        switch verb {
        case .incr, .decr, .touch:
            return keyAndNumber(input, verb, words, consumed)
        case .delete:
            return delete(input, words, consumed)
        case .flushAll:
            return flushAll(input, words, consumed)
        case .verbosity, .cacheMemlimit:
            return setting(input, verb, words, consumed)
        case .stats, .shutdown, .slabs, .lru, .lruCrawler, .watch, .extstore, .debugTime:
            var request = Request(verb: verb)
            request.argument = words.rest(input)
            return .request(request, consumed: consumed)
        case .version, .quit, .noop:
            return .request(Request(verb: verb), consumed: consumed)
        case .get, .gets, .gat, .gats, .keysEnd, .set, .add, .replace, .append, .prepend, .cas,
            .metaGet, .metaSet, .metaDelete, .metaArithmetic, .metaDebug, .binary, .signIn,
            .metaSignIn:
            return .fault(Fault(.unknownCommand, consumed: consumed))  // A get without a key.
        }
    }

    /// `incr <key> <delta> [noreply]`, and decr; `touch <key> <expiry> [noreply]`.
    private func keyAndNumber(
        _ input: Span<UInt8>, _ verb: Verb, _ words: Words, _ consumed: Int
    ) -> Parsed {
        var words = words
        let key = words.next(input)
        let number = words.next(input).slice
        let third = words.next(input).slice
        guard !number.isEmpty, words.next(input).isEmpty else {
            return .fault(Fault(.unknownCommand, consumed: consumed))
        }
        var request = Request(verb: verb)
        request.isQuiet = isNoreply(input, third.isEmpty ? number : third)
        guard isKey(key) else { return fault(keyFault(key), request, consumed) }
        request.key = key.slice
        if verb == .touch {
            guard let expiry = Decimal.expiry(input, number) else {
                return fault(.badExpiry, request, consumed)
            }
            request.expiry = expiry
        } else {
            guard let delta = Decimal.unsigned(input, number) else {
                return fault(.badDelta, request, consumed)
            }
            request.delta = delta
        }
        return .request(request, consumed: consumed)
    }

    /// `delete <key> [0] [noreply]`: the 0 was a delay once, and old clients send it still.
    private func delete(_ input: Span<UInt8>, _ words: Words, _ consumed: Int) -> Parsed {
        var words = words
        let key = words.next(input)
        let second = words.next(input).slice
        let third = words.next(input).slice
        guard !key.isEmpty, words.next(input).isEmpty else {
            return .fault(Fault(.unknownCommand, consumed: consumed))
        }
        var request = Request(verb: .delete)
        request.isQuiet = isNoreply(input, third.isEmpty ? second : third)
        if !second.isEmpty {
            let isZero = second.count == 1 && input[Int(second.offset)] == UInt8(ascii: "0")
            guard third.isEmpty ? isZero || request.isQuiet : isZero && request.isQuiet else {
                return fault(.badDelete, request, consumed)
            }
        }
        guard isKey(key) else { return fault(keyFault(key), request, consumed) }
        request.key = key.slice
        return .request(request, consumed: consumed)
    }

    /// `flush_all [delay] [noreply]`
    private func flushAll(_ input: Span<UInt8>, _ words: Words, _ consumed: Int) -> Parsed {
        var words = words
        let first = words.next(input).slice
        let second = words.next(input).slice
        guard words.next(input).isEmpty else {
            return .fault(Fault(.unknownCommand, consumed: consumed))
        }
        var request = Request(verb: .flushAll)
        request.isQuiet = isNoreply(input, second.isEmpty ? first : second)
        if !first.isEmpty, !(second.isEmpty && request.isQuiet) {
            guard let delay = Decimal.expiry(input, first) else {
                return fault(.badExpiry, request, consumed)
            }
            request.expiry = delay
        }
        return .request(request, consumed: consumed)
    }

    /// `verbosity <level> [noreply]`, `cache_memlimit <mebibytes> [noreply]`
    private func setting(
        _ input: Span<UInt8>, _ verb: Verb, _ words: Words, _ consumed: Int
    ) -> Parsed {
        var words = words
        let number = words.next(input).slice
        let second = words.next(input).slice
        guard !number.isEmpty, words.next(input).isEmpty else {
            return .fault(Fault(.unknownCommand, consumed: consumed))
        }
        var request = Request(verb: verb)
        request.isQuiet = isNoreply(input, second.isEmpty ? number : second)
        guard let delta = Decimal.unsigned(input, number), delta <= UInt64(UInt32.max) else {
            return fault(
                verb == .verbosity ? .badFormat : .unknownCommand, request, consumed)
        }
        request.delta = delta
        return .request(request, consumed: consumed)
    }

    private func fault(_ kind: Fault.Kind, _ request: Request, _ consumed: Int) -> Parsed {
        var fault = Fault(kind, consumed: consumed)
        fault.isQuiet = request.isQuiet
        return .fault(fault)
    }
}
