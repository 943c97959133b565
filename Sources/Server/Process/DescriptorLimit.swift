// DescriptorLimit: makes room for as many descriptors as the connection limit asks for.

internal import Primitives

/// What came of raising the limit.
public struct DescriptorLimit: Sendable, Equatable {
    /// Descriptors besides connections: three standard streams, listeners, the store's file and
    /// lock, its reading descriptors, rings and their wakers for every worker, and what libraries
    /// open for a moment.
    public static let othersMax: UInt64 = 3 + 64 + 2 + 130 + 2 * 130 + 53

    /// Descriptors that were asked for.
    public let wanted: UInt64
    /// Descriptors the process may hold now; 0 if the kernel does not tell.
    public let granted: UInt64

    public var isEnough: Bool { granted >= wanted }
    /// How many connections fit, at most `Int.max`.
    public var connectionsMax: Int {
        granted > Self.othersMax ? Int(clamping: granted - Self.othersMax) : 0
    }

    /// Raises the soft limit, and as root the hard one, until `connections` fit. Never lowers.
    /// Call it before privileges are dropped.
    public static func raise(toFit connections: Int) -> DescriptorLimit {
        let wanted = UInt64(max(connections, 0)) + othersMax
        guard let before = DescriptorCount.current() else {
            return DescriptorLimit(wanted: wanted, granted: 0)
        }
        guard before.soft < wanted else {
            return DescriptorLimit(wanted: wanted, granted: before.soft)
        }
        let whole = DescriptorCount(soft: wanted, hard: max(wanted, before.hard))
        if whole.apply() != 0 {
            _ = DescriptorCount(soft: min(wanted, before.hard), hard: before.hard).apply()
        }
        let after = DescriptorCount.current() ?? before
        return DescriptorLimit(wanted: wanted, granted: after.soft)
    }
}
