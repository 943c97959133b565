// ReplayLatencies: how long replayed requests took, by operation of the trace.
//
// Latencies is the like for the commands of `run`. Recorded from the moment at which a request
// was due, where the trace's clock paces it, and otherwise from the moment before it was written,
// until the turn began that found its reply.

internal import Histogram

/// The latencies of one worker, or of all of them summed. Nanoseconds.
public struct ReplayLatencies: Sendable {
    private static let nanosecondsMax: UInt64 = 3_600_000_000_000
    /// By the operation's raw value.
    private var histograms: [Histogram<UInt64>]

    public init() {
        histograms = TraceOperation.allCases.map { _ in
            Histogram(
                lowestDiscernibleValue: 256, highestTrackableValue: Self.nanosecondsMax,
                numberOfSignificantValueDigits: .three)
        }
    }

    @inline(__always)
    mutating func record(_ operation: TraceOperation, nanoseconds: UInt64) {
        let value = min(nanoseconds, Self.nanosecondsMax)
        histograms[Int(operation.rawValue)].record(value, count: 1)
    }

    static func += (sum: inout ReplayLatencies, part: ReplayLatencies) {
        for index in sum.histograms.indices { sum.histograms[index].add(part.histograms[index]) }
    }

    /// Of one operation; its count is that of the requests that were answered.
    public func summary(of operation: TraceOperation) -> LatencySummary {
        LatencySummary(histograms[Int(operation.rawValue)])
    }
}
