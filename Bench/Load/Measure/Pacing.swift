// Pacing: how well an open loop kept its schedule, and whose fault it was if it did not.

/// What became of a schedule. Plain data; durations in nanoseconds.
public struct Pacing: Equatable, Sendable {
    /// Part of the asked rate below which the schedule counts as not kept.
    public static let keptShare = 0.99
    /// A request that is overdue by less than this when the run ends is not a missed one.
    static let graceNanoseconds: UInt64 = 1_000_000

    /// Operations a second that were asked for.
    public var asked = 0.0
    /// Operations that were sent, and those that were due and still waited when the run ended:
    /// for the generator, and for room in their connection.
    public var sentOperations: UInt64 = 0
    public var lateOperations: UInt64 = 0
    public var crowdedOperations: UInt64 = 0
    /// Requests that were sent or due and had no reply when the run ended. Their wait until then
    /// is in the latencies, which would be too good without it.
    public var unansweredRequests: UInt64 = 0
    /// Pacing error: from the intended time to the sending, of requests that nothing but the
    /// generator kept.
    public var errors = Delays()
    /// The same of requests whose connection was full when they were due.
    public var waits = Delays()

    /// From the intended time of each request to its sending.
    public struct Delays: Equatable, Sendable {
        private var counts = BucketCounts()
        private var most: UInt64 = 0

        public var total: UInt64 { counts.total }
        public var microsecondsMax: Double { Double(most) / 1000 }

        /// At most 1.6 % above the true one; nil if nothing was recorded.
        public func microseconds(at percentile: Double) -> Double? {
            counts.nanoseconds(at: percentile).map { Double(min($0, most)) / 1000 }
        }

        @inline(__always)
        mutating func record(nanoseconds: UInt64) {
            counts.record(nanoseconds: nanoseconds)
            most = max(most, nanoseconds)
        }

        static func += (sum: inout Delays, part: Delays) {
            sum.counts += part.counts
            sum.most = max(sum.most, part.most)
        }
    }

    public init() {}

    /// Operations a second that were sent.
    public var reached: Double {
        let missed = Double(lateOperations) + Double(crowdedOperations)
        let all = Double(sentOperations) + missed
        return all > 0 ? asked * Double(sentOperations) / all : 0
    }

    /// Whether at least 99 % of what was due was sent.
    public var isKept: Bool { reached >= Self.keptShare * asked }

    @inline(__always)
    mutating func record(nanoseconds: UInt64, isWait: Bool) {
        if isWait {
            waits.record(nanoseconds: nanoseconds)
        } else {
            errors.record(nanoseconds: nanoseconds)
        }
    }

    static func += (sum: inout Pacing, part: Pacing) {
        sum.sentOperations &+= part.sentOperations
        sum.lateOperations &+= part.lateOperations
        sum.crowdedOperations &+= part.crowdedOperations
        sum.unansweredRequests &+= part.unansweredRequests
        sum.errors += part.errors
        sum.waits += part.waits
    }
}
