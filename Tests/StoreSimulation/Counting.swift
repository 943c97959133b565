// Counting: what incr and decr make of a value's bytes: the rule that both models go by. It is
// written apart from the server's, which it checks.

/// The sum, and the bytes that it leaves; nil: the value is no number.
package func count(
    _ bytes: [UInt8], by delta: UInt64, isDecrement: Bool
) -> (sum: UInt64, bytes: [UInt8])? {
    // As strtoull: what follows a blank does not count.
    let digits = bytes.prefix { $0 >= 48 && $0 <= 57 }
    guard !digits.isEmpty, digits.count <= 20,
        digits.count == bytes.count || bytes[digits.count] == 32,
        let number = UInt64(String(decoding: digits, as: UTF8.self))
    else { return nil }
    let sum = isDecrement ? (number > delta ? number - delta : 0) : number &+ delta
    return (sum, counted(bytes, sum))
}

/// The bytes of a number that has taken the place of these: a shorter one is filled with blanks.
package func counted(_ bytes: [UInt8], _ sum: UInt64) -> [UInt8] {
    let digits = Array("\(sum)".utf8)
    return digits + [UInt8](repeating: 32, count: max(bytes.count - digits.count, 0))
}
