// Changes: the commands that write, each in one hold of the key's shard lock (a large record is
// written before it, see Door+Drafts).
//
// Each command looks for the key, decides, and then writes the new record over the old one (where
// that is allowed) or at the tail of the worker's open segment. A record that is only on disk is
// read first (`Outcome.read`), except by a plain set, which takes its slot unread.

internal import Primitives
internal import SegmentLog

/// The record that a change is about, once the key was looked for.
enum Subject: BitwiseCopyable {
    /// No slot is the key's.
    case absent
    /// A slot is the key's; its record may be dead already (`isAlive`).
    case present(SlotOffset, UInt64, Record, isAlive: Bool)
    /// The record is on disk only and its slot may be taken unread.
    case unread(SlotOffset, UInt64)
    /// The record must be read first.
    case mustRead(DiskRead)
}

extension Door {
    /// Looks for the key. The shard is locked.
    mutating func subject(
        _ key: Span<UInt8>, _ hash: UInt64, _ except: Differing, mayTake: Bool
    ) -> Subject {
        switch writer.locate(key, hash: hash, first: except.first, second: except.second) {
        case .none:
            return .absent
        case .memory(let at, let slot, let record):
            return .present(at, slot, record, isAlive: log.isAlive(record, at: now))
        case .disk(let at, let slot, let isAlone):
            if mayTake, isAlone { return .unread(at, slot) }
            return .mustRead(beginRead(hash, slot))
        }
    }

    // MARK: Storing

    /// A storage command whose value is at hand. `expiry`: absolute seconds, 0 for never;
    /// `isExpired`: the value is dead on arrival (it still replaces). `hint`: as of `find`.
    public mutating func store(
        _ mode: StoreMode, key: Span<UInt8>, hash: UInt64, value: Span<UInt8>, flags: UInt32,
        expiry: UInt32, isExpired: Bool, cas: UInt64, except: Differing = Differing(),
        hint: Int = -1
    ) -> Outcome {
        guard value.count <= itemBytesMax else { return .tooLarge }
        if mode == .append || mode == .prepend {
            return join(mode, key, hash, .span, value, except)
        }
        let fields = RecordFields(flags: flags, expiry: expiry, marks: freshMarks)
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: value.count)
        // A value that is dead on arrival is written nowhere: it needs no room, however large.
        guard isExpired || total <= log.geometry.sharedRecordBytesMax else {
            return storeThroughStaging(
                mode, key: key, hash: hash, value: value, fields: fields, isExpired: isExpired,
                cas: cas, except: except)
        }
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject: Subject
        switch writer.glance(key, hash: hash, hint: hint) {
        case .none: subject = .absent
        case .memory(let at, let slot, let record):
            if mode == .set, !isExpired {
                if put(key, value, fields, total, over: record, at, slot, shard) { return .stored }
                return lack(shard)
            }
            subject = .present(at, slot, record, isAlive: log.isAlive(record, at: now))
        case .unsure: subject = self.subject(key, hash, except, mayTake: mode == .set)
        }
        if let outcome = refusal(mode, subject, hash, cas) { return outcome }
        if isExpired { return bury(subject, key, hash, shard) ? .stored : lack(shard) }
        if case .present(let at, let slot, let old, _) = subject {
            let isDone = put(key, value, fields, total, over: old, at, slot, shard)
            return isDone ? .stored : lack(shard)
        }
        guard let order = writer.nextOrder(shard) else { return .noOrder }
        guard writer.makeSpace(total) else { return .wait }
        write(key, value, fields, to: writer.tail, order)
        log.index.setOrder(shard, order)
        point(subject, hash, shard, to: writer.advance(total, expiry: expiry))
        return .stored
    }

    /// What `store` of a plain set would do where the hint leads straight to the key's record in
    /// memory. False: nothing was done, ask `store`.
    public mutating func putHinted(
        _ key: Span<UInt8>, hash: UInt64, value: Span<UInt8>, flags: UInt32, expiry: UInt32,
        hint: Int
    ) -> Bool {
        let fields = RecordFields(flags: flags, expiry: expiry, marks: freshMarks)
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: value.count)
        guard hint >= 0, total <= log.geometry.sharedRecordBytesMax, value.count <= itemBytesMax
        else { return false }
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        var isDone = false
        if let (slot, record) = writer.hinted(key, hash: hash, hint: hint) {
            isDone = put(key, value, fields, total, over: record, hint, slot, shard)
        }
        log.index.unlock(shard)
        return isDone
    }

    /// Writes a value over the record that a slot names or, where that is not allowed, at the tail.
    /// False: nothing was written (`lack`). Shard locked.
    @inline(__always)
    private mutating func put(
        _ key: Span<UInt8>, _ value: Span<UInt8>, _ fields: RecordFields, _ total: Int,
        over old: Record, _ at: SlotOffset, _ slot: UInt64, _ shard: Int
    ) -> Bool {
        guard let order = writer.nextOrder(shard) else { return false }
        let before = old.totalBytes
        let space = writer.space(over: slot, old, old: before, wanted: total)
        if space > 0 {
            write(key, value, fields, to: old, order)
            writer.fillBehind(slot, old, old: before, new: total, space: space)
            writer.noteOverwrite(expiry: fields.expiry)
            writer.noteHit(at, slot)
        } else {
            guard writer.makeSpace(total) else { return false }
            write(key, value, fields, to: writer.tail, order)
            // What was wanted stays wanted: one hit of the old record's is kept.
            let place = writer.advance(total, expiry: fields.expiry)
            writer.replace(at, slot, old, with: place, hits: min(SlotLayout.hits(slot), 1))
        }
        log.index.setOrder(shard, order)
        return true
    }

    /// Writes a whole record.
    @inline(__always)
    private mutating func write(
        _ key: Span<UInt8>, _ value: Span<UInt8>, _ fields: RecordFields, to target: Record,
        _ order: UInt64
    ) {
        let at = target.write(fields, order: order, keyBytes: key.count, valueBytes: value.count)
        target.region.store(key, at: at)
        target.region.store(value, at: at &+ key.count)
    }

    /// Why a storage command does nothing, if it does not.
    @inline(never)
    mutating func refusal(
        _ mode: StoreMode, _ subject: Subject, _ hash: UInt64, _ cas: UInt64
    ) -> Outcome? {
        var isThere = false
        var current: UInt64 = 0
        switch subject {
        case .mustRead(let read): return .read(read)
        case .present(_, _, let record, let isAlive):
            isThere = isAlive
            current = record.cas(hash)
        case .unread: isThere = true
        case .absent: break
        }
        switch mode {
        case .set: return nil
        case .add: return isThere ? .notStored : nil
        case .replace, .append, .prepend: return isThere ? nil : .notStored
        case .cas:
            guard isThere else { return .notFound }
            return current == cas ? nil : .exists
        }
    }

    /// What a change that was not written lacks: an order, or memory. Shard locked.
    mutating func lack(_ shard: Int) -> Outcome { writer.hasOrder(shard) ? .wait : .noOrder }

    /// Makes the key's slot point to `place`. Shard locked.
    mutating func point(
        _ subject: Subject, _ hash: UInt64, _ shard: Int, to place: Place
    ) {
        switch subject {
        case .present(let at, let slot, let old, _):
            // What was wanted stays wanted: one hit of the old record's is kept.
            writer.replace(at, slot, old, with: place, hits: min(SlotLayout.hits(slot), 1))
        case .unread(let at, let slot):
            log.index.setMayHide(shard)
            log.count(.takenUnread)
            guard log.isRecovering else { return writer.replace(at, slot, with: place) }
            interleaving?.catchUp()
            log.rememberUnread(shard, at, slot)
            log.supersede(hash, with: place)
            writer.insert(hash, place)
        case .absent, .mustRead:
            if log.isRecovering {
                interleaving?.catchUp()
                log.supersede(hash, with: place)
            }
            let isGhost = !log.ghosts.isEmpty && log.ghosts.take(hash)
            if isGhost { log.count(.ghostHits) }
            writer.insert(hash, place, hits: isGhost ? 1 : 0)
        }
    }

    // MARK: Removing

    /// delete.
    public mutating func remove(
        _ key: Span<UInt8>, hash: UInt64, except: Differing = Differing()
    ) -> Outcome {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, hash, except, mayTake: false)
        var isThere = false
        switch subject {
        case .mustRead(let read): return .read(read)
        case .present(_, _, _, let isAlive): isThere = isAlive
        case .absent, .unread: break
        }
        guard bury(subject, key, hash, shard) else { return lack(shard) }
        return isThere ? .deleted : .notFound
    }

    /// Removes what a set that fails was to replace. It always does, at once: nothing is read (what
    /// has the key's tag and lies on disk only becomes a miss), and if there is no memory for a
    /// tombstone, only a restart can bring the old value back, as if the set had never been sent.
    ///
    /// - Returns: whether it holds over restarts.
    @discardableResult
    public mutating func forget(
        _ key: Span<UInt8>, hash: UInt64, except: Differing = Differing()
    ) -> Bool {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        var subject = forgettable(key, hash, except)
        // However much the failed request was to write, this is little.
        let wasGranted = isReserveGranted
        isReserveGranted = true
        let isBuried = bury(subject, key, hash, shard)
        isReserveGranted = wasGranted
        if isBuried {
            guard case .unread = subject else { return true }
            subject = forgettable(key, hash, except)
        }
        while true {
            switch subject {
            case .present(let at, let slot, _, _), .unread(let at, let slot):
                drop(hash, shard, at, slot)
            case .absent, .mustRead:
                // What recovery has not settled, or not read, must not come.
                if log.isRecovering, !isBuried { log.supersede(hash) }
                return isBuried
            }
            subject = forgettable(key, hash, except)
        }
    }

    /// What a look finds, with nothing that would have to be read. Shard locked.
    private mutating func forgettable(
        _ key: Span<UInt8>, _ hash: UInt64, _ except: Differing
    ) -> Subject {
        switch writer.locate(key, hash: hash, first: except.first, second: except.second) {
        case .none: .absent
        case .memory(let at, let slot, let record): .present(at, slot, record, isAlive: true)
        case .disk(let at, let slot, _): .unread(at, slot)
        }
    }

    /// Takes a slot away that leaves no tombstone; the disk may still hold its record.
    mutating func drop(_ hash: UInt64, _ shard: Int, _ at: SlotOffset, _ slot: UInt64) {
        log.index.setMayHide(shard)
        if !log.rememberDead(shard, at, slot) { writer.remove(hash, at, slot) }
    }

    /// Takes the key's slot away and leaves a tombstone if the disk may hold a record of the key.
    /// False: no room for the tombstone now, nothing was changed. Shard locked.
    mutating func bury(
        _ subject: Subject, _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int
    ) -> Bool {
        let isRecovering = log.isRecovering
        if isRecovering { interleaving?.catchUp() }
        var needsTombstone = log.index.mayHide(shard) || isRecovering
        switch subject {
        case .present, .unread: needsTombstone = true
        case .absent, .mustRead: break
        }
        var grave: Place?
        if log.geometry.hasDisk, needsTombstone {
            guard let place = appendTombstone(key, shard) else { return false }
            grave = place
        }
        switch subject {
        case .unread(let at, let slot) where isRecovering:
            log.rememberUnread(shard, at, slot)
        case .present(let at, let slot, let record, _):
            writer.remove(hash, at, slot, record)
        case .unread(let at, let slot):
            writer.remove(hash, at, slot)
        case .absent, .mustRead: break
        }
        if isRecovering, let grave { writer.rememberRemoval(hash, grave) }
        return true
    }

    private mutating func appendTombstone(_ key: Span<UInt8>, _ shard: Int) -> Place? {
        guard let order = writer.nextOrder(shard) else { return nil }
        let fields = RecordFields(isTombstone: true)
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: 0)
        guard writer.makeSpace(total) else { return nil }
        let target = writer.tail
        let at = target.write(fields, order: order, keyBytes: key.count, valueBytes: 0)
        target.region.store(key, at: at)
        log.index.setOrder(shard, order)
        return writer.advanceDead(total)
    }

    /// flush_all: at once (nil), or at that absolute second.
    public mutating func flushAll(at second: UInt32?) {
        if let second, second > now {
            signals.flushAt.storeRelease(UInt64(second))
        } else {
            _ = log.flushAll()
            signals.flushAt.storeRelease(0)
            signals.maintenance.wake()
        }
        signals.changes.add(1)
    }

    // MARK: Touching

    /// touch: the record gets a new expiry and a new order, and keeps its cas.
    ///
    /// - Parameter compare: The cas of the value that is meant; if the key has another one
    ///   meanwhile, the outcome is `exists`.
    public mutating func touch(
        _ key: Span<UInt8>, hash: UInt64, expiry: UInt32, isExpired: Bool,
        record: Int? = nil, except: Differing = Differing()
    ) -> Outcome {
        let shard = log.index.shard(hash)
        return renew(
            key, shard, success: .touched,
            look: { door, draft, isLast in
                door.lookToTouch(
                    key, hash, shard, expiry, isExpired, record, except, draft, isLast)
            },
            fill: { door, origin, target in
                door.copy(origin.value, to: target, count: origin.valueBytes)
            })
    }

    /// One look of a touch. Shard locked.
    private mutating func lookToTouch(
        _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int, _ expiry: UInt32, _ isExpired: Bool,
        _ wanted: Int?, _ except: Differing, _ draft: Draft?, _ isLast: Bool
    ) -> Hold {
        let subject = subject(key, hash, except, mayTake: false)
        switch subject {
        case .mustRead(let read): return .done(.read(read))
        case .absent, .unread:
            // What recovery has not reached, say, must not come: it is as good as removed.
            guard isExpired else { return .done(.notFound) }
            return .done(bury(subject, key, hash, shard) ? .notFound : lack(shard))
        case .present(let at, let slot, let record, let isAlive):
            guard isAlive || isExpired else {
                writer.expire(hash, at, slot)
                return .done(.notFound)
            }
            if isAlive, let wanted, wanted != record.at { return .done(.exists) }
            if isExpired {
                let done: Outcome = isAlive ? .touched : .notFound
                return .done(bury(subject, key, hash, shard) ? done : lack(shard))
            }
            let noted = writer.noteHit(at, slot)
            if record.expiry == expiry {
                noteAccess(record)
                return .done(.touched)
            }
            let origin = Origin(
                order: record.order, value: valueExtent(slot, record),
                valueBytes: record.valueBytes,
                fields: RecordFields(
                    flags: record.flags, expiry: expiry, cas: record.cas(hash),
                    marks: accessed(record.marks)),
                newBytes: record.valueBytes)
            return settle(
                draft, origin, isLast, key, .present(at, noted, record, isAlive: true), hash,
                shard, success: .touched,
                fill: { door, origin, target in
                    door.copy(origin.value, to: target, count: origin.valueBytes)
                })
        }
    }

    // MARK: Counting

    /// incr and decr: 64-bit, wrapping up, stopping at 0 down; a number never gets shorter, it is
    /// padded with blanks.
    public mutating func add(
        _ delta: UInt64, isDecrement: Bool, key: Span<UInt8>, hash: UInt64,
        except: Differing = Differing()
    ) -> Outcome {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, hash, except, mayTake: false)
        switch subject {
        case .mustRead(let read): return .read(read)
        case .absent, .unread: return .notFound
        case .present(let at, let slot, let record, let isAlive):
            guard isAlive else {
                writer.expire(hash, at, slot)
                return .notFound
            }
            guard log.segments.kind(log.index.layout.segment(slot)) != .chain,
                let number = Decimal.parse(record)
            else { return .notNumeric }
            // What is counted with is wanted: the new record inherits the hit.
            let noted = writer.noteHit(at, slot)
            let sum =
                isDecrement ? (number > delta ? number - delta : 0) : number &+ delta
            let fields = RecordFields(
                flags: record.flags, expiry: record.expiry, marks: record.marks)
            let isDone = storeNumber(
                sum, .present(at, noted, record, isAlive: true), record, noted, key, hash, shard,
                fields)
            return isDone ? .number(sum) : lack(shard)
        }
    }

    /// Writes a number in the place of another; as memcached, one that does not fit there begins
    /// with fresh marks. Shard locked.
    mutating func storeNumber(
        _ number: UInt64, _ subject: Subject, _ old: Record, _ slot: UInt64, _ key: Span<UInt8>,
        _ hash: UInt64, _ shard: Int, _ wanted: RecordFields
    ) -> Bool {
        let isLonger = Decimal.digits(number) > old.valueBytes
        var fields = wanted
        fields.marks = isLonger ? freshMarks : wanted.marks & 7 | freshMarks
        let digits = max(Decimal.digits(number), old.valueBytes)
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: digits)
        guard let order = writer.nextOrder(shard) else { return false }
        let before = old.totalBytes
        if case let space = writer.space(over: slot, old, old: before, wanted: total), space > 0 {
            let at = old.write(fields, order: order, keyBytes: key.count, valueBytes: digits)
            old.region.store(key, at: at)
            Decimal.write(number, count: digits, to: old.region, at: at + key.count)
            writer.fillBehind(slot, old, old: before, new: total, space: space)
            writer.noteOverwrite(expiry: fields.expiry)
            log.index.setOrder(shard, order)
            return true
        }
        guard writer.makeSpace(total) else { return false }
        let target = writer.tail
        let at = target.write(fields, order: order, keyBytes: key.count, valueBytes: digits)
        target.region.store(key, at: at)
        Decimal.write(number, count: digits, to: target.region, at: at + key.count)
        log.index.setOrder(shard, order)
        point(subject, hash, shard, to: writer.advance(total, expiry: fields.expiry))
        return true
    }
}
