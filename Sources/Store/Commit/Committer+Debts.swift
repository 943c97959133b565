// Debts: what the committer owes the disk for segments that it gave up before they were written.
//
// While the disk takes nothing and memory is full of what it should take, the oldest of that is
// given up, so that sets go on; its keys become misses. But an older record of such a key may lie
// on disk and must not come back once a commit was called complete: each key leaves a tombstone in
// the committer's open segment. If these outgrow their space, a flush mark is owed in their place.
// Either is in the first transaction that succeeds. Dying before that is a crash like any other.

internal import LMDB
internal import Primitives
internal import SegmentLog

extension Committer {
    var hasFailedLong: Bool { health.hasFailedLong(at: now.nanoseconds) }

    /// The space for owed tombstones.
    private var debtBytesMax: Int {
        max(log.geometry.frameCount / 64, 1) * log.geometry.segmentBytes
    }

    /// Frees memory while the disk takes nothing, once that has lasted.
    mutating func giveUpUnwritten() {
        freeGivenUp()
        // While recovery runs, older records of the same keys may be on their way to the index.
        guard hasFailedLong, signals.recoveryUnreported.loadAcquire() == 0 else { return }
        let target = max(log.geometry.freeFramesMin, Int(log.frames.wanted.loadRelaxed()))
        var missing = target - log.frames.freeCount - log.frames.releasableCount
        guard missing > 0 else { return }
        backlog.takeSealed(log)
        var dirty = backlog.pending.reduce(0) { $0 + frames(of: $1) }
        // What is clean gives way first, but not all of it: it is what was wanted.
        let isLast = log.logRegion.count + log.promotionRegion.count == 0
        let keep = isLast ? 0 : log.geometry.frameCount / 2
        let held = debts.segments + removals.owed
        var kept: [Int] = []
        for segment in backlog.pending {
            let name = Named(segment: segment, sequence: log.segments.sequence(segment))
            guard missing > 0, dirty > keep, !held.contains(name) else {
                kept.append(segment)
                continue
            }
            missing -= frames(of: segment)
            dirty -= frames(of: segment)
            giveUp(segment)
        }
        backlog.keep(kept)
        signals.maintenance.wake()
    }

    private mutating func freeGivenUp() {
        let log = log
        for segment in debts.takeQuiet({ log.frames.isQuiet(since: $0) }) {
            log.segments.free(segment, from: .dying)
        }
    }

    private func frames(of segment: Int) -> Int {
        log.geometry.framesNeeded(Int(log.segments.filled(segment).loadRelaxed()))
    }

    /// A segment that no commit could write leaves memory; its keys become misses.
    private mutating func giveUp(_ segment: Int) {
        if debts.isFirstWarning() {
            store.events.warning(
                .givingUp,
                "segments=\(backlog.count) failing_milliseconds=\(failingMilliseconds)")
        }
        let segments = log.segments
        let filled = Int(segments.filled(segment).loadRelaxed())
        let isChain = segments.kind(segment) == .chain
        var highest: UInt64 = 0
        var records = log.records(of: segment)
        while let (record, offset) = records?.next() {
            highest = max(highest, record.order)
            leaveUnwritten(record, Place(segment: segment, offset: offset))
        }
        if debts.flushMark != 0 { raiseFlushMark(to: highest) }
        segments.end(segment)
        if let frame = segments.takeFrame(segment) { log.frames.retireNow(frame) }
        debts.giveUp(segment, log.frames.snapshot())
        forgetParts(of: segment, filled: filled, isChain: isChain)
        disk.counters.add(.segmentsGivenUp, 1)
    }

    /// What commits before the failure wrote of a segment goes with the next.
    private mutating func forgetParts(of segment: Int, filled: Int, isChain: Bool) {
        let sequence = log.segments.sequence(segment)
        leftovers.add(stretches: backlog.releaseStretches(sequence))
        // Of a chain some parts may be there; and a commit that failed may have been durable.
        let parts = 0..<(isChain ? log.geometry.framesNeeded(filled) : 1)
        leftovers.add(orphans: parts.map { SegmentKey.make(sequence, part: $0) })
    }

    /// Takes a record's slot away, and owes a tombstone unless memory holds a newer record of its
    /// key, which is on disk already, or will be, or leaves a tombstone itself.
    private mutating func leaveUnwritten(_ record: Record, _ place: Place) {
        let hash = log.hash(of: record)
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        var isOwed = true
        if let (at, slot) = log.index.find(hash, place) {
            if SlotLayout.isRemoval(slot) {
                log.index.remove(shard, at: at, isItem: false)
            } else {
                writer.remove(hash, at, slot)
                writer.countLoss(slot, order: record.order, expiry: record.expiry)
                disk.counters.add(.recordsGivenUp, 1)
            }
            log.index.setMayHide(shard)
        } else {
            isOwed = !log.hasNewer(hash, than: record.order)
        }
        log.index.unlock(shard)
        if isOwed { owe(record) }
    }

    private mutating func owe(_ record: Record) {
        // A store that could not be read is never written: nothing can come back from it.
        guard debts.flushMark == 0, !health.isUnusable else { return }
        let before = writer.main.segment
        let sequence = log.segments.sequence(before)
        let grave = log.frames.memory.withBytes(record.keyOffset, record.keyBytes) {
            writer.appendTombstone($0, order: record.order)
        }
        let isFull = before != 0 && before != writer.main.segment
        debts.owe(
            bytes: Record.headerBytes + Record.aligned(record.keyBytes),
            sealed: isFull ? Named(segment: before, sequence: sequence) : nil)
        if grave == nil || debts.bytes > debtBytesMax {
            oweFlushMark(record.order)
            store.events.warning(
                .flushMarkOwed, "order=\(debts.flushMark) reason=given_up_too_much")
        }
    }

    /// From now on a flush mark is owed, at or above `order`. What is written from now on lies
    /// above it.
    mutating func oweFlushMark(_ order: UInt64) {
        debts.oweFlushMark(above: written.flushMark)
        raiseFlushMark(to: order)
    }

    private mutating func raiseFlushMark(to order: UInt64) {
        debts.raiseFlushMark(to: order)
        log.raiseOrders(above: debts.flushMark)
    }
}
