// EvictionTap: tells somebody of items that leave for want of room, while somebody asks: without a
// disk maintenance, of those that leave memory; the committer of those that leave the disk.

internal import Primitives
internal import Synchronization

/// An item that was evicted.
public struct Evicted: Sendable {
    public let key: [UInt8]
    public let valueBytes: Int
    /// Absolute unix seconds, 0 for never.
    public let expiry: UInt32
    public let secondsSinceAccess: UInt32
    public let wasFetched: Bool
    /// Unix seconds, when it was evicted.
    public let now: UInt32
}

/// Who is told. Any thread.
public final class EvictionTap: Sendable {
    private let listener = Mutex<(@Sendable (Evicted) -> Void)?>(nil)
    private let opened = Atomic<Bool>(false)

    public init() {}

    /// Nil: nobody any more.
    public func listen(_ listener: (@Sendable (Evicted) -> Void)?) {
        self.listener.withLock { $0 = listener }
        opened.store(listener != nil, ordering: .relaxed)
    }

    public var isOpen: Bool { opened.load(ordering: .relaxed) }

    /// A live record was evicted.
    public func tell(_ record: Record, at now: UInt32) {
        let key = (0..<record.keyBytes).map { record.region.uint8(at: record.keyOffset + $0) }
        let marks = record.marks
        let evicted = Evicted(
            key: key, valueBytes: record.valueBytes, expiry: record.expiry,
            secondsSinceAccess: Record.Mark.age(marks, at: now),
            wasFetched: marks & Record.Mark.fetched != 0, now: now)
        listener.withLock { $0?(evicted) }
    }
}
