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
    /// Requests of the trace that wait their turn.
    var waiting = RingEnds()
    /// Sets that misses ask for; they go first.
    var fills = RingEnds()
    /// Whether the head request has been answered with a value.
    var hasValue = false
    var valueBytes = 0
    var value = ValueReader()
    var short = ShortValueReader()

    init(_ socket: Socket) { link = Link(socket) }
}

/// Memory of one worker, by the plan and the count of its connections.
struct ReplayTables: BitwiseCopyable {
    private let depth: Int
    let pending: Table<ReplayEntry>
    /// Requests of the trace.
    let waiting: Rings<TraceRequest>
    /// Each comes from a request that was under way, so that there are at most `depth` of them.
    let fills: Rings<TraceRequest>
    let keys: ReplayKeyText
    let values: ReplayValues
    let intervals: ReplayIntervals
    let buffers: WireBuffers

    init(_ plan: ReplayPlan, connectionCount: Int, run: UInt32) throws(LoadFailure) {
        depth = plan.depth
        do throws(MemoryError) {
            pending = try Table(count: connectionCount * plan.depth)
            waiting = try Rings(
                connectionCount: connectionCount, capacity: max(2 * plan.depth, 16))
            fills = try Rings(connectionCount: connectionCount, capacity: plan.depth)
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
}
