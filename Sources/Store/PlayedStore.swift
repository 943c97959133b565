// PlayedStore: a store without threads: whoever holds it says which of them makes its next step,
// and when that is. For simulations, which play every order of steps from a seed.

package import Primitives
internal import SegmentLog

/// The store's threads, each as the steps that it would make. One thread at a time uses it; a step
/// may be made from within the files of another's.
package final class PlayedStore {
    private let store: TieredStore
    private var committer: Committer
    private var maintenance: Maintenance
    private var recovery: Recovery?
    private var helper: RecoveryHelper?
    /// Entries of a directory that recovery merges in one step: few, so that others come between.
    private static let entriesPerStep = 128
    private var lister: Lister?
    /// What did not hold after the last step of recovery; a sentence.
    package private(set) var recoveryFinding: String?

    /// Takes up what the files hold, before the first request; nil without a disk.
    package init?(
        _ store: TieredStore, at now: ClockReading, wake: @escaping @Sendable (Int) -> Void
    ) throws(MemoryError) {
        guard let disk = store.disk else { return nil }
        self.store = store
        var committer = Committer(store, disk: disk, at: now, wake: wake)
        // Nothing but a death keeps a played store's files from being moved aside.
        _ = committer.begin()
        store.signals.ready.storeRelease(1)
        maintenance = Maintenance(store, number: store.configuration.workers, wake: wake)
        if store.log.recovering.loadAcquire() != 0 {
            let recovery = Recovery(
                store, disk: disk, at: now.nanoseconds, room: try DirectoryReader.makeRoom(),
                entriesPerStep: Self.entriesPerStep)
            helper = try RecoveryHelper(
                store, disk: disk, recovery.board, entriesPerStep: Self.entriesPerStep)
            self.recovery = consume recovery
        }
        lister = Lister(store)
        // Only a start gives it up. Steps of the committer may be under way when this is asked.
        isMemoryOnly = committer.health.isUnusable
        self.committer = committer
    }

    package func stepCommitter(at now: ClockReading) -> NextStep { committer.step(at: now) }
    package func stepMaintenance(at now: ClockReading) -> NextStep { maintenance.step(at: now) }
    package func stepLister(at now: ClockReading) -> NextStep { lister?.step(at: now) ?? .ended }

    /// One step of recovery.
    ///
    /// - Parameter isHelper: It is the second reader's, if there is one by now.
    package func stepRecovery(at now: ClockReading, isHelper: Bool = false) -> NextStep {
        let closed = slotsOfClosedShards()
        let next: NextStep
        if isHelper, helper != nil, recovery?.isPresized == true {
            if helper?.step(at: now) == .ended { endHelper() }
            next = .nothing
        } else {
            next = recovery?.step(at: now) ?? .ended
        }
        recoveryFinding = recovery?.check()
        for (shard, slots) in closed where store.log.index.slotCount(shard) > slots {
            recoveryFinding = "a slot was added where others were lost"
        }
        if next == .ended {
            recovery?.discardMemory()
            recovery = nil
            endHelper()
        }
        return next
    }

    private func endHelper() {
        helper?.discardMemory()
        helper = nil
    }

    /// Where recovery adds nothing any more, and how many slots there are.
    private func slotsOfClosedShards() -> [(shard: Int, slots: Int)] {
        let index = store.log.index
        return (0..<index.shardCount).filter { index.isClosed($0) }.map {
            ($0, index.slotCount($0))
        }
    }

    /// The server stops: the doors are closed, and steps are to be made until they answer `ended`.
    package func stop(deadline: UInt64) {
        store.signals.deadline.storeRelease(deadline)
        store.signals.stopping.storeRelease(1)
    }

    /// After the committer's last step: not everything is on disk.
    package var isUncommitted: Bool { store.signals.uncommitted.loadAcquire() != 0 }

    /// Commits that have begun, and the newest that has completed.
    package var commits: (begun: UInt64, completed: UInt64) {
        (store.signals.begun.loadAcquire(), store.signals.completed.loadAcquire())
    }

    /// Everything up to this order is dead.
    package var flushMark: UInt64 { store.log.flushMark.loadAcquire() }

    /// The highest order that may have been given out.
    package var highestOrder: UInt64 {
        min(store.log.highestOrder(), store.log.orderLimit.loadAcquire())
    }
    /// Whether memory as it is holds twice what a read would bring, beside what writers hold: a
    /// change of a large value on disk needs it as it was and as it becomes.
    package func holdsTwice(_ read: DiskRead) -> Bool {
        let geometry = store.log.geometry
        let segment = store.log.index.layout.segment(read.slot)
        guard store.log.segments.kind(segment) == .chain else { return true }
        let bytes = Int(store.log.segments.filled(segment).loadRelaxed())
        let frames = geometry.frameCount - store.log.frames.surrenderedCount
        let needed = 2 * geometry.framesNeeded(bytes)
        return needed <= frames - geometry.framesHeldMax - geometry.freeFramesMin
    }
    /// Whether memory as it is holds the frames that somebody waits for, beside a value of so many
    /// bytes that has arrived for the same change, which may need as many again, and what writers
    /// hold.
    package func holdsWanted(beside bytes: Int) -> Bool {
        let geometry = store.log.geometry
        let frames = geometry.frameCount - store.log.frames.surrenderedCount
        let arrived = geometry.framesNeeded(bytes)
        let wanted = max(Int(store.log.frames.wanted.loadRelaxed()), arrived)
        return wanted + arrived <= frames - geometry.framesHeldMax
    }
    /// Orders that this run gives out are above this one, at its start.
    package var ordersBegin: UInt64 { store.log.highestOrder() }
    /// The run has given up its disk: no start finds what it gives out.
    package let isMemoryOnly: Bool
    /// False where there was no room to reserve orders.
    package var areOrdersReserved: Bool { store.log.orderLimit.loadAcquire() < Record.orderMax }

    /// Something that the last run had open waits to be sealed. Not while the committer steps.
    package var hasUnsealed: Bool { !committer.unsealed.isEmpty }

    /// Second of a delayed flush_all that is still to come; 0: there is none.
    package var flushAt: UInt64 { store.signals.flushAt.loadAcquire() }

    /// What the parts of committer and maintenance, and the lists, hold to between two steps; a
    /// sentence if one does not.
    package func checkCommitter() -> String? {
        committer.check() ?? maintenance.check() ?? store.lists?.check()
    }

    /// What must hold while no command runs; a sentence if it does not.
    package func check() -> String? {
        let segments = store.log.segments
        let strays = segments.strayMoves.loadAcquire()
        if strays != 0 { return "\(strays) moves of segments could not be" }
        for segment in 1..<segments.count where segments.state(segment) != .free {
            let reads = segments.reads(segment).loadAcquire()
            if reads != 0 { return "segment \(segment) has \(reads) reads that nobody makes" }
        }
        return store.log.check() ?? strayingSlot()
    }

    /// What must hold while nothing is under way: no room is open, and every frame is where it can
    /// be found. A sentence if it does not.
    package func checkAccounts() -> String? {
        let account = store.log.frameAccount()
        if account.inRooms != 0 { return "\(account.inRooms) frames are in rooms that stay open" }
        // Each door keeps one to read into, and the committer one for its next segment.
        let kept = store.configuration.workers + (committer.writer.hasSpare ? 1 : 0)
        let lost = account.aside - kept
        return lost == 0 ? nil : "\(lost) frames are lost"
    }

    /// What names a segment that is not there any more; a sentence if anything does.
    private func strayingSlot() -> String? {
        let log = store.log
        var found: String?
        for shard in 0..<log.index.shardCount {
            log.index.lock(shard)
            log.index.forEach(shard, buckets: 0..<Int.max) { _, slot in
                let segment = log.index.layout.segment(slot)
                if log.segments.state(segment) == .free {
                    found = "a slot of shard \(shard) names segment \(segment), which is free"
                }
            }
            log.index.unlock(shard)
        }
        return found
    }

    /// Slots of the index that may be a key's, removals among them.
    package func slotCount(_ key: Span<UInt8>) -> Int {
        let log = store.log
        let hash = log.hasher.hash(key)
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        var count = 0
        var walk = log.index.matches(hash)
        while log.index.next(&walk) != nil { count += 1 }
        return count
    }

    /// Tombstones of a key that this run has written, not sealed and committed yet, that the index
    /// remembers.
    package func removalCount(_ key: Span<UInt8>) -> Int {
        let log = store.log
        let hash = log.hasher.hash(key)
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        var count = 0
        var walk = log.index.matches(hash)
        while let (_, slot) = log.index.next(&walk) {
            let segment = log.index.layout.segment(slot)
            let state = log.segments.state(segment)
            guard SlotLayout.isRemoval(slot), state == .open || state == .sealed,
                let frame = log.segments.frame(segment),
                case let record = log.record(frame, slot), record.isTombstone, record.hasKey(key)
            else { continue }
            count += 1
        }
        return count
    }

    /// What the index knows of a key, for a reader of a history.
    package func describe(_ key: Span<UInt8>) -> String {
        let log = store.log
        let hash = log.hasher.hash(key)
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        var words: [String] = []
        var walk = log.index.matches(hash)
        while let (_, slot) = log.index.next(&walk) {
            let place = log.index.layout.place(slot)
            let segment = place.segment
            let what = SlotLayout.isRemoval(slot) ? "removal" : "record"
            let frame = log.segments.frame(segment).map { "frame \($0)" } ?? "no frame"
            words.append(
                "\(what) in \(log.segments.sequence(segment)):\(place.offset) (\(segment), "
                    + "\(log.segments.state(segment)), \(log.segments.kind(segment)), \(frame))")
        }
        let isClosed = log.index.isClosed(shard) ? " closed" : ""
        let hides = log.index.mayHide(shard) ? " hides" : ""
        return words.joined(separator: ", ") + isClosed + hides
    }

    /// Gives all memory back; nothing may be used any more.
    package func discardMemory() {
        committer.discardMemory()
        recovery?.discardMemory()
        endHelper()
        store.discardMemory()
    }
}
