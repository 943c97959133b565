// Segments: what is known of every segment number, wherever the segment resides.
//
// A number is given out when a segment is opened and taken back when neither memory, disk nor
// any slot holds it. The sequence (1, 2, 3, … never used twice) is a segment's lasting name.

public import Primitives

/// What a segment is going through.
public enum SegmentState: UInt32, BitwiseCopyable, Sendable {
    case free = 0
    /// A writer appends to it.
    case open
    /// Complete, and waits for its commit.
    case sealed
    /// Complete; memory may let go of it (it is on disk, or never will be: there is no disk, or it
    /// holds promoted copies).
    case clean
    /// On disk only.
    case resting
    /// Being taken out of memory: nobody overwrites in it any more.
    case leaving
    /// Being taken off the disk, unreadable, or given up unwritten: no read begins in it any more.
    case dying
    /// On disk, found by recovery, while a directory that was not read yet may hold something
    /// newer: its slots are known, for comparison, but they answer nothing.
    case unsettled

    /// Whether a segment may go from this state to that one. The whole of its life is here, and
    /// drawn in docs/architecture.md.
    public func mayBecome(_ next: SegmentState) -> Bool {
        switch (self, next) {
        case (.free, .open), (.free, .unsettled): true
        case (.open, .sealed), (.open, .clean): true
        case (.sealed, .clean), (.sealed, .dying): true
        case (.clean, .resting), (.clean, .leaving), (.clean, .dying), (.clean, .free): true
        case (.resting, .clean), (.resting, .dying): true
        case (.leaving, .clean), (.leaving, .free): true
        case (.unsettled, .resting), (.unsettled, .dying): true
        case (.dying, .free): true
        default: false
        }
    }

    /// Whether slots of a segment in this state that is not in memory answer nothing.
    @inlinable var isSilent: Bool { rawValue >= SegmentState.dying.rawValue }
}

/// Where a segment belongs.
public enum SegmentKind: UInt32, BitwiseCopyable, Sendable {
    case log = 0
    case promotion
    /// One record in a chain of frames.
    case chain
}

/// The segment table; a handle to memory that all threads share.
///
/// Words that several threads write are atomic; the others are written by the segment's owner of
/// the moment (writer while open, then committer or maintenance) and published by `state`.
public struct Segments: BitwiseCopyable, Sendable {
    @usableFromInline let frameWords: Region
    /// When each segment was opened, in unix seconds of the clock below.
    private let openedWords: Region
    @usableFromInline let lostWords: Region
    @usableFromInline let lowestOrders: Region
    @usableFromInline let table: Region
    public let count: Int
    private let freeNumbers: SlotQueue

    // An entry, 64 bytes: 0 state, 4 kind, 8 sequence, 16 file offset, 24 filled, 28 cut,
    // 32 records, 36 dead, 40 hits, 44 reads, 48 earliest expiry, 52 latest expiry,
    // 56 overlap: the next sequence when this segment was sealed; segments from it on were opened
    // later, only lower ones may have been open at the same time.
    // Behind the entries: 0 next sequence, 8 the clock, 16 moves that could not be.

    init(_ geometry: Geometry) throws(MemoryError) {
        count = geometry.segmentCount
        // As far as a slot can name a segment, links included: those in excess are in no frame.
        frameWords = try Region.map(byteCount: 4 << geometry.segmentBits)
        openedWords = try Region.map(byteCount: count * 4)
        lostWords = try Region.map(byteCount: count * 4)
        lowestOrders = try Region.map(byteCount: count * 8)
        table = try Region.map(byteCount: count * 64 + 64)
        let queue = try Region.map(byteCount: SlotQueue.byteCount(capacity: count))
        freeNumbers = SlotQueue(queue, at: 0, capacity: count)
        freeNumbers.fill(1..<UInt32(count))
        table.store(UInt64(1), at: count * 64)
    }

    func discardMemory() {
        for region in [frameWords, openedWords, lostWords, lowestOrders, table] {
            region.discardAll()
        }
        freeNumbers.discardRegion()
    }

    // MARK: Numbers and sequences

    /// Takes a free number and the next sequence.
    func open(
        _ kind: SegmentKind, sequence: UInt64? = nil, as state: SegmentState = .open
    ) -> Int? {
        guard let number = freeNumbers.pop() else { return nil }
        let segment = Int(number)
        table.zero(segment * 64, 64)
        lostBytes(segment).storeRelaxed(0)
        lowestOrder(segment).storeRelaxed(0)
        table.store(kind.rawValue, at: segment * 64 + 4)
        table.store(sequence ?? nextSequence.add(1), at: segment * 64 + 8)
        openedWords.atomic32(at: segment * 4).storeRelaxed(clock.loadRelaxed())
        // On disk already, it is told of by whoever fills in what is known of it.
        if state == .open { advance(segment, from: .free, to: .open) }
        return segment
    }

    /// The unix second that a worker was last told: dates segments for the statistics only.
    @inlinable public var clock: AtomicWord32 { table.atomic32(at: count &* 64 &+ 8) }
    @inlinable public func tell(_ now: UInt32) {
        if clock.loadRelaxed() != now { clock.storeRelaxed(now) }
    }
    /// The second in which the segment was opened or, if it was on disk when this run began, in
    /// which it was found there; 0 before any worker knew the time.
    public func openedAt(_ segment: Int) -> UInt32 {
        openedWords.atomic32(at: segment * 4).loadRelaxed()
    }

    /// Takes a number off a segment that nothing names any more; it is in the state `from`.
    public func free(_ segment: Int, from: SegmentState) {
        guard advance(segment, from: from, to: .free) else { return }
        frameWord(segment).storeRelease(0)
        freeNumbers.push(UInt32(segment))
    }

    /// A segment that was found on disk, unsettled; nil if no number is free.
    public func restore(
        _ kind: SegmentKind, sequence: UInt64, filled: Int, records: Int, overlap: UInt64,
        earliest: UInt32, latest: UInt32, fileOffset: UInt64?
    ) -> Int? {
        guard let segment = open(kind, sequence: sequence, as: .unsettled) else { return nil }
        self.filled(segment).storeRelaxed(UInt32(filled))
        cut(segment).storeRelaxed(UInt32(filled))
        self.records(segment).storeRelaxed(UInt32(records))
        self.overlap(segment).storeRelaxed(overlap)
        earliestExpiry(segment).storeRelaxed(earliest)
        latestExpiry(segment).storeRelaxed(latest)
        self.fileOffset(segment).storeRelease(fileOffset ?? Self.noFileOffset)
        advance(segment, from: .free, to: .unsettled)
        return segment
    }

    /// Moves a segment on, from a state that it is in for certain. If it is not, that is counted,
    /// and the segment stays as it is: a mistake in here, which no bytes on disk can make, ends
    /// debug builds and plays, but no server.
    @discardableResult
    public func advance(_ segment: Int, from: SegmentState, to: SegmentState) -> Bool {
        let isMoved = advanceIf(segment, from: from, to: to)
        if !isMoved { noteStray(segment, to) }
        return isMoved
    }

    /// Moves a segment on if it is in the state `from`; answers whether it was. For states that
    /// two threads may leave at the same time.
    @discardableResult
    public func advanceIf(_ segment: Int, from: SegmentState, to: SegmentState) -> Bool {
        guard from.mayBecome(to) else {
            noteStray(segment, to)
            return false
        }
        return word32(segment, 0).replace(from.rawValue, with: to.rawValue)
    }

    /// Whatever it is, nothing of the segment answers any more, and no read begins in it.
    public func end(_ segment: Int) {
        while case let now = state(segment), now != .dying {
            guard now.mayBecome(.dying) else { return noteStray(segment, .dying) }
            if advanceIf(segment, from: now, to: .dying) { return }
        }
    }

    /// Moves that were asked for and could not be.
    public var strayMoves: AtomicWord64 { table.atomic64(at: count * 64 + 16) }
    private func noteStray(_ segment: Int, _ to: SegmentState) {
        strayMoves.add(1)
        assertionFailure("segment \(segment) is \(state(segment)), and was to become \(to)")
    }

    /// In `overlap`: written by an earlier release, which appended anew what the run before it
    /// had open; the records may be older than any other's.
    public static let returnedBit: UInt64 = 1 << 63

    /// On disk, but not where a ring could read it: must be loaded.
    public static let noFileOffset: UInt64 = 1

    var nextSequence: AtomicWord64 { table.atomic64(at: count * 64) }
    /// Sequences below this may have been used before.
    public func startSequences(at sequence: UInt64) { nextSequence.storeRelease(sequence) }
    /// The segment of a sequence; goes through all of them.
    public func find(sequence wanted: UInt64) -> Int? {
        (1..<count).first { sequence($0) == wanted && state($0) != .free }
    }
    /// The sequence that the next segment will get.
    public func sequenceLimit() -> UInt64 { nextSequence.loadAcquire() }
    public var freeCount: Int { freeNumbers.count }

    // MARK: Fields

    /// First frame of the segment, or nil if it is not in memory.
    @inlinable @inline(__always) public func frame(_ segment: Int) -> Int? {
        Self.frame(frameWord(segment).loadAcquire())
    }
    /// The first frame of a segment that no commit has written: it cannot have left memory.
    public func frame(unwritten segment: Int) -> Int {
        guard let frame = frame(segment) else {
            preconditionFailure("an unwritten segment left memory")
        }
        return frame
    }
    /// Publishes that the segment is in memory, from this frame on.
    @inlinable func setFrame(_ segment: Int, _ frame: Int) {
        frameWord(segment).storeRelease(UInt32(frame &+ 1))
    }
    /// The segment is no longer in memory; answers where it was. Who asks first gets the frame.
    @inlinable public func takeFrame(_ segment: Int) -> Int? {
        Self.frame(frameWord(segment).exchange(0))
    }
    /// The word of a segment's frame: the first frame plus one, or 0.
    @inlinable @inline(__always) func frameWord(_ segment: Int) -> AtomicWord32 {
        frameWords.atomic32(at: segment &<< 2)
    }
    @inlinable @inline(__always) static func frame(_ word: UInt32) -> Int? {
        word == 0 ? nil : Int(word) &- 1
    }
    /// Bytes of dead records, and of holes that overwriting in place has left.
    @inlinable public func lostBytes(_ segment: Int) -> AtomicWord32 {
        lostWords.atomic32(at: segment &<< 2)
    }
    /// The lowest order among the records that the segment lies on disk with; 0 before that. What
    /// is read there and is older was left by something else: a write was lost, or went elsewhere.
    @inlinable public func lowestOrder(_ segment: Int) -> AtomicWord64 {
        lowestOrders.atomic64(at: segment &<< 3)
    }
    @inlinable @inline(__always) func word32(_ segment: Int, _ offset: Int) -> AtomicWord32 {
        table.atomic32(at: segment &<< 6 &+ offset)
    }
    /// Whether a segment is in one state, or of one kind.
    @inlinable @inline(__always)
    public func isIn(_ state: SegmentState, _ segment: Int) -> Bool {
        word32(segment, 0).loadAcquire() == state.rawValue
    }
    @inlinable @inline(__always)
    public func isOf(_ kind: SegmentKind, _ segment: Int) -> Bool {
        table.uint32(at: segment &<< 6 &+ 4) == kind.rawValue
    }
    @inlinable public func state(_ segment: Int) -> SegmentState {
        SegmentState(rawValue: word32(segment, 0).loadAcquire()) ?? .free
    }
    @inlinable public func kind(_ segment: Int) -> SegmentKind {
        SegmentKind(rawValue: table.uint32(at: segment &<< 6 &+ 4)) ?? .log
    }
    @inlinable public func sequence(_ segment: Int) -> UInt64 {
        table.atomic64(at: segment &<< 6 &+ 8).loadRelaxed()
    }
    /// Where the segment's bytes begin in the store's file; 0 until it is committed.
    @inlinable public func fileOffset(_ segment: Int) -> AtomicWord64 {
        table.atomic64(at: segment &<< 6 &+ 16)
    }
    /// Bytes used; of an open segment as of its writer's last turn.
    @inlinable public func filled(_ segment: Int) -> AtomicWord32 { word32(segment, 24) }
    /// Bytes below this never change again.
    @inlinable public func cut(_ segment: Int) -> AtomicWord32 { word32(segment, 28) }
    /// Records appended (tombstones too); of an open segment as of its writer's last turn.
    @inlinable public func records(_ segment: Int) -> AtomicWord32 { word32(segment, 32) }
    /// Records that no slot names any more.
    @inlinable public func dead(_ segment: Int) -> AtomicWord32 { word32(segment, 36) }
    /// Slots of this segment whose hit bits were set since it entered its region.
    @inlinable public func hits(_ segment: Int) -> AtomicWord32 { word32(segment, 40) }
    /// Reads from disk under way.
    @inlinable public func reads(_ segment: Int) -> AtomicWord32 { word32(segment, 44) }
    /// Earliest and latest expiry among the records, once sealed, as they lie in the directory on
    /// disk: 0 if none expires, and `max` if one never does. Bounds; nothing is computed from them.
    @inlinable public func earliestExpiry(_ segment: Int) -> AtomicWord32 { word32(segment, 48) }
    @inlinable public func latestExpiry(_ segment: Int) -> AtomicWord32 { word32(segment, 52) }
    /// The first sequence that was opened after this segment was sealed: those below it may hold
    /// older or newer records of the same keys. See the layout above.
    @inlinable public func overlap(_ segment: Int) -> AtomicWord64 {
        table.atomic64(at: segment &<< 6 &+ 56)
    }

    /// Whether a home still means the segment that it was made for.
    @inlinable public func stands(_ home: Home) -> Bool {
        guard !home.isNone else { return false }
        let segment = home.place.segment
        guard segment < count, Home.sequenceBits(sequence(segment)) == home.sequenceBits else {
            return false
        }
        let state = state(segment)
        return state != .free && state != .dying && fileOffset(segment).loadRelaxed() != 0
    }
    /// Notes that no slot names a record of so many bytes any more.
    @inlinable func noteDead(_ segment: Int, bytes: Int) {
        // In this order: who finds nothing live may free the number, and another segment has it.
        lostBytes(segment).add(UInt32(truncatingIfNeeded: bytes))
        dead(segment).add(1)
    }
    /// The same for a record that is on disk only, unread: it counts as long as the average.
    public func noteDeadUnread(_ segment: Int) {
        let average = liveBytes(segment) / max(liveRecords(segment), 1)
        noteDead(segment, bytes: average)
    }
    /// Bytes of live records; an open segment's are as of its writer's last turn.
    public func liveBytes(_ segment: Int) -> Int {
        guard liveRecords(segment) > 0 else { return 0 }
        return max(
            Int(filled(segment).loadRelaxed()) - Int(lostBytes(segment).loadRelaxed()), 0)
    }
    /// Bytes of dead records and holes in a sealed segment.
    func deadBytes(_ segment: Int) -> Int {
        Int(filled(segment).loadRelaxed()) - liveBytes(segment)
    }
    /// Live records, for choosing what to clean.
    @inlinable public func liveRecords(_ segment: Int) -> Int {
        max(Int(records(segment).loadRelaxed()) &- Int(dead(segment).loadRelaxed()), 0)
    }
}
