// DateText: a moment in universal time as people write it, without a calendar library.

enum DateText {
    /// `2026-11-23 13:17 UTC` for seconds since 1970. The calendar's arithmetic is Howard
    /// Hinnant's "chrono-compatible low-level date algorithms" (civil_from_days).
    static func minutes(_ unixSeconds: UInt64) -> String {
        let days = unixSeconds / 86_400 + 719_468
        let era = days / 146_097
        let day = days % 146_097
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let date = dayOfYear - (153 * shifted + 2) / 5 + 1
        let minutes = unixSeconds % 86_400 / 60
        return "\(year + era * 400 + (month <= 2 ? 1 : 0))-\(two(month))-\(two(date)) "
            + "\(two(minutes / 60)):\(two(minutes % 60)) UTC"
    }

    private static func two(_ number: UInt64) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
