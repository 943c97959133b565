// BinaryAnswer: one reply of the binary protocol, as coordinates into the bytes it came in.

/// The head of a reply, or a part of what follows it.
public struct BinaryAnswer: BitwiseCopyable, Equatable, Sendable {
    public typealias Status = BinaryStatus

    /// The number that increment or decrement answered.
    public var number: UInt64 = 0
    public var cas: UInt64 = 0
    /// Where the key lies, if the reply has one.
    public var key: Slice = .empty
    /// Of a part of the value (or of an error's text): where it lies.
    public var text: Slice = .empty
    /// The client flags of a value.
    public var flags: UInt32 = 0
    public var opaque: UInt32 = 0
    /// Bytes of the value, or of an error's text, that follow the head in parts.
    public var bytes: UInt32 = 0
    public var status: UInt16 = 0
    /// As it came: servers may answer with commands that are not in `BinaryOpcode`.
    public var opcode: UInt8 = 0
    /// Whether this is a part of the value, not the head.
    public var isBody = false
    /// Whether nothing more of this reply follows.
    public var isLast = false

    @inlinable public init() {}
}

/// What the start of some reply bytes turned out to be.
public enum ParsedBinaryAnswer: BitwiseCopyable, Equatable, Sendable {
    /// A head or a part of a value; the next begins `consumed` bytes further on.
    case answer(BinaryAnswer, consumed: Int)
    /// Too little: call again with at least so many bytes, counted from the same start.
    case needMore(atLeast: Int)
    /// Not this protocol; the connection is of no more use.
    case fault(Fault)

    public enum Fault: UInt8, BitwiseCopyable, Sendable {
        /// The first byte is not that of a binary reply (0x81).
        case notBinary
        /// Key and extras do not fit in the body, or are longer than the protocol has them.
        case badLengths
    }
}
