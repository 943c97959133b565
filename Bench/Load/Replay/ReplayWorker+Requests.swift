// ReplayWorker+Requests: what is asked, in which bytes, and how it is sent.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

extension ReplayWorker {
    /// Puts a connection on the list of those that may send, if it may. At full speed it sends
    /// when all replies are there, so that requests travel together; paced, whenever one more
    /// may be under way.
    mutating func makeReady(_ slot: Int) {
        let connection = connections[slot]
        guard !connection.isReady, !connection.isSending,
            connection.queued &+ connection.fills > 0,
            plan.speed == .full
                ? connection.outstanding == 0 : connection.outstanding < plan.depth
        else { return }
        connections[slot].isReady = true
        ready.append(slot)
    }

    /// Writes and sends requests for every connection that may have more.
    mutating func refill() {
        guard !ready.isEmpty else { return }
        for slot in ready {
            connections[slot].isReady = false
            if !connections[slot].isSending { send(slot) }
        }
        ready.removeAll(keepingCapacity: true)
    }

    private mutating func send(_ slot: Int) {
        var connection = connections[slot]
        let base = slot &* tables.sendBufferBytes
        var writer = ByteWriter(tables.memory, at: base, capacity: tables.sendBufferBytes)
        let written = Clock.monotonicNanoseconds()
        if connection.outstanding == 0 { connection.progressAt = written }
        while connection.outstanding < plan.depth {
            guard let request = next(slot, &connection, room: writer.room) else { break }
            encode(request, slot, &connection, at: written, to: &writer)
        }
        precondition(!writer.overflowed, "room was asked for")
        connection.sendBytes = writer.count
        connection.sentBytes = 0
        connections[slot] = connection
        guard writer.count > 0 else { return }
        counters.sentBytes &+= UInt64(writer.count)
        ring.sendNow(
            connection.socket, from: tables.memory, at: base, count: writer.count,
            token: token(.send, slot))
    }

    /// The next request to be sent: a set that a miss asks for, or one of the trace; nil if there
    /// is none, or it has to wait.
    private mutating func next(
        _ slot: Int, _ connection: inout ReplayConnection, room: Int
    ) -> TraceRequest? {
        let overhead = RequestEncoder.lineBytesMax + Limits.keyBytesMax + 2
        while connection.fills > 0 {
            let request = tables.nextFill(slot, connection)
            guard room >= overhead + Int(request.valueBytes) else { return nil }
            tables.dropFill(&connection)
            return request
        }
        while connection.queued > 0 {
            let request = tables.nextQueued(slot, connection)
            if request.operation.isStore, Int(request.valueBytes) > plan.valueBytesMax {
                tables.dropQueued(&connection)
                counters.refused &+= 1
                finish(request, isHit: false)
                continue
            }
            let bytes = request.operation.isStore ? Int(request.valueBytes) : 0
            guard room >= overhead + bytes, !mustWait(request, slot, connection) else {
                return nil
            }
            tables.dropQueued(&connection)
            return request
        }
        return nil
    }

    /// Whether a request of the same key is under way that may miss and then be followed by a
    /// set: an application would not ask for the key before it has stored it.
    private func mustWait(
        _ request: TraceRequest, _ slot: Int, _ connection: ReplayConnection
    ) -> Bool {
        guard plan.fills else { return false }
        for index in 0..<connection.outstanding {
            let other = tables.pending[tables.entry(slot, connection, index)].request
            if other.object == request.object, canFill(other) { return true }
        }
        return false
    }

    /// Whether a miss of this request is followed by a set.
    @inline(__always)
    func canFill(_ request: TraceRequest) -> Bool {
        switch request.operation {
        case .get, .gets, .incr, .decr: plan.fills && request.hasSize
        default: false
        }
    }

    /// A send took less than everything: the rest follows when there is room.
    mutating func sent(_ slot: Int, _ result: Int32) {
        guard result >= 0 || result == -EAGAIN else {
            failure = .closed(
                connection: firstConnection + slot,
                outstanding: connections[slot].outstanding, errno: -result)
            return
        }
        connections[slot].sentBytes &+= Int(max(result, 0))
        let connection = connections[slot]
        let left = connection.sendBytes &- connection.sentBytes
        guard left > 0 else {
            connections[slot].isSending = false
            return makeReady(slot)
        }
        connections[slot].isSending = true
        ring.send(
            connection.socket, from: tables.memory,
            at: slot &* tables.sendBufferBytes &+ connection.sentBytes, count: left,
            token: token(.send, slot))
    }

    // MARK: Encoding

    private mutating func encode(
        _ request: TraceRequest, _ slot: Int, _ connection: inout ReplayConnection,
        at nanoseconds: UInt64, to writer: inout ByteWriter
    ) {
        var entry = ReplayEntry(request: request, sentAt: nanoseconds)
        if plan.speed != .full, request.operation != .fill {
            entry.sentAt = board.startedAt &+ request.dueAt
        }
        if request.operation.isStore || request.operation == .delete {
            version &+= 1
            entry.version = version
        }
        tables.pending[tables.entry(slot, connection, connection.outstanding)] = entry
        connection.outstanding &+= 1
        counters.sends &+= 1
        tables.keys.withKey(request.object, request.keyBytes) { key in
            encodeLine(request, key, to: &writer)
        }
        guard request.operation.isStore else { return }
        tables.values.append(
            request.object, version: entry.version, byteCount: Int(request.valueBytes),
            to: &writer)
        writer.append("\r\n")
    }

    @inline(__always)
    private func encodeLine(
        _ request: TraceRequest, _ key: Span<UInt8>, to writer: inout ByteWriter
    ) {
        let verb: Verb
        switch request.operation {
        case .get: return RequestEncoder.get(.get, key, to: &writer)
        case .gets: return RequestEncoder.get(.gets, key, to: &writer)
        case .delete: return RequestEncoder.delete(key, to: &writer)
        case .incr: return RequestEncoder.increment(key, by: 1, to: &writer)
        case .decr: return RequestEncoder.decrement(key, by: 1, to: &writer)
        case .set, .fill: verb = .set
        case .add: verb = .add
        // Nobody else writes the key between its gets and its cas: what a cas does is then what
        // a replace does, and the trace does not say which value it was meant for.
        case .replace, .cas: verb = .replace
        case .append: verb = .append
        case .prepend: verb = .prepend
        }
        RequestEncoder.storageLine(
            verb, key, expiry: plan.expiry(request), bytes: Int(request.valueBytes), to: &writer)
    }

    /// The oldest request under way, for a message.
    func describeHead(_ slot: Int, _ connection: ReplayConnection) -> String {
        guard connection.outstanding > 0 else { return "nothing" }
        let request = tables.pending[tables.entry(slot, connection, 0)].request
        let key = tables.keys.string(request.object, request.keyBytes)
        return "\(request.operation == .fill ? "set" : request.operation.name) \(key)"
    }
}
