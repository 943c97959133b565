// ReplayIntervals: what was counted in each stretch of the trace, in memory of fixed size.

internal import Primitives

/// Gets and hits of one stretch; bytes are of key and value, as the trace has them.
public struct IntervalCounts: BitwiseCopyable, Equatable, Sendable {
    /// Requests of the trace that were answered, or refused.
    public var requests: UInt64 = 0
    public var gets: UInt64 = 0
    public var hits: UInt64 = 0
    public var getBytes: UInt64 = 0
    public var hitBytes: UInt64 = 0

    public init() {}

    /// Hits per get; nil where there was none.
    public var hitRatio: Double? { gets > 0 ? Double(hits) / Double(gets) : nil }
    /// Bytes that hits brought, per byte that was asked for.
    public var byteHitRatio: Double? {
        getBytes > 0 ? Double(hitBytes) / Double(getBytes) : nil
    }

    @inline(__always)
    mutating func count(_ request: TraceRequest, isHit: Bool) {
        requests &+= 1
        guard request.operation.isGet else { return }
        gets &+= 1
        getBytes &+= request.objectBytes
        guard isHit else { return }
        hits &+= 1
        hitBytes &+= request.objectBytes
    }

    public static func += (sum: inout IntervalCounts, part: IntervalCounts) {
        sum.requests &+= part.requests
        sum.gets &+= part.gets
        sum.hits &+= part.hits
        sum.getBytes &+= part.getBytes
        sum.hitBytes &+= part.hitBytes
    }
}

/// Counts by stretch; one thread writes, others read when it has ended.
struct ReplayIntervals: BitwiseCopyable, Sendable {
    /// Stretches that are told apart; the last one takes what comes after it.
    static let countMax = 1 << 16
    let counts: Table<IntervalCounts>

    init() throws(MemoryError) { counts = try Table(count: Self.countMax) }

    @inline(__always)
    func count(_ request: TraceRequest, isHit: Bool) {
        counts[Int(min(request.interval, UInt32(Self.countMax - 1)))].count(request, isHit: isHit)
    }
}
