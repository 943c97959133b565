// SharedState: what the threads of one server know of each other.
//
// Counters, rolls of connections and mailboxes of all workers, the settings for the statistics,
// and whether the acceptor waits for a connection to close. Nothing here is on the road of a
// request; counters and mailboxes are handed out as plain values.

public import Primitives
public import Store
internal import Synchronization
public import Uring

/// What all threads of one server share.
public final class SharedState: Sendable {
    /// One request in so many is looked at for hot keys.
    public static let keySampling = 64

    public let settings: Settings
    public let workerCount: Int
    /// One for each worker.
    public let mailboxes: [Mailbox]
    let rolls: [ConnectionRoll]
    /// Who may sign in.
    let access: Access
    let observers: Observers
    let events: EventLog
    let startedAt: Moment
    let storeStatistics: @Sendable () -> StoreStatistics
    /// Names of the ring's features, and of the listeners' addresses, once known.
    let facts = ServerFacts()
    /// What a reload has changed.
    let tuning: Tuning
    let reloads = Mutex(ReloadFigures())
    private let lists = Mutex<ItemLists?>(nil)
    private let orders = Mutex<OperatorOrders?>(nil)
    private let rows: Region
    private let latencyRows: Region
    private let latencyScale: LatencyScale
    private let words: Region
    private let controlWaker: Waker?

    /// - Parameters:
    ///   - connectionsPerWorker: Slots of each worker.
    ///   - controlWaker: Wakes the acceptor; nil where there is none.
    ///   - keySampling: One request in so many is looked at for hot keys, while that is on.
    ///   - storeStatistics: Asked for every `stats`, from any worker's thread.
    public init(
        settings: Settings, connectionsPerWorker: Int, startedAt: Moment,
        controlWaker: Waker? = nil, access: Access = Access(), events: EventLog = .silent,
        keySampling: Int = keySampling, storeStatistics: @escaping @Sendable () -> StoreStatistics
    ) throws(MemoryError) {
        self.settings = settings
        observers = try Observers(sampling: keySampling, prefixEnd: settings.statPrefix)
        self.access = access
        self.events = events
        workerCount = settings.workers
        self.startedAt = startedAt
        self.storeStatistics = storeStatistics
        self.controlWaker = controlWaker
        var mailboxes: [Mailbox] = []
        var rolls: [ConnectionRoll] = []
        for _ in 0..<settings.workers {
            mailboxes.append(try Mailbox(connectionsMax: settings.connectionsMax))
            rolls.append(try ConnectionRoll(slots: connectionsPerWorker))
        }
        self.mailboxes = mailboxes
        self.rolls = rolls
        rows = try Region.map(byteCount: (settings.workers + 1) * Counters.rowBytes)
        latencyRows = try Region.map(byteCount: settings.workers * LatencyRow.bytes)
        latencyScale = try LatencyScale()
        words = try Region.map(byteCount: 4096)
        tuning = try Tuning()
        isAccepting = true
        memoryLimit = settings.memoryBytes
        chosenVerbosity.storeRelaxed(UInt32(clamping: settings.verbosity))
    }

    /// Where watchers are told of evictions from.
    public func watchEvictions(of store: TieredStore) {
        let watchers = observers.watchers
        observers.tapEvictions { isOn in
            guard isOn else { return store.tellEvictions(nil) }
            store.tellEvictions { evicted in
                guard watchers.wants(.evictions) else { return }
                let left = Int64(evicted.expiry) - Int64(evicted.now)
                watchers.add(
                    .evictions,
                    WatchLine.eviction(
                        evicted.key, wasFetched: evicted.wasFetched,
                        ttl: evicted.expiry == 0 ? -1 : left,
                        age: evicted.secondsSinceAccess, bytes: evicted.valueBytes))
            }
        }
    }

    /// Who makes lists of all items; nil: each worker those of its connections, from memory.
    public var itemLists: ItemLists? {
        get { lists.withLock { $0 } }
        set { lists.withLock { $0 = newValue } }
    }

    // MARK: Counting

    func counters(worker: Int) -> Counters { Counters(rows, row: worker) }
    /// The control thread's row.
    var controlCounters: Counters { Counters(rows, row: workerCount) }
    func latency(worker: Int) -> LatencyRow { LatencyRow(latencyRows, row: worker, latencyScale) }
    func roll(worker: Int) -> ConnectionRoll { rolls[worker] }

    /// A counter over all threads.
    public func total(_ name: String) -> UInt64? {
        Counter.allCases.first { "\($0)" == name }.map { total($0) }
    }

    func total(_ counter: Counter) -> UInt64 {
        (0...workerCount).reduce(0) { $0 &+ Counters(rows, row: $1).value(counter) }
    }

    /// `stats reset`.
    func resetCounters() {
        observers.resetPrefixes()
        for worker in 0..<workerCount { latency(worker: worker).reset() }
        for row in 0...workerCount {
            for counter in Counter.allCases { Counters(rows, row: row).reset(counter) }
        }
    }

    /// Connections that are open, or handed over and about to be.
    public var connectionCount: Int { mailboxes.reduce(0) { $0 + $1.connectionCount } }

    // MARK: What may change

    /// What operators may order beside the protocol.
    func enable(_ orders: OperatorOrders) { self.orders.withLock { $0 = orders } }

    var operatorOrders: OperatorOrders? { orders.withLock { $0 } }

    /// Reads the settings again, as a hangup does. Any thread but a worker's.
    public func reloadSettings() -> ReloadOutcome { operatorOrders?.reload() ?? .nothing }

    /// flush_all, of no client; false if it is forbidden.
    public func flush() -> Bool {
        guard !settings.refused.contains(.flushing), let orders = operatorOrders else {
            return false
        }
        orders.flush()
        return true
    }

    /// The settings as they are now, by whatever changed them. Any thread but a worker's.
    public var settingsNow: Settings {
        var now = operatorOrders?.settings() ?? settings
        now.memoryBytes = memoryLimit
        now.verbosity = verbosity
        return now
    }

    /// What the process may use, in bytes: `-m`, or less since a cache_memlimit.
    var memoryLimit: Int {
        get { Int(words.atomic64(at: 448).loadRelaxed()) }
        set { words.atomic64(at: 448).storeRelaxed(UInt64(newValue)) }
    }

    private var chosenVerbosity: AtomicWord32 { words.atomic32(at: 512) }
    public var verbosity: Int { Int(chosenVerbosity.loadRelaxed()) }

    /// The log says more, or less, from now on.
    public func setVerbosity(_ level: UInt64) {
        let level = Int(min(level, UInt64(Settings.verbosityRange.upperBound)))
        chosenVerbosity.storeRelaxed(UInt32(level))
        events.setThreshold(EventLog.Level(verbosity: level))
    }

    // MARK: For those who watch

    /// Where in its life the server is; the control thread says so.
    public internal(set) var phase: ServerPhase {
        get { ServerPhase(rawValue: words.atomic32(at: 4032).loadAcquire()) ?? .starting }
        set {
            words.atomic32(at: 4032).storeRelease(newValue.rawValue)
            if newValue == .stopping { noteDrain() }
        }
    }

    /// Takes the server from one phase to another; false if it was not in the first. Any thread.
    public func changePhase(from before: ServerPhase, to after: ServerPhase) -> Bool {
        guard words.atomic32(at: 4032).replace(before.rawValue, with: after.rawValue) else {
            return false
        }
        switch after {
        case .draining: noteDrain()
        case .serving: drainBegan.storeRelaxed(0)
        default: break
        }
        return true
    }

    private var drainBegan: AtomicWord64 { words.atomic64(at: 576) }

    /// It is not ready any more, as of now, if that is news.
    private func noteDrain() {
        guard drainBegan.loadRelaxed() == 0 else { return }
        drainBegan.storeRelaxed(max(Self.now().nanoseconds, 1))
        words.atomic64(at: 640).add(1)
    }

    /// Times that the server began to drain, or to stop.
    var drainCount: UInt64 { words.atomic64(at: 640).loadRelaxed() }

    /// For how long it has drained; 0 while it serves.
    func drainNanoseconds(at now: Moment) -> UInt64 {
        let began = drainBegan.loadRelaxed()
        return began == 0 || now.nanoseconds < began ? 0 : now.nanoseconds - began
    }

    /// Times that the admin port had to listen anew; its own thread counts.
    public var adminRestarts: UInt64 {
        get { words.atomic64(at: 704).loadRelaxed() }
        set { words.atomic64(at: 704).storeRelaxed(newValue) }
    }

    /// Turns that each worker has begun. One that does not count for seconds stands still: each has
    /// a timer of a second.
    public var turnCounts: [UInt64] {
        (0..<workerCount).map { counters(worker: $0).value(.turns) }
    }

    /// Connections of each worker.
    public var connectionCounts: [Int] { mailboxes.map(\.connectionCount) }

    /// Whether the index is being refilled.
    public var isRecovering: Bool { storeStatistics().isRecovering == 1 }
    var recoveryState: (isRecovering: Bool, items: UInt64) {
        let store = storeStatistics()
        return (store.isRecovering == 1, store.items)
    }

    /// The system's clocks, as the server's own times are taken.
    public static func now() -> Moment { TimeSource.system.now() }

    /// The keys that are asked for most, with about how many requests each had; counted from the
    /// first call on.
    public func hotKeys(_ count: Int) -> [(key: String, requests: Int)] {
        if !observers.countsKeys { observers.counts(keys: true) }
        return observers.hotKeys(count)
    }

    // MARK: Wishes

    /// When a worker last found nothing left of such memory, in nanoseconds of the monotonic
    /// clock; 0 for never. All workers share it, so each of them looks whether somebody of its own
    /// occupies some and stands still.
    func wantedAt(_ memory: SharedMemory) -> UInt64 { wish(memory).loadRelaxed() }
    /// How many connections of that worker waited for it then.
    func wantedCount(_ memory: SharedMemory) -> Int {
        Int(clamping: wishCount(memory).loadRelaxed())
    }
    func want(_ memory: SharedMemory, for count: Int, at nanoseconds: UInt64) {
        wishCount(memory).storeRelaxed(UInt64(clamping: count))
        wish(memory).storeRelaxed(max(nanoseconds, 1))
    }
    /// Nobody of a worker waits for it any more: whoever does elsewhere says so again.
    func endWant(_ memory: SharedMemory) { wish(memory).storeRelaxed(0) }
    private func wish(_ memory: SharedMemory) -> AtomicWord64 {
        words.atomic64(at: 192 + 64 * memory.rawValue)
    }
    private func wishCount(_ memory: SharedMemory) -> AtomicWord64 {
        words.atomic64(at: 200 + 64 * memory.rawValue)
    }

    // MARK: Accepting

    private var waiting: AtomicWord32 { words.atomic32(at: 0) }
    private var closings: AtomicWord32 { words.atomic32(at: 64) }
    private var accepting: AtomicWord32 { words.atomic32(at: 128) }

    /// Whether new connections are accepted; the acceptor says so.
    var isAccepting: Bool {
        get { accepting.loadRelaxed() == 1 }
        set { accepting.storeRelaxed(newValue ? 1 : 0) }
    }

    /// The acceptor begins to wait until a connection closes.
    func beginWaitForClosing() {
        closings.storeSequential(0)
        waiting.storeSequential(1)
    }

    /// Whether one has closed since.
    var hasClosed: Bool { closings.loadSequential() != 0 }

    /// A connection's descriptor is closed. Wakes the acceptor if it waits for that.
    func connectionClosed() {
        guard waiting.loadSequential() == 1 else { return }
        closings.storeSequential(1)
        guard waiting.exchange(0) == 1 else { return }
        controlWaker?.wake()
    }
}
