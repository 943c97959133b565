// Recovery: refills the index after a start, from the key directories on disk, while the server
// serves.
//
// Newest directory first: what was written last is found first, and the first record met of a key
// is its newest, unless a directory that was not read yet belongs to a segment that was open at
// the same time. So a segment's slots answer nothing (it is unsettled) until every such directory
// has been read. What cannot be read costs everything that it could have overtaken. What is known
// of removals is in `SegmentLog/Knowledge`. `DirectoryReader` reads; a second one may help.

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
    /// What a second reader shares.
    let board = RecoveryBoard()
    private var reader: DirectoryReader
    private let startedAt: UInt64
    private var phase = Phase.survey
    private var survey: DirectorySurvey
    /// What the last run had open, before the first directory was read: what is sealed while the
    /// survey goes on may lie below where that has got to.
    private let unsealedBefore: [UInt64]
    /// Shards that have been given their size.
    private var presized = 0
    private var orphanScan: OrphanScan

    /// Entries that a reader merges in one step.
    static let entriesPerStep = 1024

    /// - Parameters:
    ///   - nanoseconds: of the monotonic clock, now.
    ///   - room: for a directory; from `DirectoryReader.makeRoom`.
    init(
        _ store: TieredStore, disk: Disk, at nanoseconds: UInt64, room: Region,
        entriesPerStep: Int = Recovery.entriesPerStep
    ) {
        self.store = store
        self.disk = disk
        log = store.log
        startedAt = nanoseconds
        let mark = store.signals.believedFrom.loadAcquire()
        unsealedBefore = store.unsealed.withLock { $0 }
        survey = DirectorySurvey(from: mark)
        orphanScan = OrphanScan(believedFrom: mark)
        reader = DirectoryReader(store, board, in: room, entriesPerStep: entriesPerStep)
    }

    func discardMemory() { reader.discardMemory() }

    /// Whether the index has the size that it will need: a second reader may begin.
    var isPresized: Bool { phase != .survey && phase != .presize }
    /// What such a reader shares. Mutating: the caller's optional is not taken apart for it.
    mutating func boardToShare() -> RecoveryBoard? { isPresized ? board : nil }

    /// What must hold between two steps; a sentence if it does not. For simulations.
    func check() -> String? {
        guard log.recovering.loadAcquire() == 0 else { return nil }
        switch phase {
        case .survey, .presize, .read, .orphans:
            return "everything counts as known, and not everything was read"
        case .report, .awaitRebuild: return nil
        }
    }

    /// A bounded piece of work: a directory read, or some thousand keys looked at.
    mutating func step(at now: ClockReading) -> NextStep {
        store.interleaving?.catchUp()
        if store.signals.stopping.loadAcquire() != 0 {
            guard store.signals.lastCommit.loadAcquire() == 0 else {
                // `recovering` stays 1: the last commit must not act as if all that is on disk
                // were known.
                store.events.info(.recoveryCutShort, "segments=\(segmentsRead)")
                return .ended
            }
            // The last commit may find the disk full, and want to know what can leave it.
            guard reader.isBusy || store.signals.oldestWanted.loadAcquire() > 0 else {
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
        case .read:
            if try reader.step(files, now: now.unixSeconds) { return .nothing }
            guard board.front.withLock({ $0.isRead }) else {
                // The other reader has a directory in hand.
                return .time(now.nanoseconds + 100_000)
            }
            phase = .orphans
        case .orphans:
            let found = try orphanScan.step(
                files, below: store.signals.firstSequence.loadAcquire())
            guard let found else {
                phase = .report
                return .nothing
            }
            store.orphans.withLock { $0 += found.orphans }
            board.front.withLock { $0.didNotFind(found.unreadable) }
        case .report:
            report(at: now.nanoseconds)
            phase = .awaitRebuild
        case .awaitRebuild:
            guard waiting == 0 || isRebuilt else {
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
        if try survey.step(files, below: end, reader.room) { return }
        let heads = survey.takeHeads(unsealed: unsealedBefore, overlap: end)
        let unreadable = survey.unreadableFrom
        if let unreadable {
            board.counts.withLock { $0.damaged += 1 }
            store.events.error(.keyDirectoryUnreadable, "sequence=\(unreadable) later=unreadable")
        }
        let floor = board.front.withLock { front in
            front.begin(heads, isWhole: unreadable == nil)
            return front.floor
        }
        store.signals.recoveredUpTo.storeRelease(floor)
        phase = .presize
    }

    private var segmentsRead: Int { board.counts.withLock { $0.segments } }
    /// Segments that wait until what the last run had open is rebuilt.
    private var waiting: Int { board.front.withLock { $0.waiting } }

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

    // MARK: The end

    /// Everything has been read: says so.
    private mutating func report(at nanoseconds: UInt64) {
        settleRest()
        var counts = board.counts.withLock { $0 }
        let log = log
        // What a damaged directory may have overtaken is never answered, and leaves the disk
        // before that directory does.
        let (distrusted, damage, waiting) = board.front.withLock { front in
            let distrusted = front.distrust { segment in
                log.segments.advanceIf(segment, from: .unsettled, to: .dying)
            }
            let damage = Damage(
                sequences: front.failedSequences, mayHaveOvertaken: front.failedLimit > 0)
            return (distrusted, damage, front.waiting)
        }
        counts.distrusted = distrusted
        store.damage.withLock { $0 = damage }
        if counts.damaged > 0 || counts.refused > 0 { log.setMayHideAll() }
        reader.discardMemory()
        if waiting == 0 { finish() }
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
                + "unsealed=\(waiting) milliseconds=\(milliseconds)")
        // Whoever sees that recovery is over may look at what it has counted and said.
        store.signals.recoveryUnreported.storeRelease(0)
        store.signals.committer.wake()
    }

    /// Nothing is unread any more: what is left answers.
    private func settleRest(isRebuilt: Bool = false) {
        let log = log
        board.front.withLock { front in
            front.settle(isLast: true, isRebuilt: isRebuilt) { segment, isWhole in
                log.segments.advanceIf(segment, from: .unsettled, to: isWhole ? .resting : .dying)
            }
        }
    }

    /// Nothing that is on disk is unknown or without a place: no removal need be remembered.
    private mutating func finish() {
        guard log.recovering.loadRelaxed() != 0 else { return }
        settleRest(isRebuilt: true)
        // Who has looked for a key before that has its shard locked, and has yet to ask whether
        // recovery runs.
        for shard in 0..<log.index.shardCount {
            log.index.lock(shard)
            log.index.unlock(shard)
        }
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
