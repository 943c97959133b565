// IndexRefill: puts what directories on disk name into the index, each record only if nothing newer
// of its key is known. Position says nothing about age; the order number does.

internal import LMDB
internal import Primitives
internal import SegmentLog

/// Compares and inserts. Used by a thread that reads directories.
struct IndexRefill {
    let log: SegmentLog
    let files: any StoreFiles
    /// Unix seconds, to tell what is expired.
    let now: UInt32
    let remade: RemadeSegments

    /// What became of an entry.
    enum Result {
        case inserted
        /// It took the place of an older record that was met before.
        case replaced
        /// Something newer is known, or the entry itself says that there is nothing.
        case older
        /// The index has no room for it, or has lost something in its shard.
        case refused
    }

    /// Inserts an entry unless the index knows something newer of its key. A removal, and what is
    /// expired or flushed, is remembered, so that no older record is taken for the newest.
    func merge(_ entry: Directory.Entry, at place: Place) -> Result {
        let hasExpired = entry.expiry != 0 && entry.expiry <= now
        let isDead =
            entry.isTombstone || entry.order <= log.flushMark.loadRelaxed() || hasExpired
        let index = log.index
        let shard = index.shard(entry.hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        // Whatever the reservation said: no order is given out twice.
        if entry.order > index.order(shard) { index.setOrder(shard, entry.order) }
        // If the clock is set back it is alive at the next start: a delete leaves a tombstone.
        if hasExpired { index.setMayHide(shard) }
        var slot = index.layout.slot(tag: index.layout.tag(entry.hash), place)
        // Most keys have no other record, nor share their tag with another key.
        if !isDead, index.insertAlone(entry.hash, slot) { return .inserted }
        // A key may have several slots: its newest record, and what is remembered of it.
        var walk = index.matches(entry.hash)
        var older: (at: SlotOffset, slot: UInt64)?
        var isComparable = true
        while let (at, slot) = index.next(&walk) {
            guard let known = identity(slot) else {
                // It may be the key's, and newer, or older: neither answers.
                remember(shard, at, slot)
                isComparable = false
                continue
            }
            guard known.hash == entry.hash else { continue }
            // Of equals a record goes before the tombstone that was left for it.
            let isSame = known.order == entry.order
            if known.order > entry.order
                || (isSame && (isDead || !SlotLayout.isRemoval(slot)))
            {
                countDead(entry, place)
                return .older
            }
            if older == nil || SlotLayout.isRemoval(older?.slot ?? 0) { older = (at, slot) }
        }
        guard isComparable else {
            // What is older than what is refused does not answer either.
            if let older { remember(shard, older.at, older.slot) }
            index.closeToRecovery(shard)
            countDead(entry, place)
            return .refused
        }
        if isDead { countDead(entry, place) }
        if let older {
            // Where something was refused or lost, it may have been newer than this.
            let isRemembered = isDead || index.isClosed(shard)
            if isRemembered, !isDead { countDead(entry, place) }
            replace(shard, older.at, older.slot, place, isDead: isRemembered)
            return .replaced
        }
        if isDead { slot |= SlotLayout.removalBit }
        guard index.insertIfRoom(entry.hash, slot, isItem: !isDead) else {
            if !isDead { countDead(entry, place) }
            return .refused
        }
        return isDead ? .older : .inserted
    }

    /// What lies on disk and cannot be trusted any more answers nothing. Shard locked.
    private func remember(_ shard: Int, _ at: SlotOffset, _ slot: UInt64) {
        guard !SlotLayout.isRemoval(slot), log.segments.frame(log.index.layout.segment(slot)) == nil
        else { return }
        log.rememberUnread(shard, at, slot)
    }

    /// Tombstones are counted when their segment is found.
    private func countDead(_ entry: Directory.Entry, _ place: Place) {
        if !entry.isTombstone { log.segments.noteDeadUnread(place.segment) }
    }

    private func replace(
        _ shard: Int, _ at: SlotOffset, _ old: UInt64, _ place: Place, isDead: Bool
    ) {
        let wasRemoval = SlotLayout.isRemoval(old)
        if !wasRemoval { log.noteDeadUnread(old) }
        let slot = log.index.layout.moved(old, to: place)
        if isDead {
            log.index.storeRemoval(slot, at: at, in: shard)
        } else {
            log.index.store(slot, at: at)
        }
        log.index.addItems(shard, (isDead ? 0 : 1) - (wasRemoval ? 0 : 1))
    }

    /// Full hash and order of the record that a slot names, wherever it resides; nil if that
    /// cannot be had.
    private func identity(_ slot: UInt64) -> (hash: UInt64, order: UInt64)? {
        let place = log.index.layout.place(slot)
        let frame = log.segments.frame(place.segment)
        if let frame, let identity = log.identity(of: slot, in: frame) { return identity }
        let sequence = log.segments.sequence(place.segment)
        // The last state: the segment may have been committed since this step began.
        guard let transaction = try? files.beginRead() else { return nil }
        do throws(LMDBError) {
            guard !remade.contains(sequence) else {
                return try transaction.get(.segments, key: SegmentKey.make(sequence)) { bytes in
                    SegmentImage.identity(bytes, at: place.offset, log.hasher)
                } ?? nil
            }
            let found = try transaction.get(.directories, key: sequence) { bytes in
                Directory.find(place.offset, in: bytes)
            }
            if let found { return found }
            return try Stretches.identity(
                transaction, sequence, offset: place.offset, log.hasher)
        } catch {
            return nil
        }
    }
}
