// StatLine: `STAT <name> <value>\r\n`, in the forms that exporters parse.
//
// Off the hot road. Which statistics there are is the server's business; here is only how a name
// and a value are written. After the last one: Reply.end.

public import Primitives

extension Reply {
    /// `STAT <name> <value>`
    public static func stat(
        _ name: StaticString, _ value: UInt64, to writer: inout ByteWriter
    ) {
        beginStat(name, to: &writer)
        writer.append(decimal: value)
        lineEnd(to: &writer)
    }

    /// `STAT <name> <text>`
    public static func stat(
        _ name: StaticString, text: StaticString, to writer: inout ByteWriter
    ) {
        beginStat(name, to: &writer)
        writer.append(text)
        lineEnd(to: &writer)
    }

    /// `STAT <name> <bytes>`; the bytes hold no line end.
    public static func stat(
        _ name: StaticString, bytes: Span<UInt8>, to writer: inout ByteWriter
    ) {
        beginStat(name, to: &writer)
        writer.append(bytes)
        lineEnd(to: &writer)
    }

    /// `STAT <name> <seconds>.<six digits>`, as rusage_user and rusage_system are read.
    public static func stat(
        _ name: StaticString, microseconds: UInt64, to writer: inout ByteWriter
    ) {
        beginStat(name, to: &writer)
        writer.append(decimal: microseconds / 1_000_000)
        writer.append(UInt8(ascii: "."))
        var rest = microseconds % 1_000_000
        var unit: UInt64 = 100_000
        while unit > 0 {
            writer.append(UInt8(truncatingIfNeeded: 48 &+ rest / unit))
            rest %= unit
            unit /= 10
        }
        lineEnd(to: &writer)
    }

    /// `STAT <head><number><tail> <value>`, for `items:3:age` or `3:chunk_size`.
    public static func stat(
        _ head: StaticString, _ number: UInt64, _ tail: StaticString, _ value: UInt64,
        to writer: inout ByteWriter
    ) {
        beginStat(head, to: &writer, ends: false)
        writer.append(decimal: number)
        writer.append(tail)
        writer.append(UInt8(ascii: " "))
        writer.append(decimal: value)
        lineEnd(to: &writer)
    }

    /// The same with bytes as the value; they hold no line end.
    public static func stat(
        _ head: StaticString, _ number: UInt64, _ tail: StaticString, bytes: Span<UInt8>,
        to writer: inout ByteWriter
    ) {
        beginStat(head, to: &writer, ends: false)
        writer.append(decimal: number)
        writer.append(tail)
        writer.append(UInt8(ascii: " "))
        writer.append(bytes)
        lineEnd(to: &writer)
    }

    private static func beginStat(
        _ name: StaticString, to writer: inout ByteWriter, ends: Bool = true
    ) {
        writer.append("STAT ")
        writer.append(name)
        if ends { writer.append(UInt8(ascii: " ")) }
    }
}
