// ReplayKeyText: the number of a trace's object as the bytes of a key.
//
// A key is filler followed by the number in eleven digits of six bits, which is the least that
// tells 64 bits apart. Traces hold hashes of keys or numbers of objects, so the original letters
// are of no use to a server. KeyText is the like for the keys of `run`.

internal import Memcache
internal import Primitives

/// One place for one key, overwritten by each; one thread.
struct ReplayKeyText: BitwiseCopyable {
    /// The shortest key that names an object, in bytes.
    static let byteCountMin = 11
    /// Where the digits end.
    private static let end = 256
    private let memory: Region

    /// Maps a page for good.
    init() throws(MemoryError) {
        memory = try Region.map(byteCount: Self.end)
        for offset in 0..<Self.end {
            memory.store(offset % 4 == 3 ? UInt8(ascii: ":") : UInt8(ascii: "k"), at: offset)
        }
    }

    /// The bytes of a key that should have `size` of them: what names its object at least, what
    /// the protocol allows at most.
    static func byteCount(_ size: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: min(max(size, UInt64(byteCountMin)), UInt64(Limits.keyBytesMax)))
    }

    /// Lends the key of an object.
    @inline(__always)
    func withKey<R>(_ object: UInt64, _ byteCount: UInt8, _ body: (Span<UInt8>) -> R) -> R {
        write(object)
        let count = max(Int(byteCount), Self.byteCountMin)
        return memory.withBytes(Self.end - count, count, body)
    }

    /// Whether `bytes` are the key of an object.
    @inline(__always)
    func matches(_ object: UInt64, _ byteCount: UInt8, _ bytes: Span<UInt8>) -> Bool {
        let count = max(Int(byteCount), Self.byteCountMin)
        guard bytes.count == count else { return false }
        write(object)
        return memory.equals(bytes, at: Self.end - count)
    }

    func string(_ object: UInt64, _ byteCount: UInt8) -> String {
        withKey(object, byteCount) { key in
            String(decoding: (0..<key.count).map { key[$0] }, as: UTF8.self)
        }
    }

    /// Six bits a digit, the lowest last.
    @inline(__always)
    private func write(_ object: UInt64) {
        var rest = object
        var offset = Self.end
        while offset > Self.end - Self.byteCountMin {
            offset &-= 1
            memory.store(Self.digit(UInt8(truncatingIfNeeded: rest & 63)), at: offset)
            rest >>= 6
        }
    }

    /// 64 letters, digits and signs.
    @inline(__always)
    private static func digit(_ value: UInt8) -> UInt8 {
        switch value {
        case 0..<10: 0x30 &+ value
        case 10..<36: 0x61 &+ value &- 10
        case 36..<62: 0x41 &+ value &- 36
        default: value == 62 ? 0x2D : 0x5F
        }
    }
}
