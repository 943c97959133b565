// RunWorker+Replies: answers of the text protocols, matched to what was asked.

internal import Memcache
internal import Primitives

extension RunWorker {
    mutating func parse(
        _ bytes: Span<UInt8>, until end: Int, _ slot: Int, _ connection: inout Connection
    ) -> Int {
        plan.wireProtocol == .binary
            ? parseBinary(bytes, until: end, slot, &connection)
            : parseText(bytes, until: end, slot, &connection)
    }

    mutating func didRead(_ slot: Int, wasWaiting: Bool) {
        if wasWaiting, wire.connections[slot].isDone {
            connectionIsDone()
        } else {
            makeReady(slot)
        }
    }

    mutating func match(
        _ answer: Answer, _ bytes: Span<UInt8>, _ slot: Int, _ connection: inout Connection
    ) {
        let entry = pending.entry(slot, connection.link, 0)
        let command = pending.command(entry)
        let isOver =
            plan.wireProtocol == .meta
            ? matchMeta(command, answer, bytes, entry, slot, &connection)
            : matchClassic(command, answer, bytes, entry, slot, &connection)
        if isOver { finishHead(entry, command, &connection) }
    }

    /// Returns whether the reply to the head request is complete.
    private mutating func matchClassic(
        _ command: LoadCommand, _ answer: Answer, _ bytes: Span<UInt8>, _ entry: Int,
        _ slot: Int, _ connection: inout Connection
    ) -> Bool {
        switch (command, answer.kind) {
        case (.get, .body), (.gat, .body):
            takeBody(answer.text, answer.isLast, bytes, entry, slot, &connection)
            return false
        case (.get, .value), (.gat, .value):
            matchValue(answer, bytes, entry, slot, &connection)
            return false
        case (.get, .end), (.gat, .end):
            miss(upTo: pending.keyCount(entry), entry, slot, &connection)
        case (.set, .stored), (.add, .stored):
            stored(entry)
        case (.add, .notStored):
            break
        case (.delete, .deleted), (.delete, .notFound), (.touch, .touched), (.touch, .notFound):
            changed(command, isMiss: answer.kind == .notFound, entry)
        case (.incr, .number), (.decr, .number):
            counted(command, answer.number, entry, slot)
        case (.incr, .notFound), (.decr, .notFound):
            missedCounter(entry, slot, &connection)
        default:
            return matchOther(command, answer, bytes, entry, slot, connection)
        }
        return true
    }

    /// Of one key, a value or EN is all; of several, MN ends what hits there were.
    private mutating func matchMeta(
        _ command: LoadCommand, _ answer: Answer, _ bytes: Span<UInt8>, _ entry: Int,
        _ slot: Int, _ connection: inout Connection
    ) -> Bool {
        let isSingle = pending.keyCount(entry) == 1
        switch (command, answer.kind) {
        case (.get, .body), (.gat, .body):
            takeBody(answer.text, answer.isLast, bytes, entry, slot, &connection)
            return answer.isLast && isSingle
        case (.get, .value), (.gat, .value):
            matchValue(answer, bytes, entry, slot, &connection)
            return false
        case (.get, .end) where isSingle, (.get, .noop) where !isSingle, (.gat, .end):
            miss(upTo: pending.keyCount(entry), entry, slot, &connection)
        case (.set, .done), (.add, .done):
            stored(entry)
        case (.add, .notStored):
            break
        case (.delete, .done), (.delete, .notFound), (.touch, .done), (.touch, .end):
            changed(command, isMiss: answer.kind != .done, entry)
        case (.incr, .value), (.decr, .value):
            connection.number = 0
            return false
        case (.incr, .body), (.decr, .body):
            connection.takeDigits(bytes.extracting(answer.text.range))
            guard answer.isLast else { return false }
            counted(command, connection.number, entry, slot)
        case (.incr, .notFound), (.decr, .notFound):
            missedCounter(entry, slot, &connection)
        default:
            // An error line stands for one of several keys.
            return matchOther(command, answer, bytes, entry, slot, connection) && isSingle
        }
        return true
    }

    /// An error line, which completes the reply, or what no server may say here.
    private mutating func matchOther(
        _ command: LoadCommand, _ answer: Answer, _ bytes: Span<UInt8>, _ entry: Int,
        _ slot: Int, _ connection: Connection
    ) -> Bool {
        switch answer.kind {
        case .error, .clientError, .serverError:
            refused(command, entry)
            if firstError == nil { firstError = excerpt(of: bytes) }
            return true
        default:
            fail(
                slot, connection, "not an answer to \(command.name)",
                reply: excerpt(of: bytes))
            return false
        }
    }

    private mutating func matchValue(
        _ answer: Answer, _ bytes: Span<UInt8>, _ entry: Int, _ slot: Int,
        _ connection: inout Connection
    ) {
        let key = bytes.extracting(answer.key.range)
        guard !matchKey(key, entry, slot, &connection) else { return }
        fail(
            slot, connection, "a value for a key that was not asked for",
            reply: excerpt(of: bytes))
    }

    /// Finds a key among those of the head request that are not answered yet; replies come in the
    /// order of the keys, without those that are missing.
    private mutating func matchKey(
        _ key: Span<UInt8>, _ entry: Int, _ slot: Int, _ connection: inout Connection
    ) -> Bool {
        let count = pending.keyCount(entry)
        var index = connection.keyIndex
        while index < count {
            if keys.matches(pending.key(entry, index), key) {
                hit(at: index, entry, slot, &connection)
                return true
            }
            index &+= 1
        }
        return false
    }
}
