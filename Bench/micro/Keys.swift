// Keys: the keys and the value that all benchmarks share: 32-byte keys, a value of 100 bytes.
//
// They are the sizes at which servers are compared (docs/benchmarking.md).

internal import Primitives

/// Texts in memory of their own, made before anything is measured.
struct Keys: BitwiseCopyable {
    static let keyBytes = 32
    static let valueBytes = 100

    let count: Int
    private let region: Region
    private let valueAt: Int

    init(count: Int) throws(MemoryError) {
        self.count = count
        valueAt = count * Self.keyBytes
        region = try Region.map(byteCount: valueAt + Self.valueBytes)
        for number in 0..<count {
            var rest = number
            for place in (0..<Self.keyBytes).reversed() {
                let digit = place < 24 ? UInt8(ascii: "k") : 48 + UInt8(rest % 10)
                region.store(digit, at: number * Self.keyBytes + place)
                if place >= 24 { rest /= 10 }
            }
        }
        for place in 0..<Self.valueBytes { region.store(UInt8(ascii: "v"), at: valueAt + place) }
    }

    /// Lends a key.
    @inline(__always)
    func with<R>(_ number: Int, _ body: (Span<UInt8>) -> R) -> R {
        region.withBytes(number &* Self.keyBytes, Self.keyBytes, body)
    }

    /// Lends the value.
    @inline(__always)
    func withValue<R>(_ body: (Span<UInt8>) -> R) -> R {
        region.withBytes(valueAt, Self.valueBytes, body)
    }

    /// A key as text, for request lines.
    func text(_ number: Int) -> String {
        with(number) { key in
            var text = ""
            for index in key.indices { text.unicodeScalars.append(Unicode.Scalar(key[index])) }
            return text
        }
    }
}
