// BinaryEncoder: the client's side of the binary protocol, requests to bytes.
//
// For the load generator and for tests. Keys are the caller's and must be legal (1 to 250
// bytes); nothing is checked. A writer that is full refuses (ByteWriter.overflowed). Format:
// memcached's BinaryProtocolRevamped (protocol_binary.h). Replies: BinaryReplyParser.

public import Primitives

/// Appends binary requests to a writer. Threads: values in, values out.
///
/// ```text
/// byte 0      1        2           4         5      6         8       12      16    24
///      | 0x80 | opcode | key bytes | extras  | type | bucket | body  | opaque | cas | extras
///      |      |        |           | bytes   | 0    | 0      | bytes |        | 0   | key value
/// ```
///
/// All fields are big-endian; the body is extras, key and value. The server answers with the
/// `opaque` of the request.
public enum BinaryEncoder {
    /// Bytes before the extras.
    public static let headerBytes = 24
    /// The most extras of any request here (increment), in bytes.
    public static let extrasBytesMax = 20
    /// What makes increment and decrement answer "not found" in place of a new number.
    @usableFromInline static let neverCreates: UInt32 = .max

    // MARK: Retrieval

    /// `get`, `getKQ` (quiet: only hits are answered, with their key) and their like.
    @inlinable
    public static func get(
        _ opcode: BinaryOpcode, _ key: Span<UInt8>, opaque: UInt32,
        to writer: inout ByteWriter
    ) {
        header(opcode, key: key.count, opaque: opaque, to: &writer)
        writer.append(key)
    }

    /// Gets the value and gives it a new expiry.
    @inlinable
    public static func getAndTouch(
        _ key: Span<UInt8>, expiry: UInt32, opaque: UInt32, to writer: inout ByteWriter
    ) {
        header(.getAndTouch, extras: 4, key: key.count, opaque: opaque, to: &writer)
        half(expiry, to: &writer)
        writer.append(key)
    }

    /// No value, only a new expiry.
    @inlinable
    public static func touch(
        _ key: Span<UInt8>, expiry: UInt32, opaque: UInt32, to writer: inout ByteWriter
    ) {
        header(.touch, extras: 4, key: key.count, opaque: opaque, to: &writer)
        half(expiry, to: &writer)
        writer.append(key)
    }

    // MARK: Changes

    /// A set or an add up to the value, which follows: `bytes` of it.
    @inlinable
    public static func storeHead(
        _ opcode: BinaryOpcode, _ key: Span<UInt8>, flags: UInt32 = 0, expiry: UInt32,
        bytes: Int, opaque: UInt32, to writer: inout ByteWriter
    ) {
        header(opcode, extras: 8, key: key.count, value: bytes, opaque: opaque, to: &writer)
        writer.append(bigEndian: UInt64(flags) << 32 | UInt64(expiry))
        writer.append(key)
    }

    @inlinable
    public static func delete(
        _ key: Span<UInt8>, opaque: UInt32, to writer: inout ByteWriter
    ) {
        header(.delete, key: key.count, opaque: opaque, to: &writer)
        writer.append(key)
    }

    /// Counts up or down; a counter that is missing stays so.
    @inlinable
    public static func count(
        _ opcode: BinaryOpcode, _ key: Span<UInt8>, by delta: UInt64,
        opaque: UInt32, to writer: inout ByteWriter
    ) {
        header(opcode, extras: 20, key: key.count, opaque: opaque, to: &writer)
        writer.append(bigEndian: delta)
        writer.append(bigEndian: 0)
        half(neverCreates, to: &writer)
        writer.append(key)
    }

    // MARK: Without a key

    /// `noop`, `version`, `quit`, `quitQ`.
    @inlinable
    public static func plain(
        _ opcode: BinaryOpcode, opaque: UInt32, to writer: inout ByteWriter
    ) {
        header(opcode, opaque: opaque, to: &writer)
    }

    // MARK: Parts

    @inlinable @inline(__always)
    static func header(
        _ opcode: BinaryOpcode, extras: Int = 0, key: Int = 0, value: Int = 0, opaque: UInt32,
        to writer: inout ByteWriter
    ) {
        let body = UInt32(truncatingIfNeeded: extras &+ key &+ value)
        writer.append(
            bigEndian: 0x80 << 56 | UInt64(opcode.rawValue) << 48
                | UInt64(UInt16(truncatingIfNeeded: key)) << 32
                | UInt64(UInt8(truncatingIfNeeded: extras)) << 24)
        writer.append(bigEndian: UInt64(body) << 32 | UInt64(opaque))
        writer.append(bigEndian: 0)
    }

    /// Four bytes, the highest first.
    @inlinable @inline(__always)
    static func half(_ word: UInt32, to writer: inout ByteWriter) {
        writer.append(UInt8(truncatingIfNeeded: word >> 24))
        writer.append(UInt8(truncatingIfNeeded: word >> 16))
        writer.append(UInt8(truncatingIfNeeded: word >> 8))
        writer.append(UInt8(truncatingIfNeeded: word))
    }
}
