// ReplayPlan: everything that determines how a trace is replayed, checked.

internal import Memcache

/// What becomes of the trace's times to live.
public enum ReplayTimes: String, Sendable, CaseIterable {
    /// Divided by the speed, as the timestamps are, and at least a second. Not at full speed:
    /// there the trace's time and the server's clock have nothing to do with each other.
    case scaled
    /// As recorded, whatever the speed.
    case recorded
    /// Nothing expires.
    case ignored
}

/// How fast the trace's clock runs.
public enum ReplaySpeed: BitwiseCopyable, Equatable, Sendable, CustomStringConvertible {
    /// A closed loop: the next requests go out when the last ones were answered.
    case full
    /// So many seconds of the trace in one; 0.001 to 1,000,000.
    case times(Double)

    /// Reads `max` or a number.
    public init(parsing text: String) throws(ArgumentFault) {
        if text == "max" {
            self = .full
            return
        }
        guard let times = Double(text), times >= 0.001, times <= 1_000_000 else {
            throw ArgumentFault("speed '\(text)' is not max or a number from 0.001 to 1000000")
        }
        self = .times(times)
    }

    public var description: String {
        switch self {
        case .full: "max"
        case .times(let times): "\(times)"
        }
    }
}

/// What the report is divided into.
public enum ReplayInterval: Equatable, Sendable, CustomStringConvertible {
    case requests(UInt64)
    /// Of the trace's time.
    case seconds(UInt64)

    /// Reads `100000` (requests) or `60s` (seconds of the trace).
    public init(parsing text: String) throws(ArgumentFault) {
        let isSeconds = text.hasSuffix("s")
        guard let count = UInt64(isSeconds ? text.dropLast() : text[...]), count >= 1,
            count <= 1 << 40
        else {
            throw ArgumentFault(
                "interval '\(text)' is not a number of requests, such as 100000, or of the "
                    + "trace's seconds, such as 60s")
        }
        self = isSeconds ? .seconds(count) : .requests(count)
    }

    public var description: String {
        switch self {
        case .requests(let count): "\(count) requests"
        case .seconds(let count): "\(count) trace seconds"
        }
    }
}

/// One replay. Plain data; `check` before use.
public struct ReplayPlan: Sendable {
    /// Connections, over all threads. A key always goes over the same one.
    public var clientCount = 50
    /// Requests that a connection has under way.
    public var depth = 1
    public var threadCount = 1
    /// Cores for the threads, used in turn; empty for no binding.
    public var cores: [Int] = []
    /// Whether a get that misses is followed by a set; otherwise the operations stand alone.
    public var fills = true
    public var speed = ReplaySpeed.full
    public var times = ReplayTimes.ignored
    /// For what is stored without a time to live in the trace, in its seconds; 0 for never.
    public var ttlSeconds: UInt32 = 0
    /// Requests of the trace after which it ends; nil for all of it.
    public var operationsMax: UInt64?
    /// Seconds after which it ends; nil for as long as the trace lasts.
    public var secondsMax: Double?
    public var interval = ReplayInterval.requests(100_000)
    /// Capacities of the exact LRUs that are computed beside the server, in bytes.
    public var referenceBytes: [UInt64] = []
    /// Counted for each object of a reference on top of its key and value: what an item of
    /// memcached 1.6 has on a 64-bit machine (48 bytes, and 8 for the CAS).
    public var overheadBytes: UInt64 = 56
    /// Values above it are not sent, and counted as refused.
    public var valueBytesMax = 1 << 20
    /// Whether values carry what proves them whole and new, and are checked.
    public var verifies = false
    /// A connection that waits longer than this for a reply fails the run.
    public var stallSeconds = 5.0

    public init() {}

    static let referencesMax = 8
    /// A request is compared with all that are under way on its connection.
    static let depthMax = 256
    /// Bytes of request buffers that all connections may take together.
    static let requestBytesMax = 8 << 30

    /// Bytes of a connection's request buffer: the longest request, and some shorter ones.
    var sendBufferBytes: Int {
        let longest = RequestEncoder.lineBytesMax + Limits.keyBytesMax + valueBytesMax + 2
        return (longest + 16_384 + 63) / 64 * 64
    }

    /// Throws for the first thing that makes no sense, in words for the user.
    public func check() throws(ArgumentFault) {
        try require((1...60_000).contains(clientCount), "clients: 1 to 60000")
        try require((1...Self.depthMax).contains(depth), "depth: 1 to \(Self.depthMax)")
        try require((1...256).contains(threadCount), "threads: 1 to 256")
        try require(threadCount <= clientCount, "threads: more than there are clients")
        try require((1...256 << 20).contains(valueBytesMax), "value-bytes-max: 1 to \(256 << 20)")
        try require(
            operationsMax.map { $0 >= 1 } ?? true, "operations: at least 1")
        try require(
            secondsMax.map { $0 >= 0.01 && $0 <= 31_536_000 } ?? true,
            "seconds: 0.01 to 31536000")
        try require(
            stallSeconds >= 0.1 && stallSeconds <= 3600, "stall: 0.1 to 3600 seconds")
        try require(overheadBytes <= 65_536, "overhead-bytes: at most 65536")
        try require(
            referenceBytes.count <= Self.referencesMax,
            "reference-bytes: at most \(Self.referencesMax) of them")
        for bytes in referenceBytes {
            try require(
                bytes >= LruReference.capacityBytesMin && bytes <= LruReference.capacityBytesMax,
                "reference-bytes: 1k to 1024g each")
        }
        try require(
            times != .scaled || speed != .full,
            "ttls: at full speed there is nothing to scale them by: recorded or ignored")
        try require(
            sendBufferBytes * clientCount <= Self.requestBytesMax,
            "clients x value-bytes-max is above \(Self.requestBytesMax >> 20) MiB of buffers: "
                + "lower one of them")
    }

    private func require(_ holds: Bool, _ text: String) throws(ArgumentFault) {
        guard holds else { throw ArgumentFault(text) }
    }
}

extension ReplayPlan {
    /// The longest relative expiry of the protocol; what is longer would be a date
    /// (memcached's doc/protocol.txt, "Expiration times").
    static let ttlSecondsMax: UInt32 = 30 * 86_400

    /// The expiry that a request carries to the server, in seconds; 0 for never.
    @inline(__always)
    func expiry(_ request: TraceRequest) -> Int64 {
        let ttl = request.ttlSeconds
        guard ttl > 0 else { return 0 }
        switch (times, speed) {
        case (.ignored, _): return 0
        case (.scaled, .times(let times)):
            let scaled = (Double(ttl) / times).rounded(.up)
            return Int64(min(max(scaled, 1), Double(Self.ttlSecondsMax)))
        default: return Int64(min(ttl, Self.ttlSecondsMax))
        }
    }
}
