// ReplayWorker: one thread of a replay: its connections, its ring, its loop.
//
// It takes requests off its queue in the order of the trace and hands each to the connection that
// its key belongs to; what these send and what replies mean is in the two extensions. RunWorker is
// the like for `run`.

internal import Memcache
internal import Primitives
internal import Uring

/// Drives its share of a replay's connections on the thread that makes it.
struct ReplayWorker: ~Copyable, WireDriver {
    typealias Connection = ReplayConnection

    let plan: ReplayPlan
    let board: ReplayBoard
    let index: Int
    let queue: ReplayQueue
    var wire: Wire<ReplayConnection>
    let tables: ReplayTables
    var ledger: ReplayLedger?
    /// The version that was written last.
    var version: UInt32 = 0
    /// Requests taken off the queue, and how many of these, or of the sets that they led to, are
    /// not done with.
    private var taken: UInt64 = 0
    var open = 0
    private var isPaceArmed = false
    private var startedAt: UInt64 = 0
    var counters = ReplayCounters()
    var latencies = ReplayLatencies()
    var firstError: String?

    /// Connects.
    static func make(_ plan: ReplayPlan, _ target: Target, index: Int, _ board: ReplayBoard)
        throws(LoadFailure) -> ReplayWorker
    {
        let numbers = WireSetup.share(of: plan.clientCount, index, plan.threadCount)
        let tables = try ReplayTables(plan, connectionCount: numbers.count, run: board.run)
        var wire = try Wire<ReplayConnection>(
            numbers, tables.buffers, stallSeconds: plan.stallSeconds)
        for _ in numbers {
            wire.connections.append(ReplayConnection(try WireSetup.connect(target)))
        }
        var ledger: ReplayLedger?
        if plan.verifies {
            ledger = try? ReplayLedger()
            guard ledger != nil else { throw .memory(byteCount: ReplayLedger.keysMax * 24) }
        }
        return ReplayWorker(plan, board, index, wire, tables, ledger)
    }

    private init(
        _ plan: ReplayPlan, _ board: ReplayBoard, _ index: Int,
        _ wire: consuming Wire<ReplayConnection>, _ tables: ReplayTables,
        _ ledger: ReplayLedger?
    ) {
        self.plan = plan
        self.board = board
        self.index = index
        queue = board.queues[index]
        self.wire = wire
        self.tables = tables
        self.ledger = ledger
    }

    // MARK: The loop

    /// Runs until the trace is over, the board says stop, or something fails.
    mutating func runToEnd() {
        wire.begin()
        wire.armWake()
        board.isReady(index, wire.ring.waker)
        board.wait(for: .running)
        startedAt = board.startedAt
        wire.now = Clock.monotonicNanoseconds()
        let began = (wire.now, ProcessorTime.ofThisThread(), wire.ring.enterCount)
        while !wire.hasFailed, !isDone, board.phase == .running { turn() }
        wire.close()
        if let failure = wire.failure { board.fail(failure) }
        counters.receivedBytes = wire.receivedBytes
        counters.sentBytes = wire.sentBytes
        counters.enters = wire.ring.enterCount &- began.2
        board.finish(
            ReplayWorkerResult(
                counters: counters, latencies: latencies, intervals: tables.intervals,
                effort: Effort(
                    nanoseconds: Clock.monotonicNanoseconds() &- began.0,
                    processorNanoseconds: ProcessorTime.ofThisThread() &- began.1,
                    firstError: firstError)))
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
        guard wire.submit(waiting: mayWait()) else { return }  // 3. it goes out; replies come in
        queue.wakeUp()
        settle()  // 4. replies are matched to requests
        wire.rearm()  // 5. receives that ended begin again
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
            let slot = plan.connection(of: request.object) &- wire.firstConnection
            guard wire.connections[slot].waiting.count < tables.waiting.capacity else { break }
            tables.waiting.push(request, slot, &wire.connections[slot].waiting)
            open &+= 1
            taken &+= 1
            makeReady(slot)
        }
        queue.release(taken)
    }

    private mutating func armPace(_ nanoseconds: UInt64) {
        guard !isPaceArmed else { return }
        isPaceArmed = true
        wire.armTimer(nanoseconds: nanoseconds)
    }

    /// Whether nothing can be done before something completes or the feed wakes this ring.
    private func mayWait() -> Bool {
        // What is open is under way, or behind something that is.
        guard taken == queue.writtenCount else { return open > 0 || isPaceArmed }
        queue.goToSleep()
        let isClosed = queue.isClosed
        return taken == queue.writtenCount && !(isClosed && open == 0)
    }

    // MARK: What the wire tells

    mutating func didRead(_ slot: Int, wasWaiting: Bool) { makeReady(slot) }
    mutating func didEnd(_ slot: Int, errno code: Int32) { wire.failClosed(slot, errno: code) }
    mutating func didTick() { board.note(counters, of: index) }
    mutating func timerFired(_ generation: UInt32) { isPaceArmed = false }
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
