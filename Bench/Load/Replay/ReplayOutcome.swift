// ReplayOutcome: what one replay measured.

/// The result of a replay, with what is needed to judge it. Plain data.
public struct ReplayOutcome: Sendable {
    public var facts = ServerFacts()
    public var kernel = ""
    public var format = TraceFormat.csv
    /// Requests of the trace that were read.
    public var requests: UInt64 = 0
    /// From the trace's first request to its last that was read.
    public var spanSeconds: UInt64 = 0
    public var counters = ReplayCounters()
    public var latencies = ReplayLatencies()
    /// Seconds that it took.
    public var seconds = 0.0
    /// All stretches together, and one by one.
    public var total = IntervalCounts()
    public var intervals: [IntervalCounts] = []
    /// Whether the last stretch holds all that came after it, too.
    public var isCut = false
    public var references: [ReplayReference] = []
    /// Objects that the trace touched, and the bytes of their keys and values.
    public var objectCount: UInt64 = 0
    public var objectBytes: UInt64 = 0
    /// Whether the two are exact, or estimates.
    public var isObjectCountExact = true
    public var serverNanoseconds: UInt64?
    public var serverProcess: Int32?
    /// Anonymous resident memory of the server before and after, in bytes.
    public var residentBytesBefore: UInt64?
    public var residentBytesAfter: UInt64?
    public var generatorNanoseconds: UInt64 = 0
    /// The part of the time that each worker was on a core.
    public var generatorShares: [Double] = []
    public var firstError: String?

    public init() {}

    public var requestsPerSecond: Double {
        seconds > 0 ? Double(counters.requests) / seconds : 0
    }

    /// Server time on a core per request of the trace, in microseconds.
    public var serverMicrosecondsPerRequest: Double? {
        guard let serverNanoseconds, counters.requests > 0 else { return nil }
        return Double(serverNanoseconds) / Double(counters.requests) / 1000
    }

    public var generatorMicrosecondsPerRequest: Double {
        guard counters.requests > 0 else { return 0 }
        return Double(generatorNanoseconds) / Double(counters.requests) / 1000
    }

    public var generatorShare: Double { generatorShares.max() ?? 0 }

    public var isGeneratorBound: Bool { generatorShare > Outcome.bottleneckShare }
}

/// What an exact LRU of so many bytes would have answered.
public struct ReplayReference: Sendable {
    public var capacityBytes: UInt64
    /// At the end.
    public var objectCount: UInt64
    public var total = IntervalCounts()
    public var intervals: [IntervalCounts] = []
}
