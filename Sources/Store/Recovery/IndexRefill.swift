// IndexRefill: puts records that come back from disk into the index, each only if it is the newest of
// its key. Position says nothing about age; the order number does.

internal import LMDB
internal import Primitives
internal import SegmentLog

/// Compares and inserts. Used by one thread at a time.
struct IndexRefill {
    let log: SegmentLog
    let files: DiskFiles
    let now = UInt32(clamping: Clock.unixSeconds())

    init(_ log: SegmentLog, files: DiskFiles) {
        self.log = log
        self.files = files
    }

    private func hash(of record: Record) -> UInt64 {
        record.region.withBytes(record.keyOffset, record.keyBytes) { log.hasher.hash($0) }
    }

    /// What a merge came to.
    enum Result { case inserted, replaced, older }

    func merge(_ record: Record, at place: Place) {
        let hash = hash(of: record)
        let entry = Directory.Entry(
            hash: hash, order: record.order, isTombstone: record.isTombstone,
            offset: place.offset, expiry: record.expiry)
        _ = merge(entry, at: place)
    }

    /// Inserts an entry unless the index knows a newer record of its key. A removal, and what is
    /// expired or flushed, is remembered, so that no older record is taken for the newest.
    func merge(_ entry: Directory.Entry, at place: Place) -> Result {
        let isDead =
            entry.isTombstone || entry.order <= log.flushMark.loadRelaxed()
            || (entry.expiry != 0 && entry.expiry <= now)
        let index = log.index
        let shard = index.shard(entry.hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        // A key may have several slots: its newest record and remembered removals.
        var walk = index.matches(entry.hash)
        var older: (at: SlotOffset, slot: UInt64)?
        while let (at, slot) = index.next(&walk) {
            guard let known = identity(slot), known.hash == entry.hash else { continue }
            if known.order > entry.order || (known.order == entry.order && isDead) {
                if !entry.isTombstone { log.segments.dead(place.segment).add(1) }
                return .older
            }
            if older == nil || SlotLayout.isRemoval(older?.slot ?? 0) { older = (at, slot) }
        }
        if let older {
            replace(shard, older.at, older.slot, entry, place, isDead: isDead)
            return .replaced
        }
        var slot = index.layout.slot(tag: index.layout.tag(entry.hash), place)
        if isDead {
            slot |= SlotLayout.removalBit
            if !entry.isTombstone { log.segments.dead(place.segment).add(1) }
        }
        if let displaced = index.insert(entry.hash, slot, isItem: !isDead) {
            if !SlotLayout.isRemoval(displaced) { log.bury(displaced) }
        }
        return isDead ? .older : .inserted
    }

    private func replace(
        _ shard: Int, _ at: SlotOffset, _ old: UInt64, _ entry: Directory.Entry, _ place: Place,
        isDead: Bool
    ) {
        let wasMarked = SlotLayout.isRemoval(old)
        if !wasMarked { log.bury(old) }
        var slot = log.index.layout.moved(old, to: place)
        if isDead {
            slot |= SlotLayout.removalBit
            if !entry.isTombstone { log.segments.dead(place.segment).add(1) }
        }
        log.index.store(slot, at: at)
        log.index.addItems(shard, (isDead ? 0 : 1) - (wasMarked ? 0 : 1))
    }

    /// Full hash and order of the record that a slot names, wherever it resides.
    private func identity(_ slot: UInt64) -> (hash: UInt64, order: UInt64)? {
        let place = log.index.layout.place(slot)
        let frame = log.segments.frame(place.segment).loadAcquire()
        if frame != 0 {
            let record = log.record(frame, slot)
            let identity = (hash: hash(of: record), order: record.order)
            // This thread is outside quiescence: what was read counts only if the frame is still
            // the segment's.
            if log.segments.frame(place.segment).loadAcquire() == frame { return identity }
        }
        let sequence = log.segments.sequence(place.segment)
        guard let transaction = try? files.environment.beginRead() else { return nil }
        let found = try? transaction.get(files.directories, key: sequence) { bytes in
            Directory.find(place.offset, in: bytes)
        }
        return found ?? nil
    }
}
