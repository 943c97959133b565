// RunWorker: one thread of the generator in a run: its loop, its phases, and what it counts.
//
// The loop mirrors the server's: one system call a turn, replies parsed where the kernel put
// them, requests written into a buffer per connection and sent by one operation. Its wire does
// this; what is asked and what replies mean is in the extensions.

internal import Memcache
internal import Primitives
internal import Uring

/// Drives its share of a run's connections on the thread that makes it.
struct RunWorker: ~Copyable, WireDriver {
    typealias Connection = RunConnection

    /// Connections that are served before what they sent is handed over, so that the server
    /// works while the generator does.
    static let sendsPerTurnMax = 8

    let plan: LoadPlan
    let target: Target
    let board: Board
    let ledger: ValueLedger?
    var wire: Wire<RunConnection>
    let pending: PendingRequests
    let keys: KeyText
    let keySampler: KeySampler
    let commands: CommandSampler
    let space: KeySpace
    /// What values are made of, and how long each is.
    let values: ValueText
    let valueSizes: SizeSampler
    let lookAside: Rings<UInt32>
    /// Below which part of 2^53 a get goes to a key that is never set.
    let missPart: UInt64
    var phase = Board.Phase.connecting
    var counters = Counters()
    var latencies = Latencies()
    var run: LatencyRun
    /// What was counted in phases that are over, so that the meter never goes down.
    private var earlier = Counters()
    /// The open loop; unused in a closed one.
    let isPaced: Bool
    var paces: [Pace] = []
    var queue: DueQueue
    var pacing = Pacing()
    /// When the last timer set for the queue fires, .max if it has, and its number.
    var timerDue = UInt64.max
    var timerCount: UInt32 = 0
    var doneCount = 0
    var isDone = false
    var firstError: String?
    private var startedAt: UInt64 = 0
    private var startedProcessorTime: UInt64 = 0
    private var enters: UInt64 = 0
    private var result: WorkerResult?
    private var warmup: WarmUp?

    /// Connects. Operations are shared out evenly among the connections of the whole run.
    static func make(plan: LoadPlan, target: Target, index: Int, board: Board)
        throws(LoadFailure) -> RunWorker
    {
        let numbers = WireSetup.share(of: plan.clientCount, index, plan.threadCount)
        let tables = try RunTables(plan: plan, connectionCount: numbers.count)
        var wire = try Wire<RunConnection>(
            numbers, tables.buffers, stallSeconds: plan.stallSeconds)
        for number in numbers where board.phase != .stopped {
            wire.connections.append(
                RunConnection(
                    try WireSetup.connect(target, seconds: plan.stallSeconds),
                    random: RandomStream(seed: plan.seed, stream: UInt64(number)),
                    position: UInt64(number), requestsLeft: plan.requestsOfConnection))
        }
        return RunWorker(plan, target, board, wire, tables, index)
    }

    private init(
        _ plan: LoadPlan, _ target: Target, _ board: Board,
        _ wire: consuming Wire<RunConnection>, _ tables: RunTables, _ index: Int
    ) {
        self.plan = plan
        self.target = target
        self.board = board
        ledger = board.ledger
        run = LatencyRun(meter: board.meter(index))
        isPaced = plan.rate != nil
        queue = DueQueue(capacity: isPaced ? wire.connections.count : 0)
        self.wire = wire
        pending = tables.pending
        keys = tables.keys
        values = tables.values
        lookAside = tables.lookAside
        space = KeySpace(count: plan.keyCount)
        valueSizes = plan.valueSizes
        missPart = UInt64(plan.missRatio * 0x1p53)
        keySampler = KeySampler(
            plan.distribution, keyCount: plan.keyCount, connectionCount: UInt64(plan.clientCount))
        commands = CommandSampler(plan.mix)
    }

    /// Operations that a connection begins in the measured phase.
    private func quota(_ slot: Int) -> UInt64 {
        guard case .operations(let count) = plan.length else { return .max }
        let (each, rest) = count.quotientAndRemainder(dividingBy: UInt64(plan.clientCount))
        return each + (UInt64(wire.firstConnection + slot) < rest ? 1 : 0)
    }

    // MARK: The loop

    /// Runs through the phases until the board says stop, or something fails.
    mutating func runToEnd() {
        wire.begin()
        board.isReady()
        board.wait(while: .connecting)
        wire.now = Clock.monotonicNanoseconds()
        observePhase()
        while phase != .stopped, !wire.hasFailed { turn() }
        wire.close()
        if let failure = wire.failure { board.fail(failure) }
        if let result { board.finish(result) }
    }

    private mutating func turn() {
        if phase != .draining { sendAll() }  // 1. what may be asked is asked
        guard wire.submit(waiting: true) else { return }  // 2. it goes out; replies come in
        counters.turns &+= 1
        observePhase()
        let isLimited = plan.refill == .batch && !isPaced && phase != .draining
        settle(readyMax: isLimited ? Self.sendsPerTurnMax : .max)  // 3. replies meet requests
        run.flush(into: &latencies)
        publish()
        wire.rearm()  // 4. receives that ended begin again
        if phase == .draining { drain() }
    }

    /// Tells the starter what was counted so far.
    private func publish() {
        run.meter.publish(
            operations: earlier.operations &+ counters.operations,
            hits: earlier.hits &+ counters.hits, misses: earlier.misses &+ counters.misses,
            errors: earlier.errors &+ counters.errors)
    }

    mutating func didTick() {}

    /// Follows the board: counting begins and ends between two turns.
    private mutating func observePhase() {
        let current = board.phase
        guard current != phase else { return }
        run.flush(into: &latencies)
        let last = phase
        if last == .warming { endWarmUp() }
        if last == .measuring { endMeasuring() }
        phase = current
        guard current == .warming || current == .measuring else { return }
        beginCounting()
        // Between a warm-up and measuring, a closed loop that ends by the clock goes on.
        if last != .warming { begin() }
    }

    private mutating func beginCounting() {
        earlier += counters
        counters = Counters()
        latencies = Latencies()
        startedAt = isPaced ? board.startInstant : wire.now
        startedProcessorTime = ProcessorTime.ofThisThread()
        enters = wire.ring.enterCount
        wire.receivedBytes = 0
        wire.sentBytes = 0
    }

    /// Begins with every connection idle.
    private mutating func begin() {
        wire.ready.removeAll(keepingCapacity: true)
        queue.removeAll()
        pacing = Pacing()
        if let rate = plan.rate { paces = wire.connections.indices.map { pace($0, rate: rate) } }
        for slot in wire.connections.indices {
            wire.connections[slot].link.isReady = false
            wire.connections[slot].quota = phase == .measuring ? quota(slot) : .max
            // With fewer operations than connections some have nothing to do.
            if wire.connections[slot].isDone { connectionIsDone() } else { makeReady(slot) }
        }
    }

    /// Waits for measuring to begin, once everything asked in the warm-up is answered.
    private mutating func drain() {
        guard !wire.connections.contains(where: { $0.link.outstanding > 0 }), !wire.hasFailed else {
            return
        }
        board.isDrained()
        board.wait(while: .draining)
        wire.now = Clock.monotonicNanoseconds()
        observePhase()
    }

    private var countedSeconds: Double { Double(wire.now &- min(startedAt, wire.now)) / 1e9 }

    private mutating func endWarmUp() {
        var result = WarmUp()
        result.seconds = countedSeconds
        countTraffic()
        result.counters = counters
        result.latencies = latencies
        warmup = result
    }

    /// Completes what was counted with what the wire carried.
    private mutating func countTraffic() {
        counters.receivedBytes = wire.receivedBytes
        counters.sentBytes = wire.sentBytes
        counters.enters = wire.ring.enterCount &- enters
    }

    /// Notes what was measured so far as the result; the last note counts.
    private mutating func endMeasuring() {
        guard result == nil else { return }
        countTraffic()
        if isPaced { closeSchedule() }
        publish()
        result = WorkerResult(
            counters: counters, latencies: latencies,
            effort: Effort(
                nanoseconds: wire.now &- min(startedAt, wire.now),
                processorNanoseconds: ProcessorTime.ofThisThread() &- startedProcessorTime,
                firstError: firstError),
            pacing: isPaced ? pacing : nil, warmup: warmup)
    }

    /// One connection has had all its operations answered.
    mutating func connectionIsDone() {
        doneCount &+= 1
        guard doneCount == wire.connections.count, !isDone else { return }
        isDone = true
        if phase == .measuring {
            wire.now = Clock.monotonicNanoseconds()
            run.flush(into: &latencies)
            endMeasuring()
        }
        board.isDone()
    }
}
