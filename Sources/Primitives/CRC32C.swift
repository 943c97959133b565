// CRC32C: the checksum (Castagnoli polynomial, RFC 3720 appendix B.4) of a single word.
// Runs of bytes are checked by `Region.crc32c`, which chains onto a seed.

internal import CPrimitives

/// CRC-32C of values that do not lie in a region.
public enum CRC32C {
    /// The checksum of a word's eight bytes, lowest first.
    public static func of(_ word: UInt64, seed: UInt32 = 0) -> UInt32 {
        // SAFETY: the address of a local word, of its own size, for the call only.
        unsafe withUnsafeBytes(of: word.littleEndian) { bytes in
            unsafe cprim_crc32c(seed, bytes.baseAddress, bytes.count)
        }
    }

    /// The checksum of a span, chained onto `seed`.
    public static func of(_ bytes: Span<UInt8>, seed: UInt32 = 0) -> UInt32 {
        // SAFETY: the span's own bounds.
        unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe cprim_crc32c(seed, buffer.baseAddress, buffer.count)
        }
    }
}
