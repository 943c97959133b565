// LoadPlan: everything that determines one run, checked.

internal import Memcache

/// When the next requests of a connection are sent.
public enum Refill: String, Sendable, CaseIterable {
    /// When all replies to the last ones are there: so does a client that pipelines.
    case batch
    /// Whenever a reply has come.
    case window
}

/// How requests are worded.
public enum WireProtocol: String, Sendable, CaseIterable {
    /// get, set, delete, touch, incr, decr, add, gat.
    case classic
    /// mg, ms, md, ma; a get of several keys is as many quiet mg and an mn.
    case meta
    /// The binary protocol; a get of several keys is as many getkq and a noop.
    case binary
}

/// When a run ends.
public enum RunLength: Equatable, Sendable {
    case seconds(Double)
    /// Keys asked for or stored, over all connections.
    case operations(UInt64)
}

/// One load: a closed loop, or an open one where it has a rate. Plain data; `check` before use.
public struct LoadPlan: Sendable {
    /// Connections, over all threads.
    public var clientCount = 50
    /// Requests that a connection has under way.
    public var depth = 1
    public var keyCount: UInt64 = 1_000_000
    public var keyBytes: SizeDistribution = 32
    public var valueBytes: SizeDistribution = 100
    public var mix = CommandMix.gets
    /// Keys in a get.
    public var keysPerGet = 1
    public var distribution = KeyDistribution.uniform
    /// Of what is set, in seconds; 0 for never.
    public var ttl: TimeToLive = 0
    /// The share of gets, 0 to 1, that go to keys which are never set.
    public var missRatio = 0.0
    /// Look-aside: each key that a get misses (unless it is one that is never set) is set next
    /// on the same connection. These sets come on top of `length` in operations.
    public var setsOnMiss = false
    /// Requests after which a connection is closed and opened again; 0 for never.
    public var requestsPerConnection: UInt64 = 0
    public var length = RunLength.seconds(5)
    /// Before the run itself is counted: the same load, at the beginning of the same streams of
    /// keys. What it showed is reported apart.
    public var warmupSeconds = 1.0
    /// Operations a second over all connections, sent at intended times (an open loop); nil for a
    /// closed one, in which a connection asks again once it was answered.
    public var rate: Double?
    public var arrivals = Arrivals.even
    /// Longest that a run of a number of operations may be measured.
    public var deadlineSeconds = 3600.0
    public var threadCount = 1
    public var seed: UInt64 = 1
    /// Cores for the threads, used in turn; empty for no binding.
    public var cores: [Int] = []
    public var refill = Refill.batch
    public var wireProtocol = WireProtocol.classic
    /// Whether values carry what proves them whole and new, and are checked.
    public var verifies = false
    /// A connection that waits longer than this to be accepted, or for a reply, fails the run.
    public var stallSeconds = 5.0

    public init() {}

    /// Bytes of request buffers that all connections may take together.
    static let requestBytesMax = 4 << 30

    // MARK: Sizes

    /// The bytes of each key.
    public var keySizes: SizeSampler {
        SizeSampler(keyBytes, seed: seed, stream: 1, limits: Self.drawnKeyBytes)
    }
    /// The bytes of each key's value. Drawn sizes below what a verified value needs are raised.
    public var valueSizes: SizeSampler {
        let least = verifies ? ValueText.headerBytes : 0
        return SizeSampler(
            valueBytes, seed: seed, stream: 2, limits: least...SizeDistribution.bytesMax)
    }
    /// Sizes to which keys are held where the user gave none himself: all digits fit in.
    private static let drawnKeyBytes = 8...Limits.keyBytesMax

    /// Value of a new counter, in decimal.
    static let counterBytes = 1

    /// The longest request, in bytes.
    var longestRequestBytes: Int {
        let line = max(
            RequestEncoder.lineBytesMax,
            BinaryEncoder.headerBytes + BinaryEncoder.extrasBytesMax)
        let key = keySizes.most
        var bytes = line + key + Self.counterBytes + 2
        if mix.contains(.get) { bytes = max(bytes, line + keysPerGet * (key + 32)) }
        if mix.stores || setsOnMiss { bytes = max(bytes, line + key + valueSizes.most + 2) }
        return bytes
    }

    /// Most keys that a request of this plan names.
    var keysPerRequestMax: Int { mix.contains(.get) ? keysPerGet : 1 }
    /// Requests until a connection is closed: so many, or as good as endless.
    var requestsOfConnection: UInt64 {
        requestsPerConnection > 0 ? requestsPerConnection : .max
    }
    /// Whether what is missed may be followed by a request for the same key.
    var followsMisses: Bool { setsOnMiss || mix.counts }

    // MARK: Checks

    /// Throws for the first thing that makes no sense, in words for the user.
    public func check() throws(ArgumentFault) {
        try inRange("clients", clientCount, 1, 60_000)
        try inRange("depth", depth, 1, 4096)
        try inRange("multiget", keysPerGet, 1, 10_000)
        try inRange("threads", threadCount, 1, 256)
        try require(threadCount <= clientCount, "threads: more than there are clients")
        try checkSizes()
        try require(
            ttl.least >= 0 && ttl.most <= TimeToLive.secondsMax,
            "ttl: 0 to \(TimeToLive.secondsMax) seconds")
        try require(missRatio >= 0 && missRatio <= 1, "miss-ratio: 0 to 1")
        try require(
            missRatio == 0 || mix.contains(.get), "miss-ratio: there is no get in the mix")
        try require(
            !setsOnMiss || mix.contains(.get) || mix.contains(.gat),
            "set-on-miss: there is no get in the mix")
        try require(
            requestsPerConnection <= 1 << 50, "requests-per-connection: at most \(1 << 50)")
        try require(
            warmupSeconds >= 0 && warmupSeconds <= 3600, "warmup: 0 to 3600 seconds")
        try require(
            stallSeconds >= 0.1 && stallSeconds <= 3600, "stall: 0.1 to 3600 seconds")
        switch length {
        case .seconds(let seconds):
            try require(seconds >= 0.01 && seconds <= 86_400, "seconds: 0.01 to 86400")
        case .operations(let count):
            try require(count >= 1 && count <= 1 << 50, "operations: at least 1")
        }
        try checkPacing()
        let bytes = longestRequestBytes.multipliedReportingOverflow(by: depth * clientCount)
        try require(
            !bytes.overflow && bytes.partialValue <= Self.requestBytesMax,
            "clients x depth x the longest request is above "
                + "\(Self.requestBytesMax >> 20) MiB of buffers: lower one of them")
    }

    private func checkSizes() throws(ArgumentFault) {
        let (keySizes, valueSizes) = (keySizes, valueSizes)
        try require(
            keySizes.least >= 1 && keySizes.most <= Limits.keyBytesMax,
            "key-bytes: 1 to \(Limits.keyBytesMax)")
        try require(
            valueSizes.least >= 0 && valueSizes.most <= SizeDistribution.bytesMax,
            "value-bytes: 0 to \(SizeDistribution.bytesMax)")
        let spaces: UInt64 = mix.counts ? 3 : missRatio > 0 ? 2 : 1
        let keysMax = KeyText.keyCountMax(byteCount: keySizes.least) / spaces
        try require(
            keyCount >= 1 && keyCount <= keysMax,
            "keys: with key-bytes \(keyBytes) there can be 1 to \(keysMax)"
                + (spaces > 1 ? " (as many again are never set, or are counters)" : ""))
        guard verifies else { return }
        try require(
            valueSizes.least >= ValueText.headerBytes,
            "verify: values need at least \(ValueText.headerBytes) bytes")
        try require(
            keyCount >= UInt64(clientCount), "verify: there are more clients than keys")
    }

    func require(_ holds: Bool, _ text: String) throws(ArgumentFault) {
        guard holds else { throw ArgumentFault(text) }
    }

    private func inRange(_ name: String, _ value: Int, _ least: Int, _ most: Int)
        throws(ArgumentFault)
    {
        try require(value >= least && value <= most, "\(name): \(least) to \(most)")
    }

    private func checkPacing() throws(ArgumentFault) {
        if let rate {
            try require(rate >= 0.1 && rate <= Self.rateMax, "rate: 0.1 to \(Self.rateMax)")
        }
        try require(
            deadlineSeconds >= 0.1 && deadlineSeconds <= 864_000, "deadline: 0.1 to 864000 seconds")
    }

    /// Operations a second that can be asked for.
    public static let rateMax = 100_000_000.0

    /// Keys of a request, on average.
    var keysPerRequestMean: Double {
        var weights = 0.0
        var keys = 0.0
        for part in mix.weights {
            weights += Double(part.weight)
            keys += Double(part.weight) * (part.command == .get ? Double(keysPerGet) : 1)
        }
        return weights > 0 ? keys / weights : 1
    }

    /// Longest that the measured phase may take, in seconds.
    var measuredSecondsMax: Double {
        if case .seconds(let seconds) = length { return seconds }
        return deadlineSeconds
    }

    /// Whether everything is answered between the warm-up and what is measured, so that a request
    /// belongs to one of them.
    var drainsWarmup: Bool {
        if case .operations = length { return true }
        return rate != nil
    }

    /// Sets every key once, in order.
    public func filling() -> LoadPlan {
        var plan = self
        plan.mix = .sets
        plan.distribution = .sequential
        plan.length = .operations(keyCount)
        plan.warmupSeconds = 0
        plan.missRatio = 0
        plan.setsOnMiss = false
        plan.requestsPerConnection = 0
        return plan
    }
}
