// Leaving: what becomes of the records of a segment that leaves the disk: their slots go, what
// memory still holds and somebody wanted is appended again, and what died leaves a tombstone where
// an older record of its key may stay.
//
// When segments leave, and when they are deleted, is decided in `Committer+Budget`.

internal import LMDB
internal import Primitives
internal import SegmentLog

extension Committer {
    /// What a segment that leaves still owes.
    enum Debt {
        case none
        /// The first entry of its directory whose tombstone found no room: where to begin again.
        case tombstones(from: Int)
        /// Something of it cannot be read: it leaves no tombstones. Its slots are gone.
        case unknown
    }

    /// Takes the slots of a segment away and leaves what it owes.
    ///
    /// - Parameters:
    ///   - owed: gets the segments of the committer's that took what is owed.
    ///   - first: where an earlier call found no room.
    ///   - isUrgent: the map is full. No copy gets a segment of its own, which only a commit
    ///     writes: it would keep the victim, whose room that commit needs.
    mutating func unlink(
        _ victim: Residency.Resident, _ owed: inout [Named], from first: Int = 0,
        isUrgent: Bool = false
    ) -> Debt {
        let segment = victim.segment
        log.segments.end(segment)
        let found: (count: Int, bytes: Int, doubtful: OrderTable)?
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            found = try readVictim(files, victim)
        } catch {
            // The files have to be opened again, say: what it owes is found out later.
            return .tombstones(from: first)
        }
        guard let (count, bytes, doubtful) = found,
            let view = Directory.View(directory, byteCount: Directory.bytes(count: count))
        else {
            removeSlots(of: [segment])
            return .unknown
        }
        let isChain = log.segments.kind(segment) == .chain
        var unpaid: Int?
        for number in min(first, count)..<count {
            let entry = view[number]
            let place = Place(segment: segment, offset: entry.offset)
            let limit = isChain ? Int(log.segments.filled(segment).loadRelaxed()) : bytes
            let record = record(of: entry, read: bytes, limit: limit)
            let needsTombstone = doubtful.has(entry)
            if needsTombstone, record == nil {
                // Without the key there is no tombstone.
                removeSlots(of: [segment])
                return .unknown
            }
            let left = leave(
                entry, record, place, victim, needsTombstone: needsTombstone,
                mayBeAlone: !isUrgent)
            if !left.isPaid, unpaid == nil { unpaid = number }
            if let place = left.place { noteOwed(place.segment, &owed) }
        }
        return unpaid.map { .tombstones(from: $0) } ?? .none
    }

    /// The record of an entry among the bytes that were read back to `scratch`: of the key and the
    /// order that the directory names. Nil if something else lies there, or its header or its key
    /// is damaged: a tombstone would be some other key's, or none's. Its value may be damaged, and
    /// of a chain only the beginning is there.
    ///
    /// - Parameters:
    ///   - bytes: how many were read back.
    ///   - limit: where the segment ends.
    func record(of entry: Directory.Entry, read bytes: Int, limit: Int) -> Record? {
        guard entry.offset % 8 == 0, entry.offset + Record.headerBytes <= bytes else { return nil }
        let record = Record(scratch, at: entry.offset)
        guard record.isPlausible(limit: limit - entry.offset), !record.isFiller,
            record.isTombstone == entry.isTombstone, record.order == entry.order,
            record.hash(with: log.hasher) == entry.hash
        else { return nil }
        return record
    }

    /// Reads what is to be known of a victim: its directory (the number of its entries), its bytes,
    /// and which of its records are in doubt. Nil if it is damaged.
    private mutating func readVictim(
        _ files: any StoreFiles, _ victim: Residency.Resident
    ) throws(LMDBError) -> (count: Int, bytes: Int, doubtful: OrderTable)? {
        guard let count = try readDirectory(files, victim.sequence) else { return nil }
        let doubtful = try olderRecords(files, victim, count)
        guard try readDirectory(files, victim.sequence) == count else { return nil }
        return (count, try readBack(files, victim.sequence) ?? 0, doubtful)
    }

    /// A segment has taken something that is owed: the open one, or one of its own for what is too
    /// large to share one. It must be on disk when the victim is deleted.
    private func noteOwed(_ segment: Int, _ owed: inout [Named]) {
        let name = Named(segment: segment, sequence: log.segments.sequence(segment))
        if !owed.contains(name) { owed.append(name) }
    }

    /// What came of taking a victim out of memory.
    enum Taking {
        /// Memory holds nothing of it any more; maybe another segment has taken over its record.
        case taken(heir: Named?)
        /// To be tried again soon.
        case later
    }

    /// Takes a victim out of memory, before it leaves the disk.
    mutating func take(_ victim: Residency.Resident, isUrgent: Bool) -> Taking {
        if mustRecall(victim) {
            let mayWait = removals.mayRecall(victim.sequence)
            // Maintenance makes room, if there is something clean.
            if bringBack(victim.segment) == .noRoom { signals.maintenance.wake() }
            let isWanted = log.segments.state(victim.segment) == .resting
            if isWanted, !isUrgent, !health.isFailing, mayWait {
                return .later
            }
        }
        return takeFromMemory(victim.segment)
    }

    /// Whether it is a large record that only the disk holds and that was hit since it left memory:
    /// it comes back first, to be written anew from there.
    private func mustRecall(_ victim: Residency.Resident) -> Bool {
        let segment = victim.segment
        guard log.segments.kind(segment) == .chain, log.segments.state(segment) == .resting,
            mayMove(segment), let files = disk.files(),
            let count = (try? readDirectory(files, victim.sequence)) ?? nil,
            let view = Directory.View(directory, byteCount: Directory.bytes(count: count)),
            count == 1
        else { return false }
        return log.hits(view[0].hash, Place(segment: segment, offset: 0)) ?? 0 > 0
    }

    /// Whether a large record is small enough beside the store to be written again and again.
    private func mayMove(_ segment: Int) -> Bool {
        Int(log.segments.filled(segment).loadRelaxed()) <= mapBudget.bytes / 16
    }

    /// Their directories cannot be read, or count for nothing: every slot is looked at.
    func removeSlots(of segments: Set<Int>) {
        guard !segments.isEmpty else { return }
        let layout = log.index.layout
        for shard in 0..<log.index.shardCount {
            log.index.lock(shard)
            log.index.forEach(shard, buckets: 0..<Int.max) { at, slot in
                guard segments.contains(layout.segment(slot)) else { return }
                if !SlotLayout.isRemoval(slot) { log.noteDead(slot) }
                log.index.remove(shard, at: at, isItem: !SlotLayout.isRemoval(slot))
                log.index.setMayHide(shard)
                log.index.closeToRecovery(shard)
            }
            log.index.unlock(shard)
        }
    }

    /// Copies a key directory to `directory`; the number of its entries if it is sound.
    func readDirectory(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> Int? {
        let transaction = try files.beginRead()
        // A transaction that failed may have been durable all the same: what is there comes first.
        let found = try unlessDamaged { () throws(LMDBError) -> Int? in
            try transaction.get(.directories, key: sequence) { bytes -> Int? in
                guard bytes.count <= directory.byteCount else { return nil }
                directory.store(bytes, at: 0)
                return Directory.View(directory, byteCount: bytes.count, of: sequence)?.count
            } ?? nil
        }
        guard found == nil else { return found }
        if hasStretches(sequence) { return try makeDirectory(transaction, sequence) }
        guard try isThere(files, sequence) else { return nil }
        return try SegmentImage.remakeDirectory(
            transaction, sequence, by: scratch, overlap: signals.firstSequence.loadAcquire(),
            log.hasher, into: directory)
    }

    /// Whether what a commit wrote of a segment while it was open may be on disk: the last run had
    /// it open, or nobody has deleted that yet.
    func hasStretches(_ sequence: UInt64) -> Bool {
        unsealed.sequences.contains(sequence)
            || leftovers.stretches.contains { $0.first == sequence }
    }

    /// The same for a segment that is not sealed yet, by way of `scratch`.
    private func makeDirectory(
        _ transaction: any StoreReading, _ sequence: UInt64
    ) throws(LMDBError) -> Int? {
        let end = try unlessDamaged { () throws(LMDBError) -> Int? in
            try Stretches.collect(transaction, sequence, into: scratch)
        }
        guard let end else { return nil }
        let sound = SegmentImage.soundBytes(scratch, count: end)
        // What is not sound may be the older record that somebody looks for.
        guard sound.isWhole else { return nil }
        return Directory.make(
            image: scratch, filled: sound.bytes,
            overlap: signals.firstSequence.loadAcquire(), log.hasher, into: directory)
    }

    /// The segment's frame, if it has one, goes (the records that were wanted were promoted or
    /// are rescued below).
    private mutating func takeFromMemory(_ segment: Int) -> Taking {
        let isSame: (UInt32) -> Bool = { $0 == UInt32(segment) }
        guard
            log.segments.frame(segment) != nil
                || log.segments.state(segment) == .clean
        else { return .taken(heir: nil) }
        let isPromoted = log.promotionRegion.take(where: isSame) != nil
        guard isPromoted || log.logRegion.take(where: isSame) != nil else {
            // Maintenance has it in hand, and may put it back.
            return .later
        }
        if let heir = handOver(segment, isWanted: isPromoted) { return .taken(heir: heir) }
        rescueFromFrame(segment)
        if let frame = log.segments.takeFrame(segment) { log.frames.retireNow(frame) }
        return .taken(heir: nil)
    }

    /// A record too large to share a segment that memory holds and that was wanted (it stood in the
    /// promotion region, or was hit since) is written anew: its frames become a new segment's.
    /// What was not wanted goes, and so does what would take a large share of the disk.
    private mutating func handOver(_ segment: Int, isWanted: Bool) -> Named? {
        guard log.segments.kind(segment) == .chain, mayMove(segment) else { return nil }
        let now = now.unixSeconds
        guard let heir = writer.inherit(segment, isWanted: isWanted, now: now) else { return nil }
        return Named(segment: heir, sequence: log.segments.sequence(heir))
    }

    /// The oldest segment on disk is still in memory (the disk is small): what was hit goes to
    /// the promotion region first, and is rescued from there.
    private mutating func rescueFromFrame(_ segment: Int) {
        guard log.segments.kind(segment) != .chain,
            log.segments.hits(segment).loadRelaxed() > 0
        else { return }
        let now = now.unixSeconds
        var records = log.records(of: segment)
        while let (record, offset) = records?.next() {
            guard !record.isTombstone else { continue }
            let hash = log.hash(of: record)
            let place = Place(segment: segment, offset: offset)
            if log.hits(hash, place) ?? 0 > 0 {
                _ = writer.promote(hash, from: place, now: now)
            }
        }
    }

    /// Copies a segment's bytes from the store to `scratch`; of a chain only the beginning.
    func readBack(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> Int? {
        let transaction = try files.beginRead()
        let key = SegmentKey.make(sequence)
        let capacity = scratch.byteCount
        return try unlessDamaged { () throws(LMDBError) -> Int? in
            try transaction.get(.segments, key: key) { bytes -> Int in
                let count = min(bytes.count, capacity)
                scratch.store(bytes.extracting(0..<count), at: 0)
                return count
            }
        }
    }

    /// What one record of a segment that leaves the disk has left.
    private struct Left {
        /// Where what is owed for it lies: its copy, or its tombstone.
        var place: Place?
        /// False if there was no room for its tombstone.
        var isPaid = true
    }

    /// One record of a segment that leaves the disk; nil if it cannot be read.
    private mutating func leave(
        _ entry: Directory.Entry, _ record: Record?, _ place: Place, _ victim: Residency.Resident,
        needsTombstone: Bool, mayBeAlone: Bool
    ) -> Left {
        let hash = entry.hash
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let known = log.index.find(hash, place)
        if known == nil, let (at, slot) = promoted(hash, Home(place, sequence: victim.sequence)) {
            if let copy = rescue(at, slot, mayBeAlone) { return Left(place: copy) }
        }
        var left = Left()
        if needsTombstone, let record {
            left.place = scratch.withBytes(record.keyOffset, record.keyBytes) {
                writer.appendTombstone($0, order: record.order)
            }
            left.isPaid = left.place != nil
        }
        let isRecovering = log.recovering.loadRelaxed() != 0
        if let (at, slot) = known {
            end(slot, at: at, entry, record, isRemembered: isRecovering && !left.isPaid)
        }
        if isRecovering, let grave = left.place { writer.rememberCarried(hash, grave) }
        return left
    }

    /// The slot of a record that leaves the disk answers nothing any more. While recovery runs and
    /// there is no room for the tombstone it is remembered: an older record may be read before
    /// there is. Its segment stays for as long, so that they can be compared. Shard locked.
    private mutating func end(
        _ slot: UInt64, at: SlotOffset, _ entry: Directory.Entry, _ record: Record?,
        isRemembered: Bool
    ) {
        let shard = log.index.shard(entry.hash)
        guard !SlotLayout.isRemoval(slot) else {
            if !isRemembered { log.index.remove(shard, at: at, isItem: false) }
            return
        }
        if isRemembered {
            log.rememberUnread(shard, at, slot)
        } else {
            writer.remove(entry.hash, at, slot)
        }
        log.index.setMayHide(shard)
        writer.countLoss(slot, order: entry.order, expiry: entry.expiry)
        // Its bytes were read for what it may owe.
        if let record, store.evictionTap.isOpen, log.isAlive(record, at: now.unixSeconds) {
            store.evictionTap.tell(record, at: now.unixSeconds)
        }
        disk.counters.add(.recordsDeleted, 1)
    }

    /// The slot of a promoted copy whose home is this one. Shard locked.
    private func promoted(_ hash: UInt64, _ home: Home) -> (SlotOffset, UInt64)? {
        var walk = log.index.matches(hash)
        while let (at, slot) = log.index.next(&walk) {
            let segment = log.index.layout.segment(slot)
            guard log.segments.kind(segment) == .promotion else { continue }
            guard let frame = log.segments.frame(segment),
                log.record(frame, slot).home == home
            else { continue }
            return (at, slot)
        }
        return nil
    }

    /// Memory still holds a record that leaves the disk: it is appended again. Answers where; nil
    /// if there is no room, or it would need a segment of its own and may not. Shard locked.
    private mutating func rescue(
        _ at: SlotOffset, _ slot: UInt64, _ mayBeAlone: Bool
    ) -> Place? {
        // From memory, whose bytes are right, whatever became of those on disk.
        let segment = log.index.layout.segment(slot)
        guard let frame = log.segments.frame(segment) else { return nil }
        let record = log.record(frame, slot)
        let mayShare =
            Record.aligned(record.contentBytes) <= log.geometry.sharedRecordBytesMax
        guard mayShare || mayBeAlone, let place = writer.appendCopy(record) else { return nil }
        log.noteDead(slot)
        log.index.store(log.index.layout.moved(slot, to: place, hits: 1), at: at)
        log.segments.hits(place.segment).add(1)
        log.count(.rescues)
        return place
    }
}
