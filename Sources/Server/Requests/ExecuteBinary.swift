// ExecuteBinary: the joint for the binary protocol: what opcode and fields ask for, as calls that
// the other dialects make too, and what they came to, as packets.
//
// A get is looked up as the classic one, a touch is a meta get, a change is a meta change, because
// those tell the CAS. Values that arrive in pieces are in ExecuteBinaryStaged.

internal import Memcache
internal import Primitives
internal import Store

extension Worker where Network: ~Copyable {
    mutating func executeBinary(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        switch BinaryOpcode(rawValue: batch[index].request.opcode) {
        case .get, .getQ, .getK, .getKQ:
            return executeBinaryGet(index, space)
        case .touch, .getAndTouch, .getAndTouchQ, .getAndTouchK, .getAndTouchKQ:
            return endingLongTurn(executeBinaryTouch(index, space))
        case .set, .setQ, .add, .addQ, .replace, .replaceQ:
            return executeBinaryStore(index, space)
        case .append, .appendQ, .prepend, .prependQ:
            return endingLongTurn(executeBinaryStore(index, space))
        case .delete, .deleteQ: return executeBinaryDelete(index, space)
        case .increment, .incrementQ, .decrement, .decrementQ:
            return executeBinaryArithmetic(index, space)
        case .flush, .flushQ: return executeFlush(index, space)
        case .stat:
            let slot = Int(batch[index].slot)
            guard mayHaveText(slot) else { return false }
            return endingTurnOfTexts(
                slot, counting(.statsCommands, executeStatistics(index, space)))
        case .noop, .version, .verbosity, .saslMechanisms, .saslStart, .saslStep, .quit, .quitQ,
            nil:
            executeBinaryPlain(index, space)
            return true
        }
    }

    private mutating func executeBinaryPlain(_ index: Int, _ space: consuming ReplySpace) {
        let head = batch[index].request.head
        counters.add(.otherCommands)
        var writer = replyWriter(space)
        switch BinaryOpcode(rawValue: head.opcode) {
        case .version: BinaryReply.text(head, ProtocolLevel.version, to: &writer)
        case .saslMechanisms where shared.settings.sasl.isEnabled:
            BinaryReply.text(head, "PLAIN", to: &writer)
        case .verbosity:
            // Four bytes of extras hold an expiry in other commands.
            shared.setVerbosity(UInt64(batch[index].request.expiry))
            BinaryReply.done(head, to: &writer)
        case .noop: BinaryReply.done(head, to: &writer)
        default: BinaryReply.error(head, BinaryStatus.unknownCommand, to: &writer)
        }
        let slot = Int(batch[index].slot)
        if head.opcode == BinaryOpcode.noop.rawValue {
            addNoopReply(slot, writer, space)
        } else {
            addReply(slot, writer, space)
        }
    }

    /// Where the key of a binary command lies.
    private mutating func binaryKey(_ index: Int) -> MetaKey {
        let key = batch[index].request.key
        var place = batch[index].input
        place.offset &+= Int(key.offset)
        return MetaKey(place: place, count: Int(key.count), hash: batch[index].hash)
    }

    /// Whether the connection waits for its own reads, before a change.
    private mutating func waitsForReads(_ slot: Int) -> Bool {
        guard connections[slot].diskReads.open > 0 else { return false }
        beginWait(slot, .reads)
        return true
    }

    /// An error, which quiet commands answer too.
    mutating func answerBinaryError(
        _ slot: Int, _ head: BinaryHead, _ status: UInt16, _ space: consuming ReplySpace
    ) {
        var writer = replyWriter(space)
        BinaryReply.error(head, status, to: &writer)
        addReply(slot, writer, space)
    }

    /// No memory, or no disk, in time.
    mutating func answerBinaryOutOfMemory(
        _ slot: Int, _ head: BinaryHead, _ space: consuming ReplySpace
    ) {
        counters.add(.waitsExpired)
        counters.add(.storeNoMemory)
        answerBinaryError(slot, head, BinaryStatus.outOfMemory, space)
    }

    // MARK: Getting

    private mutating func executeBinaryGet(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        counters.add(.getCommands)
        let slot = Int(batch[index].slot)
        switch lookBinary(index, space) {
        case .written(let writer):
            counters.add(.getHits)
            addReply(slot, writer, space)
            return true
        case .miss:
            break
        case .large(let found):
            guard !isCopied(found) else {
                door.release(found)
                refuseRoom(slot)
                return undo(.getCommands)
            }
            switch pinLarge(index, found, mayCopy: true) {
            case .pinned(let pin):
                counters.add(.getHits)
                sendLarge(index, found, pin, space)
                return true
            case .copied:
                counters.add(.getHits)
                copyLarge(index, found, space)
                return true
            case .waits: return undo(.getCommands)
            case .refused: break
            }
        case .disk(let read):
            guard hasWaitedTooLong(slot) else {
                if read.isLoad {
                    requestLoad(slot, read)
                    return undo(.getCommands)
                }
                return beginRead(index, read) || undo(.getCommands)
            }
            counters.add(.waitsExpired)
            counters.add(.missesTimedOut)
            door.abandon(read)
        }
        counters.add(.getMisses)
        answerBinaryMiss(index, space)
        return true
    }

    private mutating func lookBinary(_ index: Int, _ space: borrowing ReplySpace) -> Got {
        let slot = Int(batch[index].slot)
        let key = binaryKey(index)
        return key.place.region.withBytes(key.place.offset, key.count) { bytes in
            switch door.find(bytes, hash: key.hash, except: connections[slot].differing) {
            case .miss: return .miss
            case .dead(let death):
                countDeath(death)
                return .miss
            case .disk(let read): return .disk(read)
            case .memory(let found):
                guard found.valueBytes <= space.valueBytesMax, !found.isChained else {
                    return .large(found)
                }
                var writer = replyWriter(space)
                BinaryReply.value(
                    batch[index].request.head, bytes, flags: found.flags,
                    bytes: found.valueBytes, cas: shownCas(found.cas), to: &writer)
                writer.append(door.memory, found.valueOffset, found.valueBytes)
                door.release(found)
                return .written(writer)
            }
        }
    }

    /// A get or a touch that finds nothing.
    mutating func answerBinaryMiss(_ index: Int, _ space: consuming ReplySpace) {
        guard !batch[index].request.isQuiet else { return }
        let key = binaryKey(index)
        var writer = replyWriter(space)
        key.place.region.withBytes(key.place.offset, key.count) {
            BinaryReply.miss(batch[index].request.head, $0, to: &writer)
        }
        addReply(Int(batch[index].slot), writer, space)
    }

    /// touch and gat: a meta get that wins nothing.
    private mutating func executeBinaryTouch(
        _ index: Int, _ space: consuming ReplySpace
    ) -> Bool {
        guard !waitsForReads(Int(batch[index].slot)) else { return false }
        let request = batch[index].request
        let flags = MetaFlags(
            touch: request.expiry, wantsValue: request.opcode != BinaryOpcode.touch.rawValue)
        return executeMetaGet(index, flags, binaryKey(index), space)
    }

    /// The header of what a meta get has found for a binary touch.
    mutating func writeBinaryHead(
        _ index: Int, _ key: MetaKey, _ found: Found, hasValue: Bool, to writer: inout ByteWriter
    ) {
        var copy = writer
        key.place.region.withBytes(key.place.offset, key.count) {
            BinaryReply.value(
                batch[index].request.head, $0, flags: found.flags,
                bytes: hasValue ? found.valueBytes : 0, cas: shownCas(found.cas), to: &copy)
        }
        writer = copy
    }

    // MARK: Changing

    /// What a binary storage command asks for; with a CAS each of them is a compare and set.
    mutating func binarySet(_ request: Request) -> MetaSet {
        var set = MetaSet()
        set.mode =
            switch BinaryOpcode(rawValue: request.opcode) {
            case .add, .addQ: .add
            case .replace, .replaceQ: .replace
            case .append, .appendQ: .append
            case .prepend, .prependQ: .prepend
            default: .set
            }
        set.flags = request.flags
        set.expiry = metaExpiry(request.expiry)
        if request.cas != 0 {
            set.compare = request.cas
            if set.mode == .add { set.mode = .set }
        }
        return set
    }

    private mutating func executeBinaryStore(
        _ index: Int, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        guard !waitsForReads(slot) else { return false }
        let request = batch[index].request
        let set = binarySet(request)
        switch storeMeta(index, set, binaryKey(index)) {
        case .waits: return false
        case .refused: answerBinaryOutOfMemory(slot, request.head, space)
        case .done(let changed): answerBinaryStore(slot, request, set, changed, space)
        }
        return true
    }

    /// Counts and answers a storage command.
    mutating func answerBinaryStore(
        _ slot: Int, _ request: Request, _ set: MetaSet, _ changed: MetaChanged,
        _ space: consuming ReplySpace
    ) {
        counters.add(.setCommands)
        if shared.observers.isActive { noteStored(slot, changed.outcome) }
        let isJoin = set.mode == .append || set.mode == .prepend
        countStore(set.compare != nil && !isJoin ? .cas : set.mode, changed.outcome)
        if case .tooLarge = changed.outcome { counters.add(.storeTooLarge) }
        var writer = replyWriter(space)
        switch changed.outcome {
        case .stored:
            guard !request.isQuiet else { return noteQuietChange(slot) }
            BinaryReply.done(request.head, cas: shownCas(changed.cas), to: &writer)
            addChangeReply(slot, writer, space)
            return
        case .exists: BinaryReply.error(request.head, BinaryStatus.exists, to: &writer)
        case .notFound: BinaryReply.error(request.head, BinaryStatus.notFound, to: &writer)
        case .tooLarge: BinaryReply.error(request.head, BinaryStatus.tooLarge, to: &writer)
        default:
            let status: UInt16 =
                switch set.mode {
                case .add: BinaryStatus.exists
                case .replace: BinaryStatus.notFound
                default: BinaryStatus.notStored
                }
            BinaryReply.error(request.head, status, to: &writer)
        }
        addReply(slot, writer, space)
    }

    private mutating func executeBinaryDelete(
        _ index: Int, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        guard !waitsForReads(slot) else { return false }
        let request = batch[index].request
        var delete = MetaDelete()
        if request.cas != 0 { delete.compare = request.cas }
        let outcome: Outcome
        switch deleteMeta(slot, delete, binaryKey(index)) {
        case .waits:
            return false
        case .refused:
            answerBinaryOutOfMemory(slot, request.head, space)
            return true
        case .done(let done):
            outcome = done
        }
        var writer = replyWriter(space)
        switch outcome {
        case .deleted:
            counters.add(.deleteHits)
            guard !request.isQuiet else {
                noteQuietChange(slot)
                return true
            }
            BinaryReply.done(request.head, to: &writer)
        case .exists:
            BinaryReply.error(request.head, BinaryStatus.exists, to: &writer)
        default:
            counters.add(.deleteMisses)
            BinaryReply.error(request.head, BinaryStatus.notFound, to: &writer)
        }
        // Also a miss may have left a tombstone that is to last.
        addChangeReply(slot, writer, space)
        return true
    }

    private mutating func executeBinaryArithmetic(
        _ index: Int, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        guard !waitsForReads(slot) else { return false }
        let request = batch[index].request
        var add = MetaArithmetic()
        add.delta = request.delta
        add.isDecrement =
            request.opcode == BinaryOpcode.decrement.rawValue
            || request.opcode == BinaryOpcode.decrementQ.rawValue
        if request.cas != 0 { add.compare = request.cas }
        // This expiry means: make none.
        if request.expiry != Int64(UInt32.max) { add.vivify = metaExpiry(request.expiry) }
        add.initial = request.initial
        switch addMeta(slot, add, binaryKey(index)) {
        case .waits: return false
        case .refused: answerBinaryOutOfMemory(slot, request.head, space)
        case .done(let changed): answerBinaryArithmetic(slot, request, add, changed, space)
        }
        return true
    }

    private mutating func answerBinaryArithmetic(
        _ slot: Int, _ request: Request, _ add: MetaArithmetic, _ changed: MetaChanged,
        _ space: consuming ReplySpace
    ) {
        var writer = replyWriter(space)
        switch changed.outcome {
        case .number(let number):
            counters.add(add.isDecrement ? .decrHits : .incrHits)
            guard !request.isQuiet else { return noteQuietChange(slot) }
            BinaryReply.number(
                request.head, number, cas: shownCas(changed.cas), to: &writer)
            addChangeReply(slot, writer, space)
            return
        case .notNumeric:
            BinaryReply.error(request.head, BinaryStatus.notNumeric, to: &writer)
        case .exists:
            BinaryReply.error(request.head, BinaryStatus.exists, to: &writer)
        default:
            counters.add(add.isDecrement ? .decrMisses : .incrMisses)
            BinaryReply.error(request.head, BinaryStatus.notFound, to: &writer)
        }
        addReply(slot, writer, space)
    }
}
