// NumberText: numbers as people read them, without a locale.

/// Fixed-point numbers and columns.
enum NumberText {
    /// With so many decimals, rounded half away from zero.
    static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let whole = Int64((abs(value) * scale).rounded())
        var digits = String(whole)
        while digits.count <= decimals { digits = "0" + digits }
        let sign = value < 0 && whole != 0 ? "-" : ""
        guard decimals > 0 else { return sign + digits }
        return sign + digits.dropLast(decimals) + "." + digits.suffix(decimals)
    }

    /// Three significant digits or so: more decimals for smaller numbers.
    static func short(_ value: Double) -> String {
        switch abs(value) {
        case 1000...: fixed(value, 0)
        case 100...: fixed(value, 1)
        case 10...: fixed(value, 2)
        default: fixed(value, 3)
        }
    }

    /// With a blank between groups of three digits.
    static func grouped(_ value: UInt64) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = " " + text }
            text = String(digit) + text
        }
        return text
    }

    static func mebibytes(_ bytes: UInt64) -> String {
        fixed(Double(bytes) / Double(1 << 20), 1) + " MiB"
    }

    /// Filled up with blanks, on the left or on the right.
    static func padded(_ text: String, _ columns: Int, isLeading: Bool = true) -> String {
        let blanks = String(repeating: " ", count: max(columns - text.count, 0))
        return isLeading ? blanks + text : text + blanks
    }
}
