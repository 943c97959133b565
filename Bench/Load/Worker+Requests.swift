// Worker+Requests: what is asked, in which bytes, and how it is sent.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

extension Worker {
    /// Puts a connection on the list of those that may send, if it may.
    mutating func makeReady(_ slot: Int) {
        guard !isPaced else { return queueDue(slot) }
        let connection = connections[slot]
        guard !connection.isReady, !connection.isSending, connection.quota > 0,
            plan.refill == .batch
                ? connection.outstanding == 0 : connection.outstanding < plan.depth
        else { return }
        connections[slot].isReady = true
        ready.append(slot)
    }

    /// Writes and sends requests for every connection that may have more.
    mutating func refill() {
        guard !isPaced else { return sendDue() }
        guard !ready.isEmpty else { return }
        for slot in ready {
            connections[slot].isReady = false
            if !connections[slot].isSending { send(slot) }
        }
        ready.removeAll(keepingCapacity: true)
    }

    private mutating func send(_ slot: Int) {
        var connection = connections[slot]
        let base = sendOffset(slot)
        var writer = ByteWriter(memory, at: base, capacity: sendBufferBytes)
        let written = Clock.monotonicNanoseconds()
        if connection.outstanding == 0 { connection.progressAt = written }
        while connection.outstanding < plan.depth, connection.quota > 0 {
            encode(slot, &connection, at: written, to: &writer)
        }
        precondition(!writer.overflowed, "a buffer holds `depth` of the longest requests")
        connection.sendBytes = writer.count
        connection.sentBytes = 0
        connections[slot] = connection
        counters.sentBytes &+= UInt64(writer.count)
        ring.sendNow(
            connection.socket, from: memory, at: base, count: writer.count,
            token: token(.send, slot))
    }

    /// A send took less than everything: the rest follows when there is room.
    mutating func sent(_ slot: Int, _ result: Int32) {
        let isFull = result == -EAGAIN
        guard result >= 0 || isFull else {
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
            connection.socket, from: memory, at: sendOffset(slot) &+ connection.sentBytes,
            count: left, token: token(.send, slot))
    }

    // MARK: Encoding

    func encode(
        _ slot: Int, _ connection: inout Connection, at nanoseconds: UInt64,
        to writer: inout ByteWriter
    ) {
        let command = commands.next(&connection.random)
        let entry = pending.entry(of: slot, at: connection.head &+ connection.outstanding)
        connection.outstanding &+= 1
        guard command != .get else {
            return encodeGet(entry, &connection, at: nanoseconds, to: &writer)
        }
        connection.quota &-= 1
        var key = keySampler.next(&connection.random, position: &connection.position)
        pending.begin(entry, command, keyCount: 1, at: nanoseconds)
        var version: UInt32 = 0
        if let ledger {
            key = ownKey(near: key, slot)
            if command != .touch { version = ledger.issue(key) }
            pending.setVersion(entry, 0, version)
        }
        pending.setKey(entry, 0, key)
        keys.withKey(key) { bytes in
            if plan.wireProtocol == .meta {
                encodeMetaLine(command, bytes, to: &writer)
            } else {
                encodeLine(command, bytes, to: &writer)
            }
        }
        guard command == .set else { return }
        if let ledger {
            values.append(key, run: ledger.run, version: version, to: &writer)
        } else {
            values.append(to: &writer)
        }
        writer.append("\r\n")
    }

    @inline(__always)
    private func encodeLine(
        _ command: LoadCommand, _ key: Span<UInt8>, to writer: inout ByteWriter
    ) {
        switch command {
        case .delete: RequestEncoder.delete(key, to: &writer)
        case .touch: RequestEncoder.touch(key, expiry: plan.ttlSeconds, to: &writer)
        case .set, .get:
            RequestEncoder.storageLine(
                .set, key, expiry: plan.ttlSeconds, bytes: plan.valueBytes, to: &writer)
        }
    }

    @inline(__always)
    private func encodeMetaLine(
        _ command: LoadCommand, _ key: Span<UInt8>, to writer: inout ByteWriter
    ) {
        switch command {
        case .delete: MetaEncoder.delete(key, to: &writer)
        case .touch: MetaEncoder.touch(key, expiry: plan.ttlSeconds, to: &writer)
        case .set, .get:
            MetaEncoder.setLine(
                key, expiry: plan.ttlSeconds, bytes: plan.valueBytes, to: &writer)
        }
    }

    /// A key near another one that this connection alone changes.
    private func ownKey(near key: UInt32, _ slot: Int) -> UInt32 {
        let count = UInt64(plan.clientCount)
        var own = UInt64(key) / count * count + UInt64(firstConnection + slot)
        if own >= plan.keyCount { own -= count }
        return UInt32(truncatingIfNeeded: own)
    }

    private func encodeGet(
        _ entry: Int, _ connection: inout Connection, at nanoseconds: UInt64,
        to writer: inout ByteWriter
    ) {
        let count = Int(min(UInt64(plan.keysPerGet), connection.quota))
        connection.quota &-= UInt64(count)
        pending.begin(entry, .get, keyCount: count, at: nanoseconds)
        let isMeta = plan.wireProtocol == .meta
        if !isMeta { RequestEncoder.beginGet(to: &writer) }
        for index in 0..<count {
            let key = keySampler.next(&connection.random, position: &connection.position)
            pending.setKey(entry, index, key)
            if let ledger { pending.setVersion(entry, index, ledger.acknowledged(key)) }
            keys.withKey(key) { bytes in
                if isMeta {
                    MetaEncoder.get(bytes, isQuiet: count > 1, to: &writer)
                } else {
                    RequestEncoder.addKey(bytes, to: &writer)
                }
            }
        }
        if !isMeta {
            RequestEncoder.endGet(to: &writer)
        } else if count > 1 {
            RequestEncoder.noop(to: &writer)
        }
    }

    /// The oldest request under way, for a message.
    func describeHead(_ slot: Int, _ connection: Connection) -> String {
        guard connection.outstanding > 0 else { return "nothing" }
        let entry = pending.entry(of: slot, at: connection.head)
        let command = pending.command(entry)
        let count = pending.keyCount(entry)
        let key = keys.string(pending.key(entry, min(connection.keyIndex, count - 1)))
        return command == .get && count > 1
            ? "get of \(count) keys, at \(key)" : "\(command.name) \(key)"
    }
}
