// Outcome: what one run measured.

/// What was answered before measuring began. Plain data.
public struct WarmUp: Sendable {
    public var seconds = 0.0
    public var operationsPerSecond = 0.0
    public var counters = Counters()
    public var latencies = Latencies()

    public init() {}
}

/// The result of a run, with what is needed to judge it. Plain data.
public struct Outcome: Sendable {
    /// Generator's share of a core above which it, not the server, may set the pace.
    public static let bottleneckShare = 0.9

    public var counters = Counters()
    public var latencies = Latencies()
    /// Length of the measured part.
    public var seconds = 0.0
    /// Operations (keys) a second, and requests a second.
    public var operationsPerSecond = 0.0
    public var requestsPerSecond = 0.0
    /// On-core time of the server's threads while it was measured, in nanoseconds; nil where the
    /// process is not known.
    public var serverNanoseconds: UInt64?
    public var serverProcess: Int32?
    /// Its arguments, and the cores that it may run on; empty where it is not known.
    public var serverCommand = ""
    public var serverCores = ""
    /// Anonymous resident memory of the server before the warm-up and after the end.
    public var residentBytesBefore: UInt64?
    public var residentBytesAfter: UInt64?
    /// The part of the time that each of the generator's threads was on a core.
    public var generatorShares: [Double] = []
    /// On-core time of the generator's threads, in nanoseconds.
    public var generatorNanoseconds: UInt64 = 0
    /// The measured phase second by second, in order.
    public var series: [SeriesPoint] = []
    /// What the warm-up showed, apart from everything else; nil if there was none.
    public var warmup: WarmUp?
    /// How an open loop kept its schedule; nil for a closed one.
    public var pacing: Pacing?
    public var facts = ServerFacts()
    public var kernel = ""
    /// The first error line that the server answered, if any.
    public var firstError: String?

    public init() {}

    /// Server time on a core per operation, in microseconds.
    public var serverMicrosecondsPerOperation: Double? {
        guard let serverNanoseconds, counters.operations > 0 else { return nil }
        return Double(serverNanoseconds) / Double(counters.operations) / 1000
    }

    /// The generator's own, for comparison.
    public var generatorMicrosecondsPerOperation: Double {
        guard counters.operations > 0 else { return 0 }
        return Double(generatorNanoseconds) / Double(counters.operations) / 1000
    }

    /// Cores that the server kept busy.
    public var serverShare: Double? {
        guard let serverNanoseconds, seconds > 0 else { return nil }
        return Double(serverNanoseconds) / (seconds * 1e9)
    }

    public var generatorShare: Double { generatorShares.max() ?? 0 }

    /// Whether the rate says more about the generator than about the server.
    public var isGeneratorBound: Bool { generatorShare > Self.bottleneckShare }

    /// Hits per key that was asked for, deleted or touched; nil if there were none.
    public var hitRatio: Double? {
        let all = counters.hits &+ counters.misses
        return all > 0 ? Double(counters.hits) / Double(all) : nil
    }
}
