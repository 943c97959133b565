// Wire: the ring, the connections and the bytes of one worker, be it of a run or of a replay.
//
// It does not know what is asked, nor what a reply means: that is its driver's (WireDriver).

internal import Primitives
internal import Uring

/// One thread's end of all connections that it drives.
struct Wire<Connection: WireConnection>: ~Copyable {
    var ring: KernelRing
    var connections: [Connection] = []
    let buffers: WireBuffers
    /// The number that the first connection of this worker has among all workers'.
    let firstConnection: Int
    /// A connection that waits longer than this for a reply fails.
    let stallSeconds: Double
    /// Connections that may send.
    var ready: [Int] = []
    /// Connections whose receive ended and must be armed again.
    private var unarmed: [Int] = []
    /// The moment at which this turn began.
    var now: UInt64 = 0
    var receivedBytes: UInt64 = 0
    var sentBytes: UInt64 = 0
    var failure: LoadFailure? {
        didSet { hasFailed = true }
    }
    /// Whether there is a failure: looked at more often than an optional of its size should be.
    private(set) var hasFailed = false

    /// A wire without connections; as many as `numbers` has are to be appended.
    init(_ numbers: Range<Int>, _ buffers: WireBuffers, stallSeconds: Double) throws(LoadFailure) {
        ring = try WireSetup.makeRing(numbers.count)
        self.buffers = buffers
        self.stallSeconds = stallSeconds
        firstConnection = numbers.lowerBound
        connections.reserveCapacity(numbers.count)
        ready.reserveCapacity(numbers.count)
        unarmed.reserveCapacity(numbers.count)
    }

    // MARK: Beginning and end

    /// Waits for replies on all connections from now on, and looks for stalls.
    mutating func begin() {
        for slot in connections.indices { armReceive(slot) }
        armTick()
    }

    func close() {
        for connection in connections { connection.link.socket.close() }
    }

    /// Hands over what was queued and takes what has finished. False if the ring failed.
    mutating func submit(waiting: Bool) -> Bool {
        do throws(RingError) {
            try ring.submit(waiting: waiting)
        } catch {
            failure = .ring(error)
            return false
        }
        now = Clock.monotonicNanoseconds()
        return true
    }

    // MARK: Timers

    mutating func armTick() {
        ring.timeout(
            nanoseconds: WireSetup.tickNanoseconds, token: Self.token(.timeout, WireSetup.tickTimer)
        )
    }

    /// Lets the driver's own timer fire after so long; `generation` comes back with it.
    mutating func armTimer(nanoseconds: UInt64, generation: UInt32 = 0) {
        ring.timeout(
            nanoseconds: nanoseconds,
            token: Token(
                .timeout, slot: UInt32(WireSetup.driverTimer), generation: generation))
    }

    mutating func armWake() { ring.armWake(token: Self.token(.wake, 0)) }

    // MARK: Sending

    /// Sends the first `count` bytes of a connection's buffer.
    @inline(__always)
    mutating func send(_ slot: Int, count: Int) {
        connections[slot].link.sendBytes = count
        connections[slot].link.sentBytes = 0
        sentBytes &+= UInt64(count)
        ring.sendNow(
            connections[slot].link.socket, from: buffers.memory, at: buffers.sendOffset(slot),
            count: count, token: Self.token(.send, slot))
    }

    /// A send has ended early, or the rest of one has gone. Returns whether all is out; if not,
    /// the rest follows when there is room.
    mutating func finishSend(_ slot: Int, _ result: Int32) -> Bool {
        connections[slot].link.sentBytes &+= Int(max(result, 0))
        let link = connections[slot].link
        let left = link.sendBytes &- link.sentBytes
        connections[slot].link.isSending = left > 0
        guard left > 0 else { return true }
        ring.send(
            link.socket, from: buffers.memory, at: buffers.sendOffset(slot) &+ link.sentBytes,
            count: left, token: Self.token(.send, slot))
        return false
    }

    // MARK: Receiving

    private mutating func armReceive(_ slot: Int) {
        ring.receive(connections[slot].link.socket, token: Self.token(.receive, slot))
    }

    /// The receive of a connection has ended; it begins again at the end of the turn.
    mutating func noteUnarmed(_ slot: Int) { unarmed.append(slot) }

    mutating func rearm() {
        guard !unarmed.isEmpty else { return }
        for slot in unarmed { armReceive(slot) }
        unarmed.removeAll(keepingCapacity: true)
    }

    private static func token(_ operation: Token.Operation, _ slot: Int) -> Token {
        Token(operation, slot: UInt32(truncatingIfNeeded: slot), generation: 0)
    }

    // MARK: Failures

    /// The server has ended a connection (errno 0), or it broke.
    mutating func failClosed(_ slot: Int, errno code: Int32) {
        failure = .closed(
            connection: firstConnection + slot,
            outstanding: connections[slot].link.outstanding, errno: code)
    }
}

/// What does not depend on the kind of connection.
enum WireSetup {
    static let tickNanoseconds: UInt64 = 50_000_000
    /// Which timeout of the ring a completion belongs to, in its token's slot.
    static let (tickTimer, driverTimer) = (0, 1)

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

    /// Connects; waits so many seconds for it, 0 for as long as the system does.
    static func connect(_ target: Target, seconds: Double = 0) throws(LoadFailure) -> Socket {
        do throws(SocketError) {
            return try Socket.connected(
                to: target.address, timeoutMilliseconds: Int(seconds * 1000))
        } catch {
            throw .unreachable(error)
        }
    }

    /// The numbers of one of `parts` nearly even shares of 0..<count.
    static func share(of count: Int, _ index: Int, _ parts: Int) -> Range<Int> {
        count * index / parts..<count * (index + 1) / parts
    }
}
