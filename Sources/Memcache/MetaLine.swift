// MetaLine: mg, ms, md, ma and me: a key, and words behind it that MetaFlags reads later.
//
// Here is only what framing needs: where the key and the flags lie, and how long the value of ms
// is. A value is dropped with whatever is wrong with its line, as with the classic storage lines.

import Primitives

extension ClassicParser {
    /// Reads what follows the verb of a meta command without a value.
    func metaLine(
        _ input: Span<UInt8>, _ verb: Verb, _ words: Words, _ consumed: Int
    ) -> Parsed {
        var words = words
        let key = words.next(input)
        guard !key.isEmpty else {
            let kind: Fault.Kind = verb == .metaDebug ? .badFormat : .unknownCommand
            return .fault(Fault(kind, consumed: consumed))
        }
        guard isKey(key) else { return .fault(Fault(keyFault(key), consumed: consumed)) }
        var request = Request(verb: verb)
        request.key = key.slice
        request.argument = words.rest(input)
        return .request(request, consumed: consumed)
    }

    /// Reads what follows `ms`: `<key> <bytes> <flags>*`.
    func metaSetLine(
        _ input: Span<UInt8>, _ words: Words, _ consumed: Int
    ) -> StorageLine {
        var words = words
        let key = words.next(input)
        let bytes = words.next(input).slice
        guard !key.isEmpty else { return .fault(Fault(.unknownCommand, consumed: consumed)) }
        let length = length(input, bytes)
        guard isKey(key), case .bytes(let valueBytes) = length else {
            return .fault(refused(keyFault(key), length, consumed, isQuiet: false))
        }
        var request = Request(verb: .metaSet)
        request.key = key.slice
        request.argument = words.rest(input)
        guard
            Limits.itemBytes(keyBytes: Int(key.slice.count), valueBytes: valueBytes, flags: 0)
                <= UInt64(itemBytesMax)
        else { return .fault(tooLargeForMeta(input, request, length, consumed)) }
        request.valueBytes = UInt32(truncatingIfNeeded: valueBytes)
        return .request(request)
    }

    /// An item that is too large; what is wrong with its flags goes first.
    private func tooLargeForMeta(
        _ input: Span<UInt8>, _ request: Request, _ length: Length, _ consumed: Int
    ) -> Fault {
        let flags = MetaFlags(input.extracting(request.argument.range))
        let kind = flags.fault ?? (flags.hasSetMode ? nil : .metaSetMode)
        if let kind { return refused(kind, length, consumed, isQuiet: false) }
        var fault = refused(.tooLarge, length, consumed, isQuiet: false)
        fault.key = request.key
        fault.isKeyEncoded = flags.has("b")
        return fault
    }
}
