// Answer: one reply, as coordinates into the bytes it was parsed from (the client's Request).

/// A reply, or a part of a value.
public struct Answer: BitwiseCopyable, Equatable, Sendable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// `VALUE`: `key`, `flags`, `bytes` and, if it came, `cas` are set; `body` parts follow
        /// (at least one, also for an empty value).
        case value
        /// A part of a value: `text`; `isLast` with the part that completes it.
        case body
        case end, stored, notStored, exists, notFound, deleted, touched, ok, reset, noop
        /// `HD` of the meta commands: done, or found where no value was asked for. Their flags
        /// are `text`. Of their other words, `VA` is a `value` (its key, client flags and CAS
        /// from the flags `k`, `f` and `c`, its flags are `text`), `EN` is `end`, `NS` is
        /// `notStored`, `NF` is `notFound`, `EX` is `exists`, `MN` is `noop`.
        case done
        /// The result of incr or decr: `number`.
        case number
        /// `VERSION`: `text`.
        case version
        /// `STAT`: the name is `key`, the value is `text`.
        case stat
        /// `ERROR`, `CLIENT_ERROR`, `SERVER_ERROR`: what follows the word is `text`.
        case error, clientError, serverError
        /// Any other line: `text`.
        case other
    }

    public var number: UInt64 = 0
    public var cas: UInt64 = 0
    public var key: Slice = .empty
    public var text: Slice = .empty
    public var flags: UInt32 = 0
    /// Bytes of the whole value.
    public var bytes: UInt32 = 0
    public var kind: Kind
    public var isLast = false
    public var hasCas = false

    @inlinable public init(_ kind: Kind) { self.kind = kind }
}

/// What the start of some reply bytes turned out to be.
public enum ParsedAnswer: BitwiseCopyable, Equatable, Sendable {
    /// A reply or a part of one; the next begins `consumed` bytes further on.
    case answer(Answer, consumed: Int)
    /// Too little: call again with at least so many bytes, counted from the same start.
    case needMore(atLeast: Int)
    /// Not this protocol; the connection is of no more use.
    case fault(Fault)

    public enum Fault: UInt8, BitwiseCopyable, Sendable {
        /// No line end within `ReplyParser.lineBytesMax`.
        case lineTooLong
        /// A VALUE line that cannot be read.
        case badValueLine
        /// No line end where a value should end.
        case badValueEnd
    }
}
