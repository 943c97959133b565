// Worker+Replies: replies are read where the kernel put them and matched to what was asked.
//
// Only a reply that two receives share is copied, into the connection's carry buffer.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

extension Worker {
    mutating func received(_ slot: Int, _ completion: Completion) {
        if let id = completion.buffer {
            if completion.result > 0 { take(slot, ring.bufferOffset(id), Int(completion.result)) }
            ring.lendBuffer(id)
        }
        if !hasFailed, completion.result <= 0, completion.result != -ENOBUFS {
            if connections[slot].isRetiring {
                reopen(slot)
            } else {
                failure = closed(slot, errno: -completion.result)
            }
        }
        if !completion.isArmed { unarmed.append(slot) }
    }

    /// Reads `count` bytes that came on a connection.
    private mutating func take(_ slot: Int, _ offset: Int, _ count: Int) {
        counters.receivedBytes &+= UInt64(count)
        var connection = connections[slot]
        connection.progressAt = now
        let wasOutstanding = connection.outstanding
        let buffers = ring.buffers
        var position = 0
        if connection.carried > 0 {
            position = takeCarried(slot, &connection, buffers, offset, count)
        }
        while position < count, !hasFailed {
            let used = buffers.withBytes(offset &+ position, count &- position) { bytes in
                parse(bytes, until: bytes.count, slot, &connection)
            }
            guard used > 0 else { break }
            position &+= used
        }
        if position < count, !hasFailed {
            keep(slot, &connection, buffers, offset &+ position, count &- position)
        }
        connections[slot] = connection
        if connection.isDone, wasOutstanding > 0 {
            connectionIsDone()
        } else {
            makeReady(slot)
        }
    }

    /// Completes the reply in the carry buffer. Returns how many of the new bytes were used.
    private mutating func takeCarried(
        _ slot: Int, _ connection: inout Connection, _ buffers: Region, _ offset: Int,
        _ count: Int
    ) -> Int {
        let old = connection.carried
        let added = min(count, Self.carryBytesMax &- old)
        let start = carryOffset(slot)
        memory.copy(from: buffers, at: offset, to: start &+ old, count: added)
        let used = memory.withBytes(start, old &+ added) { bytes in
            parse(bytes, until: old, slot, &connection)
        }
        if used >= old {
            connection.carried = 0
            return used &- old
        }
        memory.copy(from: memory, at: start &+ used, to: start, count: old &+ added &- used)
        connection.carried = old &+ added &- used
        return added
    }

    private mutating func keep(
        _ slot: Int, _ connection: inout Connection, _ buffers: Region, _ offset: Int,
        _ count: Int
    ) {
        let old = connection.carried
        guard count <= Self.carryBytesMax &- old else {
            return fail(slot, connection, "an endless line", reply: "")
        }
        memory.copy(from: buffers, at: offset, to: carryOffset(slot) &+ old, count: count)
        connection.carried = old &+ count
    }

    /// Reads replies until `end` is reached or passed. Returns the bytes that are done with.
    private mutating func parse(
        _ bytes: Span<UInt8>, until end: Int, _ slot: Int, _ connection: inout Connection
    ) -> Int {
        guard plan.wireProtocol != .binary else {
            return parseBinary(bytes, until: end, slot, &connection)
        }
        var position = 0
        while position < end {
            let rest = bytes.extracting(position..<bytes.count)
            switch connection.parser.next(rest) {
            case .answer(let answer, let consumed):
                match(answer, rest, slot, &connection)
                guard !hasFailed else { return position }
                position &+= consumed
            case .needMore:
                return position
            case .fault(let fault):
                fail(slot, connection, "\(fault)", reply: Self.excerpt(rest))
                return position
            }
        }
        return position
    }

    // MARK: Matching

    private mutating func match(
        _ answer: Answer, _ bytes: Span<UInt8>, _ slot: Int, _ connection: inout Connection
    ) {
        guard connection.outstanding > 0 else {
            return fail(
                slot, connection, "nothing was asked", reply: Self.excerpt(bytes))
        }
        let entry = pending.entry(of: slot, at: connection.head)
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
            if firstError == nil { firstError = Self.excerpt(bytes) }
            return true
        default:
            fail(
                slot, connection, "not an answer to \(command.name)",
                reply: Self.excerpt(bytes))
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
            reply: Self.excerpt(bytes))
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

    // MARK: Messages

    mutating func fail(
        _ slot: Int, _ connection: Connection, _ reason: String, reply: String
    ) {
        failure = .wrongReply(
            connection: firstConnection + slot, request: describeHead(slot, connection),
            reply: reply, reason: reason)
    }

    /// The first bytes of a reply, up to its line end, as printable text.
    static func excerpt(_ bytes: Span<UInt8>) -> String {
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
}
