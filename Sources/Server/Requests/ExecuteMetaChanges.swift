// ExecuteMetaChanges: the joint for ms, md and ma.

internal import Memcache
internal import Primitives
internal import Store

extension Worker where Network: ~Copyable {
    // MARK: Storing

    /// What the flags of `ms` ask for.
    mutating func metaSet(_ flags: MetaFlags) -> MetaSet {
        var set = MetaSet()
        set.mode = storeMode(flags) ?? .set
        set.flags = flags.clientFlags
        set.vivifies = flags.has("N") && (set.mode == .append || set.mode == .prepend)
        set.expiry = metaExpiry(set.vivifies ? flags.vivify : flags.touch)
        if flags.has("C") { set.compare = flags.compare }
        set.next = flags.next
        set.allowsStale = flags.has("I")
        return set
    }

    mutating func executeMetaSet(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        let set = metaSet(flags)
        switch storeMeta(index, set, key) {
        case .waits: return false
        case .refused: answerOutOfMemory(slot, isQuiet: false, space)
        case .done(let changed):
            answerMetaSet(
                slot, metaEcho(index, flags, key), set, changed,
                bytes: Int(batch[index].request.value.count), space)
        }
        return true
    }

    /// Counts and answers an `ms`.
    mutating func answerMetaSet(
        _ slot: Int, _ echo: MetaEcho, _ set: MetaSet, _ changed: MetaChanged, bytes: Int,
        _ space: consuming ReplySpace
    ) {
        counters.add(.setCommands)
        if shared.observers.isActive { noteStored(slot, changed.outcome) }
        let isCompared = set.compare != nil && (set.mode == .set || set.mode == .replace)
        countStore(isCompared ? .cas : set.mode, changed.outcome)
        if case .tooLarge = changed.outcome { counters.add(.storesFailed) }
        var writer = replyWriter(space)
        var isStored = false
        switch changed.outcome {
        case .stored:
            isStored = true
            writer.append("HD")
        case .exists: writer.append("EX")
        case .notFound: writer.append("NF")
        default: writer.append("NS")
        }
        guard !isStored || !echo.isQuiet else { return noteQuietChange(slot) }
        writeMetaEcho(
            echo, cas: changed.cas, bytes: isStored ? max(changed.valueBytes, bytes) : bytes,
            to: &writer)
        if isStored { addChangeReply(slot, writer, space) } else { addReply(slot, writer, space) }
    }

    // MARK: Deleting

    mutating func executeMetaDelete(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        var delete = MetaDelete()
        if flags.has("C") { delete.compare = flags.compare }
        delete.next = flags.next
        delete.marksStale = flags.has("I")
        delete.removesValue = flags.has("x")
        delete.flags = flags.clientFlags
        if flags.has("T") { delete.expiry = metaExpiry(flags.touch) }
        let outcome: Outcome
        switch deleteMeta(slot, delete, key) {
        case .waits:
            return false
        case .refused:
            answerOutOfMemory(slot, isQuiet: false, isStoring: false, space)
            return true
        case .done(let done):
            outcome = done
        }
        var writer = replyWriter(space)
        switch outcome {
        case .deleted:
            counters.add(.deleteHits)
            guard !flags.has("q") else {
                noteQuietChange(slot)
                return true
            }
            writer.append("HD")
        case .exists:
            counters.add(.deleteMisses)
            writer.append("EX")
        default:
            counters.add(.deleteMisses)
            writer.append("NF")
        }
        writeMetaEcho(metaEcho(index, flags, key), to: &writer)
        // Also NF may have left a tombstone that is to last.
        addChangeReply(slot, writer, space)
        return true
    }

    // MARK: Counting

    mutating func executeMetaArithmetic(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        var add = MetaArithmetic()
        add.delta = flags.delta
        add.isDecrement = flags.mode == UInt8(ascii: "D") || flags.mode == UInt8(ascii: "-")
        if flags.has("C") { add.compare = flags.compare }
        add.next = flags.next
        if flags.has("T") { add.touch = metaExpiry(flags.touch) }
        if flags.has("N") { add.vivify = metaExpiry(flags.vivifiedExpiry) }
        add.initial = flags.initial
        switch addMeta(slot, add, key) {
        case .waits: return false
        case .refused: answerOutOfMemory(slot, isQuiet: false, isStoring: false, space)
        case .done(let changed): answerMetaArithmetic(index, flags, key, add, changed, space)
        }
        return true
    }

    private mutating func answerMetaArithmetic(
        _ index: Int, _ flags: MetaFlags, _ key: MetaKey, _ add: MetaArithmetic,
        _ changed: MetaChanged, _ space: consuming ReplySpace
    ) {
        let slot = Int(batch[index].slot)
        var writer = replyWriter(space)
        switch changed.outcome {
        case .number(let number):
            counters.add(add.isDecrement ? .decrHits : .incrHits)
            guard !flags.has("q") else { return noteQuietChange(slot) }
            writeMetaNumber(index, flags, key, changed, number, to: &writer)
            addChangeReply(slot, writer, space)
            return
        case .notNumeric:
            Reply.nonNumeric(to: &writer)
        case .exists:
            writer.append("EX")
            writeMetaEcho(metaEcho(index, flags, key), to: &writer)
        default:
            counters.add(add.isDecrement ? .decrMisses : .incrMisses)
            writer.append("NF")
            writeMetaEcho(metaEcho(index, flags, key), to: &writer)
        }
        addReply(slot, writer, space)
    }
}
