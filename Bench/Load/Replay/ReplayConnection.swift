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

/// One connection; a trivial value in the worker's table.
struct ReplayConnection: BitwiseCopyable {
    let socket: Socket
    var parser = ReplyParser()
    /// The oldest request under way, in its ring of pending ones, and how many there are.
    var head = 0
    var outstanding = 0
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
    /// Bytes of an incomplete reply that are kept until more come.
    var carried = 0
    var sendBytes = 0
    var sentBytes = 0
    var isSending = false
    /// Whether it stands in the list of those that may send.
    var isReady = false
    /// When the last byte came, or the first request of a run of them went.
    var progressAt: UInt64 = 0

    init(socket: Socket) { self.socket = socket }
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
    /// Send buffers of all connections, then their carry buffers.
    let memory: Region
    let sendBufferBytes: Int

    init(_ plan: ReplayPlan, connectionCount: Int, run: UInt32) throws(LoadFailure) {
        depth = plan.depth
        backlog = max(2 * plan.depth, 16)
        sendBufferBytes = plan.sendBufferBytes
        let bytes = (plan.sendBufferBytes + Worker.carryBytesMax) * connectionCount
        do throws(MemoryError) {
            pending = try Table(count: connectionCount * plan.depth)
            waiting = try Table(count: connectionCount * backlog)
            fills = try Table(count: connectionCount * plan.depth)
            keys = try ReplayKeyText()
            values = try ReplayValues(
                byteCountMax: plan.valueBytesMax, run: run, isChecked: plan.verifies)
            intervals = try ReplayIntervals()
            memory = try Region.map(byteCount: bytes)
        } catch {
            throw .memory(byteCount: bytes)
        }
    }

    /// The place of the request `index` behind the first of a connection.
    @inline(__always)
    func entry(_ slot: Int, _ connection: ReplayConnection, _ index: Int) -> Int {
        let place = connection.head &+ index
        return slot &* depth &+ (place >= depth ? place &- depth : place)
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
