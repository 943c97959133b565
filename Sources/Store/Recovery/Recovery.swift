// Recovery: the thread that refills the index after a start, from the key directories on disk.
//
// The server serves meanwhile: a key not reached yet misses, and what is written or removed now
// wins, because its order is higher. The thread ends when every directory has been read.

internal import LMDB
internal import Primitives
internal import SegmentLog
internal import Synchronization

/// One pass over the directories. Used by its own thread only.
struct Recovery: ~Copyable {
    private let store: TieredStore
    private let log: SegmentLog
    private let disk: Disk
    private let directory: Region?
    private var items = 0
    private var segments = 0
    private var damaged = 0
    /// Something could not be read: the disk may hold what the index does not know.
    private var isDamaged = false
    private var failures = 0

    init(_ store: TieredStore, disk: Disk) {
        self.store = store
        self.disk = disk
        log = store.log
        directory = try? Region.map(byteCount: 2 << 20)
    }

    mutating func run() {
        let start = Clock.monotonicNanoseconds()
        // What this run has written is in the index already, brought back or new.
        let end = store.signals.firstSequence.loadAcquire()
        if let directory { recover(directory, below: end) }
        if damaged > 0 || isDamaged { log.hideAll() }
        let orphans = findOrphans(below: end)
        directory?.discard(0, 2 << 20)
        log.recovering.storeRelease(0)
        sweep()
        let milliseconds = (Clock.monotonicNanoseconds() - start) / 1_000_000
        let recovered = disk.counters[.recoveredItems] &+ UInt64(max(items, 0))
        disk.counters[.recoveredItems] = recovered
        disk.counters[.recoveredSegments] = UInt64(segments)
        disk.counters.add(.damagedSegments, damaged)
        disk.counters[.recoveryMilliseconds] = milliseconds
        store.signals.committer.ring()
        store.events.info(
            .storeRecovered,
            "items=\(recovered) segments=\(segments) "
                + "damaged=\(disk.counters[.damagedSegments]) orphans=\(orphans) "
                + "milliseconds=\(milliseconds)")
    }

    private mutating func recover(_ directory: Region, below end: UInt64) {
        var next: UInt64 = 0
        while store.signals.stopping.loadAcquire() == 0 {
            // The files anew for each: they may be closed and opened again meanwhile.
            guard let files = disk.files() else {
                Pause.sleep(nanoseconds: 20_000_000)
                continue
            }
            do throws(LMDBError) {
                guard let step = try read(files, directory, from: next), step.sequence < end else {
                    return
                }
                take(step, directory, IndexRefill(log, files: files))
                next = step.sequence + 1
            } catch {
                store.events.error(
                    .keyDirectoryUnreadable, "sequence=\(next) reason=\(quoted: error)")
                isDamaged = true
                Pause.sleep(nanoseconds: 20_000_000)
                next += 1
                if failures > 100 { return }
                failures += 1
            }
            store.signals.recoveredUpTo.storeRelease(next)
        }
    }

    // MARK: Orphans

    private static let keysPerTransactionMax = 4096

    /// Looks for parts of large records whose directory never came to be written, because the
    /// process died between their transactions; the committer deletes them. Returns how many.
    private func findOrphans(below end: UInt64) -> Int {
        var next: UInt64 = 0
        var count = 0
        while store.signals.stopping.loadAcquire() == 0, let files = disk.files() {
            do throws(LMDBError) {
                let keys = try segmentKeys(files, from: next, below: DiskFiles.segmentKey(end))
                guard let last = keys.last else { return count }
                let transaction = try files.environment.beginRead()
                var orphans: [UInt64] = []
                var seen: (sequence: UInt64, isNamed: Bool) = (0, true)
                for key in keys {
                    let sequence = DiskFiles.sequence(key)
                    if sequence != seen.sequence {
                        let found = try transaction.get(files.directories, key: sequence) { _ in
                            true
                        }
                        // What has left since its key was read is not there either.
                        let part = try transaction.get(files.segments, key: key) { _ in true }
                        seen = (sequence, found == true || part == nil)
                    }
                    if !seen.isNamed { orphans.append(key) }
                }
                count += orphans.count
                store.orphans.withLock { $0 += orphans }
                next = last + 1
            } catch {
                return count
            }
        }
        return count
    }

    private func segmentKeys(
        _ files: DiskFiles, from first: UInt64, below end: UInt64
    ) throws(LMDBError) -> [UInt64] {
        let transaction = try files.environment.beginRead()
        var keys: [UInt64] = []
        try transaction.forEach(files.segments, from: first) { key, _ in
            guard key < end, keys.count < Self.keysPerTransactionMax else { return false }
            keys.append(key)
            return true
        }
        return keys
    }

    private struct Step {
        var sequence: UInt64
        var byteCount: Int
        /// Nil: the segment itself is missing.
        var segmentBytes: Int?
        var fileOffset: UInt64?
    }

    /// The next directory from `next` on, in a short transaction: a long one would pin the pages
    /// that commits free.
    private func read(
        _ files: DiskFiles, _ directory: Region, from next: UInt64
    ) throws(LMDBError) -> Step? {
        let transaction = try files.environment.beginRead()
        var step: Step?
        try transaction.forEach(files.directories, from: next) { sequence, bytes in
            let count = min(bytes.count, directory.byteCount)
            directory.store(bytes.extracting(0..<count), at: 0)
            step = Step(sequence: sequence, byteCount: count)
            return false
        }
        guard var step else { return nil }
        let key = DiskFiles.segmentKey(step.sequence)
        do throws(LMDBError) {
            step.segmentBytes = try transaction.get(files.segments, key: key) { $0.count }
            step.fileOffset = try transaction.fileOffset(files.segments, key: key)?.offset
        } catch {
            // Damaged in front of the value: this segment alone is lost.
            step.segmentBytes = nil
        }
        return step
    }

    private mutating func take(_ step: Step, _ directory: Region, _ refill: IndexRefill) {
        guard let view = Directory.View(directory, byteCount: step.byteCount),
            let bytes = step.segmentBytes, view.kind == .chain || bytes >= view.filled,
            let segment = log.segments.restore(
                view.kind, sequence: step.sequence, filled: view.filled, records: view.count,
                overlap: view.overlap, earliest: view.earliest, latest: view.latest,
                fileOffset: view.kind == .chain ? nil : step.fileOffset)
        else {
            damaged += 1
            return
        }
        segments += 1
        for number in 0..<view.count {
            if number + 8 < view.count { log.index.prefetch(view[number + 8].hash) }
            let entry = view[number]
            guard entry.offset < view.filled, entry.offset % 8 == 0 else { continue }
            if entry.isTombstone { log.segments.dead(segment).add(1) }
            let place = Place(segment: segment, offset: entry.offset)
            if case .inserted = refill.merge(entry, at: place) { items += 1 }
        }
        store.signals.restored.push(UInt32(segment))
    }

    /// No older record can come any more: the remembered removals go.
    private func sweep() {
        for shard in 0..<log.index.shardCount {
            log.index.lock(shard)
            log.index.forEach(shard, buckets: 0..<Int.max) { at, slot in
                if SlotLayout.isRemoval(slot) { log.index.remove(shard, at: at, isItem: false) }
            }
            log.index.unlock(shard)
        }
    }
}
