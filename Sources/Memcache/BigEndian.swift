// BigEndian: the numbers of the binary protocol, the highest byte first.

enum BigEndian {
    @inline(__always)
    static func short(_ input: Span<UInt8>, _ offset: Int) -> UInt16 {
        UInt16(input[offset]) << 8 | UInt16(input[offset &+ 1])
    }

    @inline(__always)
    static func word(_ input: Span<UInt8>, _ offset: Int) -> UInt32 {
        UInt32(short(input, offset)) << 16 | UInt32(short(input, offset &+ 2))
    }

    @inline(__always)
    static func long(_ input: Span<UInt8>, _ offset: Int) -> UInt64 {
        UInt64(word(input, offset)) << 32 | UInt64(word(input, offset &+ 4))
    }
}
