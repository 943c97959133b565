// Parsed: the three answers of the parser, and what can be wrong with what a peer sends.
//
// A fault is a value and becomes a reply (Reply.fault); nothing here throws or traps.

/// What the start of some input turned out to be.
public enum Parsed: BitwiseCopyable, Equatable, Sendable {
    /// A whole request; the next one begins `consumed` bytes further on.
    case request(Request, consumed: Int)
    /// The input ends too early. Calling again makes sense with at least so many bytes, counted
    /// from the same start; no request ends before.
    case needMore(atLeast: Int)
    /// The peer's mistake; what follows it begins `consumed + swallow` bytes further on.
    case fault(Fault)
}

/// The peer's mistake: what to answer, and where the next request begins.
///
/// The order for the caller: drop `consumed` bytes, forget `key` in the store if it has bytes,
/// append `Reply.fault` unless `isQuiet`, drop the next `swallow` bytes whenever they arrive (or
/// send what is due and close, if `closes`).
public struct Fault: BitwiseCopyable, Equatable, Sendable {
    /// What is wrong; each has one reply line, or none.
    public enum Kind: UInt8, BitwiseCopyable, Sendable, CaseIterable {
        /// `ERROR`: an unknown command, or the wrong number of words.
        case unknownCommand
        /// `CLIENT_ERROR bad command line format`
        case badFormat
        /// The same, for the length of a key.
        case keyTooLong
        /// The same, with how `delete` is used.
        case badDelete
        /// `CLIENT_ERROR invalid exptime argument`
        case badExpiry
        /// `CLIENT_ERROR invalid numeric delta argument`
        case badDelta
        /// `CLIENT_ERROR bad data chunk`: no line end where the value should end.
        case badDataChunk
        /// `SERVER_ERROR object too large for cache`
        case tooLarge
        /// What can be wrong with the flags of a meta command: `CLIENT_ERROR duplicate flag`,
        /// `… invalid flag`, `… options flags are too long`, `… bad token in command line format`,
        case metaTwice, metaUnknown, metaTooMany, metaToken
        /// `… error decoding key`, `… opaque token too long`, `… incorrect length for M token`,
        case metaKey, metaOpaque, metaMode
        /// `… invalid numeric initial value`, `… invalid numeric delta value`,
        case metaInitial, metaDelta
        /// and for ms and ma: `… invalid mode for ms M token`, `… for ma M token`,
        /// `… invalid or duplicate flag`.
        case metaSetMode, metaArithmeticMode, metaArithmeticFlags
        /// Of the binary protocol (`BinaryReply.fault`): an unknown command or impossible lengths,
        /// fields that are not the command's (closes), not signed in.
        case binaryUnknown, binaryInvalid, binaryUnsigned
        /// `CLIENT_ERROR unauthenticated`, and what can be wrong with a try to sign in:
        /// `… bad command line termination`, `… auth token too long`.
        case unsigned, signInEnd, signInLong
        /// No reply: a line without an end (closes).
        case lineTooLong
        /// No reply: a request of HTTP, or of the protocol that is not served (both close).
        case http, otherProtocol
        /// No reply: the rest of a line that was answered already, or a long run of blanks;
        /// always quiet.
        case rest
    }

    public var kind: Kind
    /// Bytes of the input that are done with.
    public var consumed: Int
    /// Bytes beyond `consumed` to drop unparsed, arrived or not: a value and its line end.
    public var swallow: UInt64 = 0
    /// For `tooLarge` by `set`: the key whose old value must go. Empty otherwise.
    public var key: Slice = .empty
    /// Whether `key` is in base 64.
    public var isKeyEncoded: Bool = false
    /// Whether nothing is answered.
    public var isQuiet: Bool = false
    /// Whether the connection ends after the reply: what follows cannot be framed.
    public var closes: Bool = false
    /// Whether it is answered in the binary protocol.
    public var isBinary: Bool = false
    /// Of the binary protocol: what the reply repeats.
    public var opcode: UInt8 = 0
    public var opaque: UInt32 = 0

    public var head: BinaryHead { BinaryHead(opcode: opcode, opaque: opaque) }

    @inlinable public init(_ kind: Kind, consumed: Int) {
        self.kind = kind
        self.consumed = consumed
    }
}
