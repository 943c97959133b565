// Base64: keys of meta commands that hold any byte (RFC 4648, section 4, with padding).
//
// Only what a key needs: short texts, strict in what is taken, one way to write each. Neither call
// allocates.

public import Primitives

/// Reads and writes keys in base 64.
public enum Base64 {
    /// The digit that a character stands for; 64 and above for none.
    @inline(__always)
    private static func digit(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x41...0x5a: byte &- 0x41
        case 0x61...0x7a: byte &- 0x61 &+ 26
        case 0x30...0x39: byte &- 0x30 &+ 52
        case 0x2b: 62
        case 0x2f: 63
        default: 255
        }
    }

    private static func character(_ digit: UInt32) -> UInt8 {
        switch UInt8(truncatingIfNeeded: digit & 63) {
        case let low where low < 26: low &+ 0x41
        case let low where low < 52: low &- 26 &+ 0x61
        case let low where low < 62: low &- 52 &+ 0x30
        case 62: 0x2b
        default: 0x2f
        }
    }

    /// Decodes `text` to `region`, three bytes for each four; nil if it is not base 64, or empty.
    public static func decode(
        _ text: Span<UInt8>, to region: Region, at offset: Int
    ) -> Int? {
        guard text.count >= 4, text.count % 4 == 0 else { return nil }
        let padding =
            text[text.count - 1] != UInt8(ascii: "=")
            ? 0
            : text[text.count - 2] == UInt8(ascii: "=") ? 2 : 1
        let digits = text.count - padding
        var bits: UInt32 = 0
        var written = 0
        for index in 0..<digits {
            let digit = digit(text[index])
            guard digit < 64 else { return nil }
            bits = bits << 6 | UInt32(digit)
            guard index % 4 == 3 else { continue }
            region.store(UInt8(truncatingIfNeeded: bits >> 16), at: offset + written)
            region.store(UInt8(truncatingIfNeeded: bits >> 8), at: offset + written + 1)
            region.store(UInt8(truncatingIfNeeded: bits), at: offset + written + 2)
            written += 3
            bits = 0
        }
        if padding == 1 {
            region.store(UInt8(truncatingIfNeeded: bits >> 10), at: offset + written)
            region.store(UInt8(truncatingIfNeeded: bits >> 2), at: offset + written + 1)
            written += 2
        } else if padding == 2 {
            region.store(UInt8(truncatingIfNeeded: bits >> 4), at: offset + written)
            written += 1
        }
        return written
    }

    /// Appends `bytes` in base 64.
    public static func append(_ bytes: Span<UInt8>, to writer: inout ByteWriter) {
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            var bits = UInt32(bytes[index]) << 16
            if left > 1 { bits |= UInt32(bytes[index + 1]) << 8 }
            if left > 2 { bits |= UInt32(bytes[index + 2]) }
            writer.append(character(bits >> 18))
            writer.append(character(bits >> 12))
            writer.append(left > 1 ? character(bits >> 6) : UInt8(ascii: "="))
            writer.append(left > 2 ? character(bits) : UInt8(ascii: "="))
            index += 3
        }
    }
}
