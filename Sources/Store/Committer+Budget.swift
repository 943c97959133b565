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
        let used = Int(disk.counters[.bytes])
        if isOverBudget {
            // Bounded, so that commits go on.
            var rounds = 4
            while rounds > 0, isOverBudget, dropOldest(8) > 0 { rounds -= 1 }
        } else if log.index.filledPercent() >= 96 {
            if !didWarnIndex {
                didWarnIndex = true
                let kept = log.geometry.memoryBytes / (1 << 20) * budget / max(used, 1)
                store.journal.warning(
                    "memory for the index is full, the oldest segments leave the disk early; "
                        + "to keep all the store can hold takes about -m \(kept)")
            }
            _ = dropOldest(4)
        } else if let first = resident.first, log.segments.liveRecords(first.segment) == 0,
            log.recovering.loadAcquire() == 0
        {
            _ = dropOldest(1)
        }
    }

    private var isOverBudget: Bool {
        Int(disk.counters[.bytes]) > budget
            || log.segments.freeCount < 3 * log.geometry.writers + 16
    }

    /// Deletes up to `count` of the oldest segments; returns how many.
    mutating func dropOldest(_ count: Int) -> Int {
        let limit =
            log.recovering.loadAcquire() == 0 ? UInt64.max : signals.recoveredUpTo.loadAcquire()
        var victims: [Resident] = []
        while victims.count < count, let first = resident.first, first.sequence < limit {
            resident.removeFirst()
            victims.append(first)
        }
        guard !victims.isEmpty else { return 0 }
        for victim in victims { unlink(victim) }
        for victim in victims {
            let reads = log.segments.reads(victim.segment)
            while reads.loadAcquire() != 0 { Pause.short() }
        }
        let mark = log.frames.snapshot()
        while !log.frames.isQuiet(since: mark) { Pause.short() }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            try delete(files, victims)
        } catch {
            // Their slots are gone; only the file still holds them. They stay first in line.
            resident.insert(contentsOf: victims, at: 0)
            retryAt = Clock.monotonicNanoseconds() + 500_000_000
            return 0
        }
        for victim in victims {
            disk.counters.add(.segments, -1)
            disk.counters.add(.bytes, -victim.bytes)
            disk.counters.add(.bytesDeleted, victim.bytes)
            disk.counters.add(.segmentsDeleted, 1)
            log.segments.free(number: victim.segment)
        }
        return victims.count
    }

    private func delete(_ files: DiskFiles, _ victims: [Resident]) throws(LMDBError) {
        var transaction = try files.environment.beginWrite()
        for victim in victims {
            let filled = Int(log.segments.filled(victim.segment).loadRelaxed())
            let isChain = log.segments.kind(victim.segment) == .chain
            _ = try transaction.delete(files.directories, key: victim.sequence)
            var part = 0
            repeat {
                let key = DiskFiles.segmentKey(victim.sequence, part: part)
                guard try transaction.delete(files.segments, key: key) else { break }
                part += 1
            } while isChain && part < 1024 && part * Geometry.frameBytesMin < filled + 1 << 20
        }
        try transaction.commit()
    }

    // MARK: Slots

    private mutating func unlink(_ victim: Resident) {
        let segment = victim.segment
        takeFromMemory(segment)
        log.segments.setState(segment, .dying)
        guard let files = disk.files(), let bytes = readBack(files, victim) else { return }
        let doubtful = olderRecords(files, victim)
        var position = 0
        while position < bytes {
            let record = Record(scratch, at: position)
            let isChain = log.segments.kind(segment) == .chain
            guard isChain || record.isPlausible(limit: bytes - position) else { break }
            let length = isChain ? bytes : record.totalBytes
            if !record.isFiller {
                let hash = scratch.withBytes(record.keyOffset, record.keyBytes) {
                    log.hasher.hash($0)
                }
                let place = Place(segment: segment, offset: position)
                let mustMark = doubtful.has(hash, below: record.order)
                leave(record, hash, place, victim, mustMark: mustMark)
            }
            position += length
        }
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

    /// One record of a segment that leaves the disk.
    private mutating func leave(
        _ record: Record, _ hash: UInt64, _ place: Place, _ victim: Resident, mustMark: Bool
    ) {
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
            isSuperseded = rescue(record, at, slot)
        }
        guard mustMark, !isSuperseded else { return }
        let grave = scratch.withBytes(record.keyOffset, record.keyBytes) {
            writer.appendTombstone($0, order: record.order)
        }
        if let grave, log.recovering.loadRelaxed() != 0 { writer.mark(hash, grave) }
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
    private mutating func rescue(_ record: Record, _ at: SlotOffset, _ slot: UInt64) -> Bool {
        guard log.frames.freeCount > 2, let place = writer.appendCopy(record) else {
            return false
        }
        let segment = log.index.layout.segment(slot)
        log.segments.dead(segment).add(1)
        log.index.store(log.index.layout.moved(slot, to: place, hits: 1), at: at)
        log.segments.hits(place.segment).add(1)
        log.count(.rescues)
        return true
    }

    // MARK: Doubt

    /// Hashes and orders of the records in segments that were open together with the victim and
    /// have not left: only these can hold an older record of one of its keys.
    private mutating func olderRecords(_ files: DiskFiles, _ victim: Resident) -> OrderTable {
        var table = OrderTable()
        let overlap = log.segments.overlap(victim.segment).loadRelaxed()
        guard overlap > victim.sequence + 1 else { return table }
        for other in resident where other.sequence < overlap {
            guard other.sequence > victim.sequence else { continue }
            add(files, other.sequence, to: &table)
        }
        for segment in 1..<log.segments.count {
            let state = log.segments.state(segment)
            guard state == .open || state == .sealed else { continue }
            let sequence = log.segments.sequence(segment)
            guard sequence > victim.sequence, sequence < overlap,
                log.segments.kind(segment) != .promotion
            else { continue }
            addFromMemory(segment, to: &table)
        }
        return table
    }

    private func add(_ files: DiskFiles, _ sequence: UInt64, to table: inout OrderTable) {
        guard let transaction = try? files.environment.beginRead() else { return }
        let isRead = try? transaction.get(files.directories, key: sequence) { bytes -> Bool in
            guard bytes.count <= directory.byteCount else { return false }
            directory.store(bytes, at: 0)
            guard let view = Directory.View(directory, byteCount: bytes.count) else {
                return false
            }
            for number in 0..<view.count {
                let entry = view[number]
                table.insert(entry.hash, entry.order)
            }
            return true
        }
        _ = isRead
    }

    private func addFromMemory(_ segment: Int, to table: inout OrderTable) {
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
                table.insert(hash, record.order)
            }
            position += isChain ? end : record.totalBytes
        }
    }
}

/// The lowest order seen for each hash.
struct OrderTable {
    private var orders: [UInt64: UInt64] = [:]

    mutating func insert(_ hash: UInt64, _ order: UInt64) {
        orders[hash] = min(orders[hash] ?? .max, order)
    }

    /// Whether a record of this key with a lower order was seen.
    func has(_ hash: UInt64, below order: UInt64) -> Bool {
        guard !orders.isEmpty, let lowest = orders[hash] else { return false }
        return lowest < order
    }
}
