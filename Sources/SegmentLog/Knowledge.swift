// Knowledge: what the index must not forget while recovery runs.
//
// Recovery reads the newest directory first, but a place says nothing certain about age: segments
// that were open at the same time hold newer and older records of one key. So whatever is known of
// a key (a removal, an expired record, one that was overtaken) stays in the index until recovery
// has ended, and an older record that is met meanwhile is compared and refused. Such a slot has
// the removal bit: it answers nothing. Where knowledge is lost all the same, because the index
// is full, recovery adds nothing more to that shard (`Index.isClosed`).

internal import Primitives

extension SegmentLog {
    public var isRecovering: Bool { recovering.loadRelaxed() != 0 }

    /// A record that is dead for good, expired say, is remembered: its slot becomes a removal.
    /// False: recovery does not run, or there is no lasting place to point to, and the slot is to
    /// be removed. The shard is locked.
    public func rememberDead(_ shard: Int, _ at: SlotOffset, _ slot: UInt64) -> Bool {
        guard isRecovering else { return false }
        var place = index.layout.place(slot)
        if segments.kind(place.segment) == .promotion {
            let frame = segments.frame(place.segment)
            let home = frame.map { record($0, slot).home } ?? Home(bits: 0)
            guard segments.stands(home) else {
                index.closeToRecovery(shard)
                return false
            }
            place = home.place
        }
        noteDead(slot)
        index.storeRemoval(index.layout.moved(slot, to: place), at: at, in: shard)
        index.addItems(shard, -1)
        return true
    }

    /// Recovery runs and a new record or tombstone at `place`, in memory, is about to get the
    /// key's slot: what the index remembers of the key goes, and what may be the key's but answers
    /// nothing yet (its segment is unsettled) never will. Shard locked; no slot moves.
    ///
    /// Segments settle without the lock: one that was unsettled when the key was looked for may
    /// answer by now. So a slot that answers is taken for one that did not; if it is another key's
    /// of the same tag, that one becomes a miss.
    public func supersede(_ hash: UInt64, with place: Place) {
        let shard = index.shard(hash)
        guard let frame = segments.frame(place.segment) else { return }
        let new = Record(frames.memory, at: frames.offset(frame) + place.offset)
        var walk = index.matches(hash)
        while let (at, slot) = index.next(&walk) {
            let segment = index.layout.segment(slot)
            let frame = segments.frame(segment)
            if SlotLayout.isRemoval(slot) {
                guard let frame, isSameKey(record(frame, slot), new) else { continue }
                index.remove(shard, at: at, isItem: false)
            } else if frame == nil, isOnDisk(segment) {
                rememberUnread(shard, at, slot)
            }
        }
    }

    /// Recovery runs and a key was removed with nothing to remember that by: what may be the key's
    /// but answers nothing yet never will, and recovery adds nothing to the shard. Shard locked; no
    /// slot moves.
    public func supersede(_ hash: UInt64) {
        let shard = index.shard(hash)
        var walk = index.matches(hash)
        while let (at, slot) = index.next(&walk) {
            let segment = index.layout.segment(slot)
            guard !SlotLayout.isRemoval(slot), segments.frame(segment) == nil,
                isOnDisk(segment)
            else { continue }
            rememberUnread(shard, at, slot)
        }
        index.closeToRecovery(shard)
    }

    /// The same for a tombstone at `place` that is carried forward, with an order of the past: only
    /// removals that are older go. False: memory knows something newer of the key, and the
    /// tombstone is not worth remembering. For the committer, which is outside quiescence.
    public func supersedeOlder(_ hash: UInt64, with place: Place) -> Bool {
        let shard = index.shard(hash)
        guard let frame = segments.frame(place.segment) else { return false }
        let new = Record(frames.memory, at: frames.offset(frame) + place.offset)
        var walk = index.matches(hash)
        while let (at, slot) = index.next(&walk) {
            guard let frame = segments.frame(index.layout.segment(slot)),
                let known = identity(of: slot, in: frame), known.hash == hash
            else { continue }
            guard known.order < new.order else { return false }
            if SlotLayout.isRemoval(slot) { index.remove(shard, at: at, isItem: false) }
        }
        return true
    }

    /// Whether memory holds a newer record of a key, for a thread outside quiescence. Shard locked.
    public func hasNewer(_ hash: UInt64, than order: UInt64) -> Bool {
        var walk = index.matches(hash)
        while let (_, slot) = index.next(&walk) {
            guard !SlotLayout.isRemoval(slot),
                let frame = segments.frame(index.layout.segment(slot)),
                let known = identity(of: slot, in: frame)
            else { continue }
            if known.hash == hash, known.order > order { return true }
        }
        return false
    }

    /// The slot of a record on disk is remembered that was overtaken unread (its tag says that it
    /// is the key's; if it is another's, that one becomes a miss), or whose segment leaves and has
    /// not left its tombstone yet. Shard locked.
    public func rememberUnread(_ shard: Int, _ at: SlotOffset, _ slot: UInt64) {
        noteDead(slot)
        index.storeRemoval(slot, at: at, in: shard)
        index.addItems(shard, -1)
    }

    private func isOnDisk(_ segment: Int) -> Bool {
        let state = segments.state(segment)
        return state == .unsettled || state == .resting
    }

    private func isSameKey(_ one: Record, _ other: Record) -> Bool {
        one.region.withBytes(one.keyOffset, one.keyBytes) { other.hasKey($0) }
    }
}
