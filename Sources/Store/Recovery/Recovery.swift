// Recovery: refills the index after a start, from the key directories on disk, while the server
// serves.
//
// Newest directory first: what was written last is found first, and the first record met of a key
// is its newest, unless a directory that was not read yet belongs to a segment that was open at
// the same time. So a segment's slots answer nothing (it is unsettled) until every such directory
// has been read; that is some directories later. What cannot be read costs everything that it
// could have overtaken. What is known of removals is in `SegmentLog/Knowledge`.

internal import LMDB
internal import Primitives
internal import SegmentLog
internal import Synchronization

/// One pass over the directories, step by step. Reads no clock and never sleeps: its thread, or a
/// test, does. Used by one thread.
struct Recovery: ~Copyable {
    private enum Phase { case survey, presize, read, orphans, report, awaitRebuild }

    private let store: TieredStore
    private let log: SegmentLog
    private let disk: Disk
    /// The directory being read.
    private let directory: Region
    private let startedAt: UInt64
    private var phase = Phase.survey
    private var survey: DirectorySurvey
    private var front = RecoveryFront()
    /// What the last run had open, before the first directory was read: what is sealed while the
    /// survey goes on may lie below where that has got to.
    private let unsealedBefore: [UInt64]
    /// Shards that have been given their size.
    private var presized = 0
    /// The directory that was taken from the front and could not be read yet.
    private var inHand: DirectorySurvey.Head?
    /// Segments whose directories were made anew, because those on disk are damaged.
    private var remade: Set<UInt64> = []
    private var orphanScan: OrphanScan
    private var counts = Counts()

    private struct Counts {
        var items = 0
        var segments = 0
        var refused = 0
        var damaged = 0
        var distrusted = 0
    }

    /// - Parameter nanoseconds: of the monotonic clock, now.
    init(_ store: TieredStore, disk: Disk, at nanoseconds: UInt64) throws(MemoryError) {
        self.store = store
        self.disk = disk
        log = store.log
        startedAt = nanoseconds
        let mark = store.signals.believedFrom.loadAcquire()
        unsealedBefore = store.unsealed.withLock { $0 }
        survey = DirectorySurvey(from: mark)
        orphanScan = OrphanScan(believedFrom: mark)
        directory = try Region.map(byteCount: Directory.regionBytes)
    }

    func discardMemory() { directory.discardAll() }

    /// Whether the index has the size that it will need.
    var isPresized: Bool { phase != .survey && phase != .presize }

    /// What must hold between two steps; a sentence if it does not. For simulations.
    func check() -> String? {
        guard log.recovering.loadAcquire() == 0 else { return nil }
        switch phase {
        case .survey, .presize, .read, .orphans:
            return "everything counts as known, and not everything was read"
        case .report, .awaitRebuild: return nil
        }
    }

    /// A bounded piece of work: one directory read, or some thousand keys looked at.
    mutating func step(at now: ClockReading) -> NextStep {
        if store.signals.stopping.loadAcquire() != 0 {
            guard store.signals.lastCommit.loadAcquire() == 0 else {
                // `recovering` stays 1: the last commit must not act as if all that is on disk
                // were known.
                store.events.info(.recoveryCutShort, "segments=\(counts.segments)")
                return .ended
            }
            // The last commit may find the disk full, and want to know what can leave it.
            guard store.signals.oldestWanted.loadAcquire() > 0 else {
                return .time(now.nanoseconds + 1_000_000)
            }
        }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            return try step(files, at: now)
        } catch {
            // The files have to be opened again, say. What cannot be read now is not damaged.
            return .time(now.nanoseconds + 20_000_000)
        }
    }

    private mutating func step(
        _ files: any StoreFiles, at now: ClockReading
    ) throws(LMDBError) -> NextStep {
        switch phase {
        case .survey: try surveyNext(files)
        case .presize: presize()
        case .read: try readNext(files, now: now.unixSeconds)
        case .orphans:
            let found = try orphanScan.step(
                files, below: store.signals.firstSequence.loadAcquire())
            guard let found else {
                phase = .report
                return .nothing
            }
            store.orphans.withLock { $0 += found.orphans }
            front.didNotFind(found.unreadable)
        case .report:
            report(at: now.nanoseconds)
            phase = .awaitRebuild
        case .awaitRebuild:
            guard front.waiting == 0 || isRebuilt else {
                return .time(now.nanoseconds + 50_000_000)
            }
            finish()
            return .ended
        }
        return .nothing
    }

    // MARK: Survey

    /// Checks some of the directories, keeps their heads, and guesses how many keys they name.
    private mutating func surveyNext(_ files: any StoreFiles) throws(LMDBError) {
        let end = store.signals.firstSequence.loadAcquire()
        if try survey.step(files, below: end, directory) { return }
        front.begin(survey.takeHeads(unsealed: unsealedBefore, overlap: end))
        publishFloor()
        phase = .presize
    }

    /// Whether everything that the last run had open is written whole.
    private var isRebuilt: Bool { store.unsealed.withLock { $0.isEmpty } }

    /// Gives some shards the size that they will need.
    private mutating func presize() {
        let each = survey.keysEstimated / log.index.shardCount
        for _ in 0..<16 where presized < log.index.shardCount {
            log.index.lock(presized)
            log.index.presize(presized, items: each + each / 16)
            log.index.unlock(presized)
            presized += 1
        }
        if presized == log.index.shardCount { phase = .read }
    }

    // MARK: Reading

    private mutating func readNext(_ files: any StoreFiles, now: UInt32) throws(LMDBError) {
        let wanted = store.signals.oldestWanted
        var isForCommitter = false
        if inHand == nil, wanted.loadAcquire() > 0, let head = front.takeOldest() {
            // The disk is full: what leaves it must be known first.
            wanted.subtract(1)
            inHand = head
            isForCommitter = true
        }
        guard let head = inHand ?? front.takeNewest() else {
            phase = .orphans
            return
        }
        inHand = head
        try read(files, head, now: now)
        inHand = nil
        publishFloor()
        if isForCommitter { store.signals.committer.wake() }
    }

    /// Sequences below this have been read, or have left.
    private func publishFloor() {
        store.signals.recoveredUpTo.storeRelease(front.floor)
    }

    private mutating func read(
        _ files: any StoreFiles, _ head: DirectorySurvey.Head, now: UInt32
    ) throws(LMDBError) {
        // The lock keeps the committer from rebuilding a segment whose stretches are read here.
        let store = store
        let isDone = try store.unsealed.withLock {
            (unsealed: inout [UInt64]) throws(LMDBError) -> Bool in
            guard head.sequence != .max else { return false }
            if let found = try readDirectory(files, head.sequence) {
                let refill = IndexRefill(log: log, files: files, now: now, remade: remade)
                return refillIndex(found, head, refill)
            }
            if unsealed.contains(head.sequence) {
                guard let found = try readUnsealed(files, head.sequence) else { return false }
                let refill = IndexRefill(log: log, files: files, now: now, remade: remade)
                return refillIndex(found, head, refill)
            }
            return try isGone(files, head.sequence)
        }
        if head.isDamaged || !isDone { counts.damaged += 1 }
        if !isDone {
            store.events.error(.keyDirectoryUnreadable, "sequence=\(head.sequence)")
            front.didFail(head)
        }
        settle()
    }

    private struct DirectoryCopy {
        var byteCount: Int
        /// Nil: the segment itself is missing.
        var segmentBytes: Int?
        var fileOffset: UInt64?
        var isUnsealed = false
    }

    /// Copies a directory, in a short transaction: a long one would pin the pages that commits
    /// free. Nil if it is not there, or cannot be read or made anew.
    private mutating func readDirectory(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> DirectoryCopy? {
        let directory = directory
        let key = SegmentKey.make(sequence)
        let transaction = try files.beginRead()
        let count = try unlessDamaged { () throws(LMDBError) -> Int? in
            try transaction.get(.directories, key: sequence) { bytes -> Int in
                let count = min(bytes.count, directory.byteCount)
                directory.store(bytes.extracting(0..<count), at: 0)
                return count
            }
        }
        guard let count else { return nil }
        var copy = DirectoryCopy(byteCount: count)
        // Damaged in front of the value: this segment's values are lost, its keys not.
        copy.segmentBytes = try unlessDamaged { () throws(LMDBError) -> Int? in
            try transaction.get(.segments, key: key) { $0.count }
        }
        if copy.segmentBytes != nil {
            copy.fileOffset = try unlessDamaged { () throws(LMDBError) -> UInt64? in
                try transaction.fileOffset(segment: key)
            }
        }
        if Directory.View(directory, byteCount: copy.byteCount) == nil {
            guard let image = try? Region.map(byteCount: Geometry.frameBytesMax) else { return nil }
            defer { image.discard(0, image.byteCount) }
            let count = try SegmentImage.remakeDirectory(
                transaction, sequence, by: image,
                overlap: store.signals.firstSequence.loadAcquire(), log.hasher, into: directory)
            guard let count else { return nil }
            copy.byteCount = Directory.bytes(count: count)
            remade.insert(sequence)
        }
        return copy
    }

    /// Makes the directory of a segment that the last run had open, from its stretches.
    private func readUnsealed(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> DirectoryCopy? {
        guard let image = try? Region.map(byteCount: Geometry.frameBytesMax) else { return nil }
        defer { image.discard(0, image.byteCount) }
        let transaction = try files.beginRead()
        let end = try unlessDamaged { () throws(LMDBError) -> Int? in
            try Stretches.collect(transaction, sequence, into: image)
        }
        guard let end, case let sound = SegmentImage.soundBytes(image, count: end), sound.isWhole
        else { return nil }
        let count = Directory.make(
            image: image, filled: sound.bytes,
            overlap: store.signals.firstSequence.loadAcquire(), log.hasher, into: directory)
        return DirectoryCopy(
            byteCount: Directory.bytes(count: count), segmentBytes: sound.bytes, fileOffset: nil,
            isUnsealed: true)
    }

    /// Whether a directory has left the disk since its head was read.
    private func isGone(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> Bool {
        let transaction = try files.beginRead()
        return try unlessDamaged { () throws(LMDBError) -> Bool? in
            try transaction.get(.directories, key: sequence) { _ in true } == nil
        } ?? false
    }

    /// So many entries ahead the index's memory is asked for.
    private static let entriesAhead = 16

    /// Puts a directory's entries into the index; false if it is damaged or no number is free.
    private mutating func refillIndex(
        _ copy: DirectoryCopy, _ head: DirectorySurvey.Head, _ refill: IndexRefill
    ) -> Bool {
        guard let view = Directory.View(directory, byteCount: copy.byteCount),
            let segment = log.segments.restore(
                view.kind, sequence: head.sequence, filled: view.filled, records: view.count,
                overlap: view.overlap, earliest: view.earliest, latest: view.latest,
                fileOffset: view.kind == .chain ? nil : copy.fileOffset)
        else { return false }
        counts.segments += 1
        for number in 0..<view.count {
            let ahead = number + Self.entriesAhead
            if ahead < view.count { log.index.prefetch(view.hash(ahead)) }
            let entry = view[number]
            guard entry.offset < view.filled, entry.offset % 8 == 0 else { continue }
            if entry.isTombstone { log.segments.noteDeadUnread(segment) }
            switch refill.merge(entry, at: Place(segment: segment, offset: entry.offset)) {
            case .inserted: counts.items += 1
            case .refused: counts.refused += 1
            case .replaced, .older: break
            }
        }
        // What is not sealed is no segment on disk yet.
        if copy.isUnsealed {
            _ = store.takenUnsealed.withLock { $0.insert(head.sequence) }
        } else {
            store.signals.restored.push(UInt32(segment))
        }
        let bytes = copy.segmentBytes
        let isWhole = bytes.map { view.kind == .chain || $0 >= view.filled } ?? false
        if !isWhole { counts.damaged += 1 }
        front.add(
            segment, head.sequence, isWhole: isWhole,
            isReturned: view.overlap & Segments.returnedBit != 0,
            waitsForRebuild: copy.isUnsealed && view.filled > log.geometry.segmentBytes)
        return true
    }

    /// What nothing unread can have overtaken answers from now on.
    private mutating func settle(isLast: Bool = false, isRebuilt: Bool = false) {
        let log = log
        front.settle(isLast: isLast, isRebuilt: isRebuilt) { segment, isWhole in
            log.segments.advanceIf(segment, from: .unsettled, to: isWhole ? .resting : .dying)
        }
    }

    // MARK: The end

    /// Everything has been read: says so.
    private mutating func report(at nanoseconds: UInt64) {
        settle(isLast: true)
        // What a damaged directory may have overtaken is never answered, and leaves the disk
        // before that directory does.
        let log = log
        counts.distrusted = front.distrust { segment in
            log.segments.advanceIf(segment, from: .unsettled, to: .dying)
        }
        let failed = front.failedSequences
        let mayHaveOvertaken = front.failedLimit > 0
        store.damage.withLock {
            $0 = Damage(sequences: failed, mayHaveOvertaken: mayHaveOvertaken)
        }
        if counts.damaged > 0 || counts.refused > 0 { log.setMayHideAll() }
        directory.discard(0, directory.byteCount)
        if front.waiting == 0 { finish() }
        disk.counters[.recoveredItems] = UInt64(counts.items)
        disk.counters[.recoveredSegments] = UInt64(counts.segments)
        disk.counters.add(.damagedSegments, counts.damaged)
        let milliseconds = (nanoseconds - startedAt) / 1_000_000
        disk.counters[.recoveryMilliseconds] = milliseconds
        store.events.info(
            .storeRecovered,
            "items=\(counts.items) segments=\(counts.segments) "
                + "damaged=\(disk.counters[.damagedSegments]) orphans=\(orphanScan.count) "
                + "refused=\(counts.refused) distrusted=\(counts.distrusted) "
                + "unsealed=\(front.waiting) milliseconds=\(milliseconds)")
        // Whoever sees that recovery is over may look at what it has counted and said.
        store.signals.recoveryUnreported.storeRelease(0)
        store.signals.committer.wake()
    }

    /// Nothing that is on disk is unknown or without a place: no removal need be remembered.
    private mutating func finish() {
        guard log.recovering.loadRelaxed() != 0 else { return }
        settle(isLast: true, isRebuilt: true)
        log.recovering.storeRelease(0)
        forgetRemovals()
        store.signals.committer.wake()
    }

    /// No older record can come any more: the remembered removals go.
    private func forgetRemovals() {
        for shard in 0..<log.index.shardCount {
            log.index.lock(shard)
            log.index.sweepRemovals(shard)
            log.index.unlock(shard)
        }
    }
}
