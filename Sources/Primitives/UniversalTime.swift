// UniversalTime: a moment as people write it, without a calendar library.

/// Date and time of day of universal time.
public struct UniversalTime: Sendable {
    private let date: String
    private let secondOfDay: UInt64

    /// The calendar's arithmetic is Howard Hinnant's "chrono-compatible low-level date algorithms"
    /// (civil_from_days).
    public init(unixSeconds: UInt64) {
        let days = unixSeconds / 86_400 + 719_468
        let era = days / 146_097
        let day = days % 146_097
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let dayOfMonth = dayOfYear - (153 * shifted + 2) / 5 + 1
        date =
            "\(year + era * 400 + (month <= 2 ? 1 : 0))-\(Self.two(month))-\(Self.two(dayOfMonth))"
        secondOfDay = unixSeconds % 86_400
    }

    /// `2026-11-23 13:17 UTC`.
    public var minutes: String { "\(date) \(hourAndMinute) UTC" }

    /// `2026-11-23T13:17:05.042Z` (ISO 8601).
    public static func stamp(unixNanoseconds: UInt64) -> String {
        let time = UniversalTime(unixSeconds: unixNanoseconds / 1_000_000_000)
        let milliseconds = unixNanoseconds / 1_000_000 % 1000
        let zeros = milliseconds < 10 ? "00" : milliseconds < 100 ? "0" : ""
        return "\(time.date)T\(time.hourAndMinute):\(two(time.secondOfDay % 60))"
            + ".\(zeros)\(milliseconds)Z"
    }

    private var hourAndMinute: String {
        "\(Self.two(secondOfDay / 3600)):\(Self.two(secondOfDay / 60 % 60))"
    }

    private static func two(_ number: UInt64) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
