// ReplayWorker: one thread of a replay: its connections, its ring, its loop.
//
// It takes requests off its queue in the order of the trace and hands each to the connection that
// its key belongs to. Worker is the like for `run`; what is sent and how replies are read is in
// the two extensions.

internal import Memcache
internal import Primitives
internal import Uring

/// Drives its share of a replay's connections on the thread that makes it.
struct ReplayWorker: ~Copyable {
    static let tickNanoseconds: UInt64 = 50_000_000
    /// Slots of timeouts: the tick, and the moment at which the next request is due.
    static let (tickSlot, paceSlot) = (0, 1)

    let plan: ReplayPlan
    let board: ReplayBoard
    let index: Int
    let queue: ReplayQueue
    var ring: KernelRing
    var connections: [ReplayConnection]
    /// The number that the first connection of this worker has in the whole run.
    let firstConnection: Int
    let tables: ReplayTables
    var ledger: ReplayLedger?
    /// The version that was written last.
    var version: UInt32 = 0
    var ready: [Int] = []
    /// Connections whose receive ended and must be armed again.
    var unarmed: [Int] = []
    /// The moment at which this turn began.
    var now: UInt64 = 0
    /// Requests taken off the queue, and how many of these, or of the sets that they led to, are
    /// not done with.
    private var taken: UInt64 = 0
    var open = 0
    private var isPaceArmed = false
    private var startedAt: UInt64 = 0
    var counters = ReplayCounters()
    var latencies = ReplayLatencies()
    var firstError: String?
    var failure: LoadFailure? {
        didSet { hasFailed = true }
    }
    private(set) var hasFailed = false

    /// Connects.
    static func make(_ plan: ReplayPlan, _ target: Target, index: Int, _ board: ReplayBoard)
        throws(LoadFailure) -> ReplayWorker
    {
        let numbers = Worker.share(of: plan.clientCount, index, plan.threadCount)
        let tables = try ReplayTables(plan, connectionCount: numbers.count, run: board.run)
        let ring = try Worker.makeRing(numbers.count)
        var connections: [ReplayConnection] = []
        connections.reserveCapacity(numbers.count)
        for _ in numbers {
            do throws(SocketError) {
                connections.append(
                    ReplayConnection(socket: try Socket.connected(to: target.address)))
            } catch {
                throw .unreachable(error)
            }
        }
        var ledger: ReplayLedger?
        if plan.verifies {
            ledger = try? ReplayLedger()
            guard ledger != nil else { throw .memory(byteCount: ReplayLedger.keysMax * 24) }
        }
        return ReplayWorker(
            plan, board, index, ring, connections, numbers.lowerBound, tables, ledger)
    }

    private init(
        _ plan: ReplayPlan, _ board: ReplayBoard, _ index: Int, _ ring: consuming KernelRing,
        _ connections: [ReplayConnection], _ firstConnection: Int, _ tables: ReplayTables,
        _ ledger: ReplayLedger?
    ) {
        self.plan = plan
        self.board = board
        self.index = index
        queue = board.queues[index]
        self.ring = ring
        self.connections = connections
        self.firstConnection = firstConnection
        self.tables = tables
        self.ledger = ledger
        ready.reserveCapacity(connections.count)
        unarmed.reserveCapacity(connections.count)
    }

    // MARK: The loop

    /// Runs until the trace is over, the board says stop, or something fails.
    mutating func runToEnd() {
        for slot in connections.indices { armReceive(slot) }
        ring.timeout(nanoseconds: Self.tickNanoseconds, token: token(.timeout, Self.tickSlot))
        ring.armWake(token: token(.wake, 0))
        board.isReady(index, ring.waker)
        board.wait(for: .running)
        startedAt = board.startedAt
        now = Clock.monotonicNanoseconds()
        let began = (now, ProcessorTime.ofThisThread(), ring.enterCount)
        while !hasFailed, !isDone, board.phase == .running { turn() }
        for connection in connections { connection.socket.close() }
        if let failure { board.fail(failure) }
        counters.enters = ring.enterCount &- began.2
        board.finish(
            ReplayWorkerResult(
                counters: counters, latencies: latencies, intervals: tables.intervals,
                nanoseconds: Clock.monotonicNanoseconds() &- began.0,
                processorNanoseconds: ProcessorTime.ofThisThread() &- began.1,
                firstError: firstError))
        // The feed may still wake this ring.
        board.wait(for: .ended)
    }

    /// Whether every request of the trace is done with.
    private var isDone: Bool {
        // Closed first: what was written before the end is then seen.
        open == 0 && queue.isClosed && taken == queue.writtenCount
    }

    private mutating func turn() {
        take()  // 1. requests that are due go to their connections
        refill()  // 2. what may be asked is asked
        do throws(RingError) {
            try ring.submit(waiting: mayWait())  // 3. it goes out; replies come in
        } catch {
            failure = .ring(error)
            return
        }
        queue.wakeUp()
        now = Clock.monotonicNanoseconds()
        settle()  // 4. replies are matched to requests
        rearm()  // 5. receives that ended begin again
    }

    /// Takes requests in the order of the trace, until one is not due yet or its connection has
    /// enough of them.
    private mutating func take() {
        let written = queue.writtenCount
        let clock = plan.speed == .full ? UInt64.max : Clock.monotonicNanoseconds() &- startedAt
        while taken < written {
            let request = queue.request(at: taken)
            guard request.dueAt <= clock else {
                armPace(request.dueAt &- clock)
                break
            }
            let slot = plan.connection(of: request.object) &- firstConnection
            guard connections[slot].queued < tables.backlog else { break }
            tables.enqueue(request, slot, &connections[slot])
            open &+= 1
            taken &+= 1
            makeReady(slot)
        }
        queue.release(taken)
    }

    private mutating func armPace(_ nanoseconds: UInt64) {
        guard !isPaceArmed else { return }
        isPaceArmed = true
        ring.timeout(nanoseconds: nanoseconds, token: token(.timeout, Self.paceSlot))
    }

    /// Whether nothing can be done before something completes or the feed wakes this ring.
    private func mayWait() -> Bool {
        // What is open is under way, or behind something that is.
        guard taken == queue.writtenCount else { return open > 0 || isPaceArmed }
        queue.goToSleep()
        let isClosed = queue.isClosed
        return taken == queue.writtenCount && !(isClosed && open == 0)
    }

    private mutating func settle() {
        while !hasFailed, let completion = ring.nextCompletion() {
            let slot = Int(completion.token.slot)
            switch completion.token.operation {
            case .receive: received(slot, completion)
            case .send: sent(slot, completion.result)
            case .timeout where slot == Self.tickSlot: tick()
            case .timeout: isPaceArmed = false
            case .wake: ring.armWake(token: token(.wake, 0))
            default: break
            }
        }
    }

    private mutating func tick() {
        ring.timeout(nanoseconds: Self.tickNanoseconds, token: token(.timeout, Self.tickSlot))
        board.note(counters, of: index)
        let limit = UInt64(plan.stallSeconds * 1e9)
        for slot in connections.indices {
            let connection = connections[slot]
            guard connection.outstanding > 0, now > connection.progressAt,
                now - connection.progressAt > limit
            else { continue }
            failure = .stalled(
                connection: firstConnection + slot, outstanding: connection.outstanding,
                request: describeHead(slot, connection), seconds: plan.stallSeconds)
            return
        }
    }

    // MARK: Receives

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

extension ReplayPlan {
    /// The connection, of the whole run's, over which every request for an object goes.
    @inline(__always)
    func connection(of object: UInt64) -> Int {
        // Not the bits that choose its place in the tables.
        let mixed = RandomStream.mix(object ^ 0xD6E8_FEB8_6659_FD93)
        return Int(mixed.multipliedFullWidth(by: UInt64(clientCount)).high)
    }
}
