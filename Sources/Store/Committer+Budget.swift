// Budget: the oldest segments leave the disk so that the newest fit.
//
// Before a segment goes, its slots go: what memory still holds and somebody wanted is appended
// again, the rest becomes a miss. A removed or superseded record must not come back at the next
// start, so what dies with the segment leaves a tombstone if a segment that was open at the same
// time may hold an older record of its key. Only then, and when every read that had begun has
// ended, is the value deleted.

internal import LMDB
internal import Primitives
internal import SegmentLog

extension Committer {
    /// Bytes that live segments may take: 85 % of the map less three transactions.
    var budget: Int {
        let map = disk.configuration.sizeBytes
        return max(map / 100 * 85 - 3 * Disk.transactionBytes, map / 4)
    }

    /// Deletes what is too much: for the file, for the index, for the segment numbers.
    mutating func keepWithinBudget() {
        guard !isFailing else { return }
        disk.counters[.limitBytes] = UInt64(disk.configuration.sizeBytes)
        disk.counters[.segmentsMax] = UInt64(budget / log.geometry.frameBytes)
        if !doomed.isEmpty { deleteDoomed() }
        if isOverBudget {
            // Bounded, so that commits go on.
            var rounds = 4
            while rounds > 0, isOverBudget, dropOldest(8) > 0 { rounds -= 1 }
        } else if log.index.filledPercent() >= 96 {
            warnOfIndex()
            _ = dropOldest(4)
        } else if log.recovering.loadAcquire() == 0 {
            dropSuperseded()
        }
    }

    /// Lets the oldest segments go that hold nothing live. What took the place of their records
    /// must be on disk first: a crash would leave neither. So they are noted, and go when a commit
    /// that began after that has completed.
    private mutating func dropSuperseded() {
        let idle = resident.prefix(8).prefix { log.segments.liveRecords($0.segment) == 0 }
        guard let last = idle.last else { return }
        let begun = signals.begun.loadAcquire()
        if superseded.last == 0 { superseded = (last.sequence, begun) }
        guard signals.completed.loadAcquire() > superseded.begun else { return }
        _ = dropOldest(idle.prefix { $0.sequence <= superseded.last }.count)
        superseded.last = 0
    }

    private mutating func warnOfIndex() {
        guard !didWarnIndex else { return }
        didWarnIndex = true
        let used = max(Int(disk.counters[.bytes]), 1)
        let wanted = log.geometry.memoryBytes / (1 << 20) * budget / used
        store.journal.warning(
            "memory for the index is full, the oldest segments leave the disk early; "
                + "to keep all the store can hold takes about -m \(wanted)")
    }

    private var isOverBudget: Bool {
        let coming = pending.reduce(0) { $0 + Int(log.segments.filled($1).loadRelaxed()) }
        return Int(disk.counters[.bytes]) + coming > budget
            || log.segments.freeCount < 3 * log.geometry.writers + 16
    }

    /// Within a commit: makes room for a batch of so many bytes.
    mutating func makeSpace(for bytes: Int) {
        while Int(disk.counters[.bytes]) + bytes > budget {
            if dropOldest(8) == 0 { return }
        }
    }

    /// Lets up to `count` of the oldest segments go; returns how many lost their slots. One leaves
    /// only when cuts have been taken since the commit that wrote it: then every record that was
    /// written before it was sealed is below its writer's cut, where `doubtful` can see it.
    mutating func dropOldest(_ count: Int) -> Int {
        let limit =
            log.recovering.loadAcquire() == 0 ? UInt64.max : signals.recoveredUpTo.loadAcquire()
        var dropped = 0
        while dropped < count, let first = resident.first, first.sequence < limit,
            first.commit < max(signals.completed.loadAcquire(), cutsTaken)
        {
            resident.removeFirst()
            guard unlink(first) else {
                // No room for what must be carried forward: a commit makes some.
                resident.insert(first, at: 0)
                break
            }
            doomed.append(first)
            dropped += 1
        }
        deleteDoomed()
        return dropped
    }

    /// Deletes the segments whose slots are gone and which nobody reads any more, together with
    /// what was carried forward from them: neither may be on disk without the other.
    mutating func deleteDoomed() {
        let mark = log.frames.snapshot()
        while !log.frames.isQuiet(since: mark) { Pause.short() }
        let victims = doomed.filter { log.segments.reads($0.segment).loadAcquire() == 0 }
        guard !victims.isEmpty, let files = disk.files() else { return }
        writer.cutNow()
        while let segment = log.sealed.pop() { pending.append(Int(segment)) }
        let own = pending.filter { ownSegments.contains($0) }
        let open = writer.main.segment == 0 ? [] : [writer.main.segment]
        do throws(LMDBError) {
            var transaction = try files.environment.beginWrite()
            var bytes = try writeStretches(files, &transaction, open)
            for segment in own { bytes += try writeSegment(files, &transaction, segment) }
            for victim in victims { try delete(files, &transaction, victim) }
            try transaction.commit()
            disk.counters.add(.bytesWritten, bytes)
        } catch {
            retryAt = Clock.monotonicNanoseconds() + 500_000_000
            return
        }
        for segment in open { noteStretch(segment) }
        pending.removeAll { own.contains($0) }
        for segment in own { stretches[log.segments.sequence(segment)] = nil }
        publish(files, own)
        let gone = Set(victims.map(\.segment))
        doomed.removeAll { gone.contains($0.segment) }
        for victim in victims {
            disk.counters.add(.segments, -1)
            disk.counters.add(.bytes, -victim.bytes)
            disk.counters.add(.bytesDeleted, victim.bytes)
            disk.counters.add(.segmentsDeleted, 1)
            log.segments.free(number: victim.segment)
        }
    }

    private func delete(
        _ files: DiskFiles, _ transaction: inout WriteTransaction, _ victim: Resident
    ) throws(LMDBError) {
        _ = try transaction.delete(files.directories, key: victim.sequence)
        let isChain = log.segments.kind(victim.segment) == .chain
        do throws(LMDBError) {
            var part = 0
            repeat {
                let key = DiskFiles.segmentKey(victim.sequence, part: part)
                guard try transaction.delete(files.segments, key: key) else { break }
                part += 1
            } while isChain && part < 1024
        } catch {
            // A damaged page: its value stays in the file, unknown to anybody.
            guard error == .corrupted else { throw error }
            disk.counters.add(.damagedSegments, 1)
        }
    }

    // MARK: Slots

    /// Takes a segment's slots away, as its directory names them. False: something must be carried
    /// forward and there is no room for it now; call again.
    private mutating func unlink(_ victim: Resident) -> Bool {
        takeFromMemory(victim.segment)
        log.segments.setState(victim.segment, .dying)
        guard let files = disk.files(), let entries = readEntries(files, victim.sequence) else {
            // The directory cannot be read: every slot of the segment goes, wherever it is.
            log.removeSlots(of: victim.segment)
            return true
        }
        let doubtful = doubtful(files, victim, entries)
        let bytes = doubtful.isEmpty ? 0 : readBack(files, victim) ?? 0
        var isDone = true
        for entry in entries {
            let mustMark = doubtful.contains(entry.hash)
            if !leave(entry, victim, mustMark: mustMark, bytes: bytes) { isDone = false }
        }
        return isDone
    }

    private func readEntries(_ files: DiskFiles, _ sequence: UInt64) -> [Directory.Entry]? {
        guard let transaction = try? files.environment.beginRead() else { return nil }
        let entries = try? transaction.get(files.directories, key: sequence) {
            bytes -> [Directory.Entry]? in
            guard bytes.count <= directory.byteCount else { return nil }
            directory.store(bytes, at: 0)
            guard let view = Directory.View(directory, byteCount: bytes.count) else { return nil }
            return (0..<view.count).map { view[$0] }
        }
        return entries ?? nil
    }

    /// The segment's frame, if it has one, goes (the records that were wanted were promoted or
    /// are rescued below).
    private mutating func takeFromMemory(_ segment: Int) {
        let isSame: (UInt32) -> Bool = { $0 == UInt32(segment) }
        // If it is in neither queue maintenance has it in hand, and may put it back.
        while log.segments.frame(segment).loadAcquire() != 0
            || log.segments.state(segment) == .clean
        {
            if log.logRegion.take(where: isSame) != nil
                || log.promotionRegion.take(where: isSame) != nil
            {
                rescueFromFrame(segment)
                let frame = log.segments.frame(segment).exchange(0)
                if frame != 0 { log.frames.retireNow(Int(frame) - 1) }
                return
            }
            Pause.short()
        }
    }

    /// The oldest segment on disk is still in memory (the disk is small): what was hit goes to
    /// the promotion region first, and is rescued from there.
    private mutating func rescueFromFrame(_ segment: Int) {
        guard log.segments.kind(segment) != .chain,
            log.segments.hits(segment).loadRelaxed() > 0
        else { return }
        let frame = log.segments.frame(segment).loadAcquire()
        guard frame != 0 else { return }
        let base = log.frames.offset(Int(frame) - 1)
        let filled = Int(log.segments.filled(segment).loadRelaxed())
        let now = UInt32(clamping: Clock.unixSeconds())
        var position = 0
        while position < filled {
            let record = Record(log.frames.memory, at: base + position)
            if !record.isFiller, !record.isTombstone {
                let hash = log.frames.memory.withBytes(record.keyOffset, record.keyBytes) {
                    log.hasher.hash($0)
                }
                let place = Place(segment: segment, offset: position)
                if log.hits(hash, place) ?? 0 > 0 {
                    _ = writer.promote(hash, from: place, now: now)
                }
            }
            position += record.totalBytes
        }
    }

    /// Copies a segment's bytes from the store to `scratch`; of a chain only the beginning.
    private func readBack(_ files: DiskFiles, _ victim: Resident) -> Int? {
        guard let transaction = try? files.environment.beginRead() else { return nil }
        let key = DiskFiles.segmentKey(victim.sequence)
        let capacity = scratch.byteCount
        return try? transaction.get(files.segments, key: key) { bytes -> Int in
            let count = min(bytes.count, capacity)
            scratch.store(bytes.extracting(0..<count), at: 0)
            return count
        }
    }

    /// One record of a segment that leaves the disk. False: its tombstone found no room.
    private mutating func leave(
        _ entry: Directory.Entry, _ victim: Resident, mustMark: Bool, bytes: Int
    ) -> Bool {
        let place = Place(segment: victim.segment, offset: entry.offset)
        let shard = log.index.shard(entry.hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        if let (at, slot) = log.index.find(entry.hash, place) {
            if SlotLayout.isMarked(slot) {
                log.index.remove(shard, at: at, isItem: false)
            } else {
                writer.remove(entry.hash, at, slot)
                log.index.setMayHide(shard)
                log.count(.evictions)
                if SlotLayout.hits(slot) == 0 { log.count(.evictedUnfetched) }
                disk.counters.add(.recordsDeleted, 1)
            }
        } else if let (at, slot) = promoted(entry.hash, Home(place, sequence: victim.sequence)) {
            if rescue(at, slot) { return true }
        }
        guard mustMark else { return true }
        return carry(entry, bytes: bytes)
    }

    /// Leaves a tombstone in place of a record that leaves. Shard locked.
    private mutating func carry(_ entry: Directory.Entry, bytes: Int) -> Bool {
        let record = Record(scratch, at: min(entry.offset, scratch.byteCount - 64))
        guard entry.offset < bytes, record.isPlausible(limit: bytes - entry.offset),
            !record.isFiller
        else { return true }
        let grave = scratch.withBytes(record.keyOffset, record.keyBytes) { key -> Place?? in
            // A key that was damaged on disk names nothing.
            guard log.hasher.hash(key) == entry.hash else { return .some(nil) }
            return writer.appendTombstone(key, order: entry.order).map { .some($0) }
        }
        noteOwn()
        guard let grave else { return false }
        if let place = grave, log.recovering.loadRelaxed() != 0 { writer.mark(entry.hash, place) }
        return true
    }

    /// Remembers which segments are the committer's own.
    private mutating func noteOwn() {
        if writer.main.segment != 0 { ownSegments.insert(writer.main.segment) }
    }

    /// The slot of a promoted copy whose home is this one. Shard locked.
    private func promoted(_ hash: UInt64, _ home: Home) -> (SlotOffset, UInt64)? {
        var walk = log.index.matches(hash)
        while let (at, slot) = log.index.next(&walk) {
            let segment = log.index.layout.segment(slot)
            guard log.segments.kind(segment) == .promotion else { continue }
            let frame = log.segments.frame(segment).loadAcquire()
            guard frame != 0, log.record(frame, slot).home == home else { continue }
            return (at, slot)
        }
        return nil
    }

    /// The promotion region still holds a record that leaves the disk: it is appended again, from
    /// memory, whose bytes are right. Shard locked.
    private mutating func rescue(_ at: SlotOffset, _ slot: UInt64) -> Bool {
        guard log.frames.freeCount > 2 else { return false }
        let segment = log.index.layout.segment(slot)
        let frame = log.segments.frame(segment).loadAcquire()
        guard frame != 0, let place = writer.appendCopy(log.record(frame, slot)) else {
            return false
        }
        noteOwn()
        log.segments.dead(segment).add(1)
        log.index.store(log.index.layout.moved(slot, to: place, hits: 1), at: at)
        log.segments.hits(place.segment).add(1)
        log.count(.rescues)
        return true
    }

    // MARK: Doubt

    /// The victim's keys of which a segment that was open together with it, and has not left,
    /// holds an older record: only such a record could come back at the next start.
    private mutating func doubtful(
        _ files: DiskFiles, _ victim: Resident, _ entries: [Directory.Entry]
    ) -> Set<UInt64> {
        var found: Set<UInt64> = []
        let overlap = log.segments.overlap(victim.segment).loadRelaxed()
        guard overlap > victim.sequence + 1 else { return found }
        var orders: [UInt64: UInt64] = [:]
        for entry in entries { orders[entry.hash] = max(orders[entry.hash] ?? 0, entry.order) }
        var sequence = victim.sequence + 1
        while sequence < overlap {
            for other in readEntries(files, sequence) ?? [] {
                if let order = orders[other.hash], other.order < order { found.insert(other.hash) }
            }
            sequence += 1
        }
        for segment in 1..<log.segments.count {
            let state = log.segments.state(segment)
            guard state == .open || state == .sealed else { continue }
            let sequence = log.segments.sequence(segment)
            guard sequence > victim.sequence, sequence < overlap,
                log.segments.kind(segment) != .promotion
            else { continue }
            addFromMemory(segment, orders, to: &found)
        }
        return found
    }

    private func addFromMemory(
        _ segment: Int, _ orders: [UInt64: UInt64], to found: inout Set<UInt64>
    ) {
        let frame = log.segments.frame(segment).loadAcquire()
        guard frame != 0 else { return }
        let base = log.frames.offset(Int(frame) - 1)
        let end = Int(log.segments.cut(segment).loadAcquire())
        let isChain = log.segments.kind(segment) == .chain
        var position = 0
        while position < end {
            let record = Record(log.frames.memory, at: base + position)
            if !record.isFiller {
                let hash = log.frames.memory.withBytes(record.keyOffset, record.keyBytes) {
                    log.hasher.hash($0)
                }
                if let order = orders[hash], record.order < order { found.insert(hash) }
            }
            position += isChain ? end : record.totalBytes
        }
    }
}
