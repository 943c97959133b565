// Drafts: large records that are written before the shard of their key is locked.
//
// A copy of megabytes must not hold up the other keys of a shard. A large record is therefore
// written to memory that only this worker knows (the tail of its open segment, or a chain of
// frames); the lock is held only to see that what it was made from still stands, and to point the
// slot to it. What it was made from cannot change meanwhile: a record with a value above
// `copyBytesMax` is never overwritten in place, and no frame is used again before the turn ends.

internal import Primitives
internal import SegmentLog

/// A record that is written, and that no slot names yet.
struct Draft: BitwiseCopyable {
    /// The order of the record that it was made from.
    var origin: UInt64
    var target: Record
    /// Its chain of frames, if it is too large to share a segment.
    var room: Room?
    var totalBytes: Int
    var expiry: UInt32
    /// Where its value lies.
    var value: Extent
}

/// What a draft is made from: a record as it was under the lock.
struct Origin: BitwiseCopyable {
    var order: UInt64
    var value: Extent
    var valueBytes: Int
    /// What the new record is to hold besides its value, and how long that is.
    var fields: RecordFields
    var newBytes: Int
}

/// What one hold of the shard's lock came to.
enum Hold: BitwiseCopyable {
    case done(Outcome)
    /// The draft is the key's record now.
    case published
    /// A draft of this is needed; then lock and look again.
    case draft(Origin)
}

extension Door {
    /// Drafts that are made in vain, because others change the key meanwhile, before the next one
    /// is made under the lock.
    static var draftsMax: Int { 4 }

    /// Room for a record with the given header and key, whose value is still to be written.
    /// Nil: none now. Whatever else appends to the open segment undoes a draft.
    mutating func openDraft(_ key: Span<UInt8>, _ origin: Origin) -> Draft? {
        let total = origin.fields.totalBytes(keyBytes: key.count, valueBytes: origin.newBytes)
        var room: Room?
        let target: Record
        if total > log.geometry.sharedRecordBytesMax {
            guard let chain = writer.openRoom(total, isBrief: true) else { return nil }
            room = chain
            target = Record(memory, at: log.frames.offset(chain.frame))
        } else {
            guard writer.makeSpace(total) else { return nil }
            target = writer.tail
        }
        let at = target.write(
            origin.fields, order: 0, keyBytes: key.count, valueBytes: origin.newBytes)
        memory.store(key, at: at)
        let start = at + key.count
        return Draft(
            origin: origin.order, target: target, room: room, totalBytes: total,
            expiry: origin.fields.expiry,
            value: room.map { .chained(first: $0.frame, start: start - target.at) }
                ?? .flat(start))
    }

    /// Gives up a draft that was not published.
    mutating func closeDraft(_ draft: Draft?) {
        if let room = draft?.room { writer.closeRoom(room) }
    }

    /// Makes a draft the key's record. False: not now; the draft is as it was. Shard locked.
    mutating func publish(
        _ draft: Draft, _ subject: Subject, _ hash: UInt64, _ shard: Int
    ) -> Bool {
        guard let order = writer.nextOrder(shard) else { return false }
        let place: Place
        if let room = draft.room {
            guard let segment = writer.makeSegment(of: room, expiry: draft.expiry) else {
                return false
            }
            place = segment
        } else {
            place = writer.advance(draft.totalBytes, expiry: draft.expiry)
        }
        draft.target.setOrder(order)
        log.index.setOrder(shard, order)
        lastCas = draft.target.cas(hash)
        lastValueBytes = draft.target.valueBytes
        point(subject, hash, shard, to: place)
        if draft.room != nil { writer.handOn(chain: place) }
        return true
    }

    // MARK: Records made of older ones

    /// Renews the key's record: `look` decides under the shard's lock, given the draft that was
    /// made since it asked for one; `fill` writes the new value.
    mutating func renew(
        _ key: Span<UInt8>, _ shard: Int, success: Outcome,
        look: (inout Door, Draft?, _ isLast: Bool) -> Hold,
        fill: (inout Door, Origin, Extent) -> Void
    ) -> Outcome {
        var draft: Draft?
        var attempts = 0
        while true {
            log.index.lock(shard)
            let hold = look(&self, draft, attempts >= Self.draftsMax)
            log.index.unlock(shard)
            switch hold {
            case .published:
                return success
            case .done(let outcome):
                closeDraft(draft)
                return outcome
            case .draft(let origin):
                closeDraft(draft)
                guard let fresh = openDraft(key, origin) else { return .wait }
                fill(&self, origin, fresh.value)
                draftedBytes &+= origin.newBytes
                draft = fresh
                attempts += 1
            }
        }
    }

    /// The end of a look: publishes the draft if it was made from the record that is there, asks
    /// for one if the value is large, and writes the new record at once if not.
    mutating func settle(
        _ draft: Draft?, _ origin: Origin, _ isLast: Bool, _ key: Span<UInt8>,
        _ subject: Subject, _ hash: UInt64, _ shard: Int, success: Outcome,
        fill: (inout Door, Origin, Extent) -> Void
    ) -> Hold {
        if let draft, draft.origin == origin.order {
            // Somebody may have won it meanwhile, which changes no order.
            draft.target.setMarks(origin.fields.marks)
            return publish(draft, subject, hash, shard) ? .published : .done(lack(shard))
        }
        if origin.newBytes > Self.copyBytesMax, !isLast { return .draft(origin) }
        guard let fresh = openDraft(key, origin) else { return .done(.wait) }
        fill(&self, origin, fresh.value)
        guard publish(fresh, subject, hash, shard) else {
            closeDraft(fresh)
            return .done(lack(shard))
        }
        return .done(success)
    }
}
