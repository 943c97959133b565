// Latency: histograms of how long requests take, in words that their worker adds to and any thread
// may read.
//
// The scale is decimal, ten buckets a decade from 1 µs to 10 s, so that what is exported has round
// bounds. One row per worker; nothing here knows where the times come from (TurnLatency).

package import Primitives

/// Requests that are measured together.
enum LatencyClass: Int, CaseIterable {
    /// Gets, by where they ended: with a value in memory, with one read from disk, with none.
    case memoryHit, diskHit, miss
    case set, delete, arithmetic, touch
    /// Not requests: turns of a worker that had something to do, waits of requests for something
    /// scarce, reads of single records from the disk.
    case turn, wait, read

    /// Whether its times are those of whole requests.
    var isRequest: Bool { rawValue < Self.turn.rawValue }

    /// As in the statistics.
    var name: StaticString {
        switch self {
        case .memoryHit: "get_memory"
        case .diskHit: "get_disk"
        case .miss: "get_miss"
        case .set: "set"
        case .delete: "delete"
        case .arithmetic: "arithmetic"
        case .touch: "touch"
        case .turn: "turn"
        case .wait: "wait"
        case .read: "disk_read"
        }
    }
}

/// The bounds of the buckets, and the way from a time to its bucket. A plain value; copies name the
/// same memory.
package struct LatencyScale: BitwiseCopyable, Sendable {
    /// Buckets with an upper bound; one more holds what is longer than all of them.
    static let bounds = 71
    static let buckets = bounds + 1
    /// Steps of a decade, in hundredths.
    private static let steps: [UInt64] = [100, 125, 160, 200, 250, 320, 400, 500, 630, 800]

    /// The upper bounds in nanoseconds: 1 µs to 10 s.
    package static let nanoseconds: [UInt64] = {
        var bounds: [UInt64] = []
        var decade: UInt64 = 1000
        for _ in 0..<7 {
            bounds += steps.map { $0 * (decade / 100) }
            decade *= 10
        }
        return bounds + [decade]
    }()

    private let region: Region

    package init() throws(MemoryError) {
        region = try Region.map(byteCount: 4096)
        let bounds = Self.nanoseconds
        for (index, bound) in bounds.enumerated() { region.store(bound, at: index * 8) }
        // For each power of two, the first bucket that can hold a time of that length.
        for power in 0..<64 {
            let least = UInt64(1) << UInt64(power)
            let first = bounds.firstIndex { $0 >= least } ?? Self.bounds
            region.store(UInt8(first), at: 1024 + power)
        }
    }

    /// The bucket of a time: the first whose bound is not less.
    @inline(__always)
    package func bucket(_ nanoseconds: UInt64) -> Int {
        let power = 63 &- (nanoseconds | 1).leadingZeroBitCount
        var index = Int(region.uint8(at: 1024 &+ power))
        while index < Self.bounds, region.uint64(at: index &* 8) < nanoseconds { index &+= 1 }
        return index
    }
}

/// One worker's histograms.
struct LatencyRow: BitwiseCopyable, Sendable {
    /// Words of a histogram: its buckets, and the sum of the times.
    private static let words = LatencyScale.buckets + 1
    /// Bytes of a row; rows of two owners share no cache line.
    static let bytes = (LatencyClass.allCases.count * words * 8 + 127) / 128 * 128

    private let region: Region
    private let start: Int
    private let scale: LatencyScale

    init(_ region: Region, row: Int, _ scale: LatencyScale) {
        self.region = region
        start = row * Self.bytes
        self.scale = scale
    }

    private func word(_ kind: LatencyClass, _ index: Int) -> AtomicWord64 {
        region.atomic64(at: start &+ (kind.rawValue &* Self.words &+ index) &* 8)
    }

    /// Adds `count` requests that took so long; the row's owner only.
    @inline(__always)
    func add(_ kind: LatencyClass, _ nanoseconds: UInt64, count: UInt64 = 1) {
        word(kind, scale.bucket(nanoseconds)).addOwned(count)
        word(kind, LatencyScale.buckets).addOwned(nanoseconds &* count)
    }

    func bucket(_ kind: LatencyClass, _ index: Int) -> UInt64 { word(kind, index).loadRelaxed() }
    func sum(_ kind: LatencyClass) -> UInt64 { word(kind, LatencyScale.buckets).loadRelaxed() }

    /// `stats reset`; what its owner adds at the same moment may be lost.
    func reset() {
        for kind in LatencyClass.allCases {
            for index in 0..<Self.words { word(kind, index).storeRelaxed(0) }
        }
    }
}

/// A histogram over all workers, as it stood at some moment.
struct LatencyHistogram: Sendable {
    var counts: [UInt64]
    var sumNanoseconds: UInt64

    var count: UInt64 { counts.reduce(0, &+) }

    /// The bound that at least this share of the times do not exceed; 0 if there are none.
    func quantile(_ share: Double) -> UInt64 {
        let wanted = share * Double(count)
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() where count > 0 {
            seen &+= count
            guard Double(seen) >= wanted else { continue }
            return LatencyScale.nanoseconds[min(index, LatencyScale.bounds - 1)]
        }
        return 0
    }
}

extension SharedState {
    /// One class over all workers.
    func histogram(_ kind: LatencyClass) -> LatencyHistogram {
        var counts = [UInt64](repeating: 0, count: LatencyScale.buckets)
        var sum: UInt64 = 0
        for worker in 0..<workerCount {
            let row = latency(worker: worker)
            for index in counts.indices { counts[index] &+= row.bucket(kind, index) }
            sum &+= row.sum(kind)
        }
        return LatencyHistogram(counts: counts, sumNanoseconds: sum)
    }

    /// `stats latency`: for each class how many, their sum, three quantiles (the upper bound of the
    /// bucket that holds each), and all buckets that are not empty by their upper bound.
    func addLatency(to lines: inout StatisticsLines) {
        for kind in LatencyClass.allCases {
            let histogram = histogram(kind)
            let name = "\(kind.name)"
            lines.add("\(name):count", histogram.count)
            lines.add("\(name):sum_us", histogram.sumNanoseconds / 1000)
            for (label, share) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
                lines.add("\(name):\(label)_us", Self.microseconds(histogram.quantile(share)))
            }
            for (index, count) in histogram.counts.enumerated() where count > 0 {
                let bound =
                    index < LatencyScale.bounds
                    ? Self.microseconds(LatencyScale.nanoseconds[index]) : "more"
                lines.add("\(name):le_\(bound)_us", count)
            }
        }
    }

    /// With two digits behind the point where they are not zero: the shortest bound needs them.
    private static func microseconds(_ nanoseconds: UInt64) -> String {
        let (whole, rest) = (nanoseconds / 1000, nanoseconds % 1000 / 10)
        guard rest > 0 else { return "\(whole)" }
        return rest % 10 == 0 ? "\(whole).\(rest / 10)" : "\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }
}
