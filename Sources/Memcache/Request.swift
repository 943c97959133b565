// Request: one command, as coordinates into the input it was parsed from.
//
// Nothing is copied and nothing is owned; a request is worth as much as the bytes it points at.
// What a command means is not known here: that is the server's joint to the store.

/// Where some bytes lie in the input they were parsed from.
public struct Slice: BitwiseCopyable, Equatable, Sendable {
    /// Bytes before it, from the start of the span that was parsed.
    public var offset: UInt32
    /// Bytes in it.
    public var count: UInt32

    @inlinable @inline(__always)
    public init(offset: UInt32, count: UInt32) {
        self.offset = offset
        self.count = count
    }

    /// From `start` up to `end`; both lie within 4 GiB and in order.
    @inlinable @inline(__always)
    init(_ start: Int, _ end: Int) {
        offset = UInt32(truncatingIfNeeded: start)
        count = UInt32(truncatingIfNeeded: end &- start)
    }

    /// No bytes.
    public static let empty = Slice(offset: 0, count: 0)

    @inlinable public var isEmpty: Bool { count == 0 }
    /// The offset of the first byte beyond it.
    @inlinable public var end: Int { Int(offset) &+ Int(count) }
    /// Its offsets, for `Span.extracting`.
    @inlinable public var range: Range<Int> { Int(offset)..<end }
}

/// What a request asks for.
public enum Verb: UInt8, BitwiseCopyable, Sendable {
    /// One key of a retrieval line each; `gets` and `gats` answer with the CAS as well, `gat` and
    /// `gats` set a new expiry.
    case get, gets, gat, gats
    /// The end of a retrieval line: answer END.
    case keysEnd
    case set, add, replace, append, prepend, cas
    case delete, incr, decr, touch
    case flushAll, version, verbosity
    /// `mn`: answer MN.
    case noop
    case stats, cacheMemlimit, shutdown
    /// Tuning of what memcached has; `argument` holds the words.
    case slabs, lru, lruCrawler, watch, extstore
    /// Moves the clock, where that is allowed.
    case debugTime
    /// The meta commands; `argument` holds their flags (`MetaFlags`).
    case metaGet, metaSet, metaDelete, metaArithmetic, metaDebug
    /// A command of the binary protocol: `opcode` says which.
    case binary
    /// Ways of signing in: `set` or `ms` with the token as its value, or `opcode` of SASL with the
    /// mechanism in `argument`. And the end. Nothing behind these is parsed before they are
    /// executed.
    case signIn, metaSignIn, quit

    /// Whether what follows is parsed only when this is executed.
    @inlinable public var endsBatch: Bool { rawValue >= Verb.signIn.rawValue }
    /// Whether a value follows the line.
    @inlinable public var carriesValue: Bool {
        rawValue >= Verb.set.rawValue && rawValue <= Verb.cas.rawValue
    }
    /// Whether it asks for one key of a retrieval line.
    @inlinable public var retrieves: Bool { rawValue <= Verb.gats.rawValue }
}

/// One command; 64 bytes, trivially copyable.
///
/// Offsets count from the start of the span given to the parser. Fields that a verb does not
/// use are zero.
public struct Request: BitwiseCopyable, Equatable, Sendable {
    /// Seconds, as sent, before any rule (`ExpiryRule`): gat, gats, touch, the storage commands;
    /// the delay of `flush_all` (0 if none was given).
    public var expiry: Int64 = 0
    /// The CAS of `cas`.
    public var cas: UInt64 = 0
    /// What `incr` and `decr` change by; the level of `verbosity`; mebibytes of `cache_memlimit`.
    public var delta: UInt64 = 0
    /// 1 to 250 bytes where the verb has a key.
    public var key: Slice = .empty
    /// The value of a storage command, without the line end that follows it.
    public var value: Slice = .empty
    /// What follows `stats`, `shutdown`, the tuning commands, and the key (and length) of a meta
    /// command, without blanks around it.
    public var argument: Slice = .empty
    /// The client's flags of a storage command.
    public var flags: UInt32 = 0
    /// Bytes that the value of a storage command has, also when `value` is not there yet.
    public var valueBytes: UInt32 = 0
    public var verb: Verb
    /// Whether `noreply` was asked for: nothing is answered, not even an error. Of a binary
    /// command: whether it is a quiet one.
    public var isQuiet: Bool = false
    /// Of a binary command: which, and what its reply repeats. Zero in the other dialects, in which
    /// no such command is a storage command, quits or signs in.
    public var opcode: UInt8 = 0
    public var opaque: UInt32 = 0

    @inlinable public init(verb: Verb) { self.verb = verb }

    /// Whether it came in the binary protocol.
    @inlinable public var isBinary: Bool { verb == .binary || opcode != 0 }
    public var head: BinaryHead { BinaryHead(opcode: opcode, opaque: opaque) }
    /// Bytes between a value and the next request: the line end, or none.
    @inlinable public var trailerBytes: Int { isBinary ? 0 : 2 }
    /// Of a binary increment: the number of a counter that it makes. It lies where client flags and
    /// the length of a value would, because a counter has none.
    public var initial: UInt64 {
        get { UInt64(flags) << 32 | UInt64(valueBytes) }
        set {
            flags = UInt32(truncatingIfNeeded: newValue >> 32)
            valueBytes = UInt32(truncatingIfNeeded: newValue)
        }
    }
}
