// Decimal: numbers as incr and decr read and write them.

internal import Primitives
internal import SegmentLog

/// Reads and writes unsigned 64-bit numbers in values.
enum Decimal {
    /// The number in a record's value, read as strtoull reads it: blanks first, a sign, digits,
    /// then the end, a blank or a zero. Nil if it is none or above 2^64 - 1. A minus negates in 64
    /// bits; what then has the upper bit is refused.
    static func parse(_ record: Record) -> UInt64? {
        let end = record.valueOffset + record.valueBytes
        var position = record.valueOffset
        while position < end, isBlank(record.region.uint8(at: position)) { position += 1 }
        guard position < end else { return nil }
        let sign = record.region.uint8(at: position)
        if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
        let start = position
        var number: UInt64 = 0
        while position < end {
            let byte = record.region.uint8(at: position)
            guard byte >= 48, byte <= 57 else {
                guard isBlank(byte) || byte == 0 else { return nil }
                break
            }
            let (product, isOver) = number.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) = product.addingReportingOverflow(UInt64(byte - 48))
            guard !isOver, !isOverToo else { return nil }
            number = sum
            position += 1
        }
        guard position > start else { return nil }
        guard sign == UInt8(ascii: "-") else { return number }
        number = 0 &- number
        return number >> 63 == 0 ? number : nil
    }

    /// What isspace says in C's locale.
    private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte >= 9 && byte <= 13 }

    static func digits(_ number: UInt64) -> Int {
        var digits = 1
        var rest = number / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        return digits
    }

    /// Writes `number`, then blanks up to `count` bytes.
    static func write(_ number: UInt64, count: Int, to region: Region, at offset: Int) {
        let digits = digits(number)
        var rest = number
        var position = digits
        while position > 0 {
            position -= 1
            region.store(UInt8(48 + rest % 10), at: offset + position)
            rest /= 10
        }
        for position in digits..<max(count, digits) {
            region.store(UInt8(32), at: offset + position)
        }
    }
}
