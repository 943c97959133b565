// ReplayConnection: the state of one connection of a replay, and the tables of all of a worker's.

internal import Memcache
internal import Primitives
internal import Uring

/// A request under way.
struct ReplayEntry: BitwiseCopyable {
    var request = TraceRequest()
    /// When it was sent, or due.
    var sentAt: UInt64 = 0
    /// The version that it writes, where values are verified.
    var version: UInt32 = 0
}

/// What a replay keeps of one connection; a trivial value in the wire's table.
struct ReplayConnection: WireConnection {
    var link: Link
    /// Requests of the trace that wait their turn, in a ring of their own.
    var queueHead = 0
    var queued = 0
    /// Sets that misses ask for, in another; they go first.
    var fillHead = 0
    var fills = 0
    /// Whether the head request has been answered with a value.
    var hasValue = false
    var valueBytes = 0
    var value = ValueReader()
    var short = ShortValueReader()

    init(_ socket: Socket) { link = Link(socket) }
}

/// Memory of one worker, by the plan and the count of its connections.
struct ReplayTables: BitwiseCopyable {
    let depth: Int
    /// Requests of the trace that a connection may have waiting.
    let backlog: Int
    let pending: Table<ReplayEntry>
    private let waiting: Table<TraceRequest>
    private let fills: Table<TraceRequest>
    let keys: ReplayKeyText
    let values: ReplayValues
    let intervals: ReplayIntervals
    let buffers: WireBuffers

    init(_ plan: ReplayPlan, connectionCount: Int, run: UInt32) throws(LoadFailure) {
        depth = plan.depth
        backlog = max(2 * plan.depth, 16)
        do throws(MemoryError) {
            pending = try Table(count: connectionCount * plan.depth)
            waiting = try Table(count: connectionCount * backlog)
            fills = try Table(count: connectionCount * plan.depth)
            keys = try ReplayKeyText()
            values = try ReplayValues(
                byteCountMax: plan.valueBytesMax, run: run, isChecked: plan.verifies)
            intervals = try ReplayIntervals()
            buffers = try WireBuffers(
                connectionCount: connectionCount, sendBytesMax: plan.sendBufferBytes)
        } catch {
            throw .memory(
                byteCount: WireBuffers.byteCount(
                    connectionCount: connectionCount, sendBytesMax: plan.sendBufferBytes))
        }
    }

    /// The place of the request `index` behind the oldest of a connection.
    @inline(__always)
    func entry(_ slot: Int, _ link: Link, _ index: Int) -> Int {
        slot &* depth &+ link.place(index, in: depth)
    }

    @inline(__always)
    func enqueue(_ request: TraceRequest, _ slot: Int, _ connection: inout ReplayConnection) {
        let place = (connection.queueHead &+ connection.queued) % backlog
        waiting[slot &* backlog &+ place] = request
        connection.queued &+= 1
    }
    @inline(__always)
    func nextQueued(_ slot: Int, _ connection: ReplayConnection) -> TraceRequest {
        waiting[slot &* backlog &+ connection.queueHead]
    }
    @inline(__always)
    func dropQueued(_ connection: inout ReplayConnection) {
        connection.queueHead = (connection.queueHead &+ 1) % backlog
        connection.queued &-= 1
    }

    func enqueueFill(_ request: TraceRequest, _ slot: Int, _ connection: inout ReplayConnection) {
        precondition(connection.fills < depth, "each comes from a request that was under way")
        let place = (connection.fillHead &+ connection.fills) % depth
        fills[slot &* depth &+ place] = request
        connection.fills &+= 1
    }
    func nextFill(_ slot: Int, _ connection: ReplayConnection) -> TraceRequest {
        fills[slot &* depth &+ connection.fillHead]
    }
    func dropFill(_ connection: inout ReplayConnection) {
        connection.fillHead = (connection.fillHead &+ 1) % depth
        connection.fills &-= 1
    }
}
