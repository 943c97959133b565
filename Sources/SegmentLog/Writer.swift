// Writer: what one thread appends with: its open segments, and the moves that put records into the
// log. Finding what is there is in Writer+Looking.
//
// Each worker has one, so has the maintenance thread and the committer. A writer appends only to
// segments that it opened itself; what it publishes becomes visible through a slot, under the
// lock of the key's shard. Commands (set, incr, …) are made of these moves one layer above.

public import Primitives

/// A segment that its writer still appends to.
public struct OpenSegment: BitwiseCopyable {
    /// 0: none is open.
    public internal(set) var segment = 0
    /// Where its frame begins.
    @usableFromInline var base = 0
    @usableFromInline var tail = 0
    /// How far it may be filled without a look at how many frames are free.
    @usableFromInline var limit = 0
    /// Below this nothing changes any more.
    @usableFromInline var cut = 0
    @usableFromInline var records: UInt32 = 0
    @usableFromInline var earliest: UInt32 = 0
    @usableFromInline var latest: UInt32 = 0

    @inlinable mutating func noteExpiry(_ expiry: UInt32) {
        if expiry == 0 {
            latest = .max
        } else {
            if earliest == 0 || expiry < earliest { earliest = expiry }
            latest = max(latest, expiry)
        }
    }
}

/// The end of an open segment, which a writer leaves to those who write little while frames are
/// short: who writes much waits for the next frame, the others need not stand behind them.
public struct SegmentReserve: BitwiseCopyable {
    /// How much of a segment it is; 0 if nothing is left to anybody.
    var bytes = 0
    /// Whether what is appended now may go there.
    public var isGranted = false
    /// Something was appended nowhere that would have fitted there.
    var wasWithheld = false

    /// Whether something was refused that would have fitted; it is told once.
    public mutating func takeWithheld() -> Bool {
        defer { wasWithheld = false }
        return wasWithheld
    }
}

/// What one thread appends with. Not shared.
public struct Writer: ~Copyable {
    public let log: SegmentLog
    /// Which writer this is: 0 ..< geometry.writers.
    public let number: Int
    public var main = OpenSegment()
    public var promotion = OpenSegment()
    public var reserve = SegmentReserve()
    /// The frames that small rooms share.
    var shared = SharedFrames()
    /// A frame kept for when there is none, plus one.
    private var spareFrame = 0
    /// Whether the next segment can be opened whatever happens.
    public var hasSpare: Bool { spareFrame != 0 }
    /// The frame kept for reading from disk while no other is free, plus one, and how much of it
    /// is used.
    var readingFrame = 0
    var readingTail = 0

    public init(_ log: SegmentLog, number: Int) {
        precondition(number >= 0 && number < log.geometry.writers)
        self.log = log
        self.number = number
    }

    // MARK: Space in segments

    /// Makes sure that `bytes` fit into the open segment; false if no frame is free.
    @inlinable @inline(__always) public mutating func makeSpace(_ bytes: Int) -> Bool {
        if main.tail &+ bytes <= main.limit { return true }
        return openMain(bytes)
    }

    @usableFromInline mutating func openMain(_ bytes: Int) -> Bool {
        let whole = log.geometry.segmentBytes
        precondition(bytes <= whole)
        let fits = main.segment != 0 && main.tail + bytes <= whole
        if fits, reserve.isGranted { return true }
        if fits, log.frames.freeCount > log.geometry.freeFramesFew {
            main.limit = whole
            return true
        }
        let mayOpen = log.segments.freeCount > 0 && (log.geometry.mayEvict || log.mayFillFrame)
        let frame = mayOpen ? takeFrame() : nil
        if fits, frame == nil { reserve.wasWithheld = true } else { seal() }
        guard let frame, let opened = open(.log, in: frame) else {
            log.geometry.mayEvict ? log.count(.waits) : want(1)
            return false
        }
        main = opened
        main.limit = whole - reserve.bytes
        return true
    }

    /// From now on an eighth of each open segment is left to whom it is granted, while frames are
    /// short.
    public mutating func keepReserve() {
        guard log.geometry.mayEvict else { return }
        reserve.bytes = log.geometry.segmentBytes / 8
    }
    /// Bytes that those may have whom the reserve is granted.
    public var reservedBytes: Int {
        main.segment == 0 ? 0 : log.geometry.segmentBytes - main.tail
    }

    /// Puts a frame aside, so that the next segment can be opened whatever happens.
    public mutating func keepSpare() {
        guard spareFrame == 0, let frame = log.frames.take() else { return }
        spareFrame = frame + 1
    }

    /// The same, with a frame that nobody else knows.
    mutating func keepSpare(_ frame: Int) {
        guard spareFrame == 0 else { return log.frames.give(frame) }
        spareFrame = frame + 1
    }

    private mutating func takeSpare() -> Int? {
        guard spareFrame != 0 else { return nil }
        defer { spareFrame = 0 }
        return spareFrame - 1
    }

    /// How many segments were opened since this writer's open one; 0 if none is open.
    public var openAge: UInt64 {
        main.segment == 0
            ? 0 : log.segments.sequenceLimit() - log.segments.sequence(main.segment)
    }

    /// The same for the open promotion segment; false if no frame is free.
    public mutating func makePromotionSpace(_ bytes: Int) -> Bool {
        if promotion.segment != 0, promotion.tail + bytes <= log.geometry.segmentBytes {
            return true
        }
        sealPromotion()
        guard let opened = open(.promotion) else { return false }
        promotion = opened
        return true
    }

    private mutating func takeFrame() -> Int? { log.frames.take() ?? takeSpare() }

    mutating func open(_ kind: SegmentKind, sequence: UInt64? = nil) -> OpenSegment? {
        // A frame that is given back at once would be news for all who wait for one.
        guard log.segments.freeCount > 0, let frame = takeFrame() else { return nil }
        return open(kind, in: frame, sequence: sequence)
    }

    private mutating func open(
        _ kind: SegmentKind, in frame: Int, sequence: UInt64? = nil
    ) -> OpenSegment? {
        guard let segment = log.segments.open(kind, sequence: sequence) else {
            log.frames.give(frame)
            return nil
        }
        log.segments.setFrame(segment, frame)
        var opened = OpenSegment()
        opened.segment = segment
        opened.base = log.frames.offset(frame)
        return opened
    }

    // MARK: Appending

    /// Where the next record of the open segment goes. Space was made.
    @inlinable @inline(__always) public var tail: Record {
        Record(log.frames.memory, at: main.base &+ main.tail)
    }

    /// The next order of the shard, or nil if there is none left. Shard locked.
    @inlinable @inline(__always) public mutating func nextOrder(_ shard: Int) -> UInt64? {
        let order = log.index.order(shard) &+ 1
        guard order <= log.orderLimit.loadRelaxed() else { return nil }
        return order
    }

    /// Whether the shard has an order left. Shard locked.
    public mutating func hasOrder(_ shard: Int) -> Bool { nextOrder(shard) != nil }

    /// Takes `bytes` at the tail for a record that was written there; returns its place.
    @inlinable @inline(__always) public mutating func advance(_ bytes: Int, expiry: UInt32) -> Place
    {
        let place = Place(segment: main.segment, offset: main.tail)
        main.tail &+= bytes
        main.records &+= 1
        main.noteExpiry(expiry)
        log.noteExpiry(expiry)
        return place
    }

    /// How many bytes a record of `old` may be overwritten with where it lies, if it can have as
    /// many as `wanted` there; else 0. Shard locked.
    @inlinable @inline(__always) public mutating func space(
        over slot: UInt64, _ record: Record, old: Int, wanted: Int
    ) -> Int {
        let most = Geometry.copyBytesMax
        guard wanted <= most, old <= most, !record.hasHome else { return 0 }
        let segment = log.index.layout.segment(slot)
        if segment == main.segment {
            guard log.index.layout.offset(slot) >= main.cut else { return 0 }
        } else {
            guard !log.geometry.hasDisk, !log.segments.isIn(.leaving, segment),
                !log.segments.isOf(.chain, segment)
            else { return 0 }
        }
        return wanted <= old ? old : grown(old, slot, record, wanted: wanted)
    }

    /// Whether the disk has nothing of the record that a slot names, and takes nothing of it before
    /// its shard is unlocked: what is marked in it now goes there with it.
    @inlinable public mutating func isUncut(_ slot: UInt64) -> Bool {
        guard log.geometry.hasDisk else { return true }
        return log.index.layout.segment(slot) == main.segment
            && log.index.layout.offset(slot) >= main.cut
    }

    /// A record together with the hole behind it, which overwriting it has left: only its key's
    /// shard writes there.
    @usableFromInline
    mutating func grown(_ old: Int, _ slot: UInt64, _ record: Record, wanted: Int) -> Int {
        let layout = log.index.layout
        let segment = layout.segment(slot)
        var limit = main.tail
        if segment != main.segment {
            // In another writer's open segment the next record may be on its way.
            guard log.segments.state(segment) == .clean else { return 0 }
            limit = Int(log.segments.filled(segment).loadRelaxed())
        }
        limit -= layout.offset(slot)
        var space = old
        while space < wanted, space < limit {
            let next = Record(record.region, at: record.at + space)
            guard next.isFiller else { return 0 }
            space += next.totalBytes
        }
        return space < wanted ? 0 : space
    }

    /// Notes that a record was overwritten in place by one with this expiry.
    @inlinable @inline(__always) public mutating func noteOverwrite(expiry: UInt32) {
        // Another writer's segment (without a disk) is walked for expiry through the index.
        main.noteExpiry(expiry)
        log.noteExpiry(expiry)
    }

    /// Takes `bytes` at the tail for a tombstone, which no slot will name.
    public mutating func advanceDead(_ bytes: Int) -> Place {
        let place = Place(segment: main.segment, offset: main.tail)
        main.tail += bytes
        main.records += 1
        log.segments.noteDead(place.segment, bytes: bytes)
        return place
    }

    /// Recovery runs: keeps a removal in mind, in place of what was known of the key, so that no
    /// older record comes back. `grave`: its tombstone, in memory. Shard locked.
    public mutating func rememberRemoval(_ hash: UInt64, _ grave: Place) {
        log.supersede(hash, with: grave)
        insertRemoval(hash, grave)
    }

    /// The same for a tombstone of an order of the past, which is carried forward: what is known of
    /// the key may be newer, and then stays. Shard locked.
    public mutating func rememberCarried(_ hash: UInt64, _ grave: Place) {
        guard log.supersedeOlder(hash, with: grave) else { return }
        insertRemoval(hash, grave)
    }

    private mutating func insertRemoval(_ hash: UInt64, _ grave: Place) {
        let layout = log.index.layout
        let slot = layout.slot(tag: layout.tag(hash), grave) | SlotLayout.removalBit
        log.index.noteRemoval(log.index.shard(hash))
        let displaced = log.index.insert(hash, slot, isItem: false)
        // What a removal names counts as dead already.
        if let displaced, !SlotLayout.isRemoval(displaced) { log.noteDeadUnread(displaced) }
    }

    /// Fills what an overwritten record leaves of its space. `old` and `new`: bytes of the record.
    @inlinable @inline(__always) public mutating func fillBehind(
        _ slot: UInt64, _ record: Record, old: Int, new: Int, space: Int
    ) {
        if new < space {
            Record(record.region, at: record.at &+ new).writeFiller(bytes: space &- new)
        }
        guard new != old else { return }
        let lost = log.segments.lostBytes(log.index.layout.segment(slot))
        if new < old {
            lost.add(UInt32(truncatingIfNeeded: old &- new))
        } else {
            lost.subtract(UInt32(truncatingIfNeeded: new &- old))
        }
    }

    /// Points the key's slot to a new place; what it named before is dead. Shard locked.
    @inlinable public mutating func replace(
        _ at: SlotOffset, _ slot: UInt64, with place: Place, hits: UInt64 = 0
    ) {
        noteDead(slot)
        log.index.store(log.index.layout.moved(slot, to: place, hits: hits), at: at)
        if hits != 0 { log.segments.hits(place.segment).add(1) }
    }

    /// The same for a slot whose record `old` is at hand, in memory.
    @inlinable public mutating func replace(
        _ at: SlotOffset, _ slot: UInt64, _ old: Record, with place: Place, hits: UInt64 = 0
    ) {
        log.noteDead(slot, old)
        log.index.store(log.index.layout.moved(slot, to: place, hits: hits), at: at)
        if hits != 0 { log.segments.hits(place.segment).add(1) }
    }

    /// Adds a slot for a key that has none. Shard locked.
    @inlinable public mutating func insert(_ hash: UInt64, _ place: Place, hits: UInt64 = 0) {
        let layout = log.index.layout
        let slot = layout.slot(tag: layout.tag(hash), place, hits: hits)
        if let displaced = log.index.insert(hash, slot) { didDisplace(displaced) }
        if hits != 0 { log.segments.hits(place.segment).add(1) }
    }

    /// The index was full, and this slot gave way.
    @usableFromInline mutating func didDisplace(_ slot: UInt64) {
        if !SlotLayout.isRemoval(slot) { noteDead(slot) }
    }

    /// Takes a key's slot away. Shard locked.
    @inlinable public mutating func remove(_ hash: UInt64, _ at: SlotOffset, _ slot: UInt64) {
        noteDead(slot)
        log.index.remove(hash, at: at)
    }

    /// The same for a slot whose record is at hand, in memory.
    @inlinable public mutating func remove(
        _ hash: UInt64, _ at: SlotOffset, _ slot: UInt64, _ record: Record
    ) {
        log.noteDead(slot, record)
        log.index.remove(hash, at: at)
    }

    /// Notes that a slot no longer names its record.
    @inlinable @inline(__always) public mutating func noteDead(_ slot: UInt64) {
        log.noteDead(slot)
    }

    // MARK: Sealing

    /// Seals what is open and says so: the writer will append no more.
    public mutating func close() {
        seal()
        sealPromotion()
        if let frame = takeSpare() { log.frames.give(frame) }
        answerCut()
        log.isClosed(number).storeRelease(1)
    }

    /// Closes the open segment, if one is open, and hands it on.
    public mutating func seal() {
        let segment = main.segment
        guard segment != 0 else { return }
        finish(main)
        main = OpenSegment()
        handOn(segment)
    }

    mutating func handOn(_ segment: Int) {
        if log.geometry.hasDisk {
            log.segments.advance(segment, from: .open, to: .sealed)
            log.sealed.push(UInt32(segment))
        } else {
            log.segments.advance(segment, from: .open, to: .clean)
            log.logRegion.push(UInt32(segment))
        }
    }

    public mutating func sealPromotion() {
        let segment = promotion.segment
        guard segment != 0 else { return }
        finish(promotion)
        promotion = OpenSegment()
        log.segments.advance(segment, from: .open, to: .clean)
        log.promotionRegion.push(UInt32(segment))
    }

    private mutating func finish(_ open: OpenSegment) {
        let segments = log.segments
        segments.filled(open.segment).storeRelaxed(UInt32(open.tail))
        // The committer may have asked for the cut, and read here instead of where it is sealed.
        segments.cut(open.segment).storeRelease(UInt32(open.tail))
        segments.records(open.segment).storeRelaxed(open.records)
        segments.earliestExpiry(open.segment).storeRelaxed(open.earliest)
        segments.latestExpiry(open.segment).storeRelaxed(open.latest)
        segments.overlap(open.segment).storeRelaxed(segments.sequenceLimit())
    }

    /// Answers the committer's question, if it asked one: call between turns.
    @inlinable public mutating func answerCut() {
        let asked = log.cutAsked(number).loadAcquire()
        if asked != log.cutAnswered(number).loadRelaxed() { publishCut(asked) }
        if main.segment != 0 {
            log.segments.filled(main.segment).storeRelaxed(UInt32(truncatingIfNeeded: main.tail))
            log.segments.records(main.segment).storeRelaxed(main.records)
        }
        // Behind the cut: a worker that parks now has nothing more to commit.
        log.isDirty(number).storeRelaxed(main.tail > main.cut ? 1 : 0)
    }
    @usableFromInline mutating func publishCut(_ asked: UInt32) {
        // A segment that stays open while many pass would be in doubt with all of them.
        if main.segment != 0, main.tail > 0,
            log.segments.sequenceLimit() &- log.segments.sequence(main.segment) > 64
        {
            seal()
        }
        main.cut = main.tail
        if main.segment != 0 {
            log.segments.cut(main.segment).storeRelease(UInt32(main.tail))
        }
        log.cutSegment(number).storeRelease(UInt64(main.segment))
        log.cutAnswered(number).storeRelease(asked)
    }
}
