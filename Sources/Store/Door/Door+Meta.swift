// Meta: the meta commands, each decided in one hold of the key's shard lock.
//
// A get may change the item: it wins it, touches it, makes it. Who wins is decided by a mark of the
// record. Where the record may still be overwritten the mark is set in place; where the disk has it
// already, the record is written anew with the mark, so that whatever becomes of the older copy,
// nobody wins twice. A record that is only on disk is read first.

internal import Primitives
internal import SegmentLog

extension Door {
    // MARK: Getting

    /// `mg` and `me`.
    public mutating func metaGet(
        _ get: MetaGet, key: Span<UInt8>, hash: UInt64, except: Differing = Differing()
    ) -> MetaLookup {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        let lookup = lookForMeta(get, key, hash, shard, except)
        switch lookup {
        case .found, .large: break
        case .miss, .dead, .made, .wait, .noOrder, .read: log.index.unlock(shard)
        }
        return lookup
    }

    private mutating func lookForMeta(
        _ get: MetaGet, _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int, _ except: Differing
    ) -> MetaLookup {
        switch writer.locate(key, hash: hash, first: except.first, second: except.second) {
        case .disk(_, let slot, _):
            return .read(beginRead(hash, slot))
        case .none:
            // What recovery has not reached, say, must not come.
            if get.touch?.isOver == true, !bury(.absent, key, hash, shard) {
                return lackMeta(shard)
            }
            return vivify(get, .absent, key, hash, shard)
        case .memory(let at, let slot, let record):
            guard log.isAlive(record, at: now) else {
                guard get.vivify == nil else {
                    return vivify(
                        get, .present(at, slot, record, isAlive: false), key, hash, shard)
                }
                let death: Death = record.isExpired(at: now) ? .expired : .flushed
                guard get.touch?.isOver == true else {
                    writer.expire(hash, at, slot)
                    return .dead(death)
                }
                let subject = Subject.present(at, slot, record, isAlive: false)
                return bury(subject, key, hash, shard) ? .dead(death) : lackMeta(shard)
            }
            let noted = get.isAccess ? writer.noteHit(at, slot) : slot
            return metaGet(get, at, noted, record, key, hash, shard)
        }
    }

    private mutating func metaGet(
        _ get: MetaGet, _ at: SlotOffset, _ slot: UInt64, _ record: Record, _ key: Span<UInt8>,
        _ hash: UInt64, _ shard: Int
    ) -> MetaLookup {
        var facts = facts(of: record)
        if let touch = get.touch { facts.expiry = touch.second }
        facts.isWon = get.mayWin && wins(get, facts, record)
        var marks = get.isAccess ? accessed(record.marks) : record.marks
        if facts.isWon {
            facts.wasSent = false
            marks |= Record.Mark.sent
            if winTimeoutSeconds > 0 { marks = accessMarks & ~7 | marks & 7 }
        }
        let isTouched = facts.expiry != facts.expiryBefore || get.touch?.isOver == true
        if get.wantsValue, mustBePinned(get, slot, record, isChanged: facts.isWon || isTouched) {
            return .large(found(shard, slot, record, hash))
        }
        if let touch = get.touch, touch.isOver {
            return endTouched(facts, at, slot, record, key, hash, shard)
        }
        guard facts.isWon || isTouched else {
            if marks != record.marks { record.setMarks(marks) }
            return .found(found(shard, slot, record, hash), facts)
        }
        facts.isChanged = true
        if !isTouched, writer.isUncut(slot) {
            record.setMarks(marks)
            return .found(found(shard, slot, record, hash), facts)
        }
        let origin = Origin(
            order: record.order, value: valueExtent(slot, record), valueBytes: record.valueBytes,
            fields: RecordFields(
                flags: record.flags, expiry: facts.expiry, cas: record.cas(hash), marks: marks),
            newBytes: record.valueBytes)
        guard
            let place = rewrite(
                origin, .present(at, slot, record, isAlive: true), key, hash, shard)
        else { return lackMeta(shard) }
        return .found(place, facts)
    }

    /// Whether the value of a record cannot be answered before it is pinned. A large one is never
    /// overwritten where it lies, and what is pinned stays: no other record can be there.
    private mutating func mustBePinned(
        _ get: MetaGet, _ slot: UInt64, _ record: Record, isChanged: Bool
    ) -> Bool {
        guard isLarge(slot, record) else { return record.valueBytes > get.valueBytesMax }
        guard let pinnedAt = get.pinnedAt else { return isChanged }
        return pinnedAt != record.at
    }

    /// Writes a record anew with its old value, however large that is. Shard locked.
    mutating func rewrite(
        _ origin: Origin, _ subject: Subject, _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int
    ) -> Found? {
        guard let draft = openDraft(key, origin) else { return nil }
        copy(origin.value, to: draft.value, count: origin.newBytes)
        if origin.newBytes > Self.copyBytesMax { draftedBytes &+= origin.newBytes }
        guard publish(draft, subject, hash, shard) else {
            closeDraft(draft)
            return nil
        }
        let record = draft.target
        return Found(
            valueOffset: record.valueOffset, valueBytes: record.valueBytes, flags: record.flags,
            cas: record.cas(hash), expiry: record.expiry, isChained: draft.room != nil,
            shard: shard, recordOffset: record.at)
    }

    /// A get whose touch ends the item: its value is answered once more.
    private mutating func endTouched(
        _ facts: MetaFacts, _ at: SlotOffset, _ slot: UInt64, _ record: Record,
        _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int
    ) -> MetaLookup {
        var facts = facts
        facts.isChanged = true
        // The bytes stay where they are until the turn ends.
        let found = found(shard, slot, record, hash)
        guard bury(.present(at, slot, record, isAlive: true), key, hash, shard) else {
            return lackMeta(shard)
        }
        return .found(found, facts)
    }

    private mutating func lackMeta(_ shard: Int) -> MetaLookup {
        writer.hasOrder(shard) ? .wait : .noOrder
    }

    /// Whether a value is sent from where it lies.
    private mutating func isLarge(_ slot: UInt64, _ record: Record) -> Bool {
        record.valueBytes > Self.copyBytesMax
            || log.segments.kind(log.index.layout.segment(slot)) == .chain
    }

    private mutating func facts(of record: Record) -> MetaFacts {
        let marks = record.marks
        var facts = MetaFacts()
        facts.wasFetched = marks & Record.Mark.fetched != 0
        facts.accessAge = Record.Mark.age(marks, at: now)
        facts.expiryBefore = record.expiry
        facts.expiry = record.expiry
        facts.isStale = marks & Record.Mark.stale != 0
        facts.wasSent = marks & Record.Mark.sent != 0
        return facts
    }

    /// Whether a get wins an item that is there.
    private mutating func wins(_ get: MetaGet, _ facts: MetaFacts, _ record: Record) -> Bool {
        if facts.wasSent {
            // Who won it has had its time; until then its access is the win's.
            guard winTimeoutSeconds > 0, facts.accessAge >= winTimeoutSeconds else { return false }
            if get.vivify != nil, record.valueBytes == 0 { return true }
        }
        if facts.isStale { return true }
        guard let before = get.recacheBefore else { return false }
        let expiry = get.touchesFirst ? facts.expiry : facts.expiryBefore
        return expiry != 0 && expiry < before
    }

    /// An item that a get makes because there is none: empty, and won by this get.
    private mutating func vivify(
        _ get: MetaGet, _ subject: Subject, _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int
    ) -> MetaLookup {
        guard let expiry = get.vivify else { return .miss }
        var facts = MetaFacts()
        facts.isWon = true
        facts.isMade = true
        facts.isChanged = true
        facts.expiry = expiry.second
        guard !expiry.isOver else {
            guard bury(subject, key, hash, shard) else { return lackMeta(shard) }
            return .made(facts, cas: get.next ?? 0)
        }
        let origin = Origin(
            order: 0, value: .flat(0), valueBytes: 0,
            fields: RecordFields(
                expiry: expiry.second, cas: get.next,
                marks: (get.isAccess ? accessMarks : freshMarks) | Record.Mark.sent),
            newBytes: 0)
        guard let found = rewrite(origin, subject, key, hash, shard) else {
            return lackMeta(shard)
        }
        return .found(found, facts)
    }

    // MARK: Deleting

    /// `md`.
    public mutating func metaDelete(
        _ delete: MetaDelete, key: Span<UInt8>, hash: UInt64, except: Differing = Differing()
    ) -> Outcome {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, hash, except, mayTake: false)
        guard case .present(_, let slot, let record, true) = subject else {
            if case .mustRead(let read) = subject { return .read(read) }
            guard bury(subject, key, hash, shard) else { return lack(shard) }
            return .notFound
        }
        if let compare = delete.compare, compare != record.cas(hash) { return .exists }
        guard delete.marksStale || delete.removesValue else {
            return bury(subject, key, hash, shard) ? .deleted : lack(shard)
        }
        // Without a new expiry a stale item keeps its own, an emptied one never expires.
        let expiry =
            delete.expiry
            ?? MetaExpiry(second: delete.removesValue ? 0 : record.expiry, isOver: false)
        guard !expiry.isOver else {
            return bury(subject, key, hash, shard) ? .deleted : lack(shard)
        }
        var marks = delete.removesValue ? freshMarks : record.marks
        if delete.marksStale { marks = marks & ~Record.Mark.sent | Record.Mark.stale }
        let keeps = delete.removesValue && !delete.marksStale
        let cas = delete.next ?? (keeps ? record.cas(hash) : nil)
        let origin = Origin(
            order: record.order, value: valueExtent(slot, record), valueBytes: record.valueBytes,
            fields: RecordFields(
                flags: delete.removesValue ? delete.flags : record.flags, expiry: expiry.second,
                cas: cas, marks: marks),
            newBytes: delete.removesValue ? 0 : record.valueBytes)
        return rewrite(origin, subject, key, hash, shard) != nil ? .deleted : lack(shard)
    }
}
