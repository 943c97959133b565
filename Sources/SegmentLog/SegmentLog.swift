// SegmentLog: the memory tier as a whole: frames, segments, index, and the queues between them.
//
// This file assembles the parts and holds what is common to all writers: the flush mark, the
// order reservation, the cuts. Appending is `Writer`'s business, letting go is `Reclaimer`'s.

public import Primitives

/// A log; a handle to memory that all threads share.
public struct SegmentLog: BitwiseCopyable, Sendable {
    public let geometry: Geometry
    public let frames: Frames
    public let segments: Segments
    public let index: Index
    public let ghosts: Ghosts
    public let hasher: KeyHasher
    /// Sealed segments that wait for their commit (with a disk only).
    public let sealed: SlotQueue
    /// Clean log segments in memory, oldest first.
    public let logRegion: SlotQueue
    /// Sealed promotion segments, oldest first.
    public let promotionRegion: SlotQueue
    @usableFromInline let common: Region

    // common: 0 flush mark, 8 order limit, 16 recovering, 24 earliest expiry seen,
    // 32 sequence at the last flush,
    // 64 + 64 w: writer w's cut: 0 asked, 4 answered, 8 open segment, 16 dirty,
    // 24 closed.
    // then counters, see `LogCounter`.

    public init(
        _ geometry: Geometry, workers: Int, secret: (UInt64, UInt64, UInt64, UInt64)
    ) throws(MemoryError) {
        self.geometry = geometry
        frames = try Frames(geometry, workers: workers)
        segments = try Segments(geometry)
        index = try Index(geometry)
        ghosts = try Ghosts(geometry)
        hasher = KeyHasher(secret: secret)
        let bytes = SlotQueue.byteCount(capacity: geometry.segmentCount)
        let queues = try Region.map(byteCount: 3 * bytes)
        sealed = SlotQueue(queues, at: 0, capacity: geometry.segmentCount)
        logRegion = SlotQueue(queues, at: bytes, capacity: geometry.segmentCount)
        promotionRegion = SlotQueue(queues, at: 2 * bytes, capacity: geometry.segmentCount)
        common = try Region.map(byteCount: 64 + 64 * geometry.writers + 8 * LogCounter.count)
        orderLimit.storeRelease(Record.orderMax)
        earliestExpiry.storeRelease(.max)
    }

    /// Gives all memory back to the system; nothing may be used any more. For simulations, which
    /// make thousands of logs in one process.
    public func discardMemory() {
        frames.discardMemory()
        segments.discardMemory()
        index.discardMemory()
        ghosts.discardMemory()
        sealed.discardRegion()
        common.discardAll()
    }

    // MARK: Order and flushes

    /// Records at or below this order are dead.
    @inlinable public var flushMark: AtomicWord64 { common.atomic64(at: 0) }
    /// No order above this one is given out: changes are refused. With a disk that is what is
    /// reserved there, else the largest that a record can hold.
    @inlinable public var orderLimit: AtomicWord64 { common.atomic64(at: 8) }
    /// Whether recovery still runs: removals are remembered in the index.
    @inlinable public var recovering: AtomicWord64 { common.atomic64(at: 16) }
    /// The next sequence when the last flush began.
    var flushSequence: AtomicWord64 { common.atomic64(at: 32) }
    /// No record in memory expires before this second; 0 after a flush, whose dead are taken back
    /// alike. A bound, which no 32 bits reach where none expires: a minimum is taken with it.
    @inlinable public var earliestExpiry: AtomicWord64 { common.atomic64(at: 24) }

    @inlinable func noteExpiry(_ expiry: UInt32) {
        if expiry != 0, UInt64(expiry) < earliestExpiry.loadRelaxed() {
            lowerEarliestExpiry(UInt64(expiry))
        }
    }
    @usableFromInline func lowerEarliestExpiry(_ expiry: UInt64) {
        while true {
            let seen = earliestExpiry.loadRelaxed()
            if expiry >= seen || earliestExpiry.replace(seen, with: expiry) { return }
        }
    }

    /// The highest order given out in any shard. Takes every shard's lock in turn.
    public func highestOrder() -> UInt64 {
        var highest: UInt64 = 0
        for shard in 0..<index.shardCount {
            index.lock(shard)
            highest = max(highest, index.order(shard))
            index.unlock(shard)
        }
        return highest
    }

    /// Every shard's next order will be above `order`.
    public func raiseOrders(above order: UInt64) {
        for shard in 0..<index.shardCount {
            index.lock(shard)
            if index.order(shard) < order { index.setOrder(shard, order) }
            index.unlock(shard)
        }
    }

    /// Makes everything written so far dead; returns the mark. What is written while this runs
    /// may fall on either side; what is written after it lives.
    public func flushAll() -> UInt64 {
        flushSequence.storeRelaxed(segments.sequenceLimit())
        let mark = highestOrder()
        raiseOrders(above: mark)
        raiseFlushMark(to: mark)
        // What is dead now is to be taken back, and counted, soon.
        earliestExpiry.storeRelaxed(0)
        return mark
    }

    /// Records up to this order are dead; the mark never falls.
    public func raiseFlushMark(to mark: UInt64) {
        while true {
            let seen = flushMark.loadRelaxed()
            if seen >= mark || flushMark.replace(seen, with: mark) { break }
        }
    }

    /// Whether everything in a segment is dead, because it was sealed, and others were opened,
    /// before the last flush.
    func isFlushed(_ segment: Int) -> Bool {
        segments.overlap(segment).loadRelaxed() < flushSequence.loadRelaxed()
    }

    /// Whether a record counts: newer than the flush mark, not expired.
    @inlinable @inline(__always) public func isAlive(_ record: Record, at now: UInt32) -> Bool {
        record.order > flushMark.loadRelaxed() && !record.isExpired(at: now)
    }

    // MARK: Records and slots

    /// The record that a slot names, in the memory of its segment's first frame.
    @inlinable @inline(__always) public func record(_ frame: Int, _ slot: UInt64) -> Record {
        Record(frames.memory, at: frames.offset(frame) &+ index.layout.offset(slot))
    }
    /// The hash of a record's key.
    public func hash(of record: Record) -> UInt64 { record.hash(with: hasher) }

    /// Full hash and order of the record that a slot names in a frame, for a thread outside
    /// quiescence: the frame may be used for something else at any moment, so its bytes are not
    /// trusted, and what was read counts only if the frame is still the segment's afterwards; nil
    /// if not. The shard is locked.
    public func identity(of slot: UInt64, in frame: Int) -> (hash: UInt64, order: UInt64)? {
        let record = record(frame, slot)
        let limit = frames.offset(frame + 1) - record.at
        guard let head = record.untrustedKey(limit: limit) else { return nil }
        let hash = frames.memory.withBytes(head.offset, head.count) { hasher.hash($0) }
        guard segments.frame(index.layout.segment(slot)) == frame else { return nil }
        return (hash, head.order)
    }

    /// Notes that a slot no longer names its record (and its home, if it was promoted). The
    /// shard is locked.
    @inlinable @inline(__always) public func noteDead(_ slot: UInt64) {
        let segment = index.layout.segment(slot)
        guard let frame = segments.frame(segment) else { return segments.noteDeadUnread(segment) }
        let record = record(frame, slot)
        segments.noteDead(segment, bytes: record.totalBytes)
        if segments.isOf(.promotion, segment) { noteDeadHome(record) }
    }
    /// The same for a thread outside quiescence, which reads no frame that may be used for
    /// something else: one of the promotion region is not, for as long as a slot names it.
    public func noteDeadUnread(_ slot: UInt64) {
        let segment = index.layout.segment(slot)
        if segments.isOf(.promotion, segment) { return noteDead(slot) }
        segments.noteDeadUnread(segment)
    }
    /// The same where the record that the slot names is at hand, in memory.
    @inlinable @inline(__always) public func noteDead(_ slot: UInt64, _ record: Record) {
        let segment = index.layout.segment(slot)
        segments.noteDead(segment, bytes: record.totalBytes)
        if segments.isOf(.promotion, segment) { noteDeadHome(record) }
    }
    @usableFromInline func noteDeadHome(_ record: Record) {
        let home = record.home
        guard segments.stands(home) else { return }
        segments.noteDead(home.place.segment, bytes: record.totalBytes - Record.homeBytes)
    }

    // MARK: Cuts

    @inlinable func cutOffset(_ writer: Int) -> Int { 64 &+ writer &<< 6 }
    @inlinable func cutAsked(_ writer: Int) -> AtomicWord32 {
        common.atomic32(at: cutOffset(writer))
    }
    @inlinable func cutAnswered(_ writer: Int) -> AtomicWord32 {
        common.atomic32(at: cutOffset(writer) &+ 4)
    }
    @inlinable func cutSegment(_ writer: Int) -> AtomicWord64 {
        common.atomic64(at: cutOffset(writer) &+ 8)
    }

    /// Whether the writer's open segment holds what no cut covers; as of the end of its last turn.
    @inlinable public func isDirty(_ writer: Int) -> AtomicWord64 {
        common.atomic64(at: cutOffset(writer) &+ 16)
    }
    /// Whether the writer has closed for good and answers no more.
    public func isClosed(_ writer: Int) -> AtomicWord64 {
        common.atomic64(at: cutOffset(writer) + 24)
    }

    /// Committer: asks a writer to publish how far its open segment is complete.
    public func askCut(_ writer: Int) { cutAsked(writer).add(1) }
    /// Committer: the writer's open segment, once it has answered the last question (0 for none).
    public func answeredCut(_ writer: Int) -> Int? {
        guard cutAnswered(writer).loadAcquire() == cutAsked(writer).loadAcquire() else {
            return nil
        }
        return Int(cutSegment(writer).loadAcquire())
    }

    // MARK: Checking

    /// What must hold while no command and no thread of the store runs; a sentence if it does not.
    public func check() -> String? {
        frames.check(used: (1..<segments.count).compactMap { segments.frame($0) }) ?? index.check()
    }

    // MARK: Counters

    @inlinable public func counter(_ counter: LogCounter) -> AtomicWord64 {
        common.atomic64(at: 64 &+ geometry.writers &* 64 &+ counter.rawValue &* 8)
    }
    @inlinable public func count(_ counter: LogCounter, _ amount: Int = 1) {
        self.counter(counter).add(UInt64(amount))
    }

    // MARK: Size

    /// Bytes of live records in memory and on disk. With a disk a promoted record counts where it
    /// is at home.
    public func liveBytes() -> UInt64 {
        var sum: UInt64 = 0
        for segment in 1..<segments.count {
            guard segments.state(segment) != .free else { continue }
            if geometry.hasDisk, segments.kind(segment) == .promotion { continue }
            sum &+= UInt64(segments.liveBytes(segment))
        }
        return sum
    }

    /// Frames that may be kept, given what the index has grown to.
    public func framesAllowed() -> Int {
        let start = geometry.rowsAtStart * geometry.rowBytes
        let grown = max(index.touchedBytes() - start, 0)
        return max(
            geometry.frameCount - (grown + geometry.frameBytes - 1) / geometry.frameBytes
                - Int(frames.withheld.loadRelaxed()),
            4 * geometry.writers)
    }

    /// Whether memory can hold a record of so many bytes, beside what the index has grown to, once
    /// everything else that may leave it has.
    public func canHold(_ recordBytes: Int) -> Bool {
        geometry.canHold(recordBytes) && canHold(frames: geometry.framesNeeded(recordBytes))
    }

    /// The same of so many frames.
    func canHold(frames: Int) -> Bool { frames <= framesAllowed() - geometry.framesHeldMax }

    /// Whether one more frame may be filled that nothing will be evicted from: memory holds it
    /// beside what the index has grown to, and the index has slots for what comes into it.
    var mayFillFrame: Bool {
        let inUse = geometry.frameCount - frames.surrenderedCount - frames.freeCount
        return inUse < framesAllowed() && index.hasReserve
    }
}

/// What the log counts, over all threads; monotonous.
public enum LogCounter: Int, CaseIterable, Sendable {
    /// Live records that left memory and disk for want of room, and of those the never read.
    case evictions, evictedUnfetched
    /// Expired records whose place was taken back, and of those the never read.
    case expired, expiredUnfetched
    /// Records copied to the promotion region, and within it.
    case promotions, recirculations
    /// Records appended again so that they stay on disk.
    case rescues
    /// Slots taken unread.
    case takenUnread
    /// Segments let go from memory, promotion segments among them, mostly dead ones among them.
    case segmentsDropped, promotionsDropped, segmentsCleaned
    /// Mostly dead ones that stayed, because what may not be evicted found no room elsewhere.
    case segmentsKept
    /// Times a change had to wait for memory.
    case waits
    /// Misses of keys whose fingerprint was a ghost.
    case ghostHits
    @usableFromInline static var count: Int { allCases.count }
}
