// SizeText: sizes as people write them: 64m, 1g.

internal import Load

enum SizeText {
    /// Reads a number of bytes, or of KiB, MiB or GiB with a k, m or g behind it.
    static func bytes(_ text: some StringProtocol, of option: String) throws(ArgumentFault)
        -> UInt64
    {
        var digits = text[...]
        var shift: UInt64 = 0
        switch text.last {
        case "k", "K": shift = 10
        case "m", "M": shift = 20
        case "g", "G": shift = 30
        default: break
        }
        if shift > 0 { digits = digits.dropLast() }
        guard let count = UInt64(digits), count <= UInt64.max >> 31 else {
            throw ArgumentFault("\(option) '\(text)' is not a size such as 4096, 64m or 1g")
        }
        return count << shift
    }

    /// In the largest unit that leaves no rest.
    static func short(_ bytes: UInt64) -> String {
        for (shift, unit) in [(30, "g"), (20, "m"), (10, "k")] as [(UInt64, String)]
        where bytes > 0 && bytes & (1 << shift - 1) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}
