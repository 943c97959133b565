// ReplayWorker+Requests: what is asked, in which order, and in which bytes.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

extension ReplayWorker {
    /// Puts a connection on the list of those that may send, if it may. At full speed it sends
    /// when all replies are there, so that requests travel together; paced, whenever one more
    /// may be under way.
    mutating func makeReady(_ slot: Int) {
        let connection = wire.connections[slot]
        guard !connection.link.isReady, !connection.link.isSending,
            !connection.waiting.isEmpty || !connection.fills.isEmpty,
            plan.speed == .full
                ? connection.link.outstanding == 0 : connection.link.outstanding < plan.depth
        else { return }
        wire.connections[slot].link.isReady = true
        wire.ready.append(slot)
    }

    mutating func write(
        _ slot: Int, _ connection: inout Connection, at instant: UInt64,
        to writer: inout ByteWriter
    ) {
        while connection.link.outstanding < plan.depth {
            guard let request = next(slot, &connection, room: writer.room) else { break }
            encode(request, slot, &connection, at: instant, to: &writer)
        }
    }

    /// The next request to be sent: a set that a miss asks for, or one of the trace; nil if there
    /// is none, or it has to wait.
    private mutating func next(
        _ slot: Int, _ connection: inout Connection, room: Int
    ) -> TraceRequest? {
        let overhead = RequestEncoder.lineBytesMax + Limits.keyBytesMax + 2
        if !connection.fills.isEmpty {
            let request = tables.fills.first(slot, connection.fills)
            guard room >= overhead + Int(request.valueBytes) else { return nil }
            tables.fills.dropFirst(&connection.fills)
            return request
        }
        while !connection.waiting.isEmpty {
            let request = tables.waiting.first(slot, connection.waiting)
            if request.operation.isStore, Int(request.valueBytes) > plan.valueBytesMax {
                tables.waiting.dropFirst(&connection.waiting)
                counters.refused &+= 1
                finish(request, isHit: false)
                continue
            }
            let bytes = request.operation.isStore ? Int(request.valueBytes) : 0
            guard room >= overhead + bytes, !mustWait(request, slot, connection) else {
                return nil
            }
            tables.waiting.dropFirst(&connection.waiting)
            return request
        }
        return nil
    }

    /// Whether a request of the same key is under way that may miss and then be followed by a
    /// set: an application would not ask for the key before it has stored it.
    private func mustWait(
        _ request: TraceRequest, _ slot: Int, _ connection: Connection
    ) -> Bool {
        guard plan.fills else { return false }
        for index in 0..<connection.link.outstanding {
            let other = tables.pending[tables.entry(slot, connection.link, index)].request
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

    // MARK: Encoding

    private mutating func encode(
        _ request: TraceRequest, _ slot: Int, _ connection: inout Connection,
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
        tables.pending[tables.entry(slot, connection.link, connection.link.outstanding)] = entry
        connection.link.outstanding &+= 1
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
    func describeHead(_ slot: Int, _ connection: Connection) -> String {
        guard connection.link.outstanding > 0 else { return "nothing" }
        let request = tables.pending[tables.entry(slot, connection.link, 0)].request
        let key = tables.keys.string(request.object, request.keyBytes)
        return "\(request.operation == .fill ? "set" : request.operation.name) \(key)"
    }
}
