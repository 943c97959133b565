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
    /// Pages that a segment and its directory take.
    static func diskBytes(_ filled: Int, _ records: Int) -> Int {
        (filled + 16 + 4095) / 4096 * 4096
            + (Directory.bytes(count: records) + 16 + 4095) / 4096 * 4096
    }

    /// Bytes that live segments may take: 85 % of the map less three transactions.
    var budget: Int {
        let map = disk.configuration.sizeBytes
        return max(map / 100 * 85 - 3 * Disk.transactionBytes, map / 4)
    }

    /// Deletes what is too much: for the file, for the index, for the segment numbers.
    mutating func keepWithinBudget() {
        // Room for what will be owed, taken while there is some: a flood leaves none later.
        writer.keepSpare()
        // What is appended again must not lie in a segment that is old itself by the time it is
        // full: the oldest leave first.
        if writer.openAge > max(UInt64(resident.count) / 8, 8) { writer.seal() }
        reap()
        guard !isFailing else { return }
        disk.counters[.limitBytes] = UInt64(disk.configuration.sizeBytes)
        disk.counters[.segmentsMax] = UInt64(budget / log.geometry.frameBytes)
        let used = Int(disk.counters[.bytes])
        if isOverBudget {
            // Bounded, so that commits go on, but more than a commit can add.
            let each = victimsMax
            var rounds = 4
            while rounds > 0, isOverBudget, dropOldest(each) > 0 { rounds -= 1 }
        } else if log.index.filledPercent() >= 96 {
            if !didWarnIndex {
                didWarnIndex = true
                let kept = log.geometry.memoryBytes / (1 << 20) * budget / max(used, 1)
                store.journal.warning(
                    "memory for the index is full, the oldest segments leave the disk early; "
                        + "to keep all the store can hold takes about -m \(kept)")
            }
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
        if superseded.last == 0 { superseded = (last.sequence, signals.begun.loadAcquire()) }
        guard signals.completed.loadAcquire() > superseded.begun else { return }
        _ = dropOldest(idle.prefix { $0.sequence <= superseded.last }.count)
        superseded.last = 0
    }

    /// As many segments as one transaction writes.
    private var victimsMax: Int { max(Disk.transactionBytes / log.geometry.frameBytes, 8) }

    /// On disk once all that waits is written, and all that leaves has left.
    private var bytesToCome: Int {
        let waiting =
            pending.reduce(0) { $0 + Int(log.segments.filled($1).loadRelaxed()) }
            + log.sealed.count * log.geometry.segmentBytes
        return Int(disk.counters[.bytes]) - leavingBytes + waiting
    }

    private var leavingBytes: Int { condemned.reduce(0) { $0 + $1.resident.bytes } }

    /// What is condemned is as good as gone.
    private var isOverBudget: Bool {
        bytesToCome > budget
            || log.segments.freeCount + condemned.count < 3 * log.geometry.writers + 16
    }

    /// Takes up to `count` of the oldest segments out of use, and off the disk as far as nobody
    /// reads them; returns how many.
    mutating func dropOldest(_ count: Int) -> Int {
        let limit =
            log.recovering.loadAcquire() == 0 ? UInt64.max : signals.recoveredUpTo.loadAcquire()
        var victims: [Resident] = []
        var excess = Int.max
        if bytesToCome > budget {
            // No more than what is too much, and a little ahead.
            excess = bytesToCome - budget + budget / 32
        }
        // One leaves only when cuts have been taken since the commit that wrote it: then every
        // record written before it was sealed is below its writer's cut, where doubt can see it.
        while victims.count < count, excess > 0, let first = resident.first,
            first.sequence < limit, first.commit < max(signals.completed.loadAcquire(), cutsTaken)
        {
            resident.removeFirst()
            victims.append(first)
            excess -= first.bytes
        }
        guard !victims.isEmpty else { return 0 }
        for victim in victims {
            let before = writer.main.segment
            let isPaid = unlink(victim)
            // What it owes may lie in a segment that was sealed meanwhile.
            let owed = before != 0 && before != writer.main.segment ? before : 0
            condemned.append(
                Condemned(
                    resident: victim, isPaid: isPaid, owed: owed,
                    owedSequence: log.segments.sequence(owed), turns: log.frames.snapshot()))
        }
        reap()
        return victims.count
    }

    /// Deletes what is condemned, once every read that had begun has ended and the tombstones and
    /// rescued records that it owes are on disk, or come to be with the same transaction.
    mutating func reap(isUrgent: Bool = false) {
        guard !condemned.isEmpty, Clock.monotonicNanoseconds() >= reapAt else { return }
        payDebts()
        let victims = condemned.filter { isReady($0, isUrgent: isUrgent) }.prefix(victimsMax)
        guard !victims.isEmpty else { return }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            try delete(files, victims.map(\.resident), payingDebts: !isUrgent)
        } catch {
            // Their slots are gone; only the file still holds them.
            reapAt = Clock.monotonicNanoseconds() + 100_000_000
            return
        }
        for victim in victims.map(\.resident) {
            condemned.removeAll { $0.resident.sequence == victim.sequence }
            returned.removeAll { $0 == victim.sequence }
            disk.counters.add(.segments, -1)
            disk.counters.add(.bytes, -victim.bytes)
            disk.counters.add(.bytesDeleted, victim.bytes)
            disk.counters.add(.segmentsDeleted, 1)
            log.segments.free(number: victim.segment)
        }
    }

    /// There was no room for what a segment owes: tried again.
    private mutating func payDebts() {
        for position in condemned.indices where !condemned[position].isPaid {
            let before = writer.main.segment
            condemned[position].isPaid = unlink(condemned[position].resident)
            guard before != 0, before != writer.main.segment else { continue }
            condemned[position].owed = before
            condemned[position].owedSequence = log.segments.sequence(before)
        }
    }

    private func isReady(_ victim: Condemned, isUrgent: Bool) -> Bool {
        guard log.segments.reads(victim.resident.segment).loadAcquire() == 0 else { return false }
        guard log.frames.isQuiet(since: victim.turns) else { return false }
        if isUrgent { return true }
        guard victim.isPaid else { return false }
        return victim.owed == 0
            || log.segments.sequence(victim.owed) != victim.owedSequence
            || log.segments.fileOffset(victim.owed).loadAcquire() != 0
    }

    private mutating func delete(
        _ files: DiskFiles, _ victims: [Resident], payingDebts: Bool
    ) throws(LMDBError) {
        writer.cutNow()
        let own = payingDebts && writer.main.segment != 0 ? [writer.main.segment] : []
        var transaction = try files.environment.beginWrite()
        _ = try writeStretches(files, &transaction, own)
        for victim in victims {
            let isChain = log.segments.kind(victim.segment) == .chain
            _ = try transaction.delete(files.directories, key: victim.sequence)
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
        try transaction.commit()
        for segment in own { noteStretch(segment) }
    }

    // MARK: Slots

    /// False if there was no room for a tombstone: to be called again.
    private mutating func unlink(_ victim: Resident) -> Bool {
        let segment = victim.segment
        takeFromMemory(segment)
        log.segments.setState(segment, .dying)
        guard let files = disk.files(), let count = readDirectory(files, victim.sequence) else {
            sweep(segment)
            return true
        }
        let doubtful = olderRecords(files, victim, count)
        guard readDirectory(files, victim.sequence) == count,
            let view = Directory.View(directory, byteCount: Directory.bytes(count: count))
        else {
            sweep(segment)
            return true
        }
        let bytes = readBack(files, victim) ?? 0
        let isChain = log.segments.kind(segment) == .chain
        var isPaid = true
        for number in 0..<count {
            let entry = view[number]
            let place = Place(segment: segment, offset: entry.offset)
            var record: Record?
            if entry.offset % 8 == 0, entry.offset + Record.headerBytes <= bytes {
                let found = Record(scratch, at: entry.offset)
                let limit = isChain ? Int(log.segments.filled(segment).loadRelaxed()) : bytes
                if found.isPlausible(limit: limit - entry.offset), found.order == entry.order {
                    record = found
                }
            }
            let mustMark = doubtful.has(entry)
            isPaid = leave(entry, record, place, victim, mustMark: mustMark) && isPaid
        }
        return isPaid
    }

    /// Its directory cannot be read: every slot is looked at.
    private func sweep(_ segment: Int) {
        let layout = log.index.layout
        for shard in 0..<log.index.shardCount {
            log.index.lock(shard)
            log.index.forEach(shard, buckets: 0..<Int.max) { at, slot in
                guard layout.segment(slot) == segment else { return }
                log.index.remove(shard, at: at, isItem: !SlotLayout.isMarked(slot))
                log.index.setMayHide(shard)
            }
            log.index.unlock(shard)
        }
    }

    /// Copies a key directory to `directory`; the number of its entries if it is sound.
    func readDirectory(_ files: DiskFiles, _ sequence: UInt64) -> Int? {
        guard let transaction = try? files.environment.beginRead() else { return nil }
        let found = try? transaction.get(files.directories, key: sequence) { bytes -> Int? in
            guard bytes.count <= directory.byteCount else { return nil }
            directory.store(bytes, at: 0)
            return Directory.View(directory, byteCount: bytes.count)?.count
        }
        return found ?? nil
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

    /// One record of a segment that leaves the disk; nil if it cannot be read. False if there was
    /// no room for its tombstone.
    private mutating func leave(
        _ entry: Directory.Entry, _ record: Record?, _ place: Place, _ victim: Resident,
        mustMark: Bool
    ) -> Bool {
        let hash = entry.hash
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        var isSuperseded = false
        if let (at, slot) = log.index.find(hash, place) {
            if SlotLayout.isMarked(slot) {
                log.index.remove(shard, at: at, isItem: false)
            } else {
                writer.remove(hash, at, slot)
                log.index.setMayHide(shard)
                log.count(.evictions)
                if SlotLayout.hits(slot) == 0 { log.count(.evictedUnfetched) }
                disk.counters.add(.recordsDeleted, 1)
            }
        } else if let (at, slot) = promoted(hash, Home(place, sequence: victim.sequence)) {
            isSuperseded = rescue(at, slot)
        }
        guard mustMark, !isSuperseded, let record else { return true }
        let grave = scratch.withBytes(record.keyOffset, record.keyBytes) {
            writer.appendTombstone($0, order: record.order)
        }
        guard let grave else { return false }
        if log.recovering.loadRelaxed() != 0 { writer.mark(hash, grave) }
        return true
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

    /// Memory still holds a record that leaves the disk: it is appended again. Shard locked.
    private mutating func rescue(_ at: SlotOffset, _ slot: UInt64) -> Bool {
        // From memory, whose bytes are right, whatever became of those on disk.
        let segment = log.index.layout.segment(slot)
        let frame = log.segments.frame(segment).loadAcquire()
        guard frame != 0, let place = writer.appendCopy(log.record(frame, slot)) else {
            return false
        }
        log.segments.dead(segment).add(1)
        log.index.store(log.index.layout.moved(slot, to: place, hits: 1), at: at)
        log.segments.hits(place.segment).add(1)
        log.count(.rescues)
        return true
    }
}
