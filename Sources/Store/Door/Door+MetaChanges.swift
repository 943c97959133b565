// MetaChanges: `ms` and `ma`, each decided in one hold of the key's shard lock.

internal import Primitives
internal import SegmentLog

extension Door {
    // MARK: Storing

    /// `ms` with its value at hand.
    public mutating func metaStore(
        _ set: MetaSet, key: Span<UInt8>, hash: UInt64, value: Span<UInt8>,
        except: Differing = Differing()
    ) -> MetaChanged {
        if set.mode == .append || set.mode == .prepend {
            let outcome = join(set, key, hash, .span, value, except)
            guard case .notStored = outcome, set.vivifies else { return changed(outcome) }
            // There is none; if one comes between, it is found below.
            var fresh = set
            fresh.mode = .add
            let stored = metaStore(fresh, key: key, hash: hash, value: value, except: except)
            guard case .notStored = stored.outcome else { return stored }
            return changed(join(set, key, hash, .span, value, except))
        }
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, hash, except, mayTake: set.takesUnread)
        var fields = fields(of: set)
        if let outcome = refusal(set, subject, hash, &fields) { return MetaChanged(outcome) }
        if set.expiry.isOver, fields.marks & Record.Mark.stale == 0 {
            return MetaChanged(bury(subject, key, hash, shard) ? .stored : lack(shard))
        }
        let origin = Origin(
            order: 0, value: .flat(0), valueBytes: 0, fields: fields, newBytes: value.count)
        guard let draft = openDraft(key, origin) else { return MetaChanged(.wait) }
        copy(value, to: draft.value, at: 0)
        guard publish(draft, subject, hash, shard) else {
            closeDraft(draft)
            return MetaChanged(lack(shard))
        }
        return changed(.stored)
    }

    private mutating func fields(of set: MetaSet) -> RecordFields {
        RecordFields(
            flags: set.flags, expiry: set.expiry.second, cas: set.next,
            marks: freshMarks)
    }

    /// Why a meta set does nothing, if it does not; what it stores becomes stale if it is older
    /// than what is there, and that is allowed. Shard locked.
    private mutating func refusal(
        _ set: MetaSet, _ subject: Subject, _ hash: UInt64, _ fields: inout RecordFields
    ) -> Outcome? {
        guard let compare = set.compare, set.mode != .add else {
            return refusal(set.mode, subject, hash, 0)
        }
        guard let refused = refusal(.cas, subject, hash, compare) else { return nil }
        guard case .exists = refused, set.allowsStale, compare != 0,
            case .present(_, _, let old, _) = subject, compare < old.cas(hash)
        else { return refused }
        fields.expiry = old.expiry
        fields.marks |= Record.Mark.stale | old.marks & Record.Mark.sent
        return nil
    }

    /// Any second: it is written over before the record is in the log.
    private static let expiryToCome: UInt32 = 1

    /// Room for a value of `ms` that will arrive in pieces.
    public mutating func openStaging(
        _ set: MetaSet, key: Span<UInt8>, hash: UInt64, valueBytes: Int
    ) -> Staging? {
        var fields = fields(of: set)
        // The expiry of an item that becomes stale is known at the end only: it gets its place.
        if set.allowsStale, set.compare != nil, fields.expiry == 0 {
            fields.expiry = Self.expiryToCome
        }
        return openStaging(key, hash, valueBytes, fields)
    }

    /// Executes a meta set whose staged value is complete.
    public mutating func metaStore(
        _ set: MetaSet, staging: Staging, except: Differing = Differing()
    ) -> MetaChanged {
        let image = Record(memory, at: log.frames.offset(staging.frame) + staging.start)
        let changed = memory.withBytes(image.keyOffset, image.keyBytes) { key -> MetaChanged in
            guard set.mode == .append || set.mode == .prepend else {
                return metaStore(set, staging, image, key, except)
            }
            let addition = Addition.extent(valueExtent(staging), staging.valueBytes)
            let outcome = join(
                set, key, staging.hash, addition, key.extracting(0..<0), except)
            guard case .notStored = outcome, set.vivifies else {
                return self.changed(outcome)
            }
            // There is none; if one comes between, it is found below.
            var fresh = set
            fresh.mode = .add
            let stored = metaStore(fresh, staging, image, key, except)
            guard case .notStored = stored.outcome else { return stored }
            return self.changed(
                join(set, key, staging.hash, addition, key.extracting(0..<0), except))
        }
        switch changed.outcome {
        case .wait, .noOrder, .read: break
        case .stored where changed.keepsRoom: break
        default: abandon(staging)
        }
        return changed
    }

    private mutating func metaStore(
        _ set: MetaSet, _ staging: Staging, _ image: Record, _ key: Span<UInt8>,
        _ except: Differing
    ) -> MetaChanged {
        let hash = staging.hash
        guard let draft = draft(of: staging, image) else { return MetaChanged(.wait) }
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, hash, except, mayTake: set.takesUnread)
        var fields = fields(of: set)
        if let outcome = refusal(set, subject, hash, &fields) { return MetaChanged(outcome) }
        let isStale = fields.marks & Record.Mark.stale != 0
        if set.expiry.isOver, !isStale {
            return MetaChanged(bury(subject, key, hash, shard) ? .stored : lack(shard))
        }
        draft.target.setMarks(fields.marks)
        draft.target.setExpiry(fields.expiry)
        var adjusted = draft
        adjusted.expiry = fields.expiry
        guard publish(adjusted, subject, hash, shard) else { return MetaChanged(lack(shard)) }
        var changed = changed(.stored)
        changed.keepsRoom = draft.room != nil
        return changed
    }

    /// What a reply may tell after `publish`.
    private mutating func changed(_ outcome: Outcome) -> MetaChanged {
        var changed = MetaChanged(outcome)
        if case .stored = outcome {
            changed.cas = lastCas
            changed.valueBytes = lastValueBytes
        }
        return changed
    }

    // MARK: Counting

    /// `ma`.
    public mutating func metaAdd(
        _ add: MetaArithmetic, key: Span<UInt8>, hash: UInt64, except: Differing = Differing()
    ) -> MetaChanged {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, hash, except, mayTake: false)
        guard case .present(let at, let slot, let record, true) = subject else {
            if case .mustRead(let read) = subject { return MetaChanged(.read(read)) }
            return vivify(add, subject, key, hash, shard)
        }
        // As memcached: what cannot be a number is told before the CAS is looked at.
        guard record.valueBytes > 0,
            log.segments.kind(log.index.layout.segment(slot)) != .chain
        else { return MetaChanged(.notNumeric) }
        if let compare = add.compare, compare != 0, compare != record.cas(hash) {
            return MetaChanged(.exists)
        }
        guard let number = Decimal.parse(record) else { return MetaChanged(.notNumeric) }
        let sum =
            add.isDecrement
            ? (number > add.delta ? number - add.delta : 0) : number &+ add.delta
        let touch = add.touch ?? MetaExpiry(second: record.expiry, isOver: false)
        var changed = MetaChanged(.number(sum))
        changed.expiryBefore = record.expiry
        changed.expiry = touch.second
        if touch.isOver {
            changed.cas = add.next ?? 0
            return bury(subject, key, hash, shard) ? changed : MetaChanged(lack(shard))
        }
        let noted = writer.noteHit(at, slot)
        let fields = RecordFields(
            flags: record.flags, expiry: touch.second, cas: add.next, marks: record.marks)
        let isDone = storeNumber(
            sum, .present(at, noted, record, isAlive: true), record, noted, key, hash, shard,
            fields)
        guard isDone else { return MetaChanged(lack(shard)) }
        changed.cas = add.next ?? (log.index.order(shard) << 16 | hash >> 48)
        return changed
    }

    /// A number that `ma` makes because there is none. Shard locked.
    private mutating func vivify(
        _ add: MetaArithmetic, _ subject: Subject, _ key: Span<UInt8>, _ hash: UInt64,
        _ shard: Int
    ) -> MetaChanged {
        guard let expiry = add.vivify else { return MetaChanged(.notFound) }
        var changed = MetaChanged(.number(add.initial))
        changed.expiry = expiry.second
        changed.isMade = true
        guard !expiry.isOver else {
            changed.cas = add.next ?? 0
            return bury(subject, key, hash, shard) ? changed : MetaChanged(lack(shard))
        }
        let digits = Decimal.digits(add.initial)
        let origin = Origin(
            order: 0, value: .flat(0), valueBytes: 0,
            fields: RecordFields(
                expiry: expiry.second, cas: add.next,
                marks: freshMarks),
            newBytes: digits)
        guard let draft = openDraft(key, origin) else { return MetaChanged(.wait) }
        Decimal.write(
            add.initial, count: digits, to: memory, at: draft.target.valueOffset)
        guard publish(draft, subject, hash, shard) else {
            closeDraft(draft)
            return MetaChanged(lack(shard))
        }
        changed.cas = lastCas
        return changed
    }
}
