// SeriesPoint: one second of a run, for the live line, the curve over time and the JSON.

/// What was answered in one stretch of the measured phase, over all threads. Plain data.
public struct SeriesPoint: Equatable, Sendable {
    /// When the stretch began, in seconds since measuring began.
    public var start = 0.0
    /// Its length in seconds: about 1; the last one of a run may be shorter.
    public var seconds = 0.0
    /// Keys asked for, stored, deleted or touched in it, and what came of them.
    public var operations: UInt64 = 0
    public var hits: UInt64 = 0
    public var misses: UInt64 = 0
    /// Error lines that the server answered in it.
    public var errors: UInt64 = 0
    /// Latencies of the requests answered in it, in microseconds, within 1.6 %; nil if there
    /// were none.
    public var p50: Double?
    public var p99: Double?
    /// Cores that the server kept busy in it; nil where its process is not known.
    public var serverShare: Double?

    public init() {}

    /// Operations a second; 0 for a stretch of no length.
    public var operationsPerSecond: Double { seconds > 0 ? Double(operations) / seconds : 0 }
}
