// NumberText: numbers as people read them, without a locale.

/// Fixed-point numbers and columns.
public enum NumberText {
    /// With so many decimals, rounded half away from zero.
    public static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let whole = Int64((abs(value) * scale).rounded())
        var digits = String(whole)
        while digits.count <= decimals { digits = "0" + digits }
        let sign = value < 0 && whole != 0 ? "-" : ""
        guard decimals > 0 else { return sign + digits }
        return sign + digits.dropLast(decimals) + "." + digits.suffix(decimals)
    }

    /// Three significant digits or so: more decimals for smaller numbers, and a letter for a
    /// thousand (k), a million (M) and so on where there would be more than five digits.
    public static func short(_ value: Double) -> String {
        switch abs(value) {
        case 100_000...: scaled(value)
        case 1000...: fixed(value, 0)
        case 100...: fixed(value, 1)
        case 10...: fixed(value, 2)
        default: fixed(value, 3)
        }
    }

    /// A thousand as `1.00k`, for axes and for columns that must stay narrow.
    public static func scaled(_ value: Double) -> String {
        var rest = abs(value)
        guard rest.isFinite else { return "\(value)" }
        var letters = ["", "k", "M", "G", "T", "P"][...]
        while rest >= 999.5, letters.count > 1 {
            rest /= 1000
            letters.removeFirst()
        }
        let decimals =
            letters.startIndex == 0 && rest == rest.rounded()
            ? 0 : rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2
        return (value < 0 ? "-" : "") + fixed(rest, decimals) + letters[letters.startIndex]
    }

    /// The value of a tick of an axis: as `scaled`, without zeros that say nothing.
    static func tick(_ value: Double) -> String {
        let text = scaled(value)
        guard text.contains(".") else { return text }
        let letter = text.last.map { $0.isLetter ? String($0) : "" } ?? ""
        var digits = text.dropLast(letter.count)
        while digits.hasSuffix("0") { digits.removeLast() }
        if digits.hasSuffix(".") { digits.removeLast() }
        return digits + letter
    }

    /// A latency in at most eight columns: microseconds with a decimal, and from ten seconds on
    /// seconds with their letter.
    public static func latency(_ microseconds: Double) -> String {
        microseconds < 100_000
            ? fixed(microseconds, 1)
            : microseconds < 1e7
                ? fixed(microseconds, 0) : fixed(microseconds / 1e6, 1) + "s"
    }

    /// With a blank between groups of three digits.
    public static func grouped(_ value: UInt64) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = " " + text }
            text = String(digit) + text
        }
        return text
    }

    /// A rate or another figure that is not negative, rounded down and grouped.
    public static func grouped(_ value: Double) -> String {
        grouped(UInt64(exactly: value.rounded(.down)) ?? 0)
    }

    public static func mebibytes(_ bytes: UInt64) -> String {
        fixed(Double(bytes) / Double(1 << 20), 1) + " MiB"
    }

    /// Filled up with blanks, on the left or on the right.
    public static func padded(_ text: String, _ columns: Int, isLeading: Bool = true) -> String {
        let blanks = String(repeating: " ", count: max(columns - text.count, 0))
        return isLeading ? blanks + text : text + blanks
    }
}
