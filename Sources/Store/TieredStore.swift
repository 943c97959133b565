// TieredStore: both residences as one: it makes the log, opens the disk, and runs their threads.
//
// The workers use it through their doors only. What it does off their road: free frames
// (maintenance), commit (committer), refill the index (recovery).

public import Primitives
internal import SegmentLog
internal import Synchronization

/// An item that went for want of room.
public struct EvictedItem: Sendable {
    public let key: [UInt8]
    public let valueBytes: Int
    /// Absolute unix seconds, 0 for never.
    public let expiry: UInt32
    public let secondsSinceAccess: UInt32
    public let wasFetched: Bool
    /// Unix seconds, when it went.
    public let now: UInt32

    init(_ evicted: Evicted) {
        key = evicted.key
        valueBytes = evicted.valueBytes
        expiry = evicted.expiry
        secondsSinceAccess = evicted.secondsSinceAccess
        wasFetched = evicted.wasFetched
        now = evicted.now
    }
}

/// A store, from opening to stopping. Any thread may use it.
public final class TieredStore: Sendable {
    let log: SegmentLog
    let signals: Signals
    let loads: SlotQueue
    let configuration: StoreConfiguration
    let events: EventLog
    let disk: Disk?
    /// Keys of parts of large records without a directory, found by recovery.
    let orphans = Mutex<[UInt64]>([])
    /// Sequences of segments that the last run had open and that are not rebuilt yet. Held while
    /// they are rebuilt, and while recovery reads a directory and merges it.
    let unsealed = Mutex<[UInt64]>([])
    /// Those of them that recovery has taken from their stretches, and not handed over yet.
    let takenUnsealed = Mutex<Set<UInt64>>([])
    /// What recovery leaves to the committer to be deleted.
    let damage = Mutex<Damage>(Damage())
    let evictionTap = EvictionTap()
    /// Only where the files are played.
    let interleaving: Interleaving?
    /// Lists of all items; nil without a disk, where workers make them.
    public let lists: ItemLists?
    private let threads = ThreadBox()

    /// Takes the memory and opens the disk; nothing runs yet.
    ///
    /// - Parameter now: unix seconds, to tell what is expired.
    public convenience init(
        configuration: StoreConfiguration, events: EventLog, now: UInt32
    ) throws(StoreError) {
        try self.init(configuration: configuration, events: events, home: nil, now: now)
    }

    /// The same, with the files somewhere else than in the directory.
    package init(
        configuration: StoreConfiguration, events: EventLog, home: (any StoreHome)?, now: UInt32
    ) throws(StoreError) {
        precondition(configuration.workers > 0)
        interleaving = home.map { _ in Interleaving() }
        var configuration = configuration
        let diskWanted = configuration.disk != nil
        var opened: Disk?
        var ordersReserved: UInt64 = 0
        if let settings = configuration.disk {
            do throws(StoreError) {
                opened = try Disk(settings, events: events, home: home, at: now)
            } catch .noSpace(let directory, let orders) {
                // A cache without its disk is better than none.
                ordersReserved = orders
                events.error(.storeWithoutSpace, "directory=\(quoted: directory)")
                configuration.disk = nil
            }
        }
        self.configuration = configuration
        self.events = events
        disk = opened
        log = try Self.makeLog(configuration, disk: disk)
        log.segments.tell(UInt32(clamping: Int64(now) + Int64(opened?.meta.secondsAhead ?? 0)))
        if opened == nil, diskWanted {
            // Nothing can be reserved: what keeps orders from those of other starts is the time.
            log.raiseOrders(
                above: Committer.firstOrder(
                    above: ordersReserved, at: UInt64(now) * 1_000_000_000,
                    among: Reservation.startsApart))
        }
        do {
            signals = try Signals(segmentCount: log.geometry.segmentCount)
            let capacity = 1024
            let queue = try Region.map(byteCount: SlotQueue.byteCount(capacity: capacity))
            loads = SlotQueue(queue, at: 0, capacity: capacity)
            lists = opened == nil ? nil : try ItemLists(signals)
        } catch {
            throw .memory(byteCount: 4096)
        }
    }

    private static func makeLog(
        _ configuration: StoreConfiguration, disk: Disk?
    ) throws(StoreError) -> SegmentLog {
        let geometry = configuration.geometry(
            frameBytesWanted: disk?.frameBytes, segmentsFound: disk?.meta.segments ?? 0)
        do {
            return try SegmentLog(
                geometry, workers: configuration.workers,
                secret: disk?.secret ?? Disk.randomSecret())
        } catch {
            throw .memory(byteCount: geometry.memoryBytes)
        }
    }

    /// Starts the store's threads.
    ///
    /// - Parameter wake: makes a worker end its wait soon; called from the store's threads.
    package func start(wake: @escaping @Sendable (Int) -> Void) throws(StoreError) {
        try startServing(wake: wake)
        try startRecovery()
    }

    /// The same, but recovery makes no step unless it is told to; nil if there is nothing to
    /// recover. For tests that look at every moment of it.
    ///
    /// - Parameter failures: so many attempts to begin it find no memory.
    package func startStepped(
        memoryFailures failures: Int = 0, wake: @escaping @Sendable (Int) -> Void
    ) throws(StoreError) -> SteppedRecovery? {
        try startServing(wake: wake)
        guard let disk, log.recovering.loadAcquire() != 0 else { return nil }
        return SteppedRecovery(self, disk: disk, memoryFailures: failures)
    }

    /// Starts all but recovery: requests are answered, and what recovery has not found is a miss.
    ///
    /// - Parameter wake: makes a worker end its wait soon; called from the store's threads.
    public func startServing(wake: @escaping @Sendable (Int) -> Void) throws(StoreError) {
        do throws(ThreadError) {
            if let disk {
                // With `ack`, changes wait for it.
                let isAwaited = disk.configuration.isAcknowledging
                try begin("brim-commit", isBackground: !isAwaited) { [self] in
                    runCommitter(disk, wake)
                }
                // Before the first request: orders are above the last run's, and what it had open
                // is written whole or known as unsealed. Until it has been read, it is a miss.
                while signals.ready.loadAcquire() == 0 { Pause.short() }
                try begin("brim-list") { [self] in list() }
            }
            try begin("brim-maintain") { [self] in
                var maintenance = Maintenance(
                    self, number: configuration.workers, waitsInPlace: true, wake: wake)
                NextStep.drive(signals.maintenance) { maintenance.step(at: $0) }
            }
        } catch {
            throw .thread(errno: error.errno)
        }
        guard let disk, signals.ready.loadAcquire() == Self.refused else { return }
        throw .directory(
            disk.configuration.directory, reason: "it can neither be read nor be moved aside")
    }

    /// What `ready` is where nobody may be served.
    private static let refused: UInt64 = 2

    /// Starts recovery, if there is anything to recover. It takes a core for as long as it runs,
    /// so whoever waits for the first reply is served first.
    public func startRecovery() throws(StoreError) {
        guard let disk, log.recovering.loadAcquire() != 0 else { return }
        do throws(ThreadError) {
            try begin("brim-recover") { [self] in recover(disk) }
        } catch {
            throw .thread(errno: error.errno)
        }
    }

    /// Begins a thread; one in the background does not take a worker's core when it wakes.
    private func begin(
        _ name: String, isBackground: Bool = true, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadError) {
        threads.append(try Thread(name: name, isBackground: isBackground, body: body))
    }

    /// The committer's thread.
    private func runCommitter(_ disk: Disk, _ wake: @escaping @Sendable (Int) -> Void) {
        var committer = Committer(self, disk: disk, at: .system(), wake: wake)
        signals.ready.storeRelease(committer.begin() ? 1 : Self.refused)
        NextStep.drive(signals.committer) { committer.step(at: $0) }
    }

    /// The recovery thread.
    private func recover(_ disk: Disk) {
        var recovery = StartingRecovery(self, disk: disk)
        var helping: Thread?
        var isAsked = false
        NextStep.drive(nil) { now in
            let next = recovery.step(at: now)
            if !isAsked, let board = recovery.boardToShare() {
                isAsked = true
                helping = help(disk, board)
            }
            return next
        }
        helping?.join()
    }

    /// Has a second thread read directories, once it has had the system clear the index's memory.
    /// Nil: it is not worth that, there is no core for it, or no thread.
    private func help(_ disk: Disk, _ board: RecoveryBoard) -> Thread? {
        let index = log.index
        guard index.touchedBytes() >= Self.helpedBytesMin, Cores.available > 1 else { return nil }
        return try? Thread(name: "brim-recover-2", isBackground: true) { [self] in
            var next: Int? = 0
            while let offset = next, signals.stopping.loadAcquire() == 0 {
                next = index.populate(from: offset)
            }
            // Without the memory the first reader reads all.
            guard
                var helper = try? RecoveryHelper(
                    self, disk: disk, board, entriesPerStep: Recovery.entriesPerStep)
            else { return }
            NextStep.drive(nil) { helper.step(at: $0) }
            helper.discardMemory()
        }
    }
    private static let helpedBytesMin = 16 << 20

    /// The lister's thread.
    private func list() {
        guard var lister = Lister(self) else { return }
        NextStep.drive(signals.lister) { lister.step(at: $0) }
    }

    /// Does what needs no lock that a worker may hold: at once, or in a play perhaps in the middle
    /// of a worker's command.
    func interleave(_ body: @escaping @Sendable () -> Void) {
        guard let interleaving else { return body() }
        interleaving.putOff(body)
    }

    func discardMemory() {
        lists?.discardMemory()
        log.discardMemory()
        signals.discardMemory()
        loads.discardRegion()
        disk?.counters.discardMemory()
    }

    /// How far ahead of the system's clock the cache's time of the run before was in the end, which
    /// this run has to go on with (`Clock.beginCache`).
    public var secondsAhead: Int32 { disk?.meta.secondsAhead ?? 0 }

    /// The largest value, in bytes: what was configured, or what memory can take if that is less.
    public var itemBytesMax: Int {
        min(configuration.itemBytesMax, StoreConfiguration.itemBytesMax(log.geometry))
    }

    /// The door of one worker: made once for each, on any thread, before its first turn.
    public func door(worker: Int) -> Door {
        Door(
            log, worker: worker, signals: signals, loads: loads,
            itemBytesMax: itemBytesMax, diskDescriptor: disk?.readDescriptor ?? -1,
            isAcknowledging: configuration.disk?.isAcknowledging ?? false,
            interleaving: interleaving)
    }

    /// Tells of what is evicted from now on; nil ends that. Called from the store's threads.
    public func tellEvictions(_ listener: (@Sendable (EvictedItem) -> Void)?) {
        guard let listener else { return evictionTap.listen(nil) }
        evictionTap.listen { listener(EvictedItem($0)) }
    }

    /// From now on, so much time is between two commits. Any thread.
    public func setFlushInterval(milliseconds: Int) {
        precondition(milliseconds > 0)
        signals.flushInterval.storeRelaxed(UInt64(milliseconds) * 1_000_000)
        signals.committer.wake()
    }

    /// Whether maintenance was called since this was asked last. For a store whose threads do not
    /// run.
    package func takeMaintenanceCall() -> Bool { signals.maintenance.takeCall() }

    /// Commits what is there and ends the store's threads. The doors are closed already.
    ///
    /// - Returns: whether everything is on disk, as far as there is one.
    @discardableResult
    public func stop(deadlineNanoseconds: UInt64) -> Bool {
        signals.deadline.storeRelease(deadlineNanoseconds)
        signals.stopping.storeRelease(1)
        signals.maintenance.wake()
        signals.committer.wake()
        signals.lister.wake()
        threads.joinAll()
        disk?.close()
        return signals.uncommitted.loadAcquire() == 0
    }

    /// The counters and sizes of this moment.
    public func statistics() -> StoreStatistics {
        var sum = StoreStatistics()
        let frames = log.frames
        sum.items = UInt64(log.index.itemCount())
        sum.bytes = log.liveBytes()
        sum.addEstimates(of: log)
        sum.memoryBytes = UInt64(log.geometry.memoryBytes)
        sum.segmentBytes = UInt64(log.geometry.segmentBytes)
        sum.frames = UInt64(log.geometry.frameCount - frames.surrenderedCount)
        sum.framesFree = UInt64(frames.freeCount)
        sum.framesLog = UInt64(log.logRegion.count)
        sum.framesPromotion = UInt64(log.promotionRegion.count)
        sum.framesDirty = UInt64(log.sealed.count)
        sum.framesPinned = UInt64(frames.pinnedCount)
        sum.indexBytes = UInt64(log.index.touchedBytes())
        sum.ghostBytes = UInt64(log.geometry.ghostBytes)
        sum.indexFilledPercent = UInt64(log.index.filledPercent())
        sum.indexDisplaced = log.index.displacedCount()
        sum.evictions = log.counter(.evictions).loadRelaxed()
        sum.evictedUnfetched = log.counter(.evictedUnfetched).loadRelaxed()
        sum.expired = log.counter(.expired).loadRelaxed()
        sum.expiredUnfetched = log.counter(.expiredUnfetched).loadRelaxed()
        sum.promotions = log.counter(.promotions).loadRelaxed()
        sum.recirculations = log.counter(.recirculations).loadRelaxed()
        sum.rescues = log.counter(.rescues).loadRelaxed()
        sum.takenUnread = log.counter(.takenUnread).loadRelaxed()
        sum.segmentsDropped = log.counter(.segmentsDropped).loadRelaxed()
        sum.segmentsCleaned = log.counter(.segmentsCleaned).loadRelaxed()
        sum.waits = log.counter(.waits).loadRelaxed()
        sum.ghostHits = log.counter(.ghostHits).loadRelaxed()
        sum.isRecovering = signals.recoveryUnreported.loadAcquire()
        sum.damagedReads = signals.damagedReads.loadRelaxed()
        sum.loads = signals.loads.loadRelaxed()
        sum.completedCommitBegan = signals.completedBegan.loadRelaxed()
        disk?.counters.add(to: &sum)
        return sum
    }
}
