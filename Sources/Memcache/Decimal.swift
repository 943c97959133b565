// Decimal: numbers of the text protocol, read without overflow.
//
// memcached reads with strtol and friends: an optional sign and any number of leading zeros pass,
// anything after the digits does not. A number that its field cannot hold is refused here, where
// memcached 1.6 cuts the upper bits off; only of an expiry are they cut off here too.

/// Reads the decimal numbers of a line.
enum Decimal {
    /// A number of 1 to 18 digits and the byte behind it, which `position` then has passed.
    @inline(__always)
    static func number(
        _ input: Span<UInt8>, _ position: inout Int, before stop: UInt8
    ) -> UInt64? {
        let start = position
        var value: UInt64 = 0
        while position < input.count {
            let byte = input[position]
            let digit = byte &- 0x30
            guard digit < 10 else {
                let count = position &- start
                position &+= 1
                return byte == stop && count > 0 && count <= 18 ? value : nil
            }
            value = value &* 10 &+ UInt64(digit)
            position &+= 1
        }
        return nil
    }

    /// The number in `word`, or nil if it is not one or exceeds 64 bits.
    @inline(__always)
    static func unsigned(_ input: Span<UInt8>, _ word: Slice) -> UInt64? {
        let start = Int(word.offset)
        let isSigned = word.count > 1 && input[start] == UInt8(ascii: "+")
        return digits(input, isSigned ? start &+ 1 : start, word.end)
    }

    /// The number in `word`, or nil if it is not one or exceeds 64 signed bits.
    @inline(__always)
    static func signed(_ input: Span<UInt8>, _ word: Slice) -> Int64? {
        let start = Int(word.offset)
        guard word.count > 1, input[start] == UInt8(ascii: "-") else {
            return unsigned(input, word).flatMap { Int64(exactly: $0) }
        }
        guard let magnitude = digits(input, start &+ 1, word.end) else { return nil }
        guard magnitude <= 1 << 63 else { return nil }
        return Int64(truncatingIfNeeded: 0 &- magnitude)
    }

    /// The seconds that an expiry asks for: the low 32 bits, with their sign. Several clients send
    /// -1 as 4294967295.
    @inline(__always)
    static func expiry(_ input: Span<UInt8>, _ word: Slice) -> Int64? {
        signed(input, word).map { Int64(Int32(truncatingIfNeeded: $0)) }
    }

    /// Whether `word` is a sign, or none, and digits: a number, though maybe one beyond 64 bits.
    static func isNumber(_ input: Span<UInt8>, _ word: Slice) -> Bool {
        guard !word.isEmpty else { return false }
        var index = Int(word.offset)
        if input[index] == UInt8(ascii: "+") || input[index] == UInt8(ascii: "-") { index &+= 1 }
        guard index < word.end else { return false }
        while index < word.end {
            guard input[index] &- 48 <= 9 else { return false }
            index &+= 1
        }
        return true
    }

    @inline(__always)
    private static func digits(_ input: Span<UInt8>, _ start: Int, _ end: Int) -> UInt64? {
        guard start < end else { return nil }
        var value: UInt64 = 0
        var index = start
        while index < end {
            let digit = input[index] &- 48
            guard digit <= 9 else { return nil }
            if index &- start < 19 {
                value = value &* 10 &+ UInt64(digit)  // 19 digits always fit.
            } else {
                let (tens, carry) = value.multipliedReportingOverflow(by: 10)
                let (sum, overflow) = tens.addingReportingOverflow(UInt64(digit))
                guard !carry, !overflow else { return nil }
                value = sum
            }
            index &+= 1
        }
        return value
    }
}
