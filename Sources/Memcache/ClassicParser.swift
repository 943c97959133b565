// ClassicParser: memcached's protocols, from bytes to requests; the classic text protocol is here.
//
// It says what stands at the start of some input: a request, a fault, or too little. It keeps no
// bytes, only that a retrieval line is being read: such a line is parsed key by key and may be
// longer than any buffer. The answer never depends on how bytes were cut. Besides: StorageLine,
// KeyLine (lists of keys), MetaLine and MetaFlags, BinaryRequest, SignInLine (who has not signed
// in). Not here: what a request does, replies (Reply.swift, BinaryReply.swift).

import Primitives

/// Which protocols a server speaks; without a choice the first byte of a connection decides.
public enum Dialects: UInt8, BitwiseCopyable, Sendable {
    case any, text, binary
}

/// A parser for one connection's input.
///
/// A trivially copyable value that is owned by its connection; no call allocates. The spans it is
/// given must be shorter than 4 GiB.
///
/// Keys: memcached itself forbids only blanks and line ends. Here a key holds no byte below 0x21
/// and no 0x7f either, as the protocol's text asks for: control characters in a key come from
/// clients that were tricked (line ends smuggled into keys), and echoing them would pass the trick
/// on. Every byte from 0x80 on is allowed, so keys in UTF-8 work.
public struct ClassicParser: BitwiseCopyable, Sendable {
    /// Where in a line the input begins.
    @usableFromInline enum Phase: UInt8, BitwiseCopyable, Sendable {
        /// At the start of a line.
        case line
        /// In a list of keys, before the next one.
        case keys
        /// In a list of keys, before the first one, of which only the verb and blanks have come.
        case firstKey
        /// In a line that was answered already.
        case rest
        /// At the first byte of a connection, which tells its protocol.
        case first
        /// At the start of a request of the binary protocol.
        case binary
        /// As `first`, `line` and `binary`, of a peer that has not signed in.
        case firstGuarded, guarded, binaryGuarded
    }

    /// Expiry of a `gat` line, for each of its keys.
    var expiry: Int64 = 0
    /// Largest item that is accepted, in bytes: key and value, and what memcached keeps with them.
    public let itemBytesMax: UInt32
    /// The verb of the retrieval line being read.
    var verb: Verb = .get
    @usableFromInline var phase: Phase

    /// A parser that answers `tooLarge` to items of more than `itemBytesMax` bytes, and serves next
    /// to nothing before `admit` if it is guarded.
    public init(itemBytesMax: UInt32, dialects: Dialects = .any, isGuarded: Bool = false) {
        self.itemBytesMax = itemBytesMax
        phase =
            switch dialects {
            case .any: isGuarded ? .firstGuarded : .first
            case .text: isGuarded ? .guarded : .line
            case .binary: isGuarded ? .binaryGuarded : .binary
            }
    }

    /// Whether the input that comes next belongs to a line that was begun already.
    public var isInsideLine: Bool { phase == .keys || phase == .firstKey || phase == .rest }

    /// Whether the connection speaks the binary protocol.
    public var isBinary: Bool { phase == .binary || phase == .binaryGuarded }

    /// The peer has signed in.
    public mutating func admit() {
        switch phase {
        case .guarded: phase = .line
        case .binaryGuarded: phase = .binary
        default: break
        }
    }

    /// Parses what stands at the start of `input`.
    ///
    /// The caller passes what follows the bytes consumed (and swallowed) next time, or, after
    /// `needMore`, the same start with more bytes.
    public mutating func next(_ input: Span<UInt8>) -> Parsed {
        precondition(input.count < Int(UInt32.max))
        guard input.count > 0 else { return .needMore(atLeast: 1) }
        switch phase {
        case .line: return nextLine(input)
        case .keys: return nextKey(input)
        case .rest: return dropRest(input)
        case .binary, .binaryGuarded: return nextBinary(input)
        case .guarded: return nextGuarded(input)
        case .firstKey: return resumeKeys(input)
        case .first, .firstGuarded:
            begin(input)
            return isBinary ? nextBinary(input) : isGuarded ? nextGuarded(input) : nextLine(input)
        }
    }

    @inline(never)
    private mutating func resumeKeys(_ input: Span<UInt8>) -> Parsed {
        beginKeys(input, verb, at: 0)
    }

    private var isGuarded: Bool { phase == .guarded }

    /// The first byte tells the protocol.
    private mutating func begin(_ input: Span<UInt8>) {
        let isBinary = input[0] == 0x80
        switch phase {
        case .first: phase = isBinary ? .binary : .line
        case .firstGuarded: phase = isBinary ? .binaryGuarded : .guarded
        default: break
        }
    }

    /// The storage command at the start of `input` whose line is complete, its value or not.
    ///
    /// For a value too long to wait for in a buffer: the request with an empty `value` and with
    /// `valueBytes` set, and the bytes of its line. The value follows, then, but for a binary one,
    /// `\r\n`, which the caller checks. Nil for anything else, a faulty line included (`next`
    /// tells).
    public mutating func storageHeader(_ input: Span<UInt8>) -> (Request, consumed: Int)? {
        precondition(input.count < Int(UInt32.max))
        guard input.count > 0 else { return nil }
        begin(input)
        if isBinary { return binaryStorageHeader(input) }
        guard phase == .line else { return nil }
        let first = ByteScan.nonBlank(in: input, from: 0)
        guard case .whole(let end, let consumed) = wholeLine(input, from: first) else {
            return nil
        }
        var words = Words(from: first, to: end)
        let line: StorageLine
        switch Command(input, words.next(input).slice) {
        case .classic(let verb) where verb.carriesValue:
            line = storageLine(input, verb, words, consumed)
        case .meta(.metaSet): line = metaSetLine(input, words, consumed)
        default: return nil
        }
        guard case .request(let request) = line else { return nil }
        return (request, consumed: consumed)
    }

    // MARK: Lines

    private mutating func nextLine(_ input: Span<UInt8>) -> Parsed {
        let first = ByteScan.nonBlank(in: input, from: 0)
        guard first <= Limits.lineBytesMax else { return tooLong(input) }
        let head = ByteScan.word(in: input, at: first)
        if head & 0xffff_ffff == 0x2074_6567 {  // "get "
            return beginKeys(input, .get, at: first &+ 4)
        }
        if head & 0xffff_ffff == 0x2074_6573,  // "set "
            let parsed = setRequest(input, at: first &+ 4)
        {
            return parsed
        }
        if head & 0xff_ffff_ffff == 0x20_7374_6567 {  // "gets "
            return beginKeys(input, .gets, at: first &+ 5)
        }
        if head & 0xffff_ffff == 0x2074_6167 {  // "gat "
            return beginKeys(input, .gat, at: first &+ 4)
        }
        if head & 0xff_ffff_ffff == 0x20_7374_6167 {  // "gats "
            return beginKeys(input, .gats, at: first &+ 5)
        }
        if head & 0xff == 0x80 { return binary(input) }
        switch wholeLine(input, from: first) {
        case .pending: return .needMore(atLeast: input.count &+ 1)
        case .tooLong: return tooLong(input)
        case .whole(let end, let consumed):
            var words = Words(from: first, to: end)
            let name = words.next(input)
            switch Command(input, name.slice) {
            case .classic(let verb) where verb.carriesValue:
                return storage(input, verb, words, consumed)
            case .classic(let verb):
                return plainLine(input, verb, words, consumed)
            case .meta(.metaSet):
                return metaSet(input, words, consumed)
            case .meta(let verb):
                return metaLine(input, verb, words, consumed)
            case .unknown:
                return unknown(input, name.slice, words, consumed)
            }
        }
    }

    /// Whether a line is there, and where it ends.
    enum Extent: BitwiseCopyable {
        case pending
        case tooLong
        /// `end` lies before the line end, `consumed` behind it.
        case whole(end: Int, consumed: Int)
    }

    /// Looks for the end of the line in which `start` lies.
    @inline(__always)
    func wholeLine(_ input: Span<UInt8>, from start: Int) -> Extent {
        let reach = min(input.count, Limits.lineBytesMax &+ 1)
        guard start < reach else {
            return input.count > Limits.lineBytesMax ? .tooLong : .pending
        }
        let newline = ByteScan.newline(in: input.extracting(0..<reach), from: start)
        guard newline < reach else {
            return input.count > Limits.lineBytesMax ? .tooLong : .pending
        }
        let hasReturn = newline > start && input[newline &- 1] == UInt8(ascii: "\r")
        return .whole(end: hasReturn ? newline &- 1 : newline, consumed: newline &+ 1)
    }

    /// Drops what has arrived of a line that was answered already.
    mutating func dropRest(_ input: Span<UInt8>) -> Parsed {
        .fault(restOfLine(input, from: 0, .rest))
    }

    /// A fault of `kind` that takes the rest of its line with it, now and from later input.
    mutating func restOfLine(_ input: Span<UInt8>, from start: Int, _ kind: Fault.Kind) -> Fault {
        let newline = ByteScan.newline(in: input, from: start)
        phase = newline < input.count ? .line : .rest
        var fault = Fault(kind, consumed: min(newline &+ 1, input.count))
        fault.isQuiet = kind == .rest
        return fault
    }

    func tooLong(_ input: Span<UInt8>) -> Parsed {
        var fault = Fault(.lineTooLong, consumed: input.count)
        fault.closes = true
        return .fault(fault)
    }

    /// The magic byte of the binary protocol, where text was spoken: answered by closing.
    func binary(_ input: Span<UInt8>) -> Parsed {
        var fault = Fault(.otherProtocol, consumed: input.count)
        fault.closes = true
        return .fault(fault)
    }

    /// An unknown command, or a browser that was sent here to do harm: its request line ends in
    /// the name of its protocol.
    private func unknown(
        _ input: Span<UInt8>, _ name: Slice, _ words: Words, _ consumed: Int
    ) -> Parsed {
        var words = words
        let last = words.last(input)
        let word = ByteScan.word(in: input, at: Int(last.isEmpty ? name.offset : last.offset))
        guard word & 0xff_ffff_ffff == 0x2f_5054_5448 else {  // "HTTP/"
            return .fault(Fault(.unknownCommand, consumed: consumed))
        }
        var fault = Fault(.http, consumed: consumed)
        fault.closes = true
        return .fault(fault)
    }
}
