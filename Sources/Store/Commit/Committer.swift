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
    var health = Health()
    /// The time that this step was given.
    var now: ClockReading
    private var phase = Phase.serving
    /// When the next commit is due.
    private var dueAt: UInt64
    /// A commit that waits for the cuts of the workers.
    private var asked: Asked?
    /// When the last commit that succeeded began, until it is known how long it took.
    private var unmeasured: UInt64?
    /// What was put off until the next step, which should come soon.
    var putOff = PutOff()
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

    private enum Phase: Equatable {
        case serving
        /// The server stops: everything there is is committed, tried again until the deadline.
        case closing(retryAt: UInt64)
        case ended(isCommitted: Bool)
    }

    /// A commit that was begun.
    private struct Asked {
        var number: UInt64
        var began: ClockReading
        /// Open segments of those that have answered.
        var open: [Int]
        /// Who has to answer next, and up to whom.
        var worker = 0
        var workers: Int
    }

    /// What a victim waits for before it leaves the disk.
    struct PutOff {
        /// A large record that is to come back into memory first, and how often that was tried.
        var recalled: UInt64 = 0
        var recalls = 0
        /// Something is put off: the next step should come after about a millisecond.
        var isWaiting = false
    }

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
        var batchBytes = Disk.transactionBytesMax
        /// Commits in a row that were tried again at once.
        var commits = 0
        /// There was no page left, not even for a deletion.
        var isExhausted = false
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

    init(
        _ store: TieredStore, disk: Disk, at now: ClockReading,
        wake: @escaping @Sendable (Int) -> Void
    ) {
        self.store = store
        self.disk = disk
        self.wake = wake
        log = store.log
        signals = store.signals
        self.now = now
        dueAt = now.nanoseconds
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

    func discardMemory() {
        directory.discardAll()
        scratch.discardAll()
    }

    // MARK: Steps

    private var interval: UInt64 {
        UInt64(disk.configuration.flushIntervalMilliseconds) * 1_000_000
    }

    /// Does what there is to do at this moment, one commit at most.
    mutating func step(at reading: ClockReading) -> Wait {
        now = reading
        health.begin(at: now.nanoseconds)
        measure()
        if asked != nil { return collectCuts() }
        switch phase {
        case .serving: return serve()
        case .closing(let retryAt):
            return now.nanoseconds < retryAt ? .time(retryAt) : beginCommit()
        case .ended: return .ended
        }
    }

    private mutating func serve() -> Wait {
        if signals.stopping.loadAcquire() != 0 {
            writer.close()
            // Nothing may be written over a store that could not be read.
            phase = .closing(retryAt: 0)
            if health.isUnusable { end(isCommitted: true) }
            return .nothing
        }
        putOff.isWaiting = false
        adoptRecovered()
        serveLoads()
        giveUpUnwritten()
        keepWithinBudget()
        let time = now.nanoseconds
        if (time >= dueAt && isDirty()) || isUrgent() {
            if health.mayCommit(at: time) {
                dueAt = time + interval
                return beginCommit()
            }
        } else if time >= dueAt {
            dueAt = time + interval
        }
        var target = max(dueAt, health.failingUntil ?? 0)
        if putOff.isWaiting { target = min(target, time + 1_000_000) }
        return .bell(until: max(target, time + 100_000))
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

    /// Counts a commit in and asks every worker for its cut, so that all that was written before
    /// is in it.
    ///
    /// - Parameter askingWorkers: whether there are any yet.
    mutating func beginCommit(askingWorkers: Bool = true) -> Wait {
        let number = signals.begun.add(1) + 1
        owesCommit = true
        writer.cutNow()
        var new = Asked(number: number, began: now, open: [], workers: 0)
        if writer.main.segment != 0 { new.open.append(writer.main.segment) }
        if askingWorkers {
            new.workers = store.configuration.workers
            for worker in 0..<new.workers { log.askCut(worker) }
            wakeAll()
        }
        asked = new
        return collectCuts()
    }

    /// Takes the answers; when all are there, the commit is made. If a worker does not answer,
    /// nothing may be called committed.
    private mutating func collectCuts() -> Wait {
        guard var open = asked else { return .nothing }
        while open.worker < open.workers {
            if log.isClosed(open.worker).loadAcquire() == 0 {
                guard let segment = log.answeredCut(open.worker) else {
                    asked = open
                    return waitForCut(open)
                }
                if segment != 0 { open.open.append(segment) }
            }
            open.worker += 1
        }
        asked = nil
        let isDone = complete(open)
        endCommit(isDone: isDone)
        return .nothing
    }

    private mutating func waitForCut(_ asked: Asked) -> Wait {
        let waited = now.nanoseconds - min(asked.began.nanoseconds, now.nanoseconds)
        guard waited > Self.answerNanosecondsMax else { return .cut(worker: asked.worker) }
        store.events.warning(
            .workerSilent,
            "worker=\(asked.worker) milliseconds=\(Self.answerNanosecondsMax / 1_000_000)")
        self.asked = nil
        endCommit(isDone: false)
        return .nothing
    }

    /// False if it failed; then it will be tried again.
    private mutating func complete(_ asked: Asked) -> Bool {
        cutsTaken = asked.number
        while let segment = log.sealed.pop() { pending.append(Int(segment)) }
        // One that was sealed since it answered is written whole.
        let waiting = pending
        let open = asked.open.filter { !waiting.contains($0) }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            try write(files, open: open)
        } catch {
            didFail(asked.number, error)
            return false
        }
        didSucceed(asked)
        return true
    }

    /// While the server stops, this may have been the last.
    private mutating func endCommit(isDone: Bool) {
        guard case .closing = phase else { return }
        guard !isDone else { return end(isCommitted: true) }
        guard now.nanoseconds >= signals.deadline.loadAcquire() else {
            phase = .closing(retryAt: now.nanoseconds + 50_000_000)
            return
        }
        store.events.error(
            .stoppedUncommitted,
            "segments=\(pending.count + log.sealed.count)"
                + " failing_milliseconds=\(failingMilliseconds)")
        end(isCommitted: false)
    }

    private mutating func end(isCommitted: Bool) {
        phase = .ended(isCommitted: isCommitted)
        if !isCommitted { signals.uncommitted.storeRelease(1) }
        signals.lastCommit.storeRelease(1)
    }

    var failingMilliseconds: UInt64 { health.failingMilliseconds(at: now.nanoseconds) }

    private mutating func didSucceed(_ asked: Asked) {
        owesCommit = false
        fullMap.commits = 0
        debts.settle()
        fullMap.batchBytes = disk.transactionBytes
        if health.isFailing {
            store.events.info(
                .commitsResumed,
                "failed=\(disk.counters[.failedCommits] &- health.failedBefore)"
                    + " milliseconds=\(failingMilliseconds)")
            disk.counters[.isFailing] = 0
        }
        health.didSucceed()
        unmeasured = asked.began.nanoseconds
        disk.counters.add(.commits, 1)
        signals.completedSince.storeRelease(asked.began.unixNanoseconds)
        signals.completed.storeRelease(asked.number)
        wakeAll()
    }

    /// The step in which a commit was made has ended.
    private mutating func measure() {
        guard let began = unmeasured else { return }
        unmeasured = nil
        let spent = now.nanoseconds - min(began, now.nanoseconds)
        disk.counters.add(.commitNanoseconds, Int(clamping: spent))
        disk.counters[.commitNanosecondsMax] = max(disk.counters[.commitNanosecondsMax], spent)
    }

    private mutating func didFail(_ number: UInt64, _ error: LMDBError) {
        // A full map is tried again at once, if something can leave it: nobody is told.
        if error == .mapFull, fullMap.commits < FullMap.commitsMax {
            switch makeWayInMap() {
            case .made:
                fullMap.commits += 1
                disk.counters.add(.fullMaps, 1)
                return health.retry(after: 0)
            case .later:
                fullMap.commits += 1
                return health.retry(after: 1_000_000)
            case .none: break
            }
        }
        if error == .mapFull, signals.recoveryShown.loadAcquire() != 0 {
            // What could leave it is not known yet, but will be soon.
            signals.oldestWanted.storeRelease(4)
            return health.retry(after: 20_000_000)
        }
        disk.counters.add(.failedCommits, 1)
        log.orderLimit.storeRelease(Record.orderMax)
        signals.failed.storeRelease(number)
        let counted = disk.counters[.failedCommits] &- 1
        if health.didFail(at: now.nanoseconds, countedBefore: counted) {
            disk.counters[.isFailing] = 1
            store.events.error(
                .commitFailed, "reason=\(quoted: error) segments=\(pending.count)")
        }
        switch error {
        case .mapFull:
            let way = fullMap.commits >= FullMap.commitsMax ? makeWayInMap() : .none
            // Nothing can go now: readers hold it, or there is nothing.
            health.retry(after: way == .made ? 0 : 20_000_000)
        case .panic:
            health.retry(after: 500_000_000)
            if disk.reopen() {
                store.events.warning(
                    .storeReopened, "failing_milliseconds=\(failingMilliseconds)")
            }
        default:
            health.retry(after: 500_000_000)
        }
        wakeAll()
    }

    private enum Way { case made, later, none }

    /// The map is full: the oldest leave it, and less is written at a time.
    private mutating func makeWayInMap() -> Way {
        reapAt = 0
        // The map holds less than its size says: so much is not to be reached again.
        let excess = budget - bytesOnDisk + disk.transactionBytes / 4
        fullMap.shortfall = min(
            max(fullMap.shortfall, fullMap.shortfall + excess), disk.configuration.sizeBytes)
        // Less at a time, so that what there is room for gets in.
        fullMap.batchBytes = max(fullMap.batchBytes / 4, log.geometry.segmentBytes)
        putOff.isWaiting = false
        let count = max((2 << 20) / log.geometry.frameBytes, 8)
        fullMap.isExhausted = false
        let dropped = dropOldest(count, isUrgent: true)
        if fullMap.isExhausted, disk.reopen(withReserve: true) {
            store.events.warning(.reserveUsed, "bytes=\(Disk.reserveBytes)")
            reapAt = 0
            reap(isUrgent: true)
        }
        if dropped > 0 { return .made }
        return putOff.isWaiting ? .later : .none
    }
}
