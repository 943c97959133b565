// ExpiryRule: what a client's expiry means, by memcached's rules, without ever wrapping.
//
// Pure arithmetic on seconds of unix time; the clock belongs to the caller, and so does the
// comparison: an item that expires at T is gone once the clock reads T or later.

/// When something is over.
public enum Expiry: BitwiseCopyable, Equatable, Sendable {
    case never
    /// At once: the item must not be seen again.
    case past
    /// At this unix second; never 0.
    case at(UInt32)
}

/// Turns seconds as sent into a moment.
public enum ExpiryRule {
    /// Beyond this many seconds (30 days) a number is a date, not a duration.
    public static let relativeSecondsMax: Int64 = 60 * 60 * 24 * 30

    /// The expiry that `sent` asks for at second `now`.
    ///
    /// - Parameter ahead: seconds that `now` is above the time of day, by which dates are meant.
    ///
    /// 0 means never; below 0, at once; up to 30 days, from now on; beyond, a unix second, which
    /// may be past. What does not fit is the last second that does.
    @inlinable
    public static func resolve(_ sent: Int64, now: UInt32, ahead: Int64) -> Expiry {
        guard sent != 0 else { return .never }
        guard sent > 0 else { return .past }
        guard sent > relativeSecondsMax else { return clamped(Int64(now) &+ sent) }
        // No sum of what is left overflows.
        let second = min(sent, 1 << 40) &+ ahead
        return second <= Int64(now) ? .past : clamped(second)
    }

    /// When a `flush_all` with this delay takes effect: `past` means at once.
    ///
    /// The same rules, but 0 means at once too.
    @inlinable
    public static func flush(_ delay: Int64, now: UInt32, ahead: Int64) -> Expiry {
        delay <= 0 ? .past : resolve(delay, now: now, ahead: ahead)
    }

    @inlinable
    static func clamped(_ second: Int64) -> Expiry {
        .at(UInt32(clamping: second))
    }
}
