// RunWorker+Results: what an answer means, in whatever protocol it came: hits and misses are
// counted, values and counters are verified, and what was missed is put down to be stored.

internal import Memcache
internal import Primitives

extension RunWorker {
    // MARK: Retrieval

    /// The key at `index` of the head request was found; those before it that had no answer yet
    /// were not.
    @inline(__always)
    mutating func hit(
        at index: Int, _ entry: Int, _ slot: Int, _ connection: inout Connection
    ) {
        miss(upTo: index, entry, slot, &connection)
        counters.hits &+= 1
        connection.keyIndex = index &+ 1
    }

    /// The keys of the head request that had no answer yet, up to `end`, were not found.
    @inline(__always)
    mutating func miss(
        upTo end: Int, _ entry: Int, _ slot: Int, _ connection: inout Connection
    ) {
        guard connection.keyIndex < end else { return }
        counters.misses &+= UInt64(end &- connection.keyIndex)
        if plan.setsOnMiss {
            for index in connection.keyIndex..<end {
                let key = pending.key(entry, index)
                if space.isData(key) { lookAside.push(key, slot, &connection.missed) }
            }
        }
        connection.keyIndex = end
    }

    /// A part of the value of the key that was hit last.
    @inline(__always)
    mutating func takeBody(
        _ part: Slice, _ isLast: Bool, _ bytes: Span<UInt8>, _ entry: Int, _ slot: Int,
        _ connection: inout Connection
    ) {
        guard ledger != nil else { return }
        connection.value.take(bytes.extracting(part.range))
        if isLast { verify(entry, slot, &connection) }
    }

    /// Checks the value that has come.
    mutating func verify(_ entry: Int, _ slot: Int, _ connection: inout Connection) {
        guard let ledger else { return }
        let index = max(connection.keyIndex &- 1, 0)
        let key = pending.key(entry, index)
        let fault =
            space.isData(key)
            ? ledger.judge(
                connection.value, of: key, floor: pending.version(entry, index),
                byteCount: valueSizes.bytes(of: key))
            : BadValue.absent
        connection.value = ValueReader()
        if let fault { failBad(fault, key, slot) }
    }

    // MARK: Changes

    /// A set or an add has stored.
    mutating func stored(_ entry: Int) {
        guard let ledger else { return }
        let key = pending.key(entry, 0)
        guard space.isData(key) else { return ledger.setNumber(space.counterIndex(key), 0) }
        ledger.acknowledge(key, pending.version(entry, 0))
    }

    /// A delete or a touch has found its key, or not.
    mutating func changed(_ command: LoadCommand, isMiss: Bool, _ entry: Int) {
        if isMiss { counters.misses &+= 1 } else { counters.hits &+= 1 }
        guard let ledger, command == .delete else { return }
        ledger.acknowledge(pending.key(entry, 0), pending.version(entry, 0))
    }

    /// An error was the answer.
    mutating func refused(_ command: LoadCommand, _ entry: Int) {
        counters.errors &+= 1
        guard let ledger, command.isCounting else { return }
        ledger.setNumber(space.counterIndex(pending.key(entry, 0)), nil)
    }

    // MARK: Counters

    mutating func counted(
        _ command: LoadCommand, _ number: UInt64, _ entry: Int, _ slot: Int
    ) {
        counters.hits &+= 1
        guard let ledger else { return }
        let key = pending.key(entry, 0)
        let fault = ledger.count(
            space.counterIndex(key), isDown: command == .decr, answered: number)
        if let fault { failBad(fault, key, slot) }
    }

    /// A counter is not there: it is added next.
    mutating func missedCounter(
        _ entry: Int, _ slot: Int, _ connection: inout Connection
    ) {
        counters.misses &+= 1
        let key = pending.key(entry, 0)
        ledger?.setNumber(space.counterIndex(key), nil)
        lookAside.push(key, slot, &connection.missed)
    }

    // MARK: The end of a request

    mutating func finishHead(
        _ entry: Int, _ command: LoadCommand, _ connection: inout Connection
    ) {
        run.add(command, sentAt: pending.sentAt(entry), now: wire.now, into: &latencies)
        counters.countRequest(command, keys: UInt64(pending.keyCount(entry)))
        if command.isStorage, pending.followsMiss(entry) { counters.setsOnMiss &+= 1 }
        connection.keyIndex = 0
        connection.link.dropHead(in: plan.depth)
    }

    private mutating func failBad(_ fault: BadValue, _ key: UInt32, _ slot: Int) {
        wire.failure = .badValue(
            connection: wire.firstConnection + slot, key: keys.string(key), fault)
    }
}
