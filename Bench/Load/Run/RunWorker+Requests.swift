// RunWorker+Requests: what is asked, and in which bytes.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

extension RunWorker {
    /// Puts a connection on the list of those that may send, if it may.
    mutating func makeReady(_ slot: Int) {
        guard !isPaced else { return queueDue(slot) }
        let connection = wire.connections[slot]
        guard !connection.link.isReady, !connection.link.isSending, connection.hasMore,
            plan.refill == .batch
                ? connection.link.outstanding == 0 : connection.link.outstanding < plan.depth
        else { return }
        guard connection.requestsLeft > 0 else {
            if connection.link.outstanding == 0 { retire(slot) }
            return
        }
        wire.connections[slot].link.isReady = true
        wire.ready.append(slot)
    }

    /// Sends what may be sent: in an open loop what is due, in a closed one all that there is
    /// room for.
    mutating func sendAll() {
        if isPaced { sendDue() } else { refill() }
    }

    mutating func write(
        _ slot: Int, _ connection: inout Connection, at instant: UInt64,
        to writer: inout ByteWriter
    ) {
        guard !isPaced else { return writeDue(slot, &connection, at: instant, to: &writer) }
        while connection.link.outstanding < plan.depth, connection.requestsLeft > 0,
            connection.hasMore
        {
            encode(slot, &connection, at: instant, to: &writer)
        }
    }

    // MARK: Encoding

    func encode(
        _ slot: Int, _ connection: inout Connection, at nanoseconds: UInt64,
        to writer: inout ByteWriter
    ) {
        let entry = pending.entry(slot, connection.link, connection.link.outstanding)
        connection.link.outstanding &+= 1
        connection.requestsLeft &-= 1
        guard connection.missed.isEmpty else {
            let key = lookAside.first(slot, connection.missed)
            lookAside.dropFirst(&connection.missed)
            let command = space.isData(key) ? LoadCommand.set : .add
            pending.begin(entry, command, keyCount: 1, followsMiss: true, at: nanoseconds)
            return encode(command, key, entry, &connection, to: &writer)
        }
        let command = commands.next(&connection.random)
        guard command != .get else {
            return encodeGet(slot, entry, &connection, at: nanoseconds, to: &writer)
        }
        connection.quota &-= 1
        var key = keySampler.next(&connection.random, position: &connection.position)
        if ledger != nil { key = ownKey(near: key, slot) }
        if command.isCounting { key = space.counter(key) }
        pending.begin(entry, command, keyCount: 1, at: nanoseconds)
        encode(command, key, entry, &connection, to: &writer)
    }

    /// A request for one key, but for a get.
    private func encode(
        _ command: LoadCommand, _ key: UInt32, _ entry: Int, _ connection: inout Connection,
        to writer: inout ByteWriter
    ) {
        pending.setKey(entry, 0, key)
        var version: UInt32 = 0
        if let ledger, space.isData(key) {
            if command.isChange { version = ledger.issue(key) }
            if command == .gat { version = ledger.acknowledged(key) }
            pending.setVersion(entry, 0, version)
        }
        let isCounter = space.isCounter(key)
        var line = RequestLine(command: command)
        if command != .delete, !command.isCounting {
            line.expiry = plan.ttl.next(&connection.random)
        }
        if command.isStorage {
            line.bytes = isCounter ? LoadPlan.counterBytes : valueSizes.bytes(of: key)
        }
        line.opaque = connection.binary.nextOpaque
        keys.withKey(key) { bytes in
            switch plan.wireProtocol {
            case .classic: line.encodeClassic(bytes, to: &writer)
            case .meta: line.encodeMeta(bytes, to: &writer)
            case .binary: line.encodeBinary(bytes, to: &writer)
            }
        }
        connection.binary.nextOpaque &+= 1
        guard command.isStorage else { return }
        if isCounter {
            writer.append("0")
        } else if let ledger {
            values.append(
                key, byteCount: line.bytes, run: ledger.run, version: version, to: &writer)
        } else {
            values.append(byteCount: line.bytes, to: &writer)
        }
        if plan.wireProtocol != .binary { writer.append("\r\n") }
    }

    private func encodeGet(
        _ slot: Int, _ entry: Int, _ connection: inout Connection, at nanoseconds: UInt64,
        to writer: inout ByteWriter
    ) {
        let count = Int(min(UInt64(plan.keysPerGet), connection.quota))
        connection.quota &-= UInt64(count)
        pending.begin(entry, .get, keyCount: count, at: nanoseconds)
        let wire = plan.wireProtocol
        let opaque = connection.binary.nextOpaque
        if wire == .classic { RequestEncoder.beginGet(to: &writer) }
        for index in 0..<count {
            let key = keyToGet(slot, &connection)
            pending.setKey(entry, index, key)
            if let ledger {
                let floor = space.isData(key) ? ledger.acknowledged(key) : 0
                pending.setVersion(entry, index, floor)
            }
            keys.withKey(key) { bytes in
                switch wire {
                case .classic: RequestEncoder.addKey(bytes, to: &writer)
                case .meta: MetaEncoder.get(bytes, isQuiet: count > 1, to: &writer)
                case .binary:
                    BinaryEncoder.get(
                        count > 1 ? .getKQ : .get, bytes,
                        opaque: opaque &+ UInt32(truncatingIfNeeded: index), to: &writer)
                }
            }
        }
        switch wire {
        case .classic: RequestEncoder.endGet(to: &writer)
        case .meta: if count > 1 { RequestEncoder.noop(to: &writer) }
        case .binary:
            let end = opaque &+ UInt32(truncatingIfNeeded: count)
            if count > 1 { BinaryEncoder.plain(.noop, opaque: end, to: &writer) }
            connection.binary.nextOpaque = count > 1 ? end &+ 1 : end
        }
    }

    /// The next key that a connection asks for. Where a miss makes it set the key and values are
    /// verified, it is one that this connection alone changes.
    @inline(__always)
    private func keyToGet(_ slot: Int, _ connection: inout Connection) -> UInt32 {
        var key = keySampler.next(&connection.random, position: &connection.position)
        if plan.setsOnMiss, ledger != nil { key = ownKey(near: key, slot) }
        if missPart > 0, connection.random.next() >> 11 < missPart { key = space.absent(key) }
        return key
    }

    /// A key near another one that this connection alone changes.
    private func ownKey(near key: UInt32, _ slot: Int) -> UInt32 {
        let count = UInt64(plan.clientCount)
        var own = UInt64(key) / count * count + UInt64(wire.firstConnection + slot)
        if own >= plan.keyCount { own -= count }
        return UInt32(truncatingIfNeeded: own)
    }

    /// The oldest request under way, for a message.
    func describeHead(_ slot: Int, _ connection: Connection) -> String {
        guard connection.link.outstanding > 0 else {
            return connection.link.isRetiring ? "quit (it should close)" : "nothing"
        }
        let entry = pending.entry(slot, connection.link, 0)
        let command = pending.command(entry)
        let count = pending.keyCount(entry)
        let key = keys.string(pending.key(entry, min(connection.keyIndex, count - 1)))
        return command == .get && count > 1
            ? "get of \(count) keys, at \(key)" : "\(command.name) \(key)"
    }
}
