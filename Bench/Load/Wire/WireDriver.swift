// WireDriver: what asks and understands, on top of a wire that carries.
//
// The two drivers, RunWorker and ReplayWorker, choose requests and judge answers; all between a
// driver and its sockets is here, once: the turn's phases, sending, and reading replies where the
// kernel put them. Only a reply that two receives share is copied, into the carry buffer. The
// extension is specialised for each driver inside this module, so that the border costs nothing.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

/// The owner of a wire.
protocol WireDriver: ~Copyable {
    associatedtype Connection: WireConnection
    var wire: Wire<Connection> { get set }

    /// Puts a connection on the list of those that may send, if it may.
    mutating func makeReady(_ slot: Int)
    /// Writes the requests that a connection sends next.
    mutating func write(
        _ slot: Int, _ connection: inout Connection, at instant: UInt64,
        to writer: inout ByteWriter)
    /// Reads replies until `end` is reached or passed. Returns the bytes that are done with.
    /// Has a default, for the text protocols.
    mutating func parse(
        _ bytes: Span<UInt8>, until end: Int, _ slot: Int, _ connection: inout Connection
    ) -> Int
    /// Takes an answer, or a part of one, to the oldest request under way, of which there is one.
    mutating func match(
        _ answer: Answer, _ bytes: Span<UInt8>, _ slot: Int, _ connection: inout Connection)
    /// What came on a connection was read; it had requests under way before, or not.
    mutating func didRead(_ slot: Int, wasWaiting: Bool)
    /// A connection has ended (errno 0) or broken.
    mutating func didEnd(_ slot: Int, errno code: Int32)
    /// About twenty times a second.
    mutating func didTick()
    /// A timer of the driver's own.
    mutating func timerFired(_ generation: UInt32)
    /// The oldest request under way, for a message.
    func describeHead(_ slot: Int, _ connection: Connection) -> String
}

extension WireDriver where Self: ~Copyable {
    // MARK: Phases of a turn

    /// Writes and sends requests for every connection that may have more.
    mutating func refill() {
        guard !wire.ready.isEmpty else { return }
        for slot in wire.ready {
            wire.connections[slot].link.isReady = false
            if !wire.connections[slot].link.isSending { send(slot) }
        }
        wire.ready.removeAll(keepingCapacity: true)
    }

    /// Takes what has finished, until so many connections may send.
    mutating func settle(readyMax: Int = .max) {
        while wire.ready.count < readyMax, !wire.hasFailed,
            let completion = wire.ring.nextCompletion()
        {
            let slot = Int(completion.token.slot)
            switch completion.token.operation {
            case .receive: received(slot, completion)
            case .send: sent(slot, completion.result)
            case .timeout where slot == WireSetup.tickTimer: tick()
            case .timeout: timerFired(completion.token.generation)
            case .wake: wire.armWake()
            default: break
            }
        }
    }

    private mutating func tick() {
        wire.armTick()
        didTick()
        let limit = UInt64(wire.stallSeconds * 1e9)
        for slot in wire.connections.indices {
            let connection = wire.connections[slot]
            let link = connection.link
            guard link.outstanding > 0 || link.isRetiring, wire.now > link.progressAt,
                wire.now - link.progressAt > limit
            else { continue }
            wire.failure = .stalled(
                connection: wire.firstConnection + slot, outstanding: link.outstanding,
                request: describeHead(slot, connection), seconds: wire.stallSeconds)
            return
        }
    }

    // MARK: Sending

    /// Writes and sends what a connection asks next. Returns whether there was anything.
    @discardableResult
    mutating func send(_ slot: Int) -> Bool {
        var connection = wire.connections[slot]
        var writer = wire.buffers.writer(slot)
        let instant = Clock.monotonicNanoseconds()
        if connection.link.outstanding == 0 { connection.link.progressAt = instant }
        write(slot, &connection, at: instant, to: &writer)
        precondition(!writer.overflowed, "the driver writes no more than there is room for")
        wire.connections[slot] = connection
        guard writer.count > 0 else { return false }
        wire.send(slot, count: writer.count)
        return true
    }

    /// A send took less than everything: the rest follows when there is room.
    private mutating func sent(_ slot: Int, _ result: Int32) {
        guard result >= 0 || result == -EAGAIN else {
            return wire.failClosed(slot, errno: -result)
        }
        if wire.finishSend(slot, result) { makeReady(slot) }
    }

    // MARK: Receiving

    private mutating func received(_ slot: Int, _ completion: Completion) {
        if let id = completion.buffer {
            if completion.result > 0 {
                take(slot, wire.ring.bufferOffset(id), Int(completion.result))
            }
            wire.ring.lendBuffer(id)
        }
        if !wire.hasFailed, completion.result <= 0, completion.result != -ENOBUFS {
            didEnd(slot, errno: -completion.result)
        }
        if !completion.isArmed { wire.noteUnarmed(slot) }
    }

    /// Reads `count` bytes that came on a connection.
    private mutating func take(_ slot: Int, _ offset: Int, _ count: Int) {
        wire.receivedBytes &+= UInt64(count)
        var connection = wire.connections[slot]
        connection.link.progressAt = wire.now
        let wasWaiting = connection.link.outstanding > 0
        let buffers = wire.ring.buffers
        var position = 0
        if connection.link.carriedBytes > 0 {
            position = takeCarried(slot, &connection, buffers, offset, count)
        }
        while position < count, !wire.hasFailed {
            let used = buffers.withBytes(offset &+ position, count &- position) { bytes in
                parse(bytes, until: bytes.count, slot, &connection)
            }
            guard used > 0 else { break }
            position &+= used
        }
        if position < count, !wire.hasFailed {
            keep(slot, &connection, buffers, offset &+ position, count &- position)
        }
        wire.connections[slot] = connection
        didRead(slot, wasWaiting: wasWaiting)
    }

    /// Completes the reply in the carry buffer. Returns how many of the new bytes were used.
    private mutating func takeCarried(
        _ slot: Int, _ connection: inout Connection, _ buffers: Region, _ offset: Int,
        _ count: Int
    ) -> Int {
        let memory = wire.buffers.memory
        let old = connection.link.carriedBytes
        let added = min(count, WireBuffers.carryBytesMax &- old)
        let start = wire.buffers.carryOffset(slot)
        memory.copy(from: buffers, at: offset, to: start &+ old, count: added)
        let used = memory.withBytes(start, old &+ added) { bytes in
            parse(bytes, until: old, slot, &connection)
        }
        if used >= old {
            connection.link.carriedBytes = 0
            return used &- old
        }
        memory.copy(from: memory, at: start &+ used, to: start, count: old &+ added &- used)
        connection.link.carriedBytes = old &+ added &- used
        return added
    }

    private mutating func keep(
        _ slot: Int, _ connection: inout Connection, _ buffers: Region, _ offset: Int,
        _ count: Int
    ) {
        let old = connection.link.carriedBytes
        guard count <= WireBuffers.carryBytesMax &- old else {
            return fail(slot, connection, "an endless line", reply: "")
        }
        wire.buffers.memory.copy(
            from: buffers, at: offset, to: wire.buffers.carryOffset(slot) &+ old, count: count)
        connection.link.carriedBytes = old &+ count
    }

    mutating func parse(
        _ bytes: Span<UInt8>, until end: Int, _ slot: Int, _ connection: inout Connection
    ) -> Int {
        parseText(bytes, until: end, slot, &connection)
    }

    /// Reads replies of the text protocols.
    mutating func parseText(
        _ bytes: Span<UInt8>, until end: Int, _ slot: Int, _ connection: inout Connection
    ) -> Int {
        var position = 0
        while position < end {
            let rest = bytes.extracting(position..<bytes.count)
            switch connection.link.parser.next(rest) {
            case .answer(let answer, let consumed):
                guard connection.link.outstanding > 0 else {
                    fail(slot, connection, "nothing was asked", reply: excerpt(of: rest))
                    return position
                }
                match(answer, rest, slot, &connection)
                guard !wire.hasFailed else { return position }
                position &+= consumed
            case .needMore:
                return position
            case .fault(let fault):
                fail(slot, connection, "\(fault)", reply: excerpt(of: rest))
                return position
            }
        }
        return position
    }

    // MARK: Failures

    /// A connection got a reply that it should not have got.
    mutating func fail(
        _ slot: Int, _ connection: Connection, _ reason: String, reply: String
    ) {
        wire.failure = .wrongReply(
            connection: wire.firstConnection + slot, request: describeHead(slot, connection),
            reply: reply, reason: reason)
    }
}

/// The first bytes of a reply, up to its line end, as printable text.
func excerpt(of bytes: Span<UInt8>) -> String {
    var text = "\""
    var index = 0
    while index < min(bytes.count, 80), bytes[index] != 0x0A {
        let byte = bytes[index]
        if byte != 0x0D {
            text +=
                byte >= 0x20 && byte < 0x7F
                ? String(UnicodeScalar(byte)) : "\\x" + String(byte, radix: 16)
        }
        index += 1
    }
    return text + "\""
}
