// StorageLine: set, add, replace, append, prepend and cas: a line, then a value.
//
// The rule that keeps a connection in step: once the line says how long its value is, the value is
// dropped with whatever is wrong with the line, and never read as commands. A length that cannot
// be framed (negative, or of 2 GiB and more) closes the connection for the same reason; memcached
// 1.6 goes on and executes the value.

import Primitives

extension ClassicParser {
    /// A storage line read to its end: sound, or not.
    enum StorageLine: BitwiseCopyable {
        case request(Request)
        case fault(Fault)
    }

    /// How long a value is, as its line says.
    enum Length: BitwiseCopyable {
        case bytes(UInt64)
        /// A number that no value has.
        case impossible
        /// No number.
        case unknown
    }

    /// The whole request, if its value has arrived.
    @inline(__always)
    func storage(
        _ input: Span<UInt8>, _ verb: Verb, _ words: Words, _ consumed: Int
    ) -> Parsed {
        whole(input, storageLine(input, verb, words, consumed), consumed)
    }

    /// The same for `ms`.
    func metaSet(_ input: Span<UInt8>, _ words: Words, _ consumed: Int) -> Parsed {
        whole(input, metaSetLine(input, words, consumed), consumed)
    }

    @inline(__always)
    private func whole(_ input: Span<UInt8>, _ line: StorageLine, _ consumed: Int) -> Parsed {
        switch line {
        case .fault(let fault):
            return .fault(fault)
        case .request(var request):
            let end = consumed &+ Int(request.valueBytes)
            guard input.count >= end &+ 2 else { return .needMore(atLeast: end &+ 2) }
            guard input[end] == UInt8(ascii: "\r"), input[end &+ 1] == UInt8(ascii: "\n") else {
                // As memcached: the next command begins after the bytes that were announced.
                var fault = Fault(.badDataChunk, consumed: end &+ 2)
                fault.isQuiet = request.isQuiet
                return .fault(fault)
            }
            request.value = Slice(consumed, end)
            return .request(request, consumed: end &+ 2)
        }
    }

    /// Reads the words that follow the verb of a storage line.
    func storageLine(
        _ input: Span<UInt8>, _ verb: Verb, _ words: Words, _ consumed: Int
    ) -> StorageLine {
        var words = words
        let key = words.next(input)
        let flags = words.next(input).slice
        let expiry = words.next(input).slice
        let bytes = words.next(input).slice
        guard !bytes.isEmpty else { return .fault(Fault(.unknownCommand, consumed: consumed)) }
        let cas = verb == .cas ? words.next(input).slice : Slice.empty
        let quiet = words.next(input).slice
        let excess = words.next(input)

        let length = length(input, bytes)
        guard excess.isEmpty else {
            return .fault(refused(.unknownCommand, length, consumed, isQuiet: false))
        }
        let last = !quiet.isEmpty ? quiet : !cas.isEmpty ? cas : bytes
        var request = Request(verb: verb)
        request.isQuiet = isNoreply(input, last)
        guard isKey(key), case .bytes(let valueBytes) = length,
            let flags = Decimal.unsigned(input, flags).flatMap({ UInt32(exactly: $0) }),
            let expiry = Decimal.expiry(input, expiry),
            let cas = verb == .cas ? Decimal.unsigned(input, cas) : 0
        else {
            let kind = keyFault(key)
            return .fault(refused(kind, length, consumed, isQuiet: request.isQuiet))
        }
        guard
            Limits.itemBytes(keyBytes: Int(key.slice.count), valueBytes: valueBytes, flags: flags)
                <= UInt64(itemBytesMax)
        else {
            var fault = refused(.tooLarge, length, consumed, isQuiet: request.isQuiet)
            if verb == .set { fault.key = key.slice }
            return .fault(fault)
        }
        request.key = key.slice
        request.flags = flags
        request.expiry = expiry
        request.cas = cas
        request.valueBytes = UInt32(truncatingIfNeeded: valueBytes)
        return .request(request)
    }

    func length(_ input: Span<UInt8>, _ word: Slice) -> Length {
        if let count = Decimal.signed(input, word), count >= 0,
            UInt64(count) <= Limits.declaredBytesMax
        {
            return .bytes(UInt64(count))
        }
        return Decimal.isNumber(input, word) ? .impossible : .unknown
    }

    func refused(
        _ kind: Fault.Kind, _ length: Length, _ consumed: Int, isQuiet: Bool
    ) -> Fault {
        var fault = Fault(kind, consumed: consumed)
        fault.isQuiet = isQuiet
        switch length {
        case .bytes(let count): fault.swallow = count &+ 2
        case .impossible: fault.closes = true
        case .unknown: break
        }
        return fault
    }

    @inline(__always)
    func isKey(_ word: Words.Word) -> Bool {
        !word.isEmpty && word.isClean && Int(word.slice.count) <= Limits.keyBytesMax
    }

    /// What is wrong with a line whose key, or something else, is.
    func keyFault(_ word: Words.Word) -> Fault.Kind {
        Int(word.slice.count) > Limits.keyBytesMax ? .keyTooLong : .badFormat
    }

    @inline(__always)
    func isNoreply(_ input: Span<UInt8>, _ word: Slice) -> Bool {
        word.count == 7
            && ByteScan.word(in: input, at: Int(word.offset)) & 0xff_ffff_ffff_ffff
                == 0x79_6c70_6572_6f6e
    }
}
