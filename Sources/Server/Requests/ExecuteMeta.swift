// ExecuteMeta: the joint for the meta commands: flags become a call of the door, and what that came
// to becomes a reply, its flags in the order of the request's.
//
// A meta get may change the item, so it waits where a change would. Values that arrive in pieces
// are in ExecuteMetaStaged, the words of replies in MetaReplies.

internal import Memcache
internal import Primitives
internal import Store

/// Where the key of a meta command lies, decoded, and its hash.
struct MetaKey: BitwiseCopyable {
    var place: Location
    var count: Int
    var hash: UInt64
    var slice: Slice { Slice(offset: 0, count: UInt32(truncatingIfNeeded: count)) }
}

extension Worker where Network: ~Copyable {
    mutating func executeMeta(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        guard connections[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return false
        }
        let request = batch[index].request
        let words = metaWords(index)
        let flags = words.region.withBytes(words.offset, Int(request.argument.count)) {
            MetaFlags($0)
        }
        if request.verb == .metaGet, flags.asksForItemAlone, flags.fault == nil,
            let found = findPlain(index, space)
        {
            writeMetaItem(index, flags, found, space)
            return true
        }
        let fault = metaFault(request.verb, flags)
        guard fault == nil, let key = metaKey(index, flags) else {
            answerMetaFault(slot, fault ?? keyFault(request.verb), space)
            return true
        }
        switch request.verb {
        case .metaGet: return executeMetaGet(index, flags, key, space)
        case .metaSet: return executeMetaSet(index, flags, key, space)
        case .metaDelete: return executeMetaDelete(index, flags, key, space)
        default: return executeMetaArithmetic(index, flags, key, space)
        }
    }

    /// What is said of a key that is no base 64.
    private mutating func keyFault(_ verb: Verb) -> Fault.Kind {
        switch verb {
        case .metaArithmetic: .metaArithmeticFlags
        default: .metaKey
        }
    }

    /// Where the words behind the key begin.
    mutating func metaWords(_ index: Int) -> Location {
        var place = batch[index].input
        place.offset &+= Int(batch[index].request.argument.offset)
        return place
    }

    /// What is wrong with the flags, in the words of the command.
    mutating func metaFault(_ verb: Verb, _ flags: MetaFlags) -> Fault.Kind? {
        if let kind = flags.fault {
            return verb == .metaArithmetic && kind != .metaOpaque ? .metaArithmeticFlags : kind
        }
        switch verb {
        case .metaSet:
            return flags.hasSetMode ? nil : .metaSetMode
        case .metaArithmetic:
            return flags.mode == 0 || isDecrement(flags) != nil ? nil : .metaArithmeticMode
        default: return nil
        }
    }

    mutating func storeMode(_ flags: MetaFlags) -> StoreMode? {
        switch flags.mode {
        case UInt8(ascii: "E"): .add
        case UInt8(ascii: "A"): .append
        case UInt8(ascii: "P"): .prepend
        case UInt8(ascii: "R"): .replace
        case 0, UInt8(ascii: "S"): .set
        default: nil
        }
    }

    private mutating func isDecrement(_ flags: MetaFlags) -> Bool? {
        switch flags.mode {
        case 0, UInt8(ascii: "I"), UInt8(ascii: "+"): false
        case UInt8(ascii: "D"), UInt8(ascii: "-"): true
        default: nil
        }
    }

    /// The key as the store knows it; nil if it cannot be decoded.
    private mutating func metaKey(_ index: Int, _ flags: MetaFlags) -> MetaKey? {
        let key = batch[index].request.key
        var place = batch[index].input
        place.offset &+= Int(key.offset)
        guard flags.has("b") else {
            return MetaKey(place: place, count: Int(key.count), hash: batch[index].hash)
        }
        return decodedKey(place, Int(key.count))
    }

    /// Decodes a key; where it lies then is good until the next is decoded.
    mutating func decodedKey(_ place: Location, _ count: Int) -> MetaKey? {
        let target = transfers.decodedPlace
        let decoded = place.region.withBytes(place.offset, count) {
            Base64.decode($0, to: target.region, at: target.offset)
        }
        guard let decoded else { return nil }
        let hash = target.region.withBytes(target.offset, decoded) { door.hash($0) }
        return MetaKey(place: target, count: decoded, hash: hash)
    }

    private mutating func answerMetaFault(
        _ slot: Int, _ kind: Fault.Kind, _ space: consuming ReplySpace
    ) {
        var writer = replyWriter(space)
        Reply.fault(kind, to: &writer)
        addReply(slot, writer, space)
    }

    mutating func metaExpiry(_ sent: Int64) -> MetaExpiry {
        let expiry = absolute(sent)
        return MetaExpiry(second: expiry.second, isOver: expiry.isExpired)
    }

    // MARK: Getting

    private mutating func metaGet(_ flags: MetaFlags, isBinary: Bool) -> MetaGet {
        var get = MetaGet()
        if flags.has("T") { get.touch = metaExpiry(flags.touch) }
        if flags.has("N") { get.vivify = metaExpiry(flags.vivifiedExpiry) }
        if flags.has("R") {
            let before = metaExpiry(flags.recache)
            get.recacheBefore = before.isOver ? 0 : before.second
            get.touchesFirst = flags.touchesBeforeRecache
        }
        get.next = flags.next
        get.isAccess = !flags.has("u")
        get.wantsValue = flags.has("v")
        get.mayWin = !isBinary
        return get
    }

    mutating func executeMetaGet(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        var get = metaGet(flags, isBinary: batch[index].request.isBinary)
        get.valueBytesMax = space.valueBytesMax
        let lookup = lookUp(get, slot, key)
        switch lookup {
        case .found(let found, let facts):
            let isLarge = found.valueBytes > Door.copyBytesMax || found.isChained
            guard get.wantsValue, isLarge, !withoutValue(flags, found.cas) else {
                connections[slot].differing = Differing()
                writeMetaHit(index, flags, key, found, facts, space)
                return true
            }
            switch pinLarge(index, found, mayCopy: true) {
            case .pinned(let pin):
                sendMetaLarge(index, flags, key, found, facts, pin, space)
                return true
            case .copied:
                countMetaGet(flags, isHit: true)
                let shown = MetaShown(found: found, facts: facts, hasValue: true)
                copyMetaLarge(index, flags, key, shown, found, space)
                return true
            case .waits: return false
            case .refused: return answerMetaMiss(index, flags, key, space)
            }
        case .large(let found):
            return executeMetaLarge(index, flags, key, get, found, space)
        case .made(let facts, let cas):
            countMetaGet(flags, isHit: true)
            var shown = MetaShown(facts: facts, cas: cas)
            shown.hasValue = get.wantsValue && (get.next == nil || !withoutValue(flags, cas))
            var writer = replyWriter(space)
            writeMetaHead(index, flags, key, shown, to: &writer)
            if shown.hasValue { Reply.lineEnd(to: &writer) }
            addChangeReply(slot, writer, space)
            return true
        case .miss:
            connections[slot].differing = Differing()
            return answerMetaMiss(index, flags, key, space)
        case .dead(let death):
            if !flags.has("T") { countDeath(death) }
            connections[slot].differing = Differing()
            return answerMetaMiss(index, flags, key, space)
        case .wait:
            guard finishMeta(slot, key, .wait) else { return false }
            return answerMetaMiss(index, flags, key, space)
        case .noOrder:
            guard finishMeta(slot, key, .noOrder) else { return false }
            return answerMetaMiss(index, flags, key, space)
        case .read(let read):
            guard finishMeta(slot, key, .read(read)) else { return false }
            return answerMetaMiss(index, flags, key, space)
        }
    }

    private mutating func lookUp(_ get: MetaGet, _ slot: Int, _ key: MetaKey) -> MetaLookup {
        key.place.region.withBytes(key.place.offset, key.count) {
            door.metaGet(get, key: $0, hash: key.hash, except: connections[slot].differing)
        }
    }

    /// C with the item's own CAS: the client has the value.
    private mutating func withoutValue(_ flags: MetaFlags, _ cas: UInt64) -> Bool {
        flags.has("C") && flags.compare == cas
    }

    private mutating func writeMetaHit(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ found: Found, _ facts: MetaFacts,
        _ space: consuming ReplySpace
    ) {
        countMetaGet(flags, isHit: true)
        let hasValue = flags.has("v") && !withoutValue(flags, found.cas)
        var writer = replyWriter(space)
        let isBinary = batch[index].request.isBinary
        if isBinary {
            writeBinaryHead(index, key, found, hasValue: hasValue, to: &writer)
        } else {
            let shown = MetaShown(found: found, facts: facts, hasValue: hasValue)
            writeMetaHead(index, flags, key, shown, to: &writer)
        }
        if hasValue {
            writer.append(door.memory, found.valueOffset, found.valueBytes)
            if !isBinary { Reply.lineEnd(to: &writer) }
        }
        door.release(found)
        let slot = Int(batch[index].slot)
        if facts.isChanged {
            addChangeReply(slot, writer, space)
        } else {
            addReply(slot, writer, space)
        }
    }

    /// A large value that the get changes: its memory is pinned before, so that nobody wins an
    /// item and then waits. Or one that is too long for the room that there is: nothing was done.
    private mutating func executeMetaLarge(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ get: MetaGet, _ found: Found,
        _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        guard !isCopied(found) else {
            door.release(found)
            refuseRoom(slot)
            return false
        }
        guard case .pinned(let pin) = pinLarge(index, found) else {
            guard connections[slot].wait == .nothing else { return false }
            return answerMetaMiss(index, flags, key, space)
        }
        var again = get
        again.pinnedAt = found.recordOffset
        switch lookUp(again, slot, key) {
        case .found(let second, let facts)
        where second.valueBytes > Door.copyBytesMax || second.isChained:
            // No other large one is answered so.
            door.release(second)
            connections[slot].differing = Differing()
            sendMetaLarge(index, flags, key, second, facts, pin, space)
            if facts.isChanged, door.isAcknowledging { holdLarge(slot) }
            return true
        case .found(let second, let facts):
            // The item went meanwhile, and another has its place that is not large: an empty one,
            // say, that this get has made.
            door.unpin(pin)
            connections[slot].differing = Differing()
            writeMetaHit(index, flags, key, second, facts, space)
            return true
        case .wait:
            door.unpin(pin)
            guard finishMeta(slot, key, .wait) else { return false }
            return answerMetaMiss(index, flags, key, space)
        case .noOrder:
            door.unpin(pin)
            guard finishMeta(slot, key, .noOrder) else { return false }
            return answerMetaMiss(index, flags, key, space)
        case .read(let read):
            door.unpin(pin)
            guard finishMeta(slot, key, .read(read)) else { return false }
            return answerMetaMiss(index, flags, key, space)
        case .large(let second):
            // Another value came between, and nothing was done: all over again, in the next turn.
            door.release(second)
            door.unpin(pin)
            markReady(slot)
            return false
        case .miss, .dead, .made:
            door.unpin(pin)
            return answerMetaMiss(index, flags, key, space)
        }
    }

    private mutating func sendMetaLarge(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ found: Found, _ facts: MetaFacts,
        _ pin: Pin, _ space: consuming ReplySpace
    ) {
        countMetaGet(flags, isHit: true)
        let slot = Int(batch[index].slot)
        var writer = replyWriter(space)
        if batch[index].request.isBinary {
            writeBinaryHead(index, key, found, hasValue: true, to: &writer)
        } else {
            let shown = MetaShown(found: found, facts: facts, hasValue: true)
            writeMetaHead(index, flags, key, shown, to: &writer)
        }
        keepReply(slot, count: writer.count, space)
        sendPinned(slot, found, pin)
    }

    /// Writes a large value as if it were none; `found` is released.
    private mutating func copyMetaLarge(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ shown: MetaShown, _ found: Found,
        _ space: consuming ReplySpace
    ) {
        var writer = replyWriter(space)
        if batch[index].request.isBinary {
            writeBinaryHead(index, key, found, hasValue: true, to: &writer)
        } else {
            writeMetaHead(index, flags, key, shown, to: &writer)
        }
        writer.append(door.memory, found.valueOffset, found.valueBytes)
        door.release(found)
        if !batch[index].request.isBinary { Reply.lineEnd(to: &writer) }
        addReply(Int(batch[index].slot), writer, space)
    }

    private mutating func answerMetaMiss(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ space: consuming ReplySpace
    ) -> Bool {
        countMetaGet(flags, isHit: false)
        guard !batch[index].request.isBinary else {
            answerBinaryMiss(index, space)
            return true
        }
        guard !flags.has("q") else { return true }
        var writer = replyWriter(space)
        writer.append("EN")
        writeMetaEcho(metaEcho(index, flags, key), to: &writer)
        addReply(Int(batch[index].slot), writer, space)
        return true
    }

    /// As memcached: with T it is a touch and no get.
    private mutating func countMetaGet(_ flags: MetaFlags, isHit: Bool) {
        guard flags.has("T") else {
            counters.add(.getCommands)
            counters.add(isHit ? .getHits : .getMisses)
            return
        }
        counters.add(.touchCommands)
        counters.add(isHit ? .touchHits : .touchMisses)
        counters.add(isHit ? .touchedGetHits : .touchedGetMisses)
    }

    /// The connection waits: false. It has waited too long: true.
    mutating func finishMeta(_ slot: Int, _ key: MetaKey, _ outcome: Outcome) -> Bool {
        if case .refused = finishChange(slot, key.place, key.slice, outcome) {
            counters.add(.waitsExpired)
            return true
        }
        return false
    }

    // MARK: Debugging

    /// `me`.
    mutating func executeMetaDebug(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        guard connections[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return false
        }
        let words = metaWords(index)
        let flags = words.region.withBytes(
            words.offset, Int(batch[index].request.argument.count)
        ) { MetaFlags(ofDebug: $0) }
        guard let key = metaKey(index, flags) else {
            answerMetaFault(slot, .badFormat, space)
            return true
        }
        var get = MetaGet()
        get.isAccess = false
        get.mayWin = false
        let lookup = lookUp(get, slot, key)
        switch lookup {
        case .found(let found, let facts):
            door.release(found)
            counters.add(.metaCommands)
            connections[slot].differing = Differing()
            var writer = replyWriter(space)
            writeMetaDebug(index, flags, key, found, facts, to: &writer)
            addReply(slot, writer, space)
            return true
        case .read(let read):
            guard finishMeta(slot, key, .read(read)) else { return false }
        default:
            connections[slot].differing = Differing()
        }
        counters.add(.metaCommands)
        var writer = replyWriter(space)
        writer.append("EN\r\n")
        addReply(slot, writer, space)
        return true
    }
}
