// ReplayWorker+Replies: answers, matched to the requests of the trace, counted and verified.

internal import Memcache
internal import Primitives

extension ReplayWorker {
    mutating func match(
        _ answer: Answer, _ bytes: Span<UInt8>, _ slot: Int, _ connection: inout Connection
    ) {
        let entry = tables.pending[tables.entry(slot, connection.link, 0)]
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
            fail(slot, connection, "not an answer to \(name)", reply: excerpt(of: bytes))
        }
    }

    private mutating func beginValue(
        _ answer: Answer, _ bytes: Span<UInt8>, _ request: TraceRequest, _ slot: Int,
        _ connection: inout Connection
    ) {
        let key = bytes.extracting(answer.key.range)
        guard !connection.hasValue,
            tables.keys.matches(request.object, request.keyBytes, key)
        else {
            return fail(
                slot, connection, "a value for a key that was not asked for",
                reply: excerpt(of: bytes))
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
        _ entry: ReplayEntry, _ slot: Int, _ connection: inout Connection, isHit: Bool,
        isError: Bool = false
    ) {
        let request = entry.request
        let nanoseconds = wire.now > entry.sentAt ? wire.now &- entry.sentAt : 0
        latencies.record(request.operation, nanoseconds: nanoseconds, count: 1)
        connection.hasValue = false
        connection.link.dropHead(in: plan.depth)
        finish(request, isHit: isHit)
        guard !isHit, !isError, canFill(request) else { return }
        guard Int(request.valueBytes) <= plan.valueBytesMax else {
            counters.refused &+= 1
            return
        }
        var fill = request
        fill.operation = .fill
        tables.fills.push(fill, slot, &connection.fills)
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
        if firstError == nil { firstError = excerpt(of: bytes) }
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
        _ connection: inout Connection
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
        wire.failure = .badValue(
            connection: wire.firstConnection + slot,
            key: tables.keys.string(request.object, request.keyBytes), fault)
    }
}
