// Start: what the committer does before the first request: it takes up the numbers where the last
// run left them, and brings back what that run's open segments held.

internal import LMDB
internal import Primitives
internal import SegmentLog

extension Committer {
    /// Prepares the log for requests. Segments on disk are left to the recovery.
    mutating func begin(now: UInt32) {
        log.orderLimit.storeRelease(Record.orderMax)
        log.raiseOrders(above: disk.meta.orders)
        log.flushMark.storeRelease(disk.meta.flushMark)
        written.flushMark = disk.meta.flushMark
        written.flushAt = disk.meta.flushAt
        var flushAt = disk.meta.flushAt
        if flushAt != 0, flushAt <= UInt64(now) {
            // A delayed flush_all came due while the server was down.
            log.flushMark.storeRelease(disk.meta.orders)
            flushAt = 0
        }
        signals.flushAt.storeRelease(flushAt)
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            try takeUp(files)
        } catch {
            // Nothing may be written over what could not be read: memory alone, from here on.
            store.events.error(
                .storeUnreadable,
                "reason=\(quoted: error) directory=\(quoted: disk.configuration.directory)")
            isFailing = true
            disk.counters[.isFailing] = 1
            retryAt = .max
            return
        }
        _ = commit(askingWorkers: false)
    }

    private mutating func takeUp(_ files: DiskFiles) throws(LMDBError) {
        let transaction = try files.environment.beginRead()
        lastKey = try transaction.lastKey(files.segments) ?? 0
        let lastDirectory = try transaction.lastKey(files.directories) ?? 0
        var last = max(lastKey >> 10, lastDirectory)
        var found: [PairKey] = []
        try transaction.withCursor(files.stretches) { cursor throws(LMDBError) in
            var isThere = try cursor.first()
            while isThere {
                let key = try cursor.withKeyBytes { bytes throws(LMDBError) in PairKey(bytes) }
                if let key { found.append(key) }
                isThere = try cursor.next()
            }
        }
        for key in found { last = max(last, key.first) }
        log.segments.startSequences(at: last + 1)
        signals.firstSequence.storeRelease(last + 1)
        let isRecovering = try transaction.firstKey(files.directories) != nil
        if isRecovering || !found.isEmpty { log.recovering.storeRelease(1) }
        let refill = IndexRefill(log, files: files)
        for key in found {
            let isWhole = try transaction.get(files.directories, key: key.first) { _ in true }
            if isWhole == true { continue }
            try bringBack(files, transaction, key, refill)
        }
        disk.counters[.recoveredItems] = UInt64(log.index.itemCount())
        writer.seal()
        noteReturned()
        leftovers = found
    }

    /// What is brought back lies behind newer records: their removal must not forget it.
    private func noteReturned() {
        log.sealed.forEach { number in
            let overlap = log.segments.overlap(Int(number))
            overlap.storeRelaxed(overlap.loadRelaxed() | Segments.returnedBit)
        }
    }

    /// Frames are short before the first request (they were larger or more in the last run):
    /// commits what was brought back so far, and lets it rest on disk.
    private mutating func makeFrames() {
        guard log.frames.freeCount < log.geometry.frameCount / 2 else { return }
        noteReturned()
        guard log.sealed.count > 0, commit(askingWorkers: false) else { return }
        while let number = log.logRegion.pop() { log.rest(Int(number)) }
    }

    /// Appends the records of one stretch anew.
    private mutating func bringBack(
        _ files: DiskFiles, _ transaction: borrowing ReadTransaction, _ key: PairKey,
        _ refill: IndexRefill
    ) throws(LMDBError) {
        let capacity = scratch.byteCount
        let count = try key.withBytes { bytes throws(LMDBError) in
            try transaction.get(files.stretches, key: bytes) { value -> Int in
                let count = min(value.count, capacity)
                scratch.store(value.extracting(0..<count), at: 0)
                return count
            }
        }
        var position = 0
        while let count, position < count {
            let record = Record(scratch, at: position)
            guard record.isPlausible(limit: count - position) else {
                disk.counters.add(.damagedSegments, 1)
                return
            }
            if !record.isFiller {
                guard record.checksum() == record.storedChecksum else {
                    disk.counters.add(.damagedSegments, 1)
                    return
                }
                if writer.tailRoom < Record.aligned(record.contentBytes) { makeFrames() }
                if let place = writer.appendCopy(record) { refill.merge(record, at: place) }
            }
            position += record.totalBytes
        }
    }
}
