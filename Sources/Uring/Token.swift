// Token: what an operation is for, in the 64 bits that the kernel hands back with its completion.

/// What it is, for which slot, in which life of that slot.
///
/// ```text
/// bit 63       56 55      32 31                     0
///     | operation | generation |         slot          |
/// ```
public struct Token: BitwiseCopyable, Hashable, Sendable {
    public enum Operation: UInt8, BitwiseCopyable, Sendable {
        case none = 0
        case accept, receive, receiveInto, send, room, read, cancel, shutdown, close, wake, timeout
    }

    public var operation: Operation
    /// Which life of the slot; only the low 24 bits count.
    public var generation: UInt32
    public var slot: UInt32

    @inlinable public init(_ operation: Operation, slot: UInt32, generation: UInt32) {
        self.operation = operation
        self.generation = generation & 0xFF_FFFF
        self.slot = slot
    }

    @inlinable public var bits: UInt64 {
        UInt64(operation.rawValue) << 56 | UInt64(generation) << 32 | UInt64(slot)
    }

    /// The token that `bits` was made from; unknown operations become `.none`.
    @inlinable public init(bits: UInt64) {
        self.init(
            Operation(rawValue: UInt8(truncatingIfNeeded: bits >> 56)) ?? .none,
            slot: UInt32(truncatingIfNeeded: bits),
            generation: UInt32(truncatingIfNeeded: bits >> 32) & 0xFF_FFFF)
    }
}
