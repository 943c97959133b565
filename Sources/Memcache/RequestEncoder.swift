// RequestEncoder: the client's side of the classic text protocol, requests to bytes.
//
// For the load generator and for tests. Keys are the caller's and must be legal; nothing is
// checked. A writer that is full refuses (ByteWriter.overflowed).

public import Primitives

/// Appends requests to a writer. Threads: values in, values out.
public enum RequestEncoder {
    /// Longest request line around a key, without the key: verb, numbers, blanks, line end.
    public static let lineBytesMax = 96

    // MARK: Retrieval

    /// `get <key>` and its like; `gat` and `gats` take `expiry`.
    @inlinable
    public static func get(
        _ verb: Verb = .get, _ key: Span<UInt8>, expiry: Int64 = 0, to writer: inout ByteWriter
    ) {
        beginGet(verb, expiry: expiry, to: &writer)
        addKey(key, to: &writer)
        endGet(to: &writer)
    }

    /// The start of a retrieval line; `addKey` and `endGet` complete it.
    @inlinable
    public static func beginGet(
        _ verb: Verb = .get, expiry: Int64 = 0, to writer: inout ByteWriter
    ) {
        switch verb {
        case .gets: writer.append("gets")
        case .gat: writer.append("gat")
        case .gats: writer.append("gats")
        default: writer.append("get")
        }
        if verb == .gat || verb == .gats {
            writer.append(UInt8(ascii: " "))
            signed(expiry, to: &writer)
        }
    }

    @inlinable
    public static func addKey(_ key: Span<UInt8>, to writer: inout ByteWriter) {
        writer.append(UInt8(ascii: " "))
        writer.append(key)
    }

    @inlinable
    public static func endGet(to writer: inout ByteWriter) { writer.append("\r\n") }

    // MARK: Storage

    /// `set <key> <flags> <expiry> <bytes> [noreply]`, the value, `\r\n`.
    @inlinable
    public static func store(
        _ verb: Verb = .set, _ key: Span<UInt8>, flags: UInt32 = 0, expiry: Int64 = 0,
        value: Span<UInt8>, cas: UInt64 = 0, isQuiet: Bool = false, to writer: inout ByteWriter
    ) {
        storageLine(
            verb, key, flags: flags, expiry: expiry, bytes: value.count, cas: cas,
            isQuiet: isQuiet, to: &writer)
        writer.append(value)
        writer.append("\r\n")
    }

    /// The line of a storage request alone, for a value that is written piece by piece.
    @inlinable
    public static func storageLine(
        _ verb: Verb, _ key: Span<UInt8>, flags: UInt32 = 0, expiry: Int64 = 0, bytes: Int,
        cas: UInt64 = 0, isQuiet: Bool = false, to writer: inout ByteWriter
    ) {
        switch verb {
        case .add: writer.append("add ")
        case .replace: writer.append("replace ")
        case .append: writer.append("append ")
        case .prepend: writer.append("prepend ")
        case .cas: writer.append("cas ")
        default: writer.append("set ")
        }
        writer.append(key)
        writer.append(UInt8(ascii: " "))
        writer.append(decimal: UInt64(flags))
        writer.append(UInt8(ascii: " "))
        signed(expiry, to: &writer)
        writer.append(UInt8(ascii: " "))
        writer.append(decimal: UInt64(truncatingIfNeeded: bytes))
        if verb == .cas {
            writer.append(UInt8(ascii: " "))
            writer.append(decimal: cas)
        }
        lineEnd(isQuiet, to: &writer)
    }

    // MARK: The rest

    @inlinable
    public static func delete(
        _ key: Span<UInt8>, isQuiet: Bool = false, to writer: inout ByteWriter
    ) {
        writer.append("delete ")
        writer.append(key)
        lineEnd(isQuiet, to: &writer)
    }

    @inlinable
    public static func increment(
        _ key: Span<UInt8>, by delta: UInt64, isQuiet: Bool = false, to writer: inout ByteWriter
    ) {
        writer.append("incr ")
        keyAndDelta(key, delta, isQuiet, to: &writer)
    }

    @inlinable
    public static func decrement(
        _ key: Span<UInt8>, by delta: UInt64, isQuiet: Bool = false, to writer: inout ByteWriter
    ) {
        writer.append("decr ")
        keyAndDelta(key, delta, isQuiet, to: &writer)
    }

    @inlinable
    public static func touch(
        _ key: Span<UInt8>, expiry: Int64, isQuiet: Bool = false, to writer: inout ByteWriter
    ) {
        writer.append("touch ")
        writer.append(key)
        writer.append(UInt8(ascii: " "))
        signed(expiry, to: &writer)
        lineEnd(isQuiet, to: &writer)
    }

    /// `flush_all`, at once, or after so many seconds.
    public static func flushAll(
        delay: Int64 = 0, isQuiet: Bool = false, to writer: inout ByteWriter
    ) {
        writer.append("flush_all")
        if delay != 0 {
            writer.append(UInt8(ascii: " "))
            signed(delay, to: &writer)
        }
        lineEnd(isQuiet, to: &writer)
    }

    public static func version(to writer: inout ByteWriter) { writer.append("version\r\n") }
    public static func noop(to writer: inout ByteWriter) { writer.append("mn\r\n") }
    public static func quit(to writer: inout ByteWriter) { writer.append("quit\r\n") }

    /// `stats [argument]`
    public static func stats(_ argument: StaticString = "", to writer: inout ByteWriter) {
        writer.append("stats")
        if argument.utf8CodeUnitCount > 0 {
            writer.append(UInt8(ascii: " "))
            writer.append(argument)
        }
        writer.append("\r\n")
    }

    // MARK: Parts

    @inlinable
    static func keyAndDelta(
        _ key: Span<UInt8>, _ delta: UInt64, _ isQuiet: Bool, to writer: inout ByteWriter
    ) {
        writer.append(key)
        writer.append(UInt8(ascii: " "))
        writer.append(decimal: delta)
        lineEnd(isQuiet, to: &writer)
    }

    @inlinable
    static func signed(_ value: Int64, to writer: inout ByteWriter) {
        if value < 0 { writer.append(UInt8(ascii: "-")) }
        writer.append(decimal: value.magnitude)
    }

    @inlinable
    static func lineEnd(_ isQuiet: Bool, to writer: inout ByteWriter) {
        if isQuiet { writer.append(" noreply\r\n") } else { writer.append("\r\n") }
    }
}
