// Crawler: goes through the index for what has expired, or what a flush has killed, some buckets at
// a time. Run by the maintenance thread only.

internal import Primitives

/// How far a pass has come.
///
/// ```text
///            something in memory has expired, or there was a flush
/// at the beginning ───────────────────────────────────────────────► in the middle
///      ▲                                                             │    ▲   │ step
///      └──────────────── the last bucket of the last shard ◄─────────┘    └───┘
/// ```
struct Crawler {
    private var shard = 0
    private var bucket = 0

    /// Looks at up to `bucketLimit` buckets. Returns whether there is more to do in this pass.
    mutating func step(_ log: SegmentLog, now: UInt32, bucketLimit: Int) -> Bool {
        if shard == 0, bucket == 0 {
            guard log.earliestExpiry.loadRelaxed() <= UInt64(now) else { return false }
            // What this pass meets, and what is written meanwhile, tells it anew.
            log.earliestExpiry.storeRelaxed(.max)
        }
        var left = bucketLimit
        while left > 0 {
            log.index.lock(shard)
            look(log, bucket..<bucket + 16, now: now)
            let buckets = log.index.buckets(shard)
            log.index.unlock(shard)
            bucket += 16
            left -= 16
            if bucket >= buckets {
                bucket = 0
                shard += 1
                if shard == log.index.shardCount {
                    shard = 0
                    return false
                }
            }
        }
        return true
    }

    /// The shard is locked.
    private func look(_ log: SegmentLog, _ buckets: Range<Int>, now: UInt32) {
        let shard = shard
        let layout = log.index.layout
        let mark = log.flushMark.loadRelaxed()
        log.index.forEach(shard, buckets: buckets) { at, slot in
            guard !SlotLayout.isRemoval(slot) else { return }
            let segment = layout.segment(slot)
            var isFlushed = true
            if let frame = log.segments.frame(segment) {
                let record = log.record(frame, slot)
                isFlushed = record.order <= mark
                if !isFlushed {
                    let expiry = record.expiry
                    guard expiry != 0 else { return }
                    if expiry > now { return log.noteExpiry(expiry) }
                }
            } else {
                guard log.segments.state(segment) == .resting, log.isFlushed(segment) else {
                    return
                }
            }
            if !log.rememberDead(shard, at, slot) {
                log.noteDead(slot)
                log.index.remove(shard, at: at)
            }
            log.didTakeBack(shard, slot, isFlushed: isFlushed)
        }
    }
}
