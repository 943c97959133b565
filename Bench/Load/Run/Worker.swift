// Worker: one thread of the generator: its connections, its ring, its loop.
//
// The loop mirrors the server's: one system call a turn, replies parsed where the kernel put
// them, requests written into a buffer per connection and sent by one operation. What it sends
// and how it reads replies is in the two extensions.

internal import Memcache
internal import Primitives
internal import Uring

/// Drives its share of a run's connections on the thread that makes it.
struct Worker: ~Copyable {
    /// Bytes of an incomplete reply that may have to be kept: a line.
    static let carryBytesMax = 2 * ReplyParser.lineBytesMax
    /// Connections that are served before what they sent is handed over, so that the server
    /// works while the generator does.
    static let sendsPerTurnMax = 8
    static let tickNanoseconds: UInt64 = 50_000_000

    let plan: LoadPlan
    let target: Target
    let board: Board
    let ledger: ValueLedger?
    var ring: KernelRing
    var connections: [Connection]
    /// The number that the first connection of this worker has in the whole run.
    let firstConnection: Int
    let pending: PendingRequests
    let keys: KeyText
    let keySampler: KeySampler
    let commands: CommandSampler
    let space: KeySpace
    /// What values are made of, and how long each is.
    let values: ValueText
    let valueSizes: SizeSampler
    let lookAside: LookAside
    /// Below which part of 2^53 a get goes to a key that is never set.
    let missPart: UInt64
    /// Send buffers, then carry buffers, connection by connection.
    let memory: Region
    let sendBufferBytes: Int
    var ready: [Int] = []
    /// Connections whose receive ended and must be armed again.
    var unarmed: [Int] = []
    /// The moment at which this turn began.
    var now: UInt64 = 0
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
    var failure: LoadFailure? {
        didSet { hasFailed = true }
    }
    /// Whether there is a failure: looked at more often than an optional of its size should be.
    private(set) var hasFailed = false
    private var startedAt: UInt64 = 0
    private var startedProcessorTime: UInt64 = 0
    private var enters: UInt64 = 0
    private var result: WorkerResult?
    private var warmup: WarmUp?

    /// Connects. Operations are shared out evenly among the connections of the whole run.
    static func make(plan: LoadPlan, target: Target, index: Int, board: Board)
        throws(LoadFailure) -> Worker
    {
        let numbers = share(of: plan.clientCount, index, plan.threadCount)
        let tables = try WorkerTables(plan: plan, connectionCount: numbers.count)
        let ring = try makeRing(numbers.count)
        var connections: [Connection] = []
        connections.reserveCapacity(numbers.count)
        for number in numbers where board.phase != .stopped {
            connections.append(try connection(number, plan, target))
        }
        return Worker(plan, target, board, ring, connections, numbers.lowerBound, tables, index)
    }

    private init(
        _ plan: LoadPlan, _ target: Target, _ board: Board, _ ring: consuming KernelRing,
        _ connections: [Connection], _ firstConnection: Int, _ tables: WorkerTables,
        _ index: Int
    ) {
        self.plan = plan
        self.target = target
        self.board = board
        ledger = board.ledger
        run = LatencyRun(meter: board.meter(index))
        isPaced = plan.rate != nil
        queue = DueQueue(capacity: isPaced ? connections.count : 0)
        self.ring = ring
        self.connections = connections
        self.firstConnection = firstConnection
        pending = tables.pending
        keys = tables.keys
        values = tables.values
        lookAside = tables.lookAside
        space = KeySpace(count: plan.keyCount)
        valueSizes = plan.valueSizes
        missPart = UInt64(plan.missRatio * 0x1p53)
        memory = tables.memory
        sendBufferBytes = tables.sendBufferBytes
        keySampler = KeySampler(
            plan.distribution, keyCount: plan.keyCount, connectionCount: UInt64(plan.clientCount))
        commands = CommandSampler(plan.mix)
    }

    /// The numbers of one of `parts` nearly even shares of 0..<count.
    static func share(of count: Int, _ index: Int, _ parts: Int) -> Range<Int> {
        count * index / parts..<count * (index + 1) / parts
    }

    /// A ring for so many connections.
    static func makeRing(_ connections: Int) throws(LoadFailure) -> KernelRing {
        var buffers = 64
        while buffers < 1024, buffers < connections { buffers *= 2 }
        var entries = 256
        while entries < 32768, entries < connections + 16 { entries *= 2 }
        do throws(RingError) {
            return try KernelRing(
                configuration: RingConfiguration(
                    entries: entries, completions: min(max(8192, 2 * entries), 65536),
                    bufferCount: buffers))
        } catch {
            throw .ring(error)
        }
    }

    private static func connection(_ number: Int, _ plan: LoadPlan, _ target: Target)
        throws(LoadFailure) -> Connection
    {
        do throws(SocketError) {
            return Connection(
                socket: try Socket.connected(
                    to: target.address, timeoutMilliseconds: Int(plan.stallSeconds * 1000)),
                random: RandomStream(seed: plan.seed, stream: UInt64(number)),
                position: UInt64(number), quota: .max, requestsLeft: plan.requestsOfConnection)
        } catch {
            throw .unreachable(error)
        }
    }

    /// Operations that a connection begins in the measured phase.
    private func quota(_ slot: Int) -> UInt64 {
        guard case .operations(let count) = plan.length else { return .max }
        let (each, rest) = count.quotientAndRemainder(dividingBy: UInt64(plan.clientCount))
        return each + (UInt64(firstConnection + slot) < rest ? 1 : 0)
    }

    func sendOffset(_ slot: Int) -> Int { slot &* sendBufferBytes }
    func carryOffset(_ slot: Int) -> Int {
        connections.count &* sendBufferBytes &+ slot &* Self.carryBytesMax
    }

    // MARK: The loop

    /// Runs through the phases until the board says stop, or something fails.
    mutating func runToEnd() {
        for slot in connections.indices { armReceive(slot) }
        ring.timeout(
            nanoseconds: Self.tickNanoseconds, token: token(.timeout, Self.tickTimer))
        board.isReady()
        board.wait(while: .connecting)
        now = Clock.monotonicNanoseconds()
        observePhase()
        while phase != .stopped, !hasFailed { turn() }
        for connection in connections { connection.socket.close() }
        if let failure { board.fail(failure) }
        if let result { board.finish(result) }
    }

    private mutating func turn() {
        if phase != .draining { refill() }  // 1. what may be asked is asked
        do throws(RingError) {
            try ring.submit(waiting: true)  // 2. it goes out; replies come in
        } catch {
            failure = .ring(error)
            return
        }
        now = Clock.monotonicNanoseconds()
        counters.turns &+= 1
        observePhase()
        settle()  // 3. replies are matched to requests
        run.flush(into: &latencies)
        publish()
        rearm()  // 4. receives that ended begin again
        if phase == .draining { drain() }
    }

    /// Tells the starter what was counted so far.
    private func publish() {
        run.meter.publish(
            operations: earlier.operations &+ counters.operations,
            hits: earlier.hits &+ counters.hits, misses: earlier.misses &+ counters.misses,
            errors: earlier.errors &+ counters.errors)
    }

    private mutating func settle() {
        let isLimited = plan.refill == .batch && !isPaced && phase != .draining
        let readyMax = isLimited ? Self.sendsPerTurnMax : Int.max
        while ready.count < readyMax, !hasFailed, let completion = ring.nextCompletion() {
            let slot = Int(completion.token.slot)
            switch completion.token.operation {
            case .receive: received(slot, completion)
            case .send: sent(slot, completion.result)
            case .timeout where slot == Self.dueTimer: timerFired(completion.token.generation)
            case .timeout: tick()
            default: break
            }
        }
    }

    private mutating func tick() {
        ring.timeout(
            nanoseconds: Self.tickNanoseconds, token: token(.timeout, Self.tickTimer))
        let limit = UInt64(plan.stallSeconds * 1e9)
        for slot in connections.indices {
            let connection = connections[slot]
            guard connection.outstanding > 0 || connection.isRetiring,
                now > connection.progressAt,
                now - connection.progressAt > limit
            else { continue }
            failure = .stalled(
                connection: firstConnection + slot, outstanding: connection.outstanding,
                request: describeHead(slot, connection), seconds: plan.stallSeconds)
            return
        }
    }

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
        startedAt = isPaced ? board.startInstant : now
        startedProcessorTime = ProcessorTime.ofThisThread()
        enters = ring.enterCount
    }

    /// Begins with every connection idle.
    private mutating func begin() {
        ready.removeAll(keepingCapacity: true)
        queue.removeAll()
        pacing = Pacing()
        if let rate = plan.rate { paces = connections.indices.map { pace($0, rate: rate) } }
        for slot in connections.indices {
            connections[slot].isReady = false
            connections[slot].quota = phase == .measuring ? quota(slot) : .max
            // With fewer operations than connections some have nothing to do.
            if connections[slot].isDone { connectionIsDone() } else { makeReady(slot) }
        }
    }

    /// Waits for measuring to begin, once everything asked in the warm-up is answered.
    private mutating func drain() {
        guard !connections.contains(where: { $0.outstanding > 0 }), !hasFailed else { return }
        board.isDrained()
        board.wait(while: .draining)
        now = Clock.monotonicNanoseconds()
        observePhase()
    }

    private var countedSeconds: Double { Double(now &- min(startedAt, now)) / 1e9 }

    private mutating func endWarmUp() {
        var result = WarmUp()
        result.seconds = countedSeconds
        result.counters = counters
        result.counters.enters = ring.enterCount &- enters
        result.latencies = latencies
        warmup = result
    }

    /// Notes what was measured so far as the result; the last note counts.
    private mutating func endMeasuring() {
        guard result == nil else { return }
        counters.enters = ring.enterCount &- enters
        if isPaced { closeSchedule() }
        publish()
        result = WorkerResult(
            counters: counters, latencies: latencies, nanoseconds: now &- min(startedAt, now),
            processorNanoseconds: ProcessorTime.ofThisThread() &- startedProcessorTime,
            firstError: firstError, pacing: isPaced ? pacing : nil, warmup: warmup)
    }

    /// One connection has had all its operations answered.
    mutating func connectionIsDone() {
        doneCount &+= 1
        guard doneCount == connections.count, !isDone else { return }
        isDone = true
        if phase == .measuring {
            now = Clock.monotonicNanoseconds()
            run.flush(into: &latencies)
            endMeasuring()
        }
        board.isDone()
    }

    // MARK: Receives

    /// How a connection that ended is named: in the middle of a reply, or between two.
    func closed(_ slot: Int, errno code: Int32) -> LoadFailure {
        let connection = connections[slot]
        let isWithin = connection.carried > 0 || connection.keyIndex > 0
        guard isWithin, connection.outstanding > 0 else {
            return .closed(
                connection: firstConnection + slot, outstanding: connection.outstanding,
                errno: code)
        }
        return .cutOff(
            connection: firstConnection + slot, request: describeHead(slot, connection),
            errno: code)
    }

    func token(_ operation: Token.Operation, _ slot: Int) -> Token {
        Token(operation, slot: UInt32(truncatingIfNeeded: slot), generation: 0)
    }

    mutating func armReceive(_ slot: Int) {
        ring.receive(connections[slot].socket, token: token(.receive, slot))
    }

    private mutating func rearm() {
        guard !unarmed.isEmpty else { return }
        for slot in unarmed { armReceive(slot) }
        unarmed.removeAll(keepingCapacity: true)
    }
}
