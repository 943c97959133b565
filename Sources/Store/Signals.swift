// Signals: what the store's threads tell each other and the workers, in atomic words.

internal import Primitives
internal import SegmentLog

/// Words that all threads of one store share; a handle.
struct Signals: BitwiseCopyable, Sendable {
    private let region: Region
    /// Segments that recovery has restored, for the committer to keep count of.
    let restored: SlotQueue

    init(segmentCount: Int) throws(MemoryError) {
        let queue = 4096
        region = try Region.map(
            byteCount: queue + SlotQueue.byteCount(capacity: segmentCount))
        restored = SlotQueue(region, at: queue, capacity: segmentCount)
    }

    func discardMemory() { region.discardAll() }

    /// Commits begun: a change made now is covered by the commit after this one.
    var begun: AtomicWord64 { region.atomic64(at: 0) }
    /// Commits completed: everything up to this number is on disk.
    var completed: AtomicWord64 { region.atomic64(at: 64) }
    /// The newest commit that failed.
    var failed: AtomicWord64 { region.atomic64(at: 72) }
    /// Loads that have ended: segments brought into memory because no ring can read them.
    var loads: AtomicWord64 { region.atomic64(at: 80) }
    /// When the last completed commit began, in unix nanoseconds.
    var completedBegan: AtomicWord64 { region.atomic64(at: 88) }
    /// Changes that no record tells of, flush marks, counted up; a commit compares it with what it
    /// has written.
    var changes: AtomicWord64 { region.atomic64(at: 96) }
    /// Barriers somebody waits for (ack durability): the newest one.
    var awaited: AtomicWord64 { region.atomic64(at: 104) }
    /// Absolute second of a delayed flush_all, 0 for none.
    var flushAt: AtomicWord64 { region.atomic64(at: 112) }
    /// Reads from disk that failed or whose checksum was wrong.
    var damagedReads: AtomicWord64 { region.atomic64(at: 128) }
    /// Monotonic nanoseconds by which the threads must have ended.
    var deadline: AtomicWord64 { region.atomic64(at: 136) }
    /// The committer has begun: requests may come.
    var ready: AtomicWord64 { region.atomic64(at: 144) }
    /// While recovery runs: all segments below this sequence are known.
    var recoveredUpTo: AtomicWord64 { region.atomic64(at: 152) }
    /// While recovery runs: how many of the oldest segments should be made known next, because
    /// the disk is full and they are to leave it.
    var oldestWanted: AtomicWord64 { region.atomic64(at: 168) }
    /// 1 until recovery has read everything and has said what it found; what the last run had open
    /// may still wait to be sealed (`SegmentLog.recovering`).
    var recoveryUnreported: AtomicWord64 { region.atomic64(at: 184) }
    /// The first sequence of this run: what lies below was there before.
    var firstSequence: AtomicWord64 { region.atomic64(at: 160) }
    /// All orders of this run are above this one, and those of earlier runs are not.
    var firstOrder: AtomicWord64 { region.atomic64(at: 232) }
    /// The distrust mark of the start: what lies below counts for nothing.
    var believedFrom: AtomicWord64 { region.atomic64(at: 216) }
    /// 1: frames are short, and what could leave memory is not on disk yet. The committer takes it.
    var framesLacking: AtomicWord64 { region.atomic64(at: 224) }
    /// Nanoseconds between commits, as chosen while the store serves; 0: as at the start.
    var flushInterval: AtomicWord64 { region.atomic64(at: 240) }
    /// Threads end.
    var stopping: AtomicWord64 { region.atomic64(at: 120) }

    /// Absolute second of the delayed flush_all that took effect last, until the log was told.
    var flushedAt: AtomicWord64 { region.atomic64(at: 176) }
    /// 1: the committer has ended.
    var lastCommit: AtomicWord64 { region.atomic64(at: 208) }
    /// 1: the store has stopped, and not everything is on disk.
    var uncommitted: AtomicWord64 { region.atomic64(at: 200) }
    private var flushLock: Lock { Lock(region, at: 192) }

    var maintenance: Bell { Bell(region, at: 256) }
    var committer: Bell { Bell(region, at: 320) }
    var lister: Bell { Bell(region, at: 384) }

    /// Carries out a delayed flush_all that has come due by `now`, unix seconds. Whoever meets the
    /// second first does it; who comes meanwhile waits, so that nobody looks at what it removes,
    /// and nothing that is written afterwards is removed.
    func flushIfDue(_ log: SegmentLog, now: UInt32) {
        let due = flushAt.loadAcquire()
        guard due != 0, due <= UInt64(now) else { return }
        flushLock.lock()
        defer { flushLock.unlock() }
        guard flushAt.loadAcquire() == due else { return }
        // The mark first: a commit in between must not find neither.
        _ = log.flushAll()
        _ = flushAt.replace(due, with: 0)
        changes.add(1)
        flushedAt.storeRelease(due)
        maintenance.wake()
    }
}

/// Wakes one sleeping thread; a call that comes while it is awake is not lost.
struct Bell: BitwiseCopyable, Sendable {
    // 0 awake, 1 asleep, 2 woken.
    private let word: AtomicWord32
    init(_ region: Region, at offset: Int) { word = region.atomic32(at: offset) }

    /// Whether it was woken since it slept last, or since this was asked. Where nobody sleeps.
    func takeCall() -> Bool { word.exchange(0) == 2 }

    /// From any thread.
    func wake() {
        if word.loadRelaxed() == 2 { return }
        if word.exchange(2) == 1 { word.wake(1) }
    }

    /// From the owner: sleeps until woken, at most so long.
    func wait(nanoseconds: Int64) {
        if word.replace(0, with: 1) {
            word.wait(while: 1, nanoseconds: nanoseconds)
        }
        _ = word.exchange(0)
    }
}
