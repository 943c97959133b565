// ValueText: the bytes of values.

internal import Primitives

/// Values are stretches of one region of printable bytes.
enum ValueText {
    /// At least so many bytes of letters and digits that no compressor or deduplicator likes.
    static func filler(byteCount: Int) throws(MemoryError) -> Region {
        let memory = try Region.map(byteCount: max(byteCount, 1))
        var random = RandomStream(seed: 0, stream: 0)
        for offset in 0..<byteCount { memory.store(printable(random.next()), at: offset) }
        return memory
    }

    /// One of 64 letters, digits and signs.
    private static func printable(_ number: UInt64) -> UInt8 {
        let index = UInt8(truncatingIfNeeded: number & 63)
        switch index {
        case 0..<26: return 0x61 + index
        case 26..<52: return 0x41 + index - 26
        case 52..<62: return 0x30 + index - 52
        default: return index == 62 ? 0x2B : 0x2F
        }
    }
}
