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

    // The parts, each with a state of its own; how they work together is in the extensions.
    var cuts = Cuts()
    var backlog = Backlog()
    var written = Written()
    var reservation: Reservation
    var residency = Residency()
    var mapBudget: MapBudget
    var removals = Removals()
    var debts = Debts()
    var leftovers = Leftovers()
    var distrust = Distrust()
    var loads = Loads()
    /// What the last run had open, and has to be rebuilt before it can be known.
    var unsealed = Unsealed()
    var health = Health()
    private var schedule: Schedule
    /// The time that this step was given.
    var now: ClockReading

    /// A segment by its number, and by the sequence that tells whether it still has it.
    struct Named: Equatable {
        var segment: Int
        var sequence: UInt64
    }

    /// A smaller value would lie inside a page of the tree, where no ring could read it.
    static let valueBytesMin = 4096
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
        mapBudget = MapBudget(
            mapBytes: disk.configuration.sizeBytes, transactionBytes: disk.transactionBytes)
        let interval = UInt64(disk.configuration.flushIntervalMilliseconds) * 1_000_000
        schedule = Schedule(interval: interval, at: now.nanoseconds)
        reservation = Reservation(
            ahead: disk.configuration.ordersAhead, found: disk.ordersFound,
            committed: disk.ordersCommitted)
        writer = Writer(store.log, number: store.configuration.workers + 1)
        // Out of `-m`, see `Disk.memoryBytes`; a failure here is a failure to start.
        directory = Committer.mapped(Directory.regionBytes)
        // A segment of an earlier run may be larger than this run's.
        scratch = Committer.mapped(Geometry.frameBytesMax)
    }

    private static func mapped(_ bytes: Int) -> Region {
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

    /// Does what there is to do at this moment, one commit at most.
    mutating func step(at reading: ClockReading) -> NextStep {
        now = reading
        health.begin(at: now.nanoseconds)
        if let spent = schedule.measure(at: now.nanoseconds) { disk.counters.countCommit(spent) }
        if cuts.areAsked { return collectCuts() }
        switch schedule.phase {
        case .working: return work()
        case .closing(let retryAt):
            return now.nanoseconds < retryAt ? .time(retryAt) : beginCommit()
        case .ended: return .ended
        }
    }

    /// What must hold between two steps; a sentence if it does not. For simulations.
    func check() -> String? {
        let begun = signals.begun.loadAcquire()
        let orderLimit = log.orderLimit.loadAcquire()
        let findings: [String?] = [
            cuts.check(begun: begun), schedule.check(at: now.nanoseconds), backlog.check(log),
            residency.check(), removals.check(log), mapBudget.check(), debts.check(),
            leftovers.check(), distrust.check(log), health.check(at: now.nanoseconds),
            reservation.check(orderLimit: orderLimit), loads.check(), unsealed.check(),
            written.check(
                reserved: reservation.held, distrust: distrust.mark, owed: debts.flushMark),
        ]
        return findings.compactMap { $0 }.first
    }

    private mutating func work() -> NextStep {
        if signals.stopping.loadAcquire() != 0 {
            writer.close()
            // Nothing may be written over a store that could not be read.
            if health.isUnusable { end(isCommitted: true) } else { schedule.close(retryAt: 0) }
            return .nothing
        }
        let interval = signals.flushInterval.loadRelaxed()
        if interval > 0 { schedule.choose(interval: interval, at: now.nanoseconds) }
        reserveOrders()
        if health.isUnusable { failAwaited() }
        removals.beginStep()
        adoptRecovered()
        serveLoads()
        giveUpUnwritten()
        keepWithinBudget()
        let time = now.nanoseconds
        let isDue = schedule.isDue(at: time)
        let isLacking = signals.framesLacking.exchange(0) != 0
        // What the last commit was for is not put off until another interval is over.
        let isWanted =
            schedule.owesCommit || isDue && isDirty() || isUrgent(isLacking: isLacking)
        if isWanted, health.mayCommit(at: time) {
            schedule.passInterval(at: time)
            return beginCommit()
        }
        if isWanted, isLacking { signals.framesLacking.storeRelease(1) }
        if isDue, !isWanted || health.isUnusable { schedule.passInterval(at: time) }
        var target = isWanted ? health.triedAgainAt ?? schedule.dueAt : schedule.dueAt
        if removals.isPutOff || !loads.isEmpty { target = min(target, time + 1_000_000) }
        return .bell(until: max(target, time + 100_000))
    }

    /// Long before orders run out, more are reserved, so that nobody ever waits for one. While
    /// neither the orders file nor a commit can be written, what was reserved is all that there is.
    mutating func reserveOrders() {
        let refusal = reservation.renew(log, on: disk, at: now.nanoseconds)
        log.orderLimit.storeRelease(reservation.limit)
        guard let refusal else { return }
        store.events.warning(
            .ordersUnreserved, "reason=\(quoted: refusal) order=\(reservation.held)")
    }

    /// Whether anything was written since the last commit.
    private func isDirty() -> Bool {
        if schedule.owesCommit { return true }
        if !backlog.isEmpty || log.sealed.count > 0 { return true }
        if signals.changes.loadAcquire() != written.changes { return true }
        if written.lead(ofNanoseconds: now.nanosecondsAhead) != nil { return true }
        if writer.main.segment != 0, writer.hasUncut { return true }
        for worker in 0..<store.configuration.workers
        where log.isDirty(worker).loadRelaxed() != 0 { return true }
        return false
    }

    /// - Parameter isLacking: frames are short.
    private func isUrgent(isLacking: Bool) -> Bool {
        if signals.awaited.loadAcquire() > signals.completed.loadAcquire() { return true }
        let waiting = log.sealed.count + backlog.count
        if waiting >= log.geometry.sealedSegmentsMax { return true }
        // The orders file was refused: a commit reserves orders, too.
        if log.highestOrder() + reservation.ahead / 4 > reservation.limit { return true }
        // Memory is short, and what could go is not on disk yet.
        return waiting > 0 && (isLacking || log.frames.freeCount == 0)
    }

    /// Takes over the segments that recovery has found.
    mutating func adoptRecovered() {
        var didAdopt = false
        while let number = signals.restored.pop() {
            let segment = Int(number)
            let filled = Int(log.segments.filled(segment).loadRelaxed())
            let records = Int(log.segments.records(segment).loadRelaxed())
            addResident(
                Residency.Resident(
                    sequence: log.segments.sequence(segment), segment: segment,
                    bytes: Self.diskBytes(filled, records), commit: 0))
            didAdopt = true
        }
        if didAdopt || !leftovers.isDamageKnown { condemnDistrusted() }
    }

    /// What recovery could not read may have overtaken anything that the runs before this one left:
    /// no later start believes any of that. What could not be settled for it leaves the disk, and
    /// what could not be read. Of what it could settle, but cannot read, only the slots go: it has
    /// overtaken older records, and leaves after them.
    private mutating func condemnDistrusted() {
        guard log.recovering.loadAcquire() == 0 else { return }
        let damage = store.damage.withLock { found in
            defer { found = Damage() }
            return found
        }
        leftovers.learn(damaged: damage.sequences)
        if damage.mayHaveOvertaken { distrust.raise(to: signals.firstSequence.loadAcquire()) }
        let (log, mark) = (log, distrust.mark)
        var silent = residency.segments.filter {
            log.segments.state($0.segment) == .dying && log.segments.liveRecords($0.segment) > 0
        }
        let victims = residency.remove {
            $0.sequence < mark && log.segments.state($0.segment) == .dying
        }
        silent += victims
        removeSlots(of: Set(silent.map(\.segment)))
        for victim in victims { removals.add(deletable(victim)) }
    }

    func wakeAll() {
        for worker in 0..<store.configuration.workers { wake(worker) }
    }

    // MARK: One commit

    /// Counts a commit in and asks every worker for its cut, so that all that was written before
    /// is in it.
    ///
    /// - Parameter askingWorkers: false at the start, when no worker can have written anything.
    mutating func beginCommit(askingWorkers: Bool = true) -> NextStep {
        let number = signals.begun.add(1) + 1
        schedule.didBegin()
        writer.cutNow()
        let open = writer.main.segment
        let workers = askingWorkers ? store.configuration.workers : 0
        for worker in 0..<workers { log.askCut(worker) }
        if workers > 0 { wakeAll() }
        cuts.begin(number: number, at: now, open: open == 0 ? [] : [open], workers: workers)
        return collectCuts()
    }

    /// Takes the answers; when all are there, the commit is made. If a worker does not answer,
    /// nothing may be called committed.
    private mutating func collectCuts() -> NextStep {
        switch cuts.collect(log, at: now.nanoseconds) {
        case nil: break
        case .waits(let worker): return .cut(worker: worker)
        case .complete(let asked): endCommit(isDone: complete(asked))
        case .silent(let worker):
            store.events.warning(
                .workerSilent,
                "worker=\(worker) milliseconds=\(Cuts.answerNanosecondsMax / 1_000_000)")
            endCommit(isDone: false)
        }
        return .nothing
    }

    /// False if it failed, or wrote a part; then it will be tried again.
    private mutating func complete(_ asked: Cuts.Asked) -> Bool {
        // What the unfinished commit has written could not leave before these cuts were taken.
        if backlog.hasUnfinished { keepWithinBudget() }
        backlog.takeSealed(log)
        // One that was sealed since it answered is written whole.
        let waiting = backlog.pending
        let open = asked.open.filter { !waiting.contains($0) }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            guard try write(files, open: open) else {
                finishEarlier()
                backlog.leaveUnfinished(asked)
                health.retry(after: 1_000_000)
                return false
            }
        } catch {
            finishEarlier()
            didFail(asked.number, error)
            return false
        }
        backlog.dropUnfinished()
        didSucceed(asked)
        return true
    }

    /// A commit that memory had more for than the file has room is finished by those after it.
    private mutating func finishEarlier() {
        guard let asked = backlog.takeFinished() else { return }
        noteCompleted(asked)
    }

    private mutating func noteCompleted(_ asked: Cuts.Asked) {
        disk.counters.add(.commits, 1)
        signals.completedBegan.storeRelease(asked.began.systemNanoseconds)
        signals.completed.storeRelease(asked.number)
        wakeAll()
    }

    /// While the server stops, this may have been the last.
    private mutating func endCommit(isDone: Bool) {
        guard case .closing = schedule.phase else { return }
        guard !isDone else { return end(isCommitted: true) }
        guard now.nanoseconds >= signals.deadline.loadAcquire() else {
            // A full map, from which something has left, is tried again at once.
            schedule.close(
                retryAt: now.nanoseconds + min(health.pauseLeft(at: now.nanoseconds), 50_000_000))
            return
        }
        store.events.error(
            .stoppedUncommitted,
            "segments=\(backlog.count + log.sealed.count)"
                + " failing_milliseconds=\(failingMilliseconds)")
        end(isCommitted: false)
    }

    private mutating func end(isCommitted: Bool) {
        schedule.end()
        if !isCommitted { signals.uncommitted.storeRelease(1) }
        signals.lastCommit.storeRelease(1)
    }

    var failingMilliseconds: UInt64 { health.failingMilliseconds(at: now.nanoseconds) }

    private mutating func didSucceed(_ asked: Cuts.Asked) {
        schedule.didSucceed(since: asked.began.nanoseconds)
        mapBudget.didSucceed()
        debts.settle()
        if health.isFailing {
            store.events.info(
                .commitsResumed,
                "failed=\(disk.counters[.failedCommits] &- health.failedBefore)"
                    + " milliseconds=\(failingMilliseconds)")
            disk.counters[.isFailing] = 0
        }
        health.didSucceed()
        noteCompleted(asked)
    }

    /// There will be no commit in this run: whoever waits for one is told that it has failed.
    private mutating func failAwaited() {
        let awaited = signals.awaited.loadAcquire()
        guard awaited > signals.failed.loadAcquire() else { return }
        // First, so that whoever sees that it has failed waits for a later one.
        signals.begun.storeRelease(awaited)
        signals.failed.storeRelease(awaited)
        disk.counters.add(.failedCommits, 1)
        wakeAll()
    }

    private mutating func didFail(_ number: UInt64, _ error: LMDBError) {
        // A full map is tried again at once, if something can leave it: nobody is told. While
        // recovery goes on, more and more can.
        let isRecovering = signals.recoveryUnreported.loadAcquire() != 0
        if error == .mapFull, mapBudget.mayRetry || isRecovering {
            switch makeWayInMap() {
            case .made:
                mapBudget.didRetry()
                disk.counters.add(.fullMaps, 1)
                return health.retry(after: 0)
            case .later:
                mapBudget.didRetry()
                return health.retry(after: 1_000_000)
            case .none: break
            }
        }
        if error == .mapFull, isRecovering {
            // What could leave it is not known yet, but will be soon.
            signals.oldestWanted.storeRelease(4)
            return health.retry(after: 20_000_000)
        }
        disk.counters.add(.failedCommits, 1)
        backlog.dropUnfinished()
        signals.failed.storeRelease(number)
        let counted = disk.counters[.failedCommits] &- 1
        if health.didFail(at: now.nanoseconds, countedBefore: counted) {
            disk.counters[.isFailing] = 1
            store.events.error(
                .commitFailed, "reason=\(quoted: error) segments=\(backlog.count)")
        }
        switch error {
        case .mapFull:
            let way = mapBudget.mayRetry ? .none : makeWayInMap()
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
        removals.reapAtOnce()
        // The map holds less than its size says: so much is not to be reached again. And less is
        // written at a time, so that what there is room for gets in. How much is on disk is known
        // when recovery has told.
        let isRecovering = signals.recoveryUnreported.loadAcquire() != 0
        mapBudget.didFindMapFull(
            bytesOnDisk: isRecovering ? nil : bytesOnDisk,
            segmentBytes: log.geometry.segmentBytes)
        removals.beginStep()
        let count = max((2 << 20) / log.geometry.frameBytes, 8)
        let dropped = dropOldest(count, isUrgent: true)
        if mapBudget.isExhausted, disk.reopen(withReserve: true) {
            store.events.warning(.reserveUsed, "bytes=\(Disk.reserveBytes)")
            removals.reapAtOnce()
            reap(isUrgent: true)
        }
        if dropped > 0 { return .made }
        // What was just written may leave once the next cuts are taken.
        let isFresh = residency.oldest.map { $0.commit >= cuts.taken } ?? false
        return removals.isPutOff || isFresh ? .later : .none
    }
}
