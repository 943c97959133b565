// SteppedStore: a store in memory alone, without threads: whoever drives it says when the
// housekeeping runs.
//
// For measurements that must come out the same each time (`Bench/Yardstick`). What it is made of
// is what the server runs: the doors, and the reclaimer that the maintenance thread would step.
// It is not for serving: nothing here runs by itself.

public import Primitives
internal import SegmentLog

/// Memory, doors, and housekeeping on request. One thread only.
public final class SteppedStore {
    private let log: SegmentLog
    private let signals: Signals
    private let loads: SlotQueue
    private let itemBytesMax: Int
    private var reclaimer: Reclaimer

    /// - Parameters:
    ///   - memoryBytes: What frames, index, tables and ghosts may use, as in
    ///     `StoreConfiguration`.
    ///   - workers: How many doors there will be, at least 1.
    ///   - seed: Makes the hash secret, so that equal seeds give equal runs.
    public init(
        memoryBytes: Int, workers: Int, itemBytesMax: Int, seed: UInt64
    ) throws(MemoryError) {
        let geometry = Geometry(memoryBytes: memoryBytes, writers: workers + 1, diskBytes: 0)
        log = try SegmentLog(
            geometry, workers: workers, secret: (seed, ~seed, seed &* 3, seed &* 5 | 1))
        signals = try Signals(segmentCount: geometry.segmentCount)
        let queue = try Region.map(byteCount: SlotQueue.byteCount(capacity: 64))
        loads = SlotQueue(queue, at: 0, capacity: 64)
        self.itemBytesMax = itemBytesMax
        reclaimer = Reclaimer(log, number: workers)
    }

    /// The door of one worker, 0 ..< workers: made once for each.
    public func door(worker: Int) -> Door {
        Door(
            log, worker: worker, signals: signals, loads: loads, itemBytesMax: itemBytesMax,
            diskDescriptor: -1, isAcknowledging: false)
    }

    /// What the maintenance thread does when it is rung: frees frames until enough are free. No
    /// door may be in a turn.
    public func keepFramesFree(now: UInt32) {
        while reclaimer.isNeeded || log.frames.releasableCount > 0 {
            guard reclaimer.step(now: now) || log.frames.releasableCount > 0 else { return }
        }
    }

    /// Whether `keepFramesFree` would do anything.
    public var isShortOfFrames: Bool { reclaimer.isNeeded }

    /// What the maintenance thread does every other second: takes back what has expired.
    public func takeBackExpired(now: UInt32) {
        while reclaimer.crawl(now: now, bucketLimit: 4096) {}
    }

    /// Keys there are, expired ones that nobody met among them.
    public var itemCount: Int { log.index.itemCount() }
    /// Bytes that the index has touched.
    public var indexBytes: Int { log.index.touchedBytes() }
    /// Frames there are now, and the size of one in bytes.
    public var frames: (count: Int, bytes: Int) {
        (log.geometry.frameCount - log.frames.surrenderedCount, log.geometry.frameBytes)
    }
    /// Segments in the log region and in the promotion region.
    public var regions: (log: Int, promotion: Int) {
        (log.logRegion.count, log.promotionRegion.count)
    }
    /// Live bytes over all segments, estimated.
    public var liveBytes: UInt64 { log.liveBytes() }
    public func counter(_ name: String) -> UInt64 {
        for counter in LogCounter.allCases where "\(counter)" == name {
            return log.counter(counter).loadRelaxed()
        }
        return 0
    }

    /// Gives the frames back to the system; nothing may be used any more.
    public func close() { log.frames.memory.discard(0, log.frames.memory.byteCount) }
}
