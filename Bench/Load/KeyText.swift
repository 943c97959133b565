// KeyText: key numbers as the bytes of a key, and the check that a reply names the right one.
//
// A key is filler followed by its number in eight hexadecimal digits (fewer where the key is
// shorter). The bytes are made anew for each use: a table of a million keys would not fit in
// the caches that the generator shares with what it measures.

internal import Memcache
internal import Primitives

/// One place for one key, overwritten by each; one thread.
struct KeyText: BitwiseCopyable {
    /// Bytes of a key.
    let byteCount: Int
    private let memory: Region
    private let start: Int
    /// Where the digits end, so that all eight are one aligned word.
    private static let end = 256

    /// Keys of 1 to 250 bytes. Maps a page for good.
    init(byteCount: Int) throws(MemoryError) {
        precondition(byteCount >= 1 && byteCount <= Limits.keyBytesMax)
        self.byteCount = byteCount
        memory = try Region.map(byteCount: Self.end)
        start = Self.end - byteCount
        for offset in 0..<Self.end { memory.store(Self.filler(offset), at: offset) }
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
        return memory.withBytes(start, byteCount, body)
    }

    /// Whether `bytes` are the key of a number.
    @inline(__always)
    func matches(_ number: UInt32, _ bytes: Span<UInt8>) -> Bool {
        guard bytes.count == byteCount else { return false }
        memory.store(Self.digits(number), at: Self.end - 8)
        return memory.equals(bytes, at: start)
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
