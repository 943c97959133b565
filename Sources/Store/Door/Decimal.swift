// Decimal: numbers as incr and decr know them: ASCII digits, maybe followed by blanks.

internal import Primitives
internal import SegmentLog

/// Reads and writes unsigned 64-bit numbers in values.
enum Decimal {
    static let digitsMax = 20

    /// The number in a record's value; nil if it is none, too long, or above 2^64 - 1.
    static func parse(_ record: Record) -> UInt64? {
        let count = record.valueBytes
        guard count >= 1, count <= digitsMax else { return nil }
        var number: UInt64 = 0
        var digits = 0
        var isPadding = false
        for position in 0..<count {
            let byte = record.region.uint8(at: record.valueOffset + position)
            if byte == 32, digits > 0 {
                isPadding = true
                continue
            }
            guard !isPadding, byte >= 48, byte <= 57 else { return nil }
            let (product, isOver) = number.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) = product.addingReportingOverflow(UInt64(byte - 48))
            guard !isOver, !isOverToo else { return nil }
            number = sum
            digits += 1
        }
        return number
    }

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
