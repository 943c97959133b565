// Doubt: which records that leave the disk must leave a tombstone, because an older record of
// their key may stay there.
//
// Segments leave in the order of their sequences, and a record is older than another of its key
// only if its segment is, or was open at the same time, or is returned (a start of an earlier
// release has appended it anew).

internal import LMDB
internal import Primitives
internal import SegmentLog

extension Committer {
    /// The lowest orders of the victim's keys in segments that were open together with it and
    /// have not left, that are not sealed yet, that are returned, or of which something is left on
    /// disk although they were given up or sealed: only these can hold an older record of one of
    /// its keys, or the one that a tombstone of the victim was left for. And in those that were
    /// opened before it and got on the disk when it was leaving. `directory` holds the victim's,
    /// and another one afterwards.
    mutating func olderRecords(
        _ files: any StoreFiles, _ victim: Residency.Resident, _ count: Int
    ) throws(LMDBError) -> OrderTable {
        let overlap =
            log.segments.overlap(victim.segment).loadRelaxed() & ~Segments.returnedBit
        try noteUnreached(files)
        var table = OrderTable()
        var others = removals.condemned.map(\.resident.sequence)
        others += try onDisk(files, victim.sequence + 1..<max(overlap, victim.sequence + 1))
        others += residency.segments.prefix { $0.sequence < victim.sequence }.map(\.sequence)
        others += residency.returned
        others += distrust.aside.map(\.resident.sequence)
        others += unsealed.sequences
        others += leftovers.sequences(from: signals.firstSequence.loadAcquire())
        others.removeAll { $0 == victim.sequence }
        let growing = (1..<log.segments.count).filter { segment in
            let state = log.segments.state(segment)
            return (state == .open || state == .sealed)
                && log.segments.sequence(segment) < overlap
                && log.segments.kind(segment) != .promotion
        }
        guard !others.isEmpty || !growing.isEmpty,
            let view = Directory.View(directory, byteCount: Directory.bytes(count: count))
        else { return table }
        for number in 0..<count { table.want(view[number].hash) }
        for segment in growing { addFromMemory(segment, to: &table) }
        for sequence in Set(others).sorted() {
            guard let count = try readDirectory(files, sequence),
                let view = Directory.View(directory, byteCount: Directory.bytes(count: count))
            else {
                if try isThere(files, sequence) { table.doubtAll() }
                continue
            }
            for number in 0..<count {
                let entry = view[number]
                table.insert(entry.hash, entry.order, isTombstone: entry.isTombstone)
            }
        }
        return table
    }

    /// Whether a segment whose directory cannot be read is on disk: the next start may be able to.
    func isThere(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> Bool {
        guard !hasStretches(sequence) else { return true }
        let transaction = try files.beginRead()
        do throws(LMDBError) {
            return try transaction.get(.directories, key: sequence) { _ in true } ?? false
        } catch {
            guard error.isDamage else { throw error }
            return true
        }
    }

    /// What is returned is known once recovery has reached it. Until then the heads
    /// of all directories of earlier runs are read, once.
    private mutating func noteUnreached(_ files: any StoreFiles) throws(LMDBError) {
        guard !residency.knowsReturned else { return }
        guard log.recovering.loadAcquire() != 0 else {
            // All have been reached, and lie in the queue at least.
            adoptRecovered()
            residency.didLearn(returned: [])
            return
        }
        let end = signals.firstSequence.loadAcquire()
        var found: [UInt64] = []
        do throws(LMDBError) {
            let transaction = try files.beginRead()
            try transaction.forEach(.directories, from: distrust.mark) { sequence, bytes in
                guard sequence < end else { return false }
                if Directory.isReturned(bytes) { found.append(sequence) }
                return true
            }
        } catch {
            guard error.isDamage else { throw error }
            // What cannot be read here cannot come back, unless it can be read later: tried again.
            return
        }
        residency.didLearn(returned: found)
    }

    /// Segments on disk with such sequences, recovered already or not.
    private func onDisk(
        _ files: any StoreFiles, _ range: Range<UInt64>
    ) throws(LMDBError) -> [UInt64] {
        guard !range.isEmpty else { return [] }
        let transaction = try files.beginRead()
        var found: [UInt64] = []
        _ = try unlessDamaged { () throws(LMDBError) -> Void? in
            try transaction.forEach(.directories, from: range.lowerBound) { sequence, _ in
                guard sequence < range.upperBound else { return false }
                found.append(sequence)
                return true
            }
        }
        return found
    }

    private func addFromMemory(_ segment: Int, to table: inout OrderTable) {
        let end = Int(log.segments.cut(segment).loadAcquire())
        var records = log.records(of: segment, end: end)
        while let (record, _) = records?.next() {
            table.insert(log.hash(of: record), record.order, isTombstone: record.isTombstone)
        }
    }
}

/// The oldest that was seen of each hash that is wanted.
struct OrderTable {
    /// Ages: an order twice, and one more for a tombstone. What is given up leaves a tombstone of
    /// its own order, which has to stay for as long as that record may be on disk; it is younger
    /// than the record, and no older than another copy of itself.
    private var ages: [UInt64: UInt64] = [:]
    /// Something that could not be read may hold an older record of any key.
    private var doubtsAll = false

    mutating func want(_ hash: UInt64) { ages[hash] = .max }

    mutating func insert(_ hash: UInt64, _ order: UInt64, isTombstone: Bool) {
        let age = Self.age(order, isTombstone: isTombstone)
        guard let oldest = ages[hash], age < oldest else { return }
        ages[hash] = age
    }

    private static func age(_ order: UInt64, isTombstone: Bool) -> UInt64 {
        order << 1 | (isTombstone ? 1 : 0)
    }

    mutating func doubtAll() { doubtsAll = true }

    /// Whether an older record of this key was seen, or may be there.
    func has(_ entry: Directory.Entry) -> Bool {
        guard !doubtsAll else { return true }
        guard !ages.isEmpty, let oldest = ages[entry.hash] else { return false }
        return oldest < Self.age(entry.order, isTombstone: entry.isTombstone)
    }
}
