// Estimates: how many items are where, and how old the oldest are, for the statistics.
//
// All numbers follow from the segment table, read without stopping anyone; they are estimates.

internal import Primitives
internal import SegmentLog

extension StoreStatistics {
    /// Adds what the segments tell. `items` and `bytes` are known already.
    mutating func addEstimates(of log: SegmentLog) {
        let segments = log.segments
        let now = segments.clock.loadRelaxed()
        var promoted: UInt64 = 0
        var resting: UInt64 = 0
        var restingBytes: UInt64 = 0
        for segment in 1..<segments.count {
            let state = segments.state(segment)
            guard state != .free else { continue }
            let live = segments.liveRecords(segment)
            let isOpen = state == .open
            guard live > 0 || isOpen else { continue }
            let opened = segments.openedAt(segment)
            let age = UInt64(opened != 0 && now > opened ? now - opened : 0)
            ageSeconds = max(ageSeconds, age)
            if segments.kind(segment) == .promotion {
                promoted += UInt64(live)
                bytesPromoted += UInt64(segments.liveBytes(segment))
                promotionAgeSeconds = max(promotionAgeSeconds, age)
            } else if segments.frame(segment) != nil {
                logAgeSeconds = max(logAgeSeconds, age)
            } else {
                resting += UInt64(live)
                restingBytes += UInt64(segments.liveBytes(segment))
            }
        }
        itemsPromoted = min(promoted, items)
        // A promoted record keeps its place on disk.
        itemsResting = min(resting - min(itemsPromoted, resting), items - itemsPromoted)
        bytesPromoted = min(bytesPromoted, bytes)
        bytesResting = min(
            restingBytes - min(bytesPromoted, restingBytes), bytes - bytesPromoted)
    }
}
