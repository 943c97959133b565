// MetaEncoder: the client's side of the meta commands, requests to bytes.
//
// For the load generator and for tests. Keys are the caller's and must be legal; nothing is
// checked. A writer that is full refuses (ByteWriter.overflowed). Replies: ReplyParser.

public import Primitives

/// Appends meta requests to a writer. Threads: values in, values out.
public enum MetaEncoder {
    /// `mg <key> k v [q]`: the value, with its key; quietly, a miss is not answered.
    @inlinable
    public static func get(_ key: Span<UInt8>, isQuiet: Bool = false, to writer: inout ByteWriter) {
        writer.append("mg ")
        writer.append(key)
        if isQuiet { writer.append(" k v q\r\n") } else { writer.append(" k v\r\n") }
    }

    /// `mg <key> T<expiry>`: no value, only a new expiry.
    @inlinable
    public static func touch(
        _ key: Span<UInt8>, expiry: Int64, to writer: inout ByteWriter
    ) {
        writer.append("mg ")
        writer.append(key)
        writer.append(" T")
        RequestEncoder.signed(expiry, to: &writer)
        writer.append("\r\n")
    }

    /// `mg <key> k v T<expiry>`: the value, with its key, and a new expiry.
    @inlinable
    public static func getAndTouch(
        _ key: Span<UInt8>, expiry: Int64, to writer: inout ByteWriter
    ) {
        writer.append("mg ")
        writer.append(key)
        writer.append(" k v T")
        RequestEncoder.signed(expiry, to: &writer)
        writer.append("\r\n")
    }

    /// `ma <key> v D<delta>`, or `ma <key> v MD D<delta>`: counts up or down, and the new number
    /// as a value.
    @inlinable
    public static func count(
        _ key: Span<UInt8>, by delta: UInt64, isDown: Bool = false, to writer: inout ByteWriter
    ) {
        writer.append("ma ")
        writer.append(key)
        if isDown { writer.append(" v MD D") } else { writer.append(" v D") }
        writer.append(decimal: delta)
        writer.append("\r\n")
    }

    /// `ms <key> <bytes> [ME] [T<expiry>]`, without the value and the line end that follow it;
    /// ME stores only where there is nothing.
    @inlinable
    public static func setLine(
        _ key: Span<UInt8>, expiry: Int64 = 0, bytes: Int, isAdd: Bool = false,
        to writer: inout ByteWriter
    ) {
        writer.append("ms ")
        writer.append(key)
        writer.append(UInt8(ascii: " "))
        writer.append(decimal: UInt64(truncatingIfNeeded: bytes))
        if isAdd { writer.append(" ME") }
        if expiry != 0 {
            writer.append(" T")
            RequestEncoder.signed(expiry, to: &writer)
        }
        writer.append("\r\n")
    }

    /// `md <key>`
    @inlinable
    public static func delete(_ key: Span<UInt8>, to writer: inout ByteWriter) {
        writer.append("md ")
        writer.append(key)
        writer.append("\r\n")
    }
}
