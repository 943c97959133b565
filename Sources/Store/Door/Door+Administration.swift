// Administration: what operators ask of the store while it serves: a lower limit, a list of items.
//
// Both in bounded steps. A list is made from the index and the records that memory holds; what lies
// on disk only is not read for it. Lists of everything are the `Lister`'s.

internal import Primitives
internal import SegmentLog

/// Where a list of items goes on.
public struct ItemCursor: BitwiseCopyable, Sendable {
    var shard = 0
    var bucket = 0
    /// Items of the bucket that are listed already.
    var passed = 0
    @inlinable public init() {}
}

/// One item of a list; its key lies in `Door.memory` while the list is being made.
public struct ListedItem: BitwiseCopyable {
    public var keyOffset: Int
    public var keyBytes: Int
    public var valueBytes: Int
    public var flags: UInt32
    /// Absolute unix seconds, 0 for never.
    public var expiry: UInt32
    public var cas: UInt64
    public var accessedAt: UInt32
    public var wasFetched: Bool
}

/// What a look at a key finds that is none.
public enum Sighted: BitwiseCopyable {
    case nothing, onDisk
    case item(bytes: Int)
    case dead(Death)
}

extension Door {
    // MARK: The limit

    /// Lowers the memory for items by so many bytes from what it was at the start, or raises it
    /// again; 0 takes all of it. False: what is left could not hold the largest item.
    public func withhold(bytes: Int) -> Bool {
        signals.withhold(bytes: bytes, in: log, itemBytesMax: itemBytesMax)
    }

    /// The most that may be withheld.
    public var withholdableBytes: Int {
        Signals.withholdableFrames(log, itemBytesMax: itemBytesMax) * log.geometry.frameBytes
    }

    // MARK: Watching

    /// What memory knows of a key, for those who watch; it changes nothing.
    public mutating func sight(_ key: Span<UInt8>, hash: UInt64) -> Sighted {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        switch writer.locate(key, hash: hash) {
        case .none: return .nothing
        case .disk: return .onDisk
        case .memory(_, _, let record):
            if log.isAlive(record, at: now) { return .item(bytes: record.valueBytes) }
            return .dead(record.isExpired(at: now) ? .expired : .flushed)
        }
    }

    // MARK: Lists

    /// Calls `body` with living items from `cursor` on, of at most so many buckets, each under its
    /// shard's lock; it answers false for one that it has no room for. Returns where to go on, or
    /// nil if that was all. An item that moves meanwhile may be left out, or come twice.
    public mutating func list(
        from cursor: ItemCursor, bucketsMax: Int, _ body: (ListedItem) -> Bool
    ) -> ItemCursor? {
        var cursor = cursor
        let index = log.index
        for _ in 0..<bucketsMax {
            guard cursor.shard < index.shardCount else { return nil }
            index.lock(cursor.shard)
            let isWhole = list(&cursor, body)
            let buckets = index.buckets(cursor.shard)
            index.unlock(cursor.shard)
            guard isWhole else { return cursor }
            cursor.passed = 0
            cursor.bucket += 1
            guard cursor.bucket >= buckets else { continue }
            cursor.bucket = 0
            cursor.shard += 1
        }
        return cursor.shard < index.shardCount ? cursor : nil
    }

    /// The rest of the cursor's bucket; false if `body` has no room for it. Shard locked.
    private mutating func list(_ cursor: inout ItemCursor, _ body: (ListedItem) -> Bool) -> Bool {
        var seen = 0
        var passed = cursor.passed
        var isWhole = true
        let log = log
        let now = now
        log.index.forEach(cursor.shard, buckets: cursor.bucket..<cursor.bucket + 1) { _, slot in
            guard isWhole, !SlotLayout.isRemoval(slot),
                let frame = log.segments.frame(log.index.layout.segment(slot))
            else { return }
            seen += 1
            guard seen > passed else { return }
            let record = log.record(frame, slot)
            let isListed = !record.isTombstone && log.isAlive(record, at: now)
            if isListed, !body(ListedItem(record, log.hash(of: record), now)) {
                isWhole = false
            } else {
                passed = seen
            }
        }
        cursor.passed = passed
        return isWhole
    }

}

extension ListedItem {
    /// What is listed of a record, of which the beginning and the key are enough.
    init(_ record: Record, _ hash: UInt64, _ now: UInt32) {
        self.init(
            keyOffset: record.keyOffset, keyBytes: record.keyBytes, valueBytes: record.valueBytes,
            flags: record.flags, expiry: record.expiry, cas: record.cas(hash),
            accessedAt: now &- Record.Mark.age(record.marks, at: now),
            wasFetched: record.marks & Record.Mark.fetched != 0)
    }
}

extension TieredStore {
    /// As `Door.withhold`, for other threads than the workers'.
    public func withhold(bytes: Int) -> Bool {
        signals.withhold(bytes: bytes, in: log, itemBytesMax: configuration.itemBytesMax)
    }

    /// flush_all, now, for other threads than the workers'.
    public func flushAll() {
        _ = log.flushAll()
        signals.flushAt.storeRelease(0)
        signals.maintenance.wake()
        signals.changes.add(1)
    }
}

extension Signals {
    fileprivate func withhold(bytes: Int, in log: SegmentLog, itemBytesMax: Int) -> Bool {
        let geometry = log.geometry
        let frames = (max(bytes, 0) + geometry.frameBytes - 1) / geometry.frameBytes
        guard frames <= Self.withholdableFrames(log, itemBytesMax: itemBytesMax) else {
            return false
        }
        log.frames.withheld.storeRelaxed(UInt64(frames))
        maintenance.wake()
        return true
    }

    /// What is left must hold the largest item, beside what writers and maintenance occupy.
    fileprivate static func withholdableFrames(_ log: SegmentLog, itemBytesMax: Int) -> Int {
        let geometry = log.geometry
        let least =
            geometry.framesHeldMax + 2 * geometry.freeFramesMin
            + geometry.framesNeeded(itemBytesMax + Geometry.frameBytesMin)
        return max(geometry.frameCount - least, 0)
    }
}
