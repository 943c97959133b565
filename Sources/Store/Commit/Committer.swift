// Committer: the only thread that writes to the disk. One synced commit per flush interval holds
// what all workers wrote: sealed segments whole, of open ones what is new.
//
// A commit n begins by counting itself in, then asks every worker for its cut, so everything that
// was written before it began is in it. What fails stays where it is and is tried again.

internal import LMDB
internal import Primitives
internal import SegmentLog
internal import Synchronization

/// The committer thread's state. Made, used and ended on that thread.
struct Committer: ~Copyable {
    let store: TieredStore
    let log: SegmentLog
    let disk: Disk
    let signals: Signals
    private let wake: @Sendable (Int) -> Void
    /// Its own writer: records that are rescued, tombstones that are carried forward.
    var writer: Writer
    /// A key directory being made or read; a segment read back from disk.
    let directory: Region
    let scratch: Region

    /// Sealed segments that wait, in the order in which they were sealed.
    var pending: [Int] = []
    /// For each open segment (by sequence), where its stretches on disk begin, and up to where.
    var stretches: [UInt64: (offsets: [UInt32], end: Int)] = [:]
    /// What the last run had open, and has to be sealed before it can be known.
    var unsealed = Unsealed()
    /// Segments on disk, ascending by sequence, from `oldest` on.
    var resident: [Resident] = []
    /// Segments that leave the disk as soon as they can.
    var condemned: [Condemned] = []
    var reapAt: UInt64 = 0
    /// The newest commit for which all writers have published their cuts.
    var cutsTaken: UInt64 = 0
    /// Sequences of segments that hold older records than their place in the log says.
    var returned: [UInt64] = []
    /// What the metadata holds.
    var written = Written()
    var lastKey: UInt64 = 0
    var isFailing = false
    /// When the first of the commits failed that have failed in a row, in monotonic nanoseconds.
    var failingSince: UInt64 = 0
    /// Failed commits that had been counted when the first of these failed.
    private var failedBefore: UInt64 = 0
    var retryAt: UInt64 = 0
    /// The last commit did not come about: what it was for is below the cuts and still waits.
    private var owesCommit = false
    /// Up to which sequence the oldest segments held nothing live when so many commits had begun.
    var superseded = (last: UInt64(0), begun: UInt64(0))
    var didWarnIndex = false
    var fullMap = FullMap()
    /// What is owed for segments that were given up unwritten.
    var debts = Debts()
    /// Segments that were given up: their numbers are free again after quiescence.
    var givenUp: [(segment: Int, turns: Frames.Snapshot)] = []
    /// Keys of values in the segments database that nothing names: to be deleted.
    var orphans: [UInt64] = []
    /// Recovery runs, but `returned` has what it has not reached, too.
    var knowsReturned = false
    var distrusted = Distrusted()

    /// The metadata as it was committed last.
    struct Written {
        var orders: UInt64 = 0
        var flushMark: UInt64 = 0
        var flushAt: UInt64 = 0
        /// How many changes that no record tells of were covered.
        var changes: UInt64 = 0
        /// Whether this run's frame size is there.
        var hasFrameBytes = false
    }

    /// What a commit that found the map full has taught.
    struct FullMap {
        /// Bytes by which the budget turned out to be too large, as the map was full below it.
        var shortfall = 0
        /// Bytes of segments that one transaction carries: less after one found the map full.
        var batchBytes = Disk.transactionBytes
        /// Commits in a row that were tried again at once.
        var commits = 0
        /// As many, and whoever waits for a commit learns that it failed.
        static let commitsMax = 64
    }

    /// What recovery could not read, and what that may have overtaken.
    struct Distrusted {
        /// Recovery has ended, and what may have been overtaken is condemned.
        var isKnown = false
        /// Segments whose directory is damaged: deleted when nothing older is left.
        var damaged: [UInt64] = []
    }

    /// A segment on disk.
    struct Resident {
        var sequence: UInt64
        var segment: Int
        var bytes: Int
        /// The commit that wrote it; 0 if it was found on disk.
        var commit: UInt64
    }

    /// A segment by its number, and by the sequence that tells whether it still has it.
    struct Named: Equatable {
        var segment: Int
        var sequence: UInt64
    }

    /// A segment whose slots are gone.
    struct Condemned {
        var resident: Resident
        /// The first entry of its directory whose tombstone found no room; nil: all are paid.
        var unpaid: Int?
        /// The committer's segments that hold what this one owes, the open one maybe among them.
        var owed: [Named]
        var turns: Frames.Snapshot
    }

    /// Orders reserved ahead of the highest given out.
    static let reservation: UInt64 = 1 << 28
    /// A smaller value would lie inside a page of the tree, where no ring could read it.
    static let valueBytesMin = 4096
    /// How long a worker may take to end its turn.
    static let answerNanosecondsMax: UInt64 = 5_000_000_000

    init(_ store: TieredStore, disk: Disk, wake: @escaping @Sendable (Int) -> Void) {
        self.store = store
        self.disk = disk
        self.wake = wake
        log = store.log
        signals = store.signals
        writer = Writer(store.log, number: store.configuration.workers + 1)
        // Out of `-m`, see `Disk.memoryBytes`; a failure here is a failure to start.
        directory = Committer.room(Directory.regionBytes)
        // A segment of an earlier run may be larger than this run's.
        scratch = Committer.room(Geometry.frameBytesMax)
    }

    private static func room(_ bytes: Int) -> Region {
        do {
            return try Region.map(byteCount: bytes)
        } catch {
            preconditionFailure("the system has no memory left at the start")
        }
    }

    // MARK: The thread

    mutating func run() {
        let interval = UInt64(disk.configuration.flushIntervalMilliseconds) * 1_000_000
        var next = Clock.monotonicNanoseconds() + interval
        while true {
            if signals.stopping.loadAcquire() != 0 { break }
            adoptRecovered()
            serveLoads()
            giveUpUnwritten()
            keepWithinBudget()
            let now = Clock.monotonicNanoseconds()
            let isDue = now >= next && isDirty()
            if isDue || isUrgent() {
                if now >= retryAt {
                    next = now + interval
                    _ = commit()
                    continue
                }
            } else if now >= next {
                next = now + interval
            }
            let target = isFailing ? max(next, retryAt) : next
            let left = Int64(clamping: target) - Int64(clamping: Clock.monotonicNanoseconds())
            signals.committer.wait(nanoseconds: max(left, 100_000))
        }
        finish()
    }

    /// The last commit: everything there is, tried again until the deadline.
    private mutating func finish() {
        writer.close()
        // Nothing may be written over a store that could not be read.
        guard retryAt != .max else { return }
        while !commit() {
            if Clock.monotonicNanoseconds() >= signals.deadline.loadAcquire() {
                store.events.error(
                    .stoppedUncommitted,
                    "segments=\(pending.count + log.sealed.count)"
                        + " failing_milliseconds=\(failingMilliseconds)")
                return
            }
            Pause.sleep(nanoseconds: 50_000_000)
        }
    }

    /// Whether anything was written since the last commit.
    private func isDirty() -> Bool {
        if owesCommit { return true }
        if !pending.isEmpty || log.sealed.count > 0 { return true }
        if signals.changes.loadAcquire() != written.changes { return true }
        if writer.main.segment != 0, writer.hasUncut { return true }
        for worker in 0..<store.configuration.workers
        where log.isDirty(worker).loadRelaxed() != 0 { return true }
        return false
    }

    private func isUrgent() -> Bool {
        if signals.awaited.loadAcquire() > signals.completed.loadAcquire() { return true }
        if log.sealed.count + pending.count >= log.geometry.sealedSegmentsMax { return true }
        // Memory is short, and what could go is not on disk yet.
        return log.frames.freeCount == 0 && log.sealed.count + pending.count > 0
    }

    /// Takes over the segments that recovery has found.
    mutating func adoptRecovered() {
        var didAdopt = false
        while let number = signals.restored.pop() {
            let segment = Int(number)
            let filled = Int(log.segments.filled(segment).loadRelaxed())
            let records = Int(log.segments.records(segment).loadRelaxed())
            addResident(
                Resident(
                    sequence: log.segments.sequence(segment), segment: segment,
                    bytes: Self.diskBytes(filled, records), commit: 0))
            didAdopt = true
        }
        if didAdopt || !distrusted.isKnown { condemnDistrusted() }
    }

    /// What recovery could not settle, because something that it could not read may have
    /// overtaken it, leaves the disk; and after it what could not be read.
    private mutating func condemnDistrusted() {
        guard log.recovering.loadAcquire() == 0 else { return }
        distrusted.isKnown = true
        distrusted.damaged += store.damaged.withLock { sequences in
            defer { sequences = [] }
            return sequences
        }
        let victims = resident.filter { log.segments.state($0.segment) == .dying }
        resident.removeAll { log.segments.state($0.segment) == .dying }
        for victim in victims { condemn(victim) }
    }

    func wakeAll() {
        for worker in 0..<store.configuration.workers { wake(worker) }
    }

    // MARK: One commit

    /// Commits everything written so far. False if it failed; then it will be tried again.
    mutating func commit(askingWorkers: Bool = true) -> Bool {
        let number = signals.begun.add(1) + 1
        let began = Clock.unixNanoseconds()
        let start = Clock.monotonicNanoseconds()
        owesCommit = true
        guard var open = collectCuts(askingWorkers) else { return false }
        cutsTaken = number
        while let segment = log.sealed.pop() { pending.append(Int(segment)) }
        // One that was sealed since it answered is written whole.
        let waiting = pending
        open.removeAll { waiting.contains($0) }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            try write(files, open: open)
        } catch {
            didFail(number, error)
            return false
        }
        didSucceed(number, began: began, start: start)
        return true
    }

    /// Asks every writer how far its open segment is complete; returns those segments. Nil if
    /// one does not answer: then nothing may be called committed.
    private mutating func collectCuts(_ askingWorkers: Bool) -> [Int]? {
        writer.cutNow()
        var open: [Int] = []
        if writer.main.segment != 0 { open.append(writer.main.segment) }
        guard askingWorkers else { return open }
        for worker in 0..<store.configuration.workers { log.askCut(worker) }
        wakeAll()
        let deadline = Clock.monotonicNanoseconds() + Self.answerNanosecondsMax
        for worker in 0..<store.configuration.workers {
            while log.isClosed(worker).loadAcquire() == 0 {
                if let segment = log.answeredCut(worker) {
                    if segment != 0 { open.append(segment) }
                    break
                }
                if Clock.monotonicNanoseconds() > deadline {
                    store.events.warning(
                        .workerSilent,
                        "worker=\(worker) milliseconds=\(Self.answerNanosecondsMax / 1_000_000)"
                    )
                    return nil
                }
                Pause.short()
            }
        }
        return open
    }

    /// How long commits have been failing; 0 if the last one succeeded.
    var failingMilliseconds: UInt64 {
        guard isFailing, failingSince != 0 else { return 0 }
        return (Clock.monotonicNanoseconds() - failingSince) / 1_000_000
    }

    private mutating func didSucceed(_ number: UInt64, began: UInt64, start: UInt64) {
        owesCommit = false
        fullMap.commits = 0
        debts.settle()
        fullMap.batchBytes = Disk.transactionBytes
        if isFailing {
            store.events.info(
                .commitsResumed,
                "failed=\(disk.counters[.failedCommits] &- failedBefore)"
                    + " milliseconds=\(failingMilliseconds)")
            isFailing = false
            failingSince = 0
            disk.counters[.isFailing] = 0
        }
        let spent = Clock.monotonicNanoseconds() - start
        disk.counters.add(.commits, 1)
        disk.counters.add(.commitNanoseconds, Int(clamping: spent))
        disk.counters[.commitNanosecondsMax] = max(disk.counters[.commitNanosecondsMax], spent)
        signals.completedSince.storeRelease(began)
        signals.completed.storeRelease(number)
        wakeAll()
    }

    private mutating func didFail(_ number: UInt64, _ error: LMDBError) {
        // A full map is tried again at once, if something can leave it: nobody is told.
        if error == .mapFull, fullMap.commits < FullMap.commitsMax, makeWayInMap() {
            fullMap.commits += 1
            disk.counters.add(.fullMaps, 1)
            retryAt = 0
            return
        }
        if error == .mapFull, signals.recoveryShown.loadAcquire() != 0 {
            // What could leave it is not known yet, but will be soon.
            signals.oldestWanted.storeRelease(4)
            retryAt = Clock.monotonicNanoseconds() + 20_000_000
            return
        }
        disk.counters.add(.failedCommits, 1)
        log.orderLimit.storeRelease(Record.orderMax)
        signals.failed.storeRelease(number)
        if !isFailing {
            isFailing = true
            failingSince = Clock.monotonicNanoseconds()
            failedBefore = disk.counters[.failedCommits] &- 1
            disk.counters[.isFailing] = 1
            store.events.error(
                .commitFailed, "reason=\(quoted: error) segments=\(pending.count)")
        }
        switch error {
        case .mapFull:
            let didDrop = fullMap.commits >= FullMap.commitsMax && makeWayInMap()
            // Nothing can go now: readers hold it, or there is nothing.
            retryAt = didDrop ? 0 : Clock.monotonicNanoseconds() + 20_000_000
        case .panic:
            retryAt = Clock.monotonicNanoseconds() + 500_000_000
            if disk.reopen() {
                store.events.warning(
                    .storeReopened, "failing_milliseconds=\(failingMilliseconds)")
            }
        default:
            retryAt = Clock.monotonicNanoseconds() + 500_000_000
        }
        wakeAll()
    }

    /// The map is full: the oldest leave it, and less is written at a time. False: nothing can go.
    private mutating func makeWayInMap() -> Bool {
        reapAt = 0
        // The map holds less than its size says: so much is not to be reached again.
        let excess = budget - bytesOnDisk + Disk.transactionBytes / 4
        fullMap.shortfall = min(
            max(fullMap.shortfall, fullMap.shortfall + excess), disk.configuration.sizeBytes)
        // Less at a time, so that what there is room for gets in.
        fullMap.batchBytes = max(fullMap.batchBytes / 4, log.geometry.segmentBytes)
        return dropOldest(max((2 << 20) / log.geometry.frameBytes, 8), isUrgent: true) > 0
    }
}
