// TimeToLive: when what is set expires: never, after a time, or after one of a range.

/// Seconds until expiry; equal ends for one time, 0 for never.
public struct TimeToLive: Equatable, Sendable, BitwiseCopyable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    public let least: Int64
    public let most: Int64
    /// Longest time, in seconds: the field of the binary protocol has 32 bits, and beyond 30
    /// days servers read a date.
    static let secondsMax: Int64 = 1 << 31

    public init(integerLiteral seconds: Int64) { (least, most) = (seconds, seconds) }

    /// Reads a number of seconds or `MIN-MAX`, of 0 to 2^31 seconds; a range begins at 1 or above,
    /// since 0 means never.
    public init(parsing text: String) throws(ArgumentFault) {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            .map { Int64($0) }
        guard let first = ends.first, let least = first, ends.count <= 2,
            let last = ends.last, let most = last, least >= (ends.count == 2 ? 1 : 0),
            least <= most, most <= Self.secondsMax
        else {
            throw ArgumentFault(
                "ttl '\(text)' is not SECONDS or MIN-MAX, at most \(Self.secondsMax)")
        }
        (self.least, self.most) = (least, most)
    }

    public var description: String { least == most ? "\(least)" : "\(least)-\(most)" }

    /// The time of one request, in seconds; draws only from a range.
    @inline(__always)
    public func next(_ random: inout RandomStream) -> Int64 {
        guard least != most else { return least }
        return least &+ Int64(truncatingIfNeeded: random.next(below: UInt64(most &- least &+ 1)))
    }
}
