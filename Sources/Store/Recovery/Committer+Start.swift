// Start: what the committer does before the first request: it takes up the numbers where the last
// run left them, and rebuilds what that run had open.
//
// What was open lies on disk as stretches. Each of these segments is written whole, under its own
// sequence, so that recovery finds it among the others and no record ever stands at a place that
// is newer than itself. If that cannot be done (the disk is full, say) recovery reads the
// stretches, and every commit tries again.

internal import LMDB
internal import Primitives
internal import SegmentLog
internal import Synchronization

extension Committer {
    /// Prepares the log for requests. Segments on disk are left to the recovery.
    ///
    /// - Returns: false if nobody may be served: a later start would find what this run makes old.
    mutating func begin() -> Bool {
        log.orderLimit.storeRelease(reservation.limit)
        let first = Self.firstOrder(
            above: disk.ordersGivenOut, at: now.unixNanoseconds, among: Reservation.startsApart,
            isKnown: disk.ordersFound.orders > 0)
        log.raiseOrders(above: first)
        signals.firstOrder.storeRelease(first)
        reserveOrders()
        var meta = disk.meta
        if meta.flushMark > first {
            // It was damaged. It must not kill what is written from now on, nor, if it stayed, what
            // the runs after this one find.
            store.events.error(.flushMarkDamaged, "order=\(first)")
            log.flushMark.storeRelease(first)
            meta.flushMark = 0
        } else {
            log.flushMark.storeRelease(meta.flushMark)
        }
        written.begin(meta)
        if disk.isDistrustMarkSound {
            distrust.raise(to: disk.meta.distrustMark)
            written.note(distrustMark: disk.meta.distrustMark)
        }
        var flushAt = disk.meta.flushAt
        if flushAt != 0, flushAt <= UInt64(now.unixSeconds) || flushAt > UInt64(UInt32.max) {
            // A delayed flush_all came due while the server was down, or nobody knows when it will:
            // its second was damaged.
            log.flushMark.storeRelease(first)
            flushAt = 0
        }
        signals.flushAt.storeRelease(flushAt)
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            try disk.whileMarked { () throws(LMDBError) in try takeUp(files) }
        } catch {
            // Nothing may be written over what could not be read: memory alone, from here on.
            store.events.error(
                .storeUnreadable,
                "reason=\(quoted: error) directory=\(quoted: disk.configuration.directory)")
            health.giveUp()
            reservation.giveUp()
            // The metadata leave with the store: from now on the orders file has to tell.
            reserveOrders()
            disk.counters[.isFailing] = 1
            return (try? disk.leave(because: error.description, at: now.unixSeconds)) != nil
        }
        _ = beginCommit(askingWorkers: false)
        return true
    }

    /// Where orders begin: above the reservation, and elsewhere than in the runs before this one
    /// even if nothing is left of theirs (there was no room for the orders file, or somebody has
    /// removed it), because the time of the start has a part in it: 131 for each millisecond since
    /// 2020, which 48 bits hold until 2088. With a reservation above that, what is left of it
    /// after division by `count` is added. Where the orders file was read, `isKnown`, the time is
    /// not needed: it must not take orders so far up that the file may not reserve them.
    static func firstOrder(
        above reserved: UInt64, at nanoseconds: UInt64, among count: UInt64, isKnown: Bool = false
    ) -> UInt64 {
        let time = Reservation.order(atUnix: nanoseconds)
        let floor = isKnown ? min(time, reserved + Reservation.aboveMetadata / 2) : time
        return floor > reserved ? floor : reserved + floor % count
    }

    private mutating func takeUp(_ files: any StoreFiles) throws(LMDBError) {
        let transaction = try files.beginRead()
        written.note(key: try transaction.lastKey(.segments) ?? 0)
        let lastSegment = try transaction.lastKey(
            .segments, atMost: SegmentKey.make(SegmentKey.sequenceMax))
        let lastDirectory = try transaction.lastKey(
            .directories, atMost: SegmentKey.sequenceMax)
        var last = max(SegmentKey.sequence(lastSegment ?? 0), lastDirectory ?? 0)
        var isNumberLost = try findImpossible(transaction)
        var found: [PairKey] = []
        try transaction.forEachStretch(from: PairKey(0, 0)) { key, _ in
            found.append(key)
            return true
        }
        while let key = found.last, key.first > SegmentKey.sequenceMax {
            leftovers.add(stretches: [key])
            found.removeLast()
            isNumberLost = true
        }
        last = max(last, found.last?.first ?? 0)
        // Of what lies below a mark that was damaged, nothing is known. Nor is it known what is
        // older than this run's records, where no number of orders is left.
        if let reason = reasonToDistrust(isNumberLost: isNumberLost) {
            distrust.raise(to: last + 1)
            store.events.error(
                .earlierRunsDistrusted, "reason=\(reason) sequence=\(distrust.mark)")
        }
        for key in found {
            let isRebuilt = try transaction.get(.directories, key: key.first) { _ in true }
            if isRebuilt == true || key.first < distrust.mark {
                leftovers.add(stretches: [key])
            } else {
                unsealed.add(key)
            }
        }
        // What is written from now on is to be believed, even if nothing else is left.
        let first = max(last + 1, distrust.mark)
        log.segments.startSequences(at: first)
        signals.firstSequence.storeRelease(first)
        signals.believedFrom.storeRelease(distrust.mark)
        let sequences = unsealed.sequences
        store.unsealed.withLock { $0 = sequences }
        let hasDirectories = try transaction.firstKey(.directories) != nil
        if hasDirectories || !unsealed.isEmpty {
            log.recovering.storeRelease(1)
            signals.recoveryUnreported.storeRelease(1)
        }
    }

    /// Why nothing that earlier runs have left is to be believed; nil: it is.
    private func reasonToDistrust(isNumberLost: Bool) -> String? {
        if !disk.isDistrustMarkSound { return "distrust_mark" }
        if !disk.areOrdersKnown { return "orders" }
        return isNumberLost ? "segment_number" : nil
    }

    /// Notes some of the keys that no segment can have, to be deleted. Answers whether one of them
    /// is a directory's: its segment may have overtaken anything. (Where a segment's own key was
    /// damaged, its directory tells what it has overtaken.)
    private mutating func findImpossible(
        _ transaction: any StoreReading
    ) throws(LMDBError) -> Bool {
        var keys: [(table: StoreTable, key: UInt64)] = []
        let ends = [
            (StoreTable.directories, SegmentKey.sequenceMax + 1),
            (.segments, SegmentKey.make(SegmentKey.sequenceMax) + 1),
        ]
        for (table, end) in ends {
            let limit = keys.count + Self.impossibleKeysMax
            try transaction.forEach(table, from: end) { key, _ in
                keys.append((table, key))
                return keys.count < limit
            }
        }
        for (table, key) in keys { leftovers.add(impossible: key, in: table) }
        return keys.contains { $0.table == .directories }
    }

    /// So many of a table are noted at a start; what else there is, at the next.
    private static var impossibleKeysMax: Int { 64 }

    // MARK: Rebuilding

    /// Writes what the last run had open as whole segments, and deletes the stretches; as much at
    /// a time as a transaction carries.
    mutating func rebuildLastRun(_ files: any StoreFiles) throws(LMDBError) {
        while !unsealed.isEmpty {
            let store = store
            try store.unsealed.withLock { (sequences: inout [UInt64]) throws(LMDBError) in
                let rebuilt = try rebuildSome(files)
                sequences.removeAll { rebuilt.contains($0) }
            }
        }
    }

    /// Deletes stretches that nothing needs any more: at the end of a commit, when what took the
    /// place of their records is on disk.
    mutating func deleteLeftovers(_ files: any StoreFiles) throws(LMDBError) {
        guard !leftovers.stretches.isEmpty else { return }
        let transaction = try files.beginWrite()
        try delete(files, transaction, leftovers.stretches)
        try transaction.commit()
        leftovers.didDeleteStretches()
    }

    /// One transaction's worth; returns the sequences.
    private mutating func rebuildSome(_ files: any StoreFiles) throws(LMDBError) -> [UInt64] {
        let transaction = try files.beginWrite()
        var bytes = 0
        var rebuilt: [UInt64] = []
        for (sequence, stretches) in unsealed.segments {
            if bytes > 0, bytes + Geometry.frameBytesMax > mapBudget.batchBytes { break }
            bytes += try rebuild(files, transaction, sequence, stretches)
            rebuilt.append(sequence)
        }
        try transaction.commit()
        unsealed.didRebuild(rebuilt.count)
        disk.counters.add(.bytesWritten, bytes)
        for sequence in rebuilt {
            // Recovery may know it already, from its stretches. If a transaction that failed was
            // durable all the same, from its directory: then it was handed over.
            let isKnown = store.takenUnsealed.withLock { $0.remove(sequence) != nil }
            if isKnown, let segment = log.segments.find(sequence: sequence) {
                publishRebuilt(files, segment)
            }
        }
        return rebuilt
    }

    /// A segment that was known without a place in the file has one.
    private mutating func publishRebuilt(_ files: any StoreFiles, _ segment: Int) {
        let key = SegmentKey.make(log.segments.sequence(segment))
        var place: UInt64?
        if let transaction = try? files.beginRead() {
            place = (try? transaction.fileOffset(segment: key)) ?? nil
        }
        log.segments.fileOffset(segment).storeRelease(place ?? Segments.noFileOffset)
        signals.restored.push(UInt32(segment))
    }

    private mutating func rebuild(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ sequence: UInt64,
        _ stretches: [PairKey]
    ) throws(LMDBError) -> Int {
        let end = try Stretches.collect(transaction, sequence, into: scratch)
        let (filled, isWhole) = SegmentImage.soundBytes(scratch, count: end ?? 0)
        if end == nil || !isWhole { try distrustAll(files, transaction, sequence) }
        if filled > 0 {
            let count = Directory.make(
                image: scratch, filled: filled,
                overlap: signals.firstSequence.loadAcquire(), log.hasher, into: directory)
            try put(
                transaction, segment: SegmentKey.make(sequence),
                byteCount: max(filled, Self.valueBytesMin), from: scratch, at: 0, count: filled)
            try putDirectory(files, transaction, sequence, count)
        }
        try delete(files, transaction, stretches)
        return filled
    }

    /// Part of what was open cannot be read: it may have overtaken anything that the last run and
    /// those before it have left. All of that is dead from now on.
    private mutating func distrustAll(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ sequence: UInt64
    ) throws(LMDBError) {
        disk.counters.add(.damagedSegments, 1)
        // A mark that was set since the start, or that a commit which failed had raised, stays.
        let first = signals.firstOrder.loadAcquire()
        let mark = max(first, written.flushMark, log.flushMark.loadAcquire())
        try transaction.put(.flushMark, mark)
        log.raiseFlushMark(to: mark)
        store.events.error(.lastRunDamaged, "sequence=\(sequence) order=\(mark)")
    }

    private func delete(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ stretches: [PairKey]
    ) throws(LMDBError) {
        for key in stretches { _ = try transaction.delete(stretch: key) }
    }
}
