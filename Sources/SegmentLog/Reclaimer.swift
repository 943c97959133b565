// Reclaimer: keeps frames free. Run by the maintenance thread only.
//
// While frames are free nothing leaves memory. When they are short, in this order: the segment
// with the most dead bytes is cleaned, if they make it worth while; the log region,
// if it holds more than its share, loses its oldest segment (what was hit is promoted); else the
// promotion region loses its oldest (what was hit goes to its head again, one hit poorer). A frame
// is handed out again only after quiescence.

internal import Primitives

/// The policy of the memory tier, and the thread that carries it out.
///
/// ```text
///            chooseVictim               no turn is left that a worker was in
///  region ────────────────► leaving ────────────────────────────────────────► dropped, or kept
///                    (without a disk; with one it is dropped at once)
/// ```
public struct Reclaimer: ~Copyable {
    public var writer: Writer
    private let tap: EvictionTap
    private var quarantineSnapshot: Frames.Snapshot?
    private var quarantineCount = 0
    private var leaving: Leaving?
    private var crawler = Crawler()
    private var batch: [(place: Place, hash: UInt64)] = []

    private var log: SegmentLog { writer.log }

    public init(_ log: SegmentLog, number: Int, tap: EvictionTap = EvictionTap()) {
        self.tap = tap
        writer = Writer(log, number: number)
        batch.reserveCapacity(Self.batchMax)
        if !log.geometry.mayEvict { writer.keepSpare() }
    }

    /// What was chosen to leave memory, without a disk: workers overwrite in place, so it is walked
    /// only when nobody can still be writing in it.
    private struct Leaving {
        var segments: [(number: UInt32, keepsAll: Bool)]
        var turns: Frames.Snapshot
    }

    /// For a thread of its own: a step waits until workers have ended their turns. To come back for
    /// that cost sets of 60 KB, in full memory and on one core with the worker, half their rate.
    public var waitsInPlace = false

    /// Whether something leaves once workers have ended their turns: step again soon.
    public var waitsForTurns: Bool { leaving != nil }

    private static let batchMax = 16
    private static let victimsMax = 8
    private static let renewedMax = 32

    public var target: Int {
        // What may not be evicted makes no room ahead of need.
        let ahead = log.geometry.mayEvict ? log.geometry.freeFramesMin : 0
        return max(ahead, Int(log.frames.wanted.loadRelaxed()))
    }

    /// Whether frames are short, or some have to be given back.
    public var isNeeded: Bool { isShort || (mustSurrender && maySurrender) }

    /// Whether fewer frames are free than should be, or than somebody waits for.
    public var isShort: Bool {
        if log.frames.freeCount < target { return true }
        return !log.geometry.mayEvict && log.frames.wanted.loadRelaxed() > 0
            && !log.mayFillFrame
    }

    /// Without evictions only what is free can be given back.
    private var maySurrender: Bool { log.geometry.mayEvict || log.frames.freeCount > 0 }

    private var mustSurrender: Bool {
        log.geometry.frameCount - log.frames.surrenderedCount > log.framesAllowed()
    }

    private var mayRestore: Bool {
        log.geometry.frameCount - log.frames.surrenderedCount < log.framesAllowed()
    }

    /// One round: frees what is quiet, then lets go of as much as is missing. Returns whether it
    /// did anything; if not, and frames are still short, all that is left is not yet on disk, or
    /// `waitsForTurns`.
    public mutating func step(now: UInt32) -> Bool {
        var didWork = releaseQuiet()
        // What is cleaned goes there, so it comes before what has to be given back.
        if !log.geometry.mayEvict { writer.keepSpare() }
        // Who waits for several frames at once would never see them together otherwise.
        let wanted = Int(log.frames.wanted.loadRelaxed())
        let kept = log.geometry.mayEvict ? max(log.geometry.writers, wanted) : 0
        while mustSurrender, log.frames.freeCount > kept {
            guard log.frames.surrender() else { break }
            didWork = true
        }
        while mayRestore, log.frames.restore() { didWork = true }
        if waitsForTurns {
            guard let hasDropped = dropLeaving(now: now) else { return didWork }
            guard log.geometry.mayEvict else { return didClean(hasDropped) || didWork }
            didWork = hasDropped || didWork
        }
        guard log.geometry.mayEvict else { return clean(now: now) || didWork }
        if log.frames.freeCount >= target { log.frames.wanted.storeRelaxed(0) }
        let missing =
            target + (mustSurrender ? 1 : 0) - log.frames.freeCount - log.frames.releasableCount
        if log.geometry.hasDisk {
            var rounds = min(missing, Self.victimsMax)
            while rounds > 0, let (segment, keepsAll) = chooseVictim() {
                didWork = drop(Int(segment), keepsAll: keepsAll, now: now) || didWork
                rounds -= 1
            }
        } else {
            didWork = reclaimWithoutDisk(missing, now: now) ?? false || didWork
        }
        return didWork
    }

    /// Nothing live may leave: makes room of what is dead, a segment at a time, or says that there
    /// is no more.
    private mutating func clean(now: UInt32) -> Bool {
        guard isShort else {
            log.frames.wanted.storeRelaxed(0)
            log.frames.exhausted.storeRelaxed(0)
            return false
        }
        if log.frames.releasableCount > 0 { return false }
        // What a segment keeps fits into one frame.
        guard writer.hasSpare else { return didClean(false) }
        guard let hasDropped = reclaimWithoutDisk(1, now: now) else { return false }
        return didClean(hasDropped)
    }

    /// Says whether there was room to be made.
    private func didClean(_ hasDropped: Bool) -> Bool {
        log.frames.exhausted.storeRelaxed(hasDropped ? 0 : 1)
        if !hasDropped {
            log.frames.wanted.storeRelaxed(0)
            log.frames.news.add(1)
        }
        return hasDropped
    }

    /// Without a disk workers overwrite in place: a segment is first marked as leaving, and
    /// walked only when no worker can still be writing in it. With `least`, what has fewer dead
    /// bytes stays. Answers whether anything went; nil: some will, `waitsForTurns`.
    private mutating func reclaimWithoutDisk(
        _ missing: Int, above least: Int? = nil, now: UInt32
    ) -> Bool? {
        var chosen: [(UInt32, Bool)] = []
        var limit = min(missing, Self.victimsMax)
        if least != nil {
            // Of each a quarter is copied at most.
            limit = min(missing, Self.renewedMax, 4 * log.frames.freeCount)
        }
        while chosen.count < limit, let victim = chooseVictim(above: least) {
            log.segments.advance(Int(victim.0), from: .clean, to: .leaving)
            chosen.append(victim)
        }
        guard !chosen.isEmpty else { return false }
        let turns = log.frames.snapshot()
        leaving = Leaving(segments: chosen, turns: turns)
        if waitsInPlace {
            while !log.frames.isQuiet(since: turns) { Pause.short() }
        }
        return dropLeaving(now: now)
    }

    /// Lets go of what was chosen, once nobody can be writing in it; nil: somebody can. Answers
    /// whether anything went.
    private mutating func dropLeaving(now: UInt32) -> Bool? {
        guard let chosen = leaving else { return false }
        guard log.frames.isQuiet(since: chosen.turns) else { return nil }
        leaving = nil
        var hasDropped = false
        for (segment, keepsAll) in chosen.segments {
            if drop(Int(segment), keepsAll: keepsAll, now: now) { hasDropped = true }
        }
        return hasDropped
    }

    /// What must hold between two steps; a sentence if it does not.
    public func check() -> String? {
        for (segment, _) in leaving?.segments ?? [] {
            let state = log.segments.state(Int(segment))
            guard state == .leaving else { return "segment \(segment) leaves and is \(state)" }
        }
        if leaving != nil, log.geometry.hasDisk { return "with a disk nothing waits for turns" }
        if quarantineSnapshot == nil { return nil }
        return quarantineCount > 0 ? nil : "turns are waited for, and no frame is in quarantine"
    }

    private mutating func releaseQuiet() -> Bool {
        guard log.frames.releasableCount > 0 else { return false }
        // A snapshot covers what was retired before it was taken; later ones wait for the next.
        guard let snapshot = quarantineSnapshot else {
            // Counted first: what comes in between is not covered by the snapshot.
            quarantineCount = log.frames.quarantinedCount
            quarantineSnapshot = log.frames.snapshot()
            return false
        }
        guard log.frames.isQuiet(since: snapshot) else { return false }
        quarantineSnapshot = nil
        var limit = quarantineCount
        // Before a worker can take it: without a spare frame nothing could be cleaned any more.
        let lacksSpare = !log.geometry.mayEvict && !writer.hasSpare
        if lacksSpare, let frame = log.frames.takeQuarantined(limit: limit) {
            writer.keepSpare(frame)
            limit -= 1
        }
        return log.frames.release(quarantined: limit) > 0
    }
    // MARK: What is dead

    /// Used frames that are to be free, and are not: what is dead should give its own back before
    /// untouched memory is used.
    private var framesToRenew: Int {
        guard log.frames.untouchedCount > 0 else { return 0 }
        // What arrives takes the place of something, and the next will want a frame, too.
        let arriving = Int(log.frames.stagedChains.loadRelaxed())
        return max(target, log.geometry.renewedFramesMin) + arriving
            - log.frames.reusableCount - log.frames.releasableCount
    }

    /// Lets go of large values that nothing names any more, which costs no copy, and of segments of
    /// which three quarters are dead: memory that is overwritten without end stays near what lives.
    /// Returns whether there were any.
    public mutating func renew(now: UInt32) -> Bool {
        let wanted = framesToRenew
        guard wanted > 0, !waitsForTurns else { return false }
        let segments = log.segments
        var dropped = 0
        for region in [log.logRegion, log.promotionRegion] {
            while dropped < wanted,
                let number = region.take(where: {
                    segments.kind(Int($0)) == .chain && segments.liveRecords(Int($0)) == 0
                })
            {
                if !log.geometry.hasDisk {
                    segments.advance(Int(number), from: .clean, to: .leaving)
                }
                dropChain(Int(number), now: 0)
                log.count(.segmentsDropped)
                dropped += 1
            }
        }
        return renewShared(wanted - dropped, now: now) || dropped > 0
    }

    private mutating func renewShared(_ limit: Int, now: UInt32) -> Bool {
        guard log.geometry.mayEvict else { return false }
        let least = log.geometry.segmentBytes / 4 * 3
        guard log.geometry.hasDisk else {
            return reclaimWithoutDisk(limit, above: least, now: now) ?? false
        }
        // With a disk the committer calls after each batch.
        let limit = min(limit, Self.victimsMax)
        var dropped = 0
        while dropped < limit, let segment = takeDeadest(above: least) {
            _ = drop(Int(segment), keepsAll: true, now: now)
            dropped += 1
        }
        return dropped > 0
    }

    // MARK: Choosing

    /// - Parameter least: only a segment with more dead bytes than this is wanted.
    private func chooseVictim(above least: Int? = nil) -> (UInt32, Bool)? {
        if let least { return takeDeadest(above: least).map { ($0, true) } }
        let bytes = log.geometry.segmentBytes
        let least =
            log.geometry.hasDisk ? bytes / 2 : log.geometry.mayEvict ? bytes / 4 : bytes / 8
        if let number = takeDeadest(above: least) {
            log.count(.segmentsCleaned)
            return (number, true)
        }
        guard log.geometry.mayEvict else { return nil }
        if log.logRegion.count > log.geometry.logFrames, let number = log.logRegion.pop() {
            return (number, false)
        }
        // The last one stays while there is something else: it may be a large value that a change
        // has just brought here, and needs room beside.
        if log.promotionRegion.count > 1 || log.logRegion.count == 0,
            let number = log.promotionRegion.pop()
        {
            return (number, false)
        }
        return log.logRegion.pop().map { ($0, false) }
    }

    /// The segment with the most dead bytes of both regions, if they are more than `least`: if it
    /// is worth cleaning.
    ///
    /// Without a disk that is a quarter of a segment: every live byte is one that need not be
    /// fetched again from wherever the cache is in front of. With one, what leaves memory is still
    /// there: cleaning may not copy more than it frees. Room that a segment never filled does not
    /// count: a copy may leave as much, and there would be no end. If nothing may be evicted, an
    /// eighth is worth it.
    private func takeDeadest(above least: Int) -> UInt32? {
        let segments = log.segments
        let bytes = log.geometry.segmentBytes
        let mayEvict = log.geometry.mayEvict
        var most = least
        var deadest: UInt32?
        var isLog = false
        func consider(_ number: UInt32, _ isInLog: Bool) {
            var dead = segments.deadBytes(Int(number))
            if !mayEvict {
                let isLive = segments.liveRecords(Int(number)) > 0
                if isLive, segments.kind(Int(number)) == .chain { return }
                if !isLive { dead = max(dead, bytes) }
            }
            guard dead > most else { return }
            (most, deadest, isLog) = (dead, number, isInLog)
        }
        log.logRegion.forEach { consider($0, true) }
        log.promotionRegion.forEach { consider($0, false) }
        guard let deadest else { return nil }
        return (isLog ? log.logRegion : log.promotionRegion).take { $0 == deadest }
    }

    // MARK: Letting go

    /// False: something that may not be evicted found no room elsewhere, so it stays.
    private mutating func drop(_ segment: Int, keepsAll: Bool, now: UInt32) -> Bool {
        var isDropped = true
        switch log.segments.kind(segment) {
        case .log: isDropped = dropLog(segment, keepsAll: keepsAll, now: now)
        case .promotion: isDropped = dropPromotion(segment, keepsAll: keepsAll, now: now)
        case .chain: dropChain(segment, now: now)
        }
        log.count(isDropped ? .segmentsDropped : .segmentsKept)
        return isDropped
    }

    /// The segment goes back to where it was taken from; what lives in it was not moved.
    private func keep(_ segment: Int, in region: SlotQueue) -> Bool {
        log.segments.advanceIf(segment, from: .leaving, to: .clean)
        region.push(UInt32(segment))
        return false
    }

    private mutating func dropLog(_ segment: Int, keepsAll: Bool, now: UInt32) -> Bool {
        let tap = tap
        let isLive = log.segments.liveRecords(segment) > 0
        let wasHit = log.segments.hits(segment).loadRelaxed() > 0
        if log.geometry.hasDisk {
            if isLive, wasHit || keepsAll {
                walk(segment) { writer, place, hash, hits in
                    guard hits > 0 || keepsAll else { return }
                    _ = writer.promote(hash, from: place, isAging: !keepsAll, now: now)
                }
            }
            takeFrame(segment)
            return true
        }
        let mayEvict = log.geometry.mayEvict
        var isStuck = false
        if isLive {
            walk(segment) { writer, place, hash, hits in
                if hits > 0 || keepsAll {
                    if case .noRoom = writer.promote(
                        hash, from: place, isAging: !keepsAll, now: now)
                    {
                        guard mayEvict else { return isStuck = true }
                        Self.evict(&writer, tap, hash, place, now)
                    }
                } else {
                    Self.evict(&writer, tap, hash, place, now)
                }
            }
        }
        if isStuck { return keep(segment, in: log.logRegion) }
        takeFrame(segment)
        log.segments.free(segment, from: .leaving)
        return true
    }

    private mutating func dropPromotion(_ segment: Int, keepsAll: Bool, now: UInt32) -> Bool {
        let tap = tap
        let mayEvict = log.geometry.mayEvict
        var isStuck = false
        if log.segments.liveRecords(segment) > 0 {
            walk(segment) { writer, place, hash, hits in
                if hits > 0 || keepsAll {
                    if case .noRoom = writer.promote(
                        hash, from: place, isAging: !keepsAll, now: now)
                    {
                        guard mayEvict else { return isStuck = true }
                        Self.demote(&writer, tap, hash, place, now)
                    }
                } else {
                    Self.demote(&writer, tap, hash, place, now)
                }
            }
        }
        if isStuck { return keep(segment, in: log.promotionRegion) }
        log.count(.promotionsDropped)
        takeFrame(segment)
        log.segments.free(segment, from: log.geometry.hasDisk ? .clean : .leaving)
        return true
    }

    private static func evict(
        _ writer: inout Writer, _ tap: EvictionTap, _ hash: UInt64, _ place: Place, _ now: UInt32
    ) {
        if writer.evict(hash, from: place, now: now) { tell(writer.log, tap, place, now) }
    }

    private static func demote(
        _ writer: inout Writer, _ tap: EvictionTap, _ hash: UInt64, _ place: Place, _ now: UInt32
    ) {
        if writer.demote(hash, from: place, now: now) { tell(writer.log, tap, place, now) }
    }

    /// The bytes of what was evicted are there until its segment's frame is given up.
    private static func tell(_ log: SegmentLog, _ tap: EvictionTap, _ place: Place, _ now: UInt32) {
        guard tap.isOpen, let frame = log.segments.frame(place.segment) else { return }
        tap.tell(Record(log.frames.memory, at: log.frames.offset(frame) + place.offset), at: now)
    }

    /// A value of its own segment stays while it is hit: it goes to the promotion region whole.
    private mutating func dropChain(_ segment: Int, now: UInt32) {
        let tap = tap
        let isLive = log.segments.liveRecords(segment) > 0
        if isLive, log.segments.hits(segment).exchange(0) > 0 {
            let isKept = clearHits(segment)
            if isKept {
                log.segments.advanceIf(segment, from: .leaving, to: .clean)
                log.promotionRegion.push(UInt32(segment))
                return
            }
        }
        if !log.geometry.hasDisk, isLive, let (place, hash) = firstRecord(segment) {
            Self.evict(&writer, tap, hash, place, now)
        }
        takeFrame(segment)
        if !log.geometry.hasDisk { log.segments.free(segment, from: .leaving) }
    }

    private func firstRecord(_ segment: Int) -> (Place, UInt64)? {
        guard var records = log.records(of: segment), let (record, offset) = records.next() else {
            return nil
        }
        return (Place(segment: segment, offset: offset), log.hash(of: record))
    }

    private func clearHits(_ segment: Int) -> Bool {
        guard let (place, hash) = firstRecord(segment) else { return false }
        let index = log.index
        let shard = index.shard(hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        guard let (at, slot) = index.find(hash, place) else { return false }
        index.store(slot & ~SlotLayout.hitMask, at: at)
        return true
    }

    /// The segment's memory is quarantined; what the disk has of the segment stays there.
    private func takeFrame(_ segment: Int) {
        let frame = log.segments.takeFrame(segment)
        if log.geometry.hasDisk, log.segments.kind(segment) != .promotion {
            // The committer may have taken it off the disk meanwhile.
            log.segments.advanceIf(segment, from: .clean, to: .resting)
        }
        if let frame { log.frames.retire(frame) }
    }

    /// Calls `body` for every record whose slot still names it, a batch at a time so that the
    /// index's cache lines are on their way.
    private mutating func walk(
        _ segment: Int, _ body: (inout Writer, Place, UInt64, UInt64) -> Void
    ) {
        guard var records = log.records(of: segment) else { return }
        while !records.isComplete {
            batch.removeAll(keepingCapacity: true)
            while batch.count < Self.batchMax, let (record, offset) = records.next() {
                guard !record.isTombstone else { continue }
                let hash = log.hash(of: record)
                log.index.prefetch(hash)
                batch.append((Place(segment: segment, offset: offset), hash))
            }
            if batch.isEmpty { return }
            for (place, hash) in batch {
                guard let hits = log.hits(hash, place) else { continue }
                body(&writer, place, hash, hits)
            }
        }
    }

    // MARK: Expiry

    /// Looks at up to `bucketLimit` buckets for records in memory that have expired, and for any
    /// that a flush has killed. Returns whether there is more to do in this pass.
    public mutating func crawl(now: UInt32, bucketLimit: Int) -> Bool {
        crawler.step(log, now: now, bucketLimit: bucketLimit)
    }
}
