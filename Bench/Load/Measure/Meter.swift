// Meter: what a worker has counted so far, where the starter of the run can read it.
//
// Sums that only grow: the worker stores, the starter reads when a second is over and subtracts
// what it read before. Neither waits for the other, and the worker does not know of seconds.

internal import Primitives

/// The sums of one worker; a handle to a part of the board's memory.
///
/// ```text
/// word 0            1      2        3        8 …
///      | operations | hits | misses | errors | latency buckets |
/// ```
struct Meter: BitwiseCopyable {
    private static let bucketsOffset = 64
    static let byteCount = bucketsOffset + 8 * LatencyBuckets.count

    private let memory: Region
    private let base: Int

    init(_ memory: Region, at base: Int) {
        self.memory = memory
        self.base = base
    }

    // MARK: The worker

    /// Counts `count` requests that took so long.
    @inline(__always)
    func record(nanoseconds: UInt64, count: UInt64) {
        let index = LatencyBuckets.index(of: nanoseconds)
        memory.atomic64(at: base &+ Self.bucketsOffset &+ 8 &* index).addOwned(count)
    }

    /// Publishes sums, which never go down.
    @inline(__always)
    func publish(operations: UInt64, hits: UInt64, misses: UInt64, errors: UInt64) {
        memory.atomic64(at: base).storeRelaxed(operations)
        memory.atomic64(at: base &+ 8).storeRelaxed(hits)
        memory.atomic64(at: base &+ 16).storeRelaxed(misses)
        memory.atomic64(at: base &+ 24).storeRelaxed(errors)
    }

    // MARK: The starter

    /// Adds what stands here now. A request that is being counted may be in one sum and not yet
    /// in another.
    func add(to reading: inout MeterReading) {
        reading.operations &+= memory.atomic64(at: base).loadRelaxed()
        reading.hits &+= memory.atomic64(at: base &+ 8).loadRelaxed()
        reading.misses &+= memory.atomic64(at: base &+ 16).loadRelaxed()
        reading.errors &+= memory.atomic64(at: base &+ 24).loadRelaxed()
        for index in 0..<LatencyBuckets.count {
            let offset = base &+ Self.bucketsOffset &+ 8 &* index
            reading.latencies.add(memory.atomic64(at: offset).loadRelaxed(), toBucket: index)
        }
    }
}

/// The sums of all workers at one moment.
struct MeterReading {
    var operations: UInt64 = 0
    var hits: UInt64 = 0
    var misses: UInt64 = 0
    var errors: UInt64 = 0
    var latencies = BucketCounts()
}
