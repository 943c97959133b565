// Latencies: how long requests took, by what they asked, in HdrHistograms.
//
// Recorded for every request: from the moment before it was written into its connection's
// buffer (where it had a time of its own, in an open loop or a trace: from that time) to the
// moment at which the turn that found its reply began. The wait in the generator's
// own queue counts; the generator is kept from being slow, not from saying so. Requests that
// were sent together and answered in one turn are recorded by one call that counts them all.

internal import Histogram

/// By the commands of a run.
public typealias Latencies = LatencyTable<LoadCommand>
/// By the operations of a trace.
public typealias ReplayLatencies = LatencyTable<TraceOperation>

/// The latencies of one worker, or of all of them summed. Nanoseconds. The raw values of the
/// kinds of request are 0, 1, 2, … without a gap.
public struct LatencyTable<Kind: CaseIterable & RawRepresentable<UInt8>>: Sendable {
    /// Three significant digits up to an hour; longer ones count as an hour.
    private static var nanosecondsMax: UInt64 { 3_600_000_000_000 }

    private var histograms: [Histogram<UInt64>]

    public init() { histograms = Kind.allCases.map { _ in Self.fresh() } }

    private static func fresh() -> Histogram<UInt64> {
        Histogram(
            lowestDiscernibleValue: 256, highestTrackableValue: nanosecondsMax,
            numberOfSignificantValueDigits: .three)
    }

    /// Counts `count` requests that took so long.
    @inline(__always)
    public mutating func record(_ kind: Kind, nanoseconds: UInt64, count: UInt64) {
        histograms[Int(kind.rawValue)].record(min(nanoseconds, Self.nanosecondsMax), count: count)
    }

    public static func += (sum: inout Self, part: Self) {
        for index in sum.histograms.indices { sum.histograms[index].add(part.histograms[index]) }
    }

    /// Of all kinds together.
    public var all: LatencySummary { LatencySummary(sum) }

    /// Requests that took longer than this.
    public func count(above microseconds: Double) -> UInt64 {
        let sum = sum
        let limit = UInt64(max(min(microseconds * 1000, Double(Self.nanosecondsMax)), 0))
        return sum.totalCount - sum.count(within: 0...limit)
    }

    private var sum: Histogram<UInt64> {
        histograms.reduce(into: Self.fresh()) { $0.add($1) }
    }

    /// The percentiles of a kind in HdrHistogram's own text format (.hgrm), in microseconds,
    /// for the plotting tools that read it.
    public func percentileFile(of kind: Kind) -> String {
        var text = ""
        let histogram = histogram(of: kind)
        guard histogram.totalCount > 0 else { return text }
        histogram.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1000)
        return text
    }

    public func summary(of kind: Kind) -> LatencySummary { LatencySummary(histogram(of: kind)) }

    private func histogram(of kind: Kind) -> Histogram<UInt64> { histograms[Int(kind.rawValue)] }

    /// The curve of a kind: as many points per halving of what is left as HdrHistogram's own
    /// files have, the slowest request last, with a share of 1. Empty if there was no request.
    public func curve(of kind: Kind) -> [PercentilePoint] {
        let histogram = histogram(of: kind)
        guard histogram.totalCount > 0 else { return [] }
        return histogram.percentiles(ticksPerHalfDistance: 5).map {
            PercentilePoint(
                share: $0.percentileLevelIteratedTo / 100, microseconds: Double($0.value) / 1000)
        }
    }
}

/// A point of a curve of percentiles.
public struct PercentilePoint: Equatable, Sendable {
    /// The part of the requests, 0 to 1, that took at most so long.
    public let share: Double
    public let microseconds: Double
}

/// The points of a latency curve that tables show. Microseconds.
public struct LatencySummary: Equatable, Sendable {
    public let count: UInt64
    public let mean: Double
    /// Percentile and latency at or below which so many requests stayed.
    public let points: [(percentile: Double, microseconds: Double)]
    public let maximum: Double

    public static let percentiles: [Double] = [50, 90, 95, 99, 99.9, 99.99]

    init(_ histogram: Histogram<UInt64>) {
        count = histogram.totalCount
        let isEmpty = histogram.totalCount == 0
        mean = isEmpty ? 0 : histogram.mean / 1000
        maximum = isEmpty ? 0 : Double(histogram.max) / 1000
        points = Self.percentiles.map { percentile in
            (percentile, isEmpty ? 0 : Double(histogram.valueAtPercentile(percentile)) / 1000)
        }
    }

    /// The latency at one of `percentiles`; nil for others.
    public func microseconds(at percentile: Double) -> Double? {
        points.first { $0.percentile == percentile }?.microseconds
    }

    public static func == (one: LatencySummary, other: LatencySummary) -> Bool {
        one.count == other.count && one.mean == other.mean && one.maximum == other.maximum
            && one.points.elementsEqual(other.points, by: ==)
    }
}
