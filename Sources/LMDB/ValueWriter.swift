// ValueWriter: a place inside LMDB's page that is filled front to back.
//
// The bytes come from malloc and end up on the disk, so what was not written is zeroed.

internal import Glibc

/// Fills a reserved value; lent by `WriteTransaction.reserve`, and gone when that returns.
@safe public struct ValueWriter: ~Copyable {
    private let base: UnsafeMutableRawPointer
    /// Size of the value.
    public let byteCount: Int
    /// How much of it has been written.
    public private(set) var filledBytes = 0

    init(base: UnsafeMutableRawPointer, byteCount: Int) {
        unsafe self.base = base
        self.byteCount = byteCount
    }

    public var vacantBytes: Int { byteCount - filledBytes }

    /// Copies `bytes` behind what was written before. At most `vacantBytes`.
    public mutating func append(_ bytes: Span<UInt8>) {
        let count = bytes.count
        precondition(count <= byteCount - filledBytes)
        guard count > 0 else { return }
        // SAFETY: in bounds (above); LMDB's page and a span overlap nowhere.
        unsafe bytes.withUnsafeBytes { bytes in
            _ = unsafe memcpy(base + filledBytes, bytes.baseAddress.unsafelyUnwrapped, count)
        }
        filledBytes += count
    }

    /// Appends `count` zeros.
    public mutating func append(zeros count: Int) {
        precondition(count >= 0)
        precondition(count <= byteCount - filledBytes)
        // SAFETY: in bounds (above).
        _ = unsafe memset(base + filledBytes, 0, count)
        filledBytes += count
    }

    /// Writes over bytes that were appended before, such as a checksum that comes first.
    public mutating func overwrite(at offset: Int, with bytes: Span<UInt8>) {
        let count = bytes.count
        precondition(offset >= 0 && offset <= filledBytes && count <= filledBytes - offset)
        guard count > 0 else { return }
        // SAFETY: in bounds (above).
        unsafe bytes.withUnsafeBytes { bytes in
            _ = unsafe memcpy(base + offset, bytes.baseAddress.unsafelyUnwrapped, count)
        }
    }

    mutating func finish() { append(zeros: vacantBytes) }
}
