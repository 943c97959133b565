// MetaReplies: the lines that meta commands are answered with, flag by flag.
//
// Flags come in the order of the request; W, X and Z follow them. What is longest, a key of 250
// bytes in base 64 with every flag there is, fits beside a value that is copied.

internal import Memcache
internal import Primitives
internal import Store

/// What the reply to a meta get may tell.
struct MetaShown: BitwiseCopyable {
    var facts: MetaFacts
    var cas: UInt64
    var valueBytes = 0
    var flags: UInt32 = 0
    var hasValue = false

    init(facts: MetaFacts, cas: UInt64) {
        self.facts = facts
        self.cas = cas
    }

    init(found: Found, facts: MetaFacts, hasValue: Bool) {
        self.facts = facts
        cas = found.cas
        valueBytes = found.valueBytes
        flags = found.flags
        self.hasValue = hasValue
    }
}

/// What any reply may repeat of its request.
struct MetaEcho: BitwiseCopyable {
    var order: UInt64
    var key: Location
    var keyBytes: Int
    var opaque: Location
    var opaqueBytes: Int
    /// Whether the key came in base 64.
    var isEncoded: Bool
    var isQuiet: Bool
}

extension Worker where Network: ~Copyable {
    mutating func metaEcho(_ index: Int, _ flags: MetaFlags, _ key: MetaKey) -> MetaEcho {
        var opaque = metaWords(index)
        opaque.offset &+= Int(flags.opaque.offset)
        return MetaEcho(
            order: flags.order, key: key.place, keyBytes: key.count, opaque: opaque,
            opaqueBytes: Int(flags.opaque.count), isEncoded: flags.has("b"),
            isQuiet: flags.has("q"))
    }

    /// ` O…` or ` k…`; nothing for another step.
    private mutating func writeEcho(
        _ step: MetaFlags.Step, _ echo: MetaEcho, to writer: inout ByteWriter
    ) {
        switch step {
        case .opaque:
            writer.append(UInt8(ascii: " "))
            writer.append(echo.opaque.region, echo.opaque.offset, echo.opaqueBytes)
        case .key:
            writer.append(" k")
            writeMetaKey(echo, to: &writer)
            if echo.isEncoded { writer.append(" b") }
        default: break
        }
    }

    private mutating func writeMetaKey(_ echo: MetaEcho, to writer: inout ByteWriter) {
        guard echo.isEncoded else {
            writer.append(echo.key.region, echo.key.offset, echo.keyBytes)
            return
        }
        var copy = writer
        echo.key.region.withBytes(echo.key.offset, echo.keyBytes) {
            Base64.append($0, to: &copy)
        }
        writer = copy
    }

    /// Opaque and key, and what `ms` tells of what was stored; then the line end.
    mutating func writeMetaEcho(
        _ echo: MetaEcho, cas: UInt64? = nil, bytes: Int? = nil, to writer: inout ByteWriter
    ) {
        var order = echo.order
        while let step = MetaFlags.nextStep(&order) {
            switch step {
            case .cas:
                if let cas { number(" c", shownCas(cas), to: &writer) }
            case .size:
                if let bytes { number(" s", UInt64(bytes), to: &writer) }
            default: writeEcho(step, echo, to: &writer)
            }
        }
        Reply.lineEnd(to: &writer)
    }

    @inline(__always)
    private mutating func number(
        _ text: StaticString, _ value: UInt64, to writer: inout ByteWriter
    ) {
        writer.append(text)
        writer.append(decimal: value)
    }

    mutating func writeTTL(_ expiry: UInt32, to writer: inout ByteWriter) {
        guard expiry != 0 else { return writer.append(" t-1") }
        number(" t", UInt64(max(expiry, now.seconds) &- now.seconds), to: &writer)
    }

    /// What `t` tells behind a T or N of so many seconds; of what is dead at once, no second.
    private mutating func shownExpiry(_ sent: Int64) -> UInt32 {
        let expiry = metaExpiry(sent)
        return expiry.isOver ? now.seconds : expiry.second
    }

    /// The line of a hit: `HD` or `VA <bytes>`, the flags that were asked for, and W, X, Z.
    mutating func writeMetaHead(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ shown: MetaShown,
        to writer: inout ByteWriter
    ) {
        if shown.hasValue {
            number("VA ", UInt64(shown.valueBytes), to: &writer)
        } else {
            writer.append("HD")
        }
        let facts = shown.facts
        var expiry = facts.expiryBefore
        var order = flags.order
        while let step = MetaFlags.nextStep(&order) {
            switch step {
            case .size: number(" s", UInt64(shown.valueBytes), to: &writer)
            case .ttl: writeTTL(expiry, to: &writer)
            case .cas: number(" c", shownCas(shown.cas), to: &writer)
            case .flags: number(" f", UInt64(shown.flags), to: &writer)
            case .access: number(" l", UInt64(facts.accessAge), to: &writer)
            case .hit: writer.append(facts.wasFetched ? " h1" : " h0")
            case .touch: expiry = shownExpiry(flags.touch)
            case .vivify: if facts.isMade { expiry = shownExpiry(flags.vivify) }
            case .opaque, .key: writeEcho(step, metaEcho(index, flags, key), to: &writer)
            case .recache, .end: break
            }
        }
        if facts.wasSent {
            writer.append(" Z")
            counters.add(.recacheRefusals)
        }
        if facts.isStale {
            writer.append(" X")
            counters.add(.staleHits)
        }
        if facts.isWon {
            writer.append(" W")
            counters.add(.recacheWins)
        }
        Reply.lineEnd(to: &writer)
    }

    /// The whole reply to a get that only asks for what an item holds; `found` is released.
    mutating func writeMetaItem(
        _ index: Int, _ flags: MetaFlags, _ found: Found, _ space: consuming ReplySpace
    ) {
        let hasValue = flags.has("v")
        var writer = replyWriter(space)
        if hasValue {
            writer.append("VA ")
            writer.append(decimal: UInt64(truncatingIfNeeded: found.valueBytes))
        } else {
            writer.append("HD")
        }
        var order = flags.order
        while let step = MetaFlags.nextStep(&order) {
            switch step {
            case .size:
                Reply.metaNumber("s", UInt64(truncatingIfNeeded: found.valueBytes), to: &writer)
            case .ttl: writeTTL(found.expiry, to: &writer)
            case .cas: Reply.metaNumber("c", shownCas(found.cas), to: &writer)
            case .flags: Reply.metaNumber("f", UInt64(found.flags), to: &writer)
            case .opaque: writeWord(" ", metaWords(index), flags.opaque, to: &writer)
            case .key: writeWord(" k", batch[index].input, batch[index].request.key, to: &writer)
            default: break
            }
        }
        Reply.lineEnd(to: &writer)
        if hasValue { writer.append(door.memory, found.valueOffset, found.valueBytes) }
        door.release(found)
        if hasValue { Reply.lineEnd(to: &writer) }
        counters.add(.getCommands)
        counters.add(.getHits)
        addReply(Int(batch[index].slot), writer, space)
    }

    @inline(__always)
    private mutating func writeWord(
        _ text: StaticString, _ input: Location, _ word: Slice, to writer: inout ByteWriter
    ) {
        writer.append(text)
        input.region.withBytes(input.offset &+ Int(word.offset), Int(word.count)) {
            writer.append($0)
        }
    }

    /// The whole reply to an `ma` that has a number.
    mutating func writeMetaNumber(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ changed: MetaChanged,
        _ value: UInt64, to writer: inout ByteWriter
    ) {
        if flags.has("v") {
            number("VA ", UInt64(decimalDigits(value)), to: &writer)
        } else {
            writer.append("HD")
        }
        var expiry = changed.expiryBefore
        var order = flags.order
        while let step = MetaFlags.nextStep(&order) {
            switch step {
            case .ttl: writeTTL(expiry, to: &writer)
            case .cas: number(" c", shownCas(changed.cas), to: &writer)
            case .touch: expiry = shownExpiry(flags.touch)
            case .vivify: if changed.isMade { expiry = shownExpiry(flags.vivify) }
            case .opaque, .key: writeEcho(step, metaEcho(index, flags, key), to: &writer)
            default: break
            }
        }
        Reply.lineEnd(to: &writer)
        if flags.has("v") { Reply.number(value, to: &writer) }
    }

    private mutating func decimalDigits(_ value: UInt64) -> Int {
        var digits = 1
        var rest = value / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        return digits
    }

    /// The line of `me`.
    mutating func writeMetaDebug(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ found: Found, _ facts: MetaFacts,
        to writer: inout ByteWriter
    ) {
        writer.append("ME ")
        writeMetaKey(metaEcho(index, flags, key), to: &writer)
        if facts.expiry == 0 {
            writer.append(" exp=-1")
        } else {
            number(" exp=", UInt64(max(facts.expiry, now.seconds) &- now.seconds), to: &writer)
        }
        number(" la=", UInt64(facts.accessAge), to: &writer)
        number(" cas=", shownCas(found.cas), to: &writer)
        writer.append(facts.wasFetched ? " fetch=yes cls=1" : " fetch=no cls=1")
        let bytes = Limits.itemBytes(
            keyBytes: key.count, valueBytes: UInt64(found.valueBytes), flags: found.flags)
        number(" size=", bytes, to: &writer)
        Reply.lineEnd(to: &writer)
    }
}
