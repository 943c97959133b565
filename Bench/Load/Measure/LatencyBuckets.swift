// LatencyBuckets: a small histogram with fixed buckets, for what is counted beside the run's own.
//
// The results come from HdrHistograms (Latencies). These buckets are a tenth of their size, can
// lie in memory that another thread reads, and can be subtracted: they serve the live line, the
// curve over time and the pacing.

/// Which bucket a duration falls into.
///
/// Up to 63 ns each nanosecond has one; above, each power of two is cut into 64, so that a bucket
/// is at most 1.6 % wide. The last one takes all from 2^42 ns (73 minutes) on.
enum LatencyBuckets {
    static let count = 37 * 64

    @inline(__always)
    static func index(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >= 64 else { return Int(truncatingIfNeeded: nanoseconds) }
        let power = 63 &- nanoseconds.leadingZeroBitCount
        let part = Int(truncatingIfNeeded: nanoseconds >> UInt64(power &- 6)) & 63
        return min((power &- 5) &* 64 &+ part, count &- 1)
    }

    /// The longest duration of a bucket, in nanoseconds.
    static func longest(_ index: Int) -> UInt64 {
        guard index >= 64 else { return UInt64(index) }
        let shift = UInt64(index / 64 - 1)
        return (UInt64(64 + index % 64) + 1) << shift - 1
    }
}

/// How often each duration was seen. Plain data; nanoseconds.
public struct BucketCounts: Equatable, Sendable {
    private var counts = [UInt64](repeating: 0, count: LatencyBuckets.count)
    public private(set) var total: UInt64 = 0

    public init() {}

    @inline(__always)
    public mutating func record(nanoseconds: UInt64, count: UInt64 = 1) {
        counts[LatencyBuckets.index(of: nanoseconds)] &+= count
        total &+= count
    }

    mutating func add(_ count: UInt64, toBucket index: Int) {
        counts[index] &+= count
        total &+= count
    }

    /// The duration that so many percent stayed at or below, in nanoseconds: at most 1.6 % above
    /// the true one. Nil if nothing was recorded.
    ///
    /// - Parameter percentile: Above 0, up to 100.
    public func nanoseconds(at percentile: Double) -> UInt64? {
        guard total > 0 else { return nil }
        let wanted = max((Double(total) * percentile / 100).rounded(.up), 1)
        var sum: UInt64 = 0
        for index in counts.indices where counts[index] > 0 {
            sum &+= counts[index]
            if Double(sum) >= wanted { return LatencyBuckets.longest(index) }
        }
        return nil
    }

    public static func += (sum: inout BucketCounts, part: BucketCounts) {
        for index in sum.counts.indices { sum.counts[index] &+= part.counts[index] }
        sum.total &+= part.total
    }

    /// What was recorded since `earlier`, a copy of the same counts.
    public func since(_ earlier: BucketCounts) -> BucketCounts {
        var rest = self
        for index in rest.counts.indices { rest.counts[index] &-= earlier.counts[index] }
        rest.total &-= earlier.total
        return rest
    }
}
