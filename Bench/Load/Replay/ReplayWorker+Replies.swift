// ReplayWorker+Replies: replies are read where the kernel put them and matched to what was asked.
//
// Only a reply that two receives share is copied, into the connection's carry buffer.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

extension ReplayWorker {
    mutating func received(_ slot: Int, _ completion: Completion) {
        if let id = completion.buffer {
            if completion.result > 0 { take(slot, ring.bufferOffset(id), Int(completion.result)) }
            ring.lendBuffer(id)
        }
        if !hasFailed, completion.result <= 0, completion.result != -ENOBUFS {
            failure = .closed(
                connection: firstConnection + slot,
                outstanding: connections[slot].outstanding, errno: -completion.result)
        }
        if !completion.isArmed { unarmed.append(slot) }
    }

    /// Reads `count` bytes that came on a connection.
    private mutating func take(_ slot: Int, _ offset: Int, _ count: Int) {
        counters.receivedBytes &+= UInt64(count)
        var connection = connections[slot]
        connection.progressAt = now
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
        makeReady(slot)
    }

    private func carryOffset(_ slot: Int) -> Int {
        connections.count &* tables.sendBufferBytes &+ slot &* Worker.carryBytesMax
    }

    /// Completes the reply in the carry buffer. Returns how many of the new bytes were used.
    private mutating func takeCarried(
        _ slot: Int, _ connection: inout ReplayConnection, _ buffers: Region, _ offset: Int,
        _ count: Int
    ) -> Int {
        let memory = tables.memory
        let old = connection.carried
        let added = min(count, Worker.carryBytesMax &- old)
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
        _ slot: Int, _ connection: inout ReplayConnection, _ buffers: Region, _ offset: Int,
        _ count: Int
    ) {
        let old = connection.carried
        guard count <= Worker.carryBytesMax &- old else {
            return fail(slot, connection, "an endless line", reply: "")
        }
        tables.memory.copy(
            from: buffers, at: offset, to: carryOffset(slot) &+ old, count: count)
        connection.carried = old &+ count
    }

    /// Reads replies until `end` is reached or passed. Returns the bytes that are done with.
    private mutating func parse(
        _ bytes: Span<UInt8>, until end: Int, _ slot: Int, _ connection: inout ReplayConnection
    ) -> Int {
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
                fail(slot, connection, "\(fault)", reply: Worker.excerpt(rest))
                return position
            }
        }
        return position
    }

    // MARK: Matching

    private mutating func match(
        _ answer: Answer, _ bytes: Span<UInt8>, _ slot: Int, _ connection: inout ReplayConnection
    ) {
        guard connection.outstanding > 0 else {
            return fail(slot, connection, "nothing was asked", reply: Worker.excerpt(bytes))
        }
        let entry = tables.pending[tables.entry(slot, connection, 0)]
        let request = entry.request
        switch (request.operation, answer.kind) {
        case (.get, .value), (.gets, .value):
            return beginValue(answer, bytes, request, slot, &connection)
        case (.get, .body), (.gets, .body):
            if ledger != nil { verify(answer, bytes, request, slot, &connection) }
            return
        case (.get, .end), (.gets, .end):
            finishHead(entry, slot, &connection, isHit: connection.hasValue)
        case (_, .stored) where request.operation.isStore:
            acknowledge(entry)
            finishHead(entry, slot, &connection, isHit: true)
        case (_, .notStored) where request.operation.isStore:
            counters.unstored &+= 1
            finishHead(entry, slot, &connection, isHit: false)
        case (.delete, .deleted), (.delete, .notFound):
            counters.unstored &+= answer.kind == .notFound ? 1 : 0
            acknowledge(entry)
            finishHead(entry, slot, &connection, isHit: answer.kind == .deleted)
        case (.incr, .number), (.decr, .number), (.incr, .notFound), (.decr, .notFound):
            counters.unstored &+= answer.kind == .notFound ? 1 : 0
            if answer.kind == .number { ledger?.blur(request.object) }
            finishHead(entry, slot, &connection, isHit: answer.kind == .number)
        case (_, .error), (_, .clientError), (_, .serverError):
            countError(answer, bytes, request)
            finishHead(entry, slot, &connection, isHit: false, isError: true)
        default:
            let name = request.operation == .fill ? "set" : request.operation.name
            fail(slot, connection, "not an answer to \(name)", reply: Worker.excerpt(bytes))
        }
    }

    private mutating func beginValue(
        _ answer: Answer, _ bytes: Span<UInt8>, _ request: TraceRequest, _ slot: Int,
        _ connection: inout ReplayConnection
    ) {
        let key = bytes.extracting(answer.key.range)
        guard !connection.hasValue,
            tables.keys.matches(request.object, request.keyBytes, key)
        else {
            return fail(
                slot, connection, "a value for a key that was not asked for",
                reply: Worker.excerpt(bytes))
        }
        connection.hasValue = true
        connection.valueBytes = Int(answer.bytes)
        guard let ledger else { return }
        connection.value = ValueReader()
        var due: UInt32 = 0
        if case .value(let version, _) = ledger.find(request.object) { due = version }
        connection.short = ShortValueReader(request.object, run: board.run, version: due)
    }

    /// The head request is answered. A get that missed is followed by a set.
    private mutating func finishHead(
        _ entry: ReplayEntry, _ slot: Int, _ connection: inout ReplayConnection, isHit: Bool,
        isError: Bool = false
    ) {
        let request = entry.request
        let nanoseconds = now > entry.sentAt ? now &- entry.sentAt : 0
        latencies.record(request.operation, nanoseconds: nanoseconds)
        connection.hasValue = false
        connection.outstanding &-= 1
        connection.head = connection.head &+ 1 == plan.depth ? 0 : connection.head &+ 1
        finish(request, isHit: isHit)
        guard !isHit, !isError, canFill(request) else { return }
        guard Int(request.valueBytes) <= plan.valueBytesMax else {
            counters.refused &+= 1
            return
        }
        var fill = request
        fill.operation = .fill
        tables.enqueueFill(fill, slot, &connection)
        open &+= 1
    }

    /// A request is done with: answered or refused.
    mutating func finish(_ request: TraceRequest, isHit: Bool) {
        open &-= 1
        guard request.operation != .fill else { return }
        counters.requests &+= 1
        if request.operation.isGet {
            counters.gets &+= 1
            counters.hits &+= isHit ? 1 : 0
        }
        tables.intervals.count(request, isHit: isHit)
    }

    /// An error line: the value was too large for the server, or something else.
    private mutating func countError(
        _ answer: Answer, _ bytes: Span<UInt8>, _ request: TraceRequest
    ) {
        if request.operation.isStore { ledger?.blur(request.object) }
        if request.operation.isStore, Self.saysTooLarge(bytes.extracting(answer.text.range)) {
            counters.refused &+= 1
            return
        }
        counters.errors &+= 1
        if firstError == nil { firstError = Worker.excerpt(bytes) }
    }

    /// Whether an error's text has "too large" in it, as memcached's has.
    private static func saysTooLarge(_ text: Span<UInt8>) -> Bool {
        let wanted: UInt64 = 0x6772_616C_206F_6F74  // "too larg"
        var index = 0
        while index + 8 <= text.count {
            if ByteScan.word(in: text, at: index) == wanted { return true }
            index += 1
        }
        return false
    }

    // MARK: Verifying

    private mutating func acknowledge(_ entry: ReplayEntry) {
        let request = entry.request
        if request.operation == .fill { counters.fills &+= 1 }
        guard ledger != nil else { return }
        switch request.operation {
        case .delete: ledger?.forget(request.object, version: entry.version)
        case .append, .prepend: ledger?.blur(request.object)
        default:
            ledger?.acknowledge(
                request.object, version: entry.version, bytes: request.valueBytes)
        }
    }

    private mutating func verify(
        _ part: Answer, _ bytes: Span<UInt8>, _ request: TraceRequest, _ slot: Int,
        _ connection: inout ReplayConnection
    ) {
        let text = bytes.extracting(part.text.range)
        if connection.valueBytes >= ValueText.headerBytes {
            connection.value.take(text)
        } else {
            connection.short.take(text)
        }
        guard part.isLast, let ledger else { return }
        if ledger.find(request.object) == .anything { counters.unjudged &+= 1 }
        let fault = ledger.judge(
            request.object, connection.value, connection.short, byteCount: connection.valueBytes,
            run: board.run)
        guard let fault else { return }
        failure = .badValue(
            connection: firstConnection + slot,
            key: tables.keys.string(request.object, request.keyBytes), fault)
    }

    private mutating func fail(
        _ slot: Int, _ connection: ReplayConnection, _ reason: String, reply: String
    ) {
        failure = .wrongReply(
            connection: firstConnection + slot, request: describeHead(slot, connection),
            reply: reply, reason: reason)
    }
}
