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
    /// get, set, delete, touch.
    case classic
    /// mg, ms, md; a get of several keys is as many quiet mg and an mn.
    case meta
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
    public var keyBytes = 32
    public var valueBytes = 100
    public var mix = CommandMix.gets
    /// Keys in a get.
    public var keysPerGet = 1
    public var distribution = KeyDistribution.uniform
    /// Of what is set, in seconds; 0 for never.
    public var ttlSeconds: Int64 = 0
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

    /// The longest request, in bytes.
    var longestRequestBytes: Int {
        let line = RequestEncoder.lineBytesMax
        var bytes = line + keyBytes
        if mix.contains(.get) { bytes = max(bytes, line + keysPerGet * (keyBytes + 16)) }
        if mix.contains(.set) { bytes = max(bytes, line + keyBytes + valueBytes + 2) }
        return bytes
    }

    /// Throws for the first thing that makes no sense, in words for the user.
    public func check() throws(ArgumentFault) {
        try inRange("clients", clientCount, 1, 60_000)
        try inRange("depth", depth, 1, 4096)
        try inRange("key-bytes", keyBytes, 1, Limits.keyBytesMax)
        try inRange("value-bytes", valueBytes, 0, 1 << 30)
        try inRange("multiget", keysPerGet, 1, 10_000)
        try inRange("threads", threadCount, 1, 256)
        try require(threadCount <= clientCount, "threads: more than there are clients")
        let keysMax = KeyText.keyCountMax(byteCount: keyBytes)
        try require(
            keyCount >= 1 && keyCount <= keysMax,
            "keys: with key-bytes \(keyBytes) there can be 1 to \(keysMax)")
        try require(ttlSeconds >= 0 && ttlSeconds <= 1 << 31, "ttl: 0 to \(1 << 31) seconds")
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
        if verifies {
            try require(
                valueBytes >= ValueText.headerBytes,
                "verify: values need at least \(ValueText.headerBytes) bytes")
            try require(
                keyCount >= UInt64(clientCount), "verify: there are more clients than keys")
        }
        let bytes = longestRequestBytes.multipliedReportingOverflow(by: depth * clientCount)
        try require(
            !bytes.overflow && bytes.partialValue <= Self.requestBytesMax,
            "clients x depth x the longest request is above "
                + "\(Self.requestBytesMax >> 20) MiB of buffers: lower one of them")
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
        return plan
    }
}
