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
internal import Synchronization

extension Committer {
    /// Pages that a segment and its directory take.
    static func diskBytes(_ filled: Int, _ records: Int) -> Int {
        (filled + 16 + 4095) / 4096 * 4096
            + (Directory.bytes(count: records) + 16 + 4095) / 4096 * 4096
    }

    var bytesOnDisk: Int { Int(disk.counters[.bytes]) }

    /// Deletes what is too much: for the file, for the index, for the segment numbers.
    mutating func keepWithinBudget() {
        // Room for what will be owed, taken while there is some: a flood leaves none later.
        writer.keepSpare()
        // What is appended again must not lie in a segment that is old itself by the time it is
        // full: the oldest leave first.
        if writer.openAge > max(UInt64(residency.count) / 8, 8), writer.hasSpare { writer.seal() }
        reap()
        guard !health.isFailing else { return }
        deleteOrphans()
        disk.counters[.limitBytes] = UInt64(disk.configuration.sizeBytes)
        disk.counters[.segmentsMax] = UInt64(mapBudget.bytes / log.geometry.frameBytes)
        let used = Int(disk.counters[.bytes])
        if isOverBudget {
            // Bounded, so that commits go on, but more than a commit can add.
            let each = victimsMax
            var rounds = 4
            while rounds > 0, isOverBudget, dropOldest(each) > 0 { rounds -= 1 }
        } else if log.index.filledPercent() >= 96 {
            if signals.recoveryUnreported.loadAcquire() == 0, health.isFirstIndexWarning() {
                let kept = log.geometry.memoryBytes / (1 << 20) * mapBudget.bytes / max(used, 1)
                store.events.warning(
                    .indexFull,
                    "filled_percent=\(log.index.filledPercent()) segments=\(residency.count)"
                        + " memory_mib_wanted=\(kept)")
            }
            _ = dropOldest(4)
        } else if log.recovering.loadAcquire() == 0 {
            dropSuperseded()
        }
    }

    /// Lets the oldest segments go that hold nothing live, once that is safe.
    private mutating func dropSuperseded() {
        let log = log
        let idle = residency.segments.prefix(8).prefix {
            log.segments.liveRecords($0.segment) == 0
        }
        let count = residency.idleToDrop(
            idle, begun: signals.begun.loadAcquire(), completed: signals.completed.loadAcquire())
        if count > 0 { _ = dropOldest(count) }
    }

    /// As many segments as one transaction writes.
    private var victimsMax: Int { max(disk.transactionBytes / log.geometry.frameBytes, 8) }

    /// On disk once all that waits is written, and all that leaves has left.
    private var bytesToCome: Int {
        let waiting =
            backlog.pending.reduce(0) { $0 + Int(log.segments.filled($1).loadRelaxed()) }
            + log.sealed.count * log.geometry.segmentBytes
        return bytesOnDisk - removals.bytes + backlog.stretchBytes + waiting
    }

    /// What is condemned is as good as gone.
    private var isOverBudget: Bool {
        bytesToCome > mapBudget.bytes
            || log.segments.freeCount + removals.count < 3 * log.geometry.writers + 16
    }

    /// Takes up to `count` of the oldest segments out of use, and off the disk as far as nobody
    /// reads them; returns how many.
    mutating func dropOldest(_ count: Int, isUrgent: Bool = false) -> Int {
        // The limit first: recovery's readers hand over in any order, and only what is below the
        // limit has all been handed over.
        let isRecovering = log.recovering.loadAcquire() != 0
        let limit = isRecovering ? signals.recoveredUpTo.loadAcquire() : .max
        adoptRecovered()
        var dropped = 0
        var excess = Int.max
        if bytesToCome > mapBudget.bytes {
            // No more than what is too much, and a little ahead.
            excess = bytesToCome - mapBudget.bytes + mapBudget.bytes / 32
        }
        // One leaves only when cuts have been taken since the commit that wrote it: then every
        // record written before it was sealed is below its writer's cut, where doubt can see it.
        while dropped < count, excess > 0, let first = residency.oldest,
            first.sequence < limit, first.commit < max(signals.completed.loadAcquire(), cuts.taken)
        {
            guard case .taken(let heir) = take(first, isUrgent: isUrgent) else {
                removals.putOff()
                break
            }
            residency.removeOldest()
            condemn(first, heir: heir, isUrgent: isUrgent)
            dropped += 1
            excess -= first.bytes
        }
        // Recovery has not reached the oldest yet: it is asked to go there next.
        if isRecovering, dropped == 0, excess > 0, !removals.isPutOff {
            signals.oldestWanted.storeRelease(4)
        }
        let left = removals.count
        reap(isUrgent: isUrgent)
        return max(dropped, left - removals.count)
    }

    /// Takes the slots of a segment away, of which memory holds nothing any more; it is deleted as
    /// soon as that can be.
    ///
    /// - Parameter heir: the segment that has taken over its record.
    mutating func condemn(
        _ victim: Residency.Resident, heir: Named? = nil, isUrgent: Bool = false
    ) {
        var owed: [Named] = heir.map { [$0] } ?? []
        var unpaid: Int?
        switch unlink(victim, &owed, isUrgent: isUrgent) {
        case .none: break
        case .tombstones(let first): unpaid = first
        case .unknown: return setAside(victim)
        }
        removals.add(
            Removals.Condemned(
                resident: victim, unpaid: unpaid, owed: owed, turns: log.frames.snapshot()))
    }

    private mutating func setAside(_ victim: Residency.Resident) {
        let overlap = log.segments.overlap(victim.segment).loadRelaxed()
        distrust.setAside(victim, overlap: overlap & ~Segments.returnedBit)
        store.events.warning(.segmentSetAside, "sequence=\(victim.sequence)")
    }

    /// A segment that owes nothing, and of which memory holds nothing.
    func deletable(_ victim: Residency.Resident) -> Removals.Condemned {
        Removals.Condemned(
            resident: victim, unpaid: nil, owed: [], turns: log.frames.snapshot())
    }

    /// What is aside goes once nothing is left that it may have overtaken.
    private mutating func releaseAside() {
        guard let limit = distrust.limit, log.recovering.loadAcquire() == 0,
            unsealed.isEmpty,
            Set(residency.returned).isSubset(of: distrust.aside.map(\.resident.sequence)),
            residency.oldest?.sequence ?? .max >= limit,
            removals.condemned.allSatisfy({ $0.resident.sequence >= limit })
        else { return }
        let isGrowing = (1..<log.segments.count).contains { segment in
            let state = log.segments.state(segment)
            return (state == .open || state == .sealed)
                && log.segments.sequence(segment) < limit
                && log.segments.kind(segment) != .promotion
        }
        guard !isGrowing else { return }
        for victim in distrust.releaseAside() { removals.add(deletable(victim)) }
    }

    /// Deletes what is condemned, once every read that had begun has ended and the tombstones and
    /// rescued records that it owes are on disk, or come to be with the same transaction.
    ///
    /// - Parameter isUrgent: the map is full, and no commit can write what is owed before this:
    ///   it goes along in pieces of one page each, of which a full map still has some.
    mutating func reap(isUrgent: Bool = false) {
        releaseAside()
        guard removals.mayReap(at: now.nanoseconds) else { return }
        payDebts()
        var victims = Array(
            removals.condemned.filter { isReady($0, isUrgent: isUrgent) }.prefix(victimsMax))
        // For a while no memory was to be had for what is owed.
        let isBroke = victims.isEmpty && isUrgent && hasFailedLong
        if isBroke { victims = removals.condemned.filter { isQuiet($0) } }
        guard !victims.isEmpty else { return }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            do throws(LMDBError) {
                if isBroke { throw .mapFull }
                victims = try delete(files, victims, isUrgent: isUrgent)
            } catch {
                guard isUrgent, error == .mapFull else { throw error }
                try deleteUnderMark(files, victims)
            }
            if isUrgent { try turnOver(files) }
        } catch {
            // Their slots are gone; only the file still holds them.
            mapBudget.didFailToDelete(isExhausted: isUrgent && error == .mapFull)
            removals.reapLater(than: now.nanoseconds)
            return
        }
        // Where the files could not be read when one was condemned, its slots are still there. They
        // may not outlive it: its number, and its place in the file, will be another's.
        removeSlots(of: Set(victims.filter { $0.unpaid != nil }.map(\.resident.segment)))
        for victim in victims.map(\.resident) {
            removals.remove(victim.sequence)
            residency.didLeave(victim.sequence)
            disk.counters.add(.segments, -1)
            disk.counters.add(.bytes, -victim.bytes)
            disk.counters.add(.bytesDeleted, victim.bytes)
            disk.counters.add(.segmentsDeleted, 1)
            log.segments.free(victim.segment, from: .dying)
        }
    }

    /// There was no room for what a segment owes: tried again once there is. To look in vain would
    /// cost the directories of all that were open with it, at every step.
    private mutating func payDebts() {
        guard writer.canAppendTombstone, removals.condemned.contains(where: { $0.unpaid != nil })
        else { return }
        // What was sealed since the victim was taken may be older, and hold what it has overtaken.
        adoptRecovered()
        for victim in removals.condemned {
            guard let first = victim.unpaid else { continue }
            var owed = victim.owed
            switch unlink(victim.resident, &owed, from: first) {
            case .none: removals.didPay(victim.resident.sequence, unpaid: nil, owed: owed)
            case .tombstones(let first):
                removals.didPay(victim.resident.sequence, unpaid: first, owed: owed)
            case .unknown:
                removals.remove(victim.resident.sequence)
                setAside(victim.resident)
            }
        }
    }

    private func isReady(_ victim: Removals.Condemned, isUrgent: Bool) -> Bool {
        guard isQuiet(victim), victim.unpaid == nil else { return false }
        return victim.owed.allSatisfy {
            isOnDisk($0) || $0.segment == writer.main.segment
                || (isUrgent && log.segments.kind($0.segment) != .chain)
        }
    }

    private func isQuiet(_ victim: Removals.Condemned) -> Bool {
        log.segments.reads(victim.resident.segment).loadAcquire() == 0
            && log.frames.isQuiet(since: victim.turns)
    }

    /// Whether a segment was committed whole (and may have left again).
    private func isOnDisk(_ name: Named) -> Bool {
        log.segments.sequence(name.segment) != name.sequence
            || log.segments.fileOffset(name.segment).loadAcquire() != 0
    }

    /// Answers which victims it took; all, unless a page is damaged.
    private mutating func delete(
        _ files: any StoreFiles, _ victims: [Removals.Condemned], isUrgent: Bool
    ) throws(LMDBError) -> [Removals.Condemned] {
        writer.cutNow()
        var own: [Int] = []
        for name in victims.flatMap(\.owed) where !isOnDisk(name) && !own.contains(name.segment) {
            own.append(name.segment)
        }
        let open = writer.main.segment
        if open != 0, !own.contains(open) { own.append(open) }
        let pieceBytes = isUrgent ? Self.pageValueBytes : Int.max
        do throws(LMDBError) {
            let transaction = try files.beginWrite()
            let fresh = try writeStretches(files, transaction, own, pieceBytes: pieceBytes)
            try putDistrustMark(transaction)
            try delete(files, transaction, victims)
            try transaction.commit()
            written.note(distrustMark: distrust.mark)
            backlog.note(fresh)
            return victims
        } catch {
            guard error.isDamage else { throw error }
            let transaction = try files.beginWrite()
            let fresh = try writeStretches(files, transaction, own, pieceBytes: pieceBytes)
            try putDistrustMark(transaction)
            try transaction.commit()
            written.note(distrustMark: distrust.mark)
            backlog.note(fresh)
            let few = Array(victims.prefix(Self.victimsSinglyMax))
            try deleteSingly(files, few)
            return few
        }
    }

    /// Before anything that it lies above leaves the disk, the mark is there.
    func putDistrustMark(_ transaction: any StoreWriting) throws(LMDBError) {
        guard distrust.mark > written.distrustMark else { return }
        try transaction.put(.distrustMark, distrust.mark)
    }

    /// As many are deleted at a time where every value has a transaction of its own.
    private static let victimsSinglyMax = 4

    /// What fits a page of its own behind the header.
    private static let pageValueBytes = 4096 - 16

    /// The map has no room even for what is owed: a flush mark takes its place.
    private mutating func deleteUnderMark(
        _ files: any StoreFiles, _ victims: [Removals.Condemned]
    ) throws(LMDBError) {
        oweFlushMark(log.highestOrder())
        store.events.warning(.flushMarkOwed, "order=\(debts.flushMark) reason=map_full")
        let transaction = try files.beginWrite()
        try transaction.put(.flushMark, debts.flushMark)
        try putDistrustMark(transaction)
        try delete(files, transaction, victims)
        try transaction.commit()
        written.note(distrustMark: distrust.mark)
        written.note(flushMark: debts.flushMark)
        debts.didWriteFlushMark()
        store.events.info(.flushMarkWritten, "order=\(written.flushMark)")
    }

    /// LMDB uses pages that a transaction freed from the second one after it on: without this one
    /// the commit that failed would find the map as full as before.
    private func turnOver(_ files: any StoreFiles) throws(LMDBError) {
        let transaction = try files.beginWrite()
        try transaction.put(.orders, written.orders)
        try transaction.commit()
    }

    private func delete(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ victims: [Removals.Condemned]
    ) throws(LMDBError) {
        for victim in victims.map(\.resident) {
            let isChain = log.segments.kind(victim.segment) == .chain
            _ = try transaction.delete(.directories, key: victim.sequence)
            var part = 0
            repeat {
                let key = SegmentKey.make(victim.sequence, part: part)
                guard try transaction.delete(.segments, key: key) else { break }
                part += 1
            } while isChain && part < SegmentKey.partsMax
        }
    }

    /// The same where a page is damaged: each value in a transaction of its own, so that only what
    /// lies on that page stays in the file, unknown to anybody.
    private func deleteSingly(
        _ files: any StoreFiles, _ victims: [Removals.Condemned]
    ) throws(LMDBError) {
        for victim in victims.map(\.resident) {
            let isChain = log.segments.kind(victim.segment) == .chain
            var isDamaged = try !deleteOne(files, .directories, key: victim.sequence).isSound
            var part = 0
            while part < (isChain ? SegmentKey.partsMax : 1) {
                let key = SegmentKey.make(victim.sequence, part: part)
                let (isThere, isSound) = try deleteOne(files, .segments, key: key)
                if !isSound { isDamaged = true }
                if !isThere, isSound { break }
                part += 1
            }
            if isDamaged { disk.counters.add(.damagedSegments, 1) }
        }
    }

    private func deleteOne(
        _ files: any StoreFiles, _ table: StoreTable, key: UInt64
    ) throws(LMDBError) -> (isThere: Bool, isSound: Bool) {
        do throws(LMDBError) {
            let transaction = try files.beginWrite()
            let isThere = try transaction.delete(table, key: key)
            try transaction.commit()
            return (isThere, true)
        } catch {
            guard error.isDamage else { throw error }
            return (false, false)
        }
    }

    // MARK: Orphans

    /// Parts of large records that one transaction deletes.
    private static let orphansPerTransactionMax = 64

    /// Keys of everything that lies in segments whose directory is damaged.
    private mutating func damagedKeys(_ files: any StoreFiles) -> [UInt64] {
        guard let transaction = try? files.beginRead() else { return [] }
        var keys: [UInt64] = []
        for sequence in leftovers.damaged {
            // The directory goes with the first part, even if that is missing.
            keys.append(SegmentKey.make(sequence))
            let parts = SegmentKey.make(sequence, part: 1)
            try? transaction.forEach(.segments, from: parts) { key, _ in
                guard SegmentKey.sequence(key) == sequence else { return false }
                keys.append(key)
                return true
            }
        }
        return keys
    }

    /// Deletes parts of large records whose directory was never written, and what may be there of
    /// segments that were given up, some at a time.
    private mutating func deleteOrphans() {
        let found = store.orphans.withLock { keys in
            defer { keys = [] }
            return keys
        }
        leftovers.add(orphans: found)
        guard let files = disk.files() else { return }
        deleteImpossible(files)
        if removals.isEmpty, !leftovers.damaged.isEmpty {
            leftovers.releaseDamaged(damagedKeys(files))
        }
        guard !leftovers.orphans.isEmpty else { return }
        var batch = leftovers.orphans.suffix(Self.orphansPerTransactionMax)
        var count = 0
        do throws(LMDBError) {
            let transaction = try files.beginWrite()
            try putDistrustMark(transaction)
            for key in batch {
                _ = try transaction.delete(.directories, key: SegmentKey.sequence(key))
                if try transaction.delete(.segments, key: key) { count += 1 }
            }
            try transaction.commit()
            written.note(distrustMark: distrust.mark)
        } catch {
            // A damaged page keeps what lies on it, and only that.
            guard error.isDamage else { return }
            batch = batch.suffix(Self.victimsSinglyMax)
            count = 0
            removals.putOff()
            do throws(LMDBError) {
                let transaction = try files.beginWrite()
                try putDistrustMark(transaction)
                try transaction.commit()
                written.note(distrustMark: distrust.mark)
                for key in batch {
                    let sequence = SegmentKey.sequence(key)
                    _ = try deleteOne(files, .directories, key: sequence)
                    if try deleteOne(files, .segments, key: key).isThere { count += 1 }
                }
            } catch {
                return
            }
        }
        disk.counters.add(.orphanParts, count)
        leftovers.didDelete(orphans: batch.count)
    }

    /// Deletes what lies under keys that no segment can have; not before the mark is on disk that
    /// they are the reason of.
    private mutating func deleteImpossible(_ files: any StoreFiles) {
        guard !leftovers.impossible.isEmpty else { return }
        do throws(LMDBError) {
            let transaction = try files.beginWrite()
            try putDistrustMark(transaction)
            try transaction.commit()
            written.note(distrustMark: distrust.mark)
            for (table, key) in leftovers.impossible { _ = try deleteOne(files, table, key: key) }
        } catch {
            // Tried again.
            return
        }
        leftovers.didDeleteImpossible()
    }
}
