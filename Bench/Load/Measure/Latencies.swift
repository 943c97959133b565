// Latencies: how long requests took, by command, in HdrHistograms.
//
// Recorded for every request: from the moment before it was written into its connection's
// buffer (in an open loop: from the moment it was intended for) to the moment at which the turn
// that found its reply began. The wait in the generator's
// own queue counts; the generator is kept from being slow, not from saying so. Requests that
// were sent together and answered in one turn are recorded by one call that counts them all.

internal import Histogram

/// The latencies of one worker, or of all of them summed. Nanoseconds.
public struct Latencies: Sendable {
    /// Three significant digits up to an hour; longer ones count as an hour.
    private static let nanosecondsMax: UInt64 = 3_600_000_000_000

    private var get = Self.fresh()
    private var set = Self.fresh()
    private var delete = Self.fresh()
    private var touch = Self.fresh()
    private var incr = Self.fresh()
    private var decr = Self.fresh()
    private var add = Self.fresh()
    private var gat = Self.fresh()

    public init() {}

    private static func fresh() -> Histogram<UInt64> {
        Histogram(
            lowestDiscernibleValue: 256, highestTrackableValue: nanosecondsMax,
            numberOfSignificantValueDigits: .three)
    }

    /// Counts `count` requests that took so long.
    @inline(__always)
    public mutating func record(_ command: LoadCommand, nanoseconds: UInt64, count: UInt64) {
        let value = min(nanoseconds, Self.nanosecondsMax)
        switch command {
        case .get: get.record(value, count: count)
        case .set: set.record(value, count: count)
        case .delete: delete.record(value, count: count)
        case .touch: touch.record(value, count: count)
        case .incr: incr.record(value, count: count)
        case .decr: decr.record(value, count: count)
        case .add: add.record(value, count: count)
        case .gat: gat.record(value, count: count)
        }
    }

    public static func += (sum: inout Latencies, part: Latencies) {
        sum.get.add(part.get)
        sum.set.add(part.set)
        sum.delete.add(part.delete)
        sum.touch.add(part.touch)
        sum.incr.add(part.incr)
        sum.decr.add(part.decr)
        sum.add.add(part.add)
        sum.gat.add(part.gat)
    }

    /// Of all commands together.
    public var all: LatencySummary { LatencySummary(sum) }

    /// Requests that took longer than this.
    public func count(above microseconds: Double) -> UInt64 {
        let sum = sum
        let limit = UInt64(max(min(microseconds * 1000, Double(Self.nanosecondsMax)), 0))
        return sum.totalCount - sum.count(within: 0...limit)
    }

    private var sum: Histogram<UInt64> {
        var sum = get
        sum.add(set)
        sum.add(delete)
        sum.add(touch)
        sum.add(incr)
        sum.add(decr)
        sum.add(add)
        sum.add(gat)
        return sum
    }

    /// The percentiles of a command in HdrHistogram's own text format (.hgrm), in microseconds,
    /// for the plotting tools that read it.
    public func percentileFile(of command: LoadCommand) -> String {
        var text = ""
        let histogram = histogram(of: command)
        guard histogram.totalCount > 0 else { return text }
        histogram.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1000)
        return text
    }

    public func summary(of command: LoadCommand) -> LatencySummary {
        LatencySummary(histogram(of: command))
    }

    private func histogram(of command: LoadCommand) -> Histogram<UInt64> {
        switch command {
        case .get: get
        case .set: set
        case .delete: delete
        case .touch: touch
        case .incr: incr
        case .decr: decr
        case .add: add
        case .gat: gat
        }
    }
}

/// A point of a curve of percentiles.
public struct PercentilePoint: Equatable, Sendable {
    /// The part of the requests, 0 to 1, that took at most so long.
    public let share: Double
    public let microseconds: Double
}

extension Latencies {
    /// The curve of a command: as many points per halving of what is left as HdrHistogram's own
    /// files have, the slowest request last, with a share of 1. Empty if there was no request.
    public func curve(of command: LoadCommand) -> [PercentilePoint] {
        let histogram = histogram(of: command)
        guard histogram.totalCount > 0 else { return [] }
        return histogram.percentiles(ticksPerHalfDistance: 5).map {
            PercentilePoint(
                share: $0.percentileLevelIteratedTo / 100, microseconds: Double($0.value) / 1000)
        }
    }
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
