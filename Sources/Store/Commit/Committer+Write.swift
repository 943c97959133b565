// Write: what one commit puts into the store's file: metadata, the stretches of open segments,
// sealed segments with their key directories. What has failed may be written again: every value
// has a key.
//
// Nothing here decides when to commit or what leaves; large records are in `Committer+Chains`.

internal import LMDB
internal import Primitives
internal import SegmentLog

extension Committer {
    /// Writes what is pending in as many transactions as its size asks for. The first carries the
    /// metadata and the open segments' stretches. False: for the rest there is no room until what
    /// was written may leave again, which needs cuts that are newer than it.
    mutating func write(_ files: any StoreFiles, open: [Int]) throws(LMDBError) -> Bool {
        try rebuildLastRun(files)
        let changes = signals.changes.loadAcquire()
        var isFirst = true
        while isFirst || !backlog.isEmpty {
            if isFirst || !isChainNext {
                try writeBatch(files, open: isFirst ? open : [], withMeta: isFirst, changes)
            }
            isFirst = false
            // A chain has transactions of its own, after the metadata.
            if isChainNext { try writeChains(files) }
            // Before more is written: a backlog may be larger than what the file has free.
            if !backlog.isEmpty {
                keepWithinBudget()
                guard hasRoomForNext else { return false }
            }
        }
        try deleteLeftovers(files)
        return true
    }

    /// While commits fail nothing leaves for this, and what there is room for is found out.
    private var hasRoomForNext: Bool {
        guard !health.isFailing else { return true }
        let bytes = bytesOnDisk + backlog.stretchBytes + nextBytes
        return bytes <= mapBudget.writtenBytesMax && bytes - removals.bytes <= mapBudget.bytes
    }

    /// What the next transaction carries, or the large record that is next.
    private var nextBytes: Int {
        var bytes = 0
        for segment in backlog.pending {
            let size = Int(log.segments.filled(segment).loadRelaxed())
            if bytes > 0, bytes + size > mapBudget.batchBytes { break }
            bytes += size
        }
        return bytes
    }

    private var isChainNext: Bool {
        backlog.pending.first.map { log.segments.kind($0) == .chain } ?? false
    }

    /// One transaction: the shared segments that lead the backlog, as many as it carries.
    private mutating func writeBatch(
        _ files: any StoreFiles, open: [Int], withMeta: Bool, _ changes: UInt64
    ) throws(LMDBError) {
        var batch: [Int] = []
        var bytes = 0
        var fresh: [Stretch] = []
        let transaction = try files.beginWrite()
        if withMeta {
            try writeMeta(files, transaction)
            fresh = try writeStretches(files, transaction, open)
            bytes += fresh.reduce(0) { $0 + $1.end - $1.start }
        }
        for segment in backlog.pending {
            if log.segments.kind(segment) == .chain { break }
            let size = Int(log.segments.filled(segment).loadRelaxed())
            if !batch.isEmpty, bytes + size > mapBudget.batchBytes { break }
            bytes += try writeSegment(files, transaction, segment)
            batch.append(segment)
        }
        try transaction.commit()
        didWrite(withMeta, fresh, batch, bytes: bytes, changes: changes)
        publish(files, batch)
    }

    /// What a transaction that has committed changes in memory.
    private mutating func didWrite(
        _ isFirst: Bool, _ fresh: [Stretch], _ batch: [Int], bytes: Int, changes: UInt64
    ) {
        disk.counters.add(.bytesWritten, bytes)
        if isFirst {
            noteMeta(changes)
            backlog.note(fresh)
        }
        backlog.didWrite(batch, log)
    }

    /// One sealed segment: its bytes, its directory, and its stretches go.
    private mutating func writeSegment(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ segment: Int
    ) throws(LMDBError) -> Int {
        let count = Directory.make(segment, log, into: directory)
        let filled = Int(log.segments.filled(segment).loadRelaxed())
        let sequence = log.segments.sequence(segment)
        let key = SegmentKey.make(sequence)
        let offset = log.frames.offset(log.segments.frame(unwritten: segment))
        try put(
            transaction, segment: key, byteCount: max(filled, Self.valueBytesMin),
            from: log.frames.memory, at: offset, count: filled)
        try putDirectory(files, transaction, sequence, count)
        try deleteStretches(files, transaction, sequence)
        return filled + Directory.bytes(count: count)
    }

    /// Stores a segment's bytes, or a part of them. Whatever becomes of the transaction, the key
    /// may be there then: one that failed may be durable all the same.
    mutating func put(
        _ transaction: any StoreWriting, segment key: UInt64, byteCount: Int, from region: Region,
        at offset: Int, count: Int
    ) throws(LMDBError) {
        let append = key > written.lastKey
        written.note(key: key)
        try transaction.put(
            segment: key, byteCount: byteCount, append: append, from: region, at: offset,
            count: count)
    }

    func putDirectory(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ sequence: UInt64,
        _ count: Int
    ) throws(LMDBError) {
        let bytes = Directory.bytes(count: count)
        try directory.withBytes(0, bytes) { span throws(LMDBError) in
            try transaction.put(.directories, key: sequence, bytes: span)
        }
    }

    private func deleteStretches(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ sequence: UInt64
    ) throws(LMDBError) {
        for key in backlog.keys(sequence) { _ = try transaction.delete(stretch: key) }
    }

    /// Bytes of a segment that one value holds.
    struct Stretch {
        var sequence: UInt64
        var start: Int
        var end: Int
    }

    /// What segments hold below their cuts since the last commit, as values of up to so many bytes
    /// (one record at least). What a transaction that failed may have left of that goes.
    mutating func writeStretches(
        _ files: any StoreFiles, _ transaction: any StoreWriting, _ open: [Int],
        pieceBytes: Int = .max
    ) throws(LMDBError) -> [Stretch] {
        var stretches: [Stretch] = []
        for segment in open {
            let sequence = log.segments.sequence(segment)
            var start = backlog.end(sequence)
            let end = Int(log.segments.cut(segment).loadAcquire())
            guard let frame = log.segments.frame(segment) else { continue }
            let base = log.frames.offset(frame)
            for key in backlog.possibleKeys(sequence) { _ = try transaction.delete(stretch: key) }
            while start < end {
                let stop = fillChecksums(base, start..<end, limit: pieceBytes)
                let key = PairKey(sequence, UInt32(start))
                backlog.notePossible(key)
                try log.frames.memory.withBytes(base + start, stop - start) {
                    span throws(LMDBError) in
                    try transaction.put(stretch: key, bytes: span)
                }
                stretches.append(Stretch(sequence: sequence, start: start, end: stop))
                start = stop
            }
        }
        return stretches
    }

    /// Fills in checksums until `limit` bytes are reached; answers where the last record ends.
    private func fillChecksums(_ base: Int, _ range: Range<Int>, limit: Int) -> Int {
        var position = range.lowerBound
        while position < range.upperBound {
            let record = Record(log.frames.memory, at: base + position)
            let next = position + record.totalBytes
            if next - range.lowerBound > limit, position > range.lowerBound { break }
            if !record.isFiller { record.fillChecksum() }
            position = next
        }
        return position
    }

    private mutating func writeMeta(
        _ files: any StoreFiles, _ transaction: any StoreWriting
    ) throws(LMDBError) {
        let highest = log.highestOrder()
        if highest + reservation.ahead / 2 > written.orders {
            try transaction.put(.orders, reservation.wanted(above: highest))
        }
        // The time before the mark: it is cleared after the mark is raised.
        let due = signals.flushAt.loadAcquire()
        let mark = max(log.flushMark.loadAcquire(), debts.flushMark)
        if mark > written.flushMark { try transaction.put(.flushMark, mark) }
        try putDistrustMark(transaction)
        if due != written.flushAt {
            // A transaction that fails may be durable all the same.
            written.forgetFlushAt()
            try transaction.put(.flushAt, due)
        }
        if let lead = written.lead(ofNanoseconds: now.nanosecondsAhead) {
            written.forgetSecondsAhead()
            try transaction.put(.clockLead, lead.word)
        }
        if !written.hasFrameBytes {
            try transaction.put(.frameBytes, UInt64(log.geometry.frameBytes))
        }
    }

    /// The transaction with the metadata is durable: what it holds is noted.
    private mutating func noteMeta(_ changes: UInt64) {
        guard let files = disk.files() else { return }
        let word: (MetaKey) -> UInt64? = { key in
            guard let transaction = try? files.beginRead() else { return nil }
            return try? transaction.get(.meta, key: key.rawValue) { bytes -> UInt64? in
                bytes.count == 8 ? bytes.word(at: 0) : nil
            } ?? nil
        }
        written.note(distrustMark: word(.distrustMark) ?? 0)
        written.note(
            orders: word(.orders), flushMark: word(.flushMark), flushAt: word(.flushAt),
            changes: changes)
        if let lead = word(.clockLead) {
            written.note(secondsAhead: ClockLead(lead)?.seconds)
        }
        if debts.flushMark != 0, written.flushMark >= debts.flushMark {
            debts.didWriteFlushMark()
            store.events.info(.flushMarkWritten, "order=\(written.flushMark)")
        }
        reservation.didCommit(orders: written.orders)
        log.orderLimit.storeRelease(reservation.limit)
    }

    /// Tells where the segments of a committed batch lie; from now on memory may let go of them.
    private mutating func publish(_ files: any StoreFiles, _ batch: [Int]) {
        guard !batch.isEmpty else { return }
        let places: [UInt64?]
        do throws(LMDBError) {
            let transaction = try files.beginRead()
            var found: [UInt64?] = []
            for segment in batch {
                let key = SegmentKey.make(log.segments.sequence(segment))
                found.append(try transaction.fileOffset(segment: key))
            }
            places = found
        } catch {
            places = batch.map { _ in nil }
        }
        for (segment, place) in zip(batch, places) { didPublish(segment, fileOffset: place) }
        // What is dead of them is used again before memory that was never touched.
        if log.frames.untouchedCount > 0 { signals.maintenance.wake() }
    }

    /// A segment is on disk. Without a file offset (it lies inside a page of the tree, being tiny)
    /// it cannot be read through a ring and stays a load.
    mutating func didPublish(_ segment: Int, fileOffset: UInt64?) {
        let filled = Int(log.segments.filled(segment).loadRelaxed())
        log.segments.fileOffset(segment).storeRelease(fileOffset ?? Segments.noFileOffset)
        log.segments.advance(segment, from: .sealed, to: .clean)
        log.logRegion.push(UInt32(segment))
        addResident(
            Residency.Resident(
                sequence: log.segments.sequence(segment), segment: segment,
                bytes: Self.diskBytes(filled, Int(log.segments.records(segment).loadRelaxed())),
                commit: signals.begun.loadRelaxed()))
        disk.counters.add(.segmentsWritten, 1)
        disk.counters.add(.recordsWritten, Int(log.segments.records(segment).loadRelaxed()))
    }

    mutating func addResident(_ new: Residency.Resident) {
        let overlap = log.segments.overlap(new.segment).loadRelaxed()
        residency.add(new, isReturned: overlap & Segments.returnedBit != 0)
        disk.counters.add(.segments, 1)
        disk.counters.add(.bytes, new.bytes)
    }
}
