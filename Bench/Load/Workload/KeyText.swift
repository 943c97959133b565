// KeyText: key numbers as the bytes of a key, and the check that a reply names the right one.
//
// A key is filler followed by its number in eight hexadecimal digits (fewer where the key is
// shorter); its size is a function of the number and the seed. The bytes are made anew for each
// use: a table of a million keys would not fit in the caches that the generator shares with what
// it measures.

internal import Memcache
internal import Primitives

/// One place for one key, overwritten by each; one thread.
struct KeyText: BitwiseCopyable {
    /// Sizes that are kept ready: the quantiles of their distribution, evenly spaced.
    private static let quantileCount = 4096
    /// Longest key, in bytes.
    let bytesMax: Int
    private let isFixed: Bool
    private let seed: UInt64
    private let memory: Region
    /// Where the digits end, so that all eight are one aligned word.
    private static let end = 256

    /// Keys of 1 to 250 bytes. Maps two pages for good.
    init(sizes: SizeSampler) throws(MemoryError) {
        precondition(sizes.least >= 1 && sizes.most <= Limits.keyBytesMax)
        bytesMax = sizes.most
        isFixed = sizes.isFixed
        seed = sizes.seed
        memory = try Region.map(byteCount: Self.end + Self.quantileCount)
        for offset in 0..<Self.end { memory.store(Self.filler(offset), at: offset) }
        for index in 0..<Self.quantileCount {
            let part = (Double(index) + 0.5) / Double(Self.quantileCount)
            memory.store(UInt8(sizes.quantile(part)), at: Self.end + index)
        }
    }

    /// Bytes of the key with a number.
    @inline(__always)
    func byteCount(of number: UInt32) -> Int {
        guard !isFixed else { return bytesMax }
        let draw = SizeSampler.draw(seed, number)
        return Int(memory.uint8(at: Self.end &+ Int(draw % UInt64(Self.quantileCount))))
    }

    private static func filler(_ offset: Int) -> UInt8 {
        let letters: [UInt8] = [0x6B, 0x65, 0x79, 0x2D]  // "key-"
        return letters[offset % 4]
    }

    /// How many different keys there can be of so many bytes.
    static func keyCountMax(byteCount: Int) -> UInt64 {
        byteCount >= 8 ? 1 << 32 : 1 << UInt64(4 * byteCount)
    }

    /// Lends the key of a number.
    @inline(__always)
    func withKey<R>(_ number: UInt32, _ body: (Span<UInt8>) -> R) -> R {
        memory.store(Self.digits(number), at: Self.end - 8)
        let count = byteCount(of: number)
        return memory.withBytes(Self.end &- count, count, body)
    }

    /// Whether `bytes` are the key of a number.
    @inline(__always)
    func matches(_ number: UInt32, _ bytes: Span<UInt8>) -> Bool {
        guard bytes.count == byteCount(of: number) else { return false }
        memory.store(Self.digits(number), at: Self.end - 8)
        return memory.equals(bytes, at: Self.end &- bytes.count)
    }

    func string(_ number: UInt32) -> String {
        withKey(number) { key in
            String(decoding: (0..<key.count).map { key[$0] }, as: UTF8.self)
        }
    }

    /// Eight hexadecimal digits, the first one in the lowest byte of memory.
    @inline(__always)
    static func digits(_ number: UInt32) -> UInt64 {
        var word = UInt64(number)
        word = (word & 0xFFFF_0000) << 16 | word & 0xFFFF
        word = (word & 0x0000_FF00_0000_FF00) << 8 | word & 0x0000_00FF_0000_00FF
        word = (word & 0x00F0_00F0_00F0_00F0) << 4 | word & 0x000F_000F_000F_000F
        let letters = (word &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return (word &+ 0x3030_3030_3030_3030 &+ letters &* 0x27).bigEndian
    }
}
