// Database: one named table of an environment, its figures, and composite keys.
//
// A database is a plain handle. It does not hold the environment open.

/// A named table, opened by `WriteTransaction.openDatabase`.
///
/// Valid from the opening transaction on, if that commits, until the environment closes. Use
/// after that is our own mistake and traps.
public struct Database: BitwiseCopyable, Sendable {
    let index: UInt32
    /// Unique in the process: tells a handle from an earlier user of its index.
    let serial: UInt32
    /// Whether keys are native 64-bit integers; otherwise they are 1 to 511 bytes, in byte order.
    public let hasIntegerKeys: Bool
}

/// Sizes of one database, the running transaction's changes included.
public struct Statistics: BitwiseCopyable, Sendable, Equatable {
    public let entries: Int
    /// Levels of the tree; 0 when empty.
    public let depth: Int
    public let branchPages: Int
    public let leafPages: Int
    public let overflowPages: Int
    /// Pages of all three kinds.
    public var pages: Int { branchPages + leafPages + overflowPages }
}

/// Where a value lies in the data file.
public struct FilePlace: BitwiseCopyable, Sendable, Equatable {
    /// Bytes from the start of the data file to the first byte of the value.
    public let offset: UInt64
    public let byteCount: Int
}

/// A key of two integers, ordered by the first, then by the second.
///
/// ```text
/// byte  0              8          12
///       | first, big-e.| second, …|
/// ```
public struct PairKey: BitwiseCopyable, Sendable, Equatable {
    public static let byteCount = 12
    public var first: UInt64
    public var second: UInt32

    public init(_ first: UInt64, _ second: UInt32) {
        self.first = first
        self.second = second
    }

    /// Reads a key back; nil unless there are exactly twelve bytes.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count == PairKey.byteCount else { return nil }
        first = 0
        second = 0
        for index in 0..<8 { first = first << 8 | UInt64(bytes[index]) }
        for index in 8..<12 { second = second << 8 | UInt32(bytes[index]) }
    }

    /// Lends the key in the form whose byte order is the key's order.
    public func withBytes<R>(
        _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        var bytes = [12 of UInt8](repeating: 0)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: first >> (56 - 8 * index)) }
        for index in 0..<4 {
            bytes[8 + index] = UInt8(truncatingIfNeeded: second >> (24 - 8 * index))
        }
        return try body(bytes.span)
    }
}
