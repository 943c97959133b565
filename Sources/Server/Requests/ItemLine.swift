// ItemLine: an item in a list, in memcached's words.

internal import Memcache
internal import Primitives
internal import Store

enum ItemLine {
    /// `key=… exp=… la=… cas=… fetch=… cls=1 size=…`
    ///
    /// - Parameter ahead: of the cache's time, which an item's are by: `Moment.secondsAhead`.
    static func append(
        _ item: ListedItem, _ key: Span<UInt8>, ahead: Int64, to writer: inout ByteWriter
    ) {
        writer.append("key=")
        for index in 0..<key.count { appendEscaped(key[index], to: &writer) }
        writer.append(" exp=")
        if item.expiry == 0 {
            writer.append("-1")
        } else {
            writer.append(decimal: date(item.expiry, ahead))
        }
        number(" la=", date(item.accessedAt, ahead), to: &writer)
        number(" cas=", item.cas, to: &writer)
        writer.append(item.wasFetched ? " fetch=yes" : " fetch=no")
        let bytes = Limits.itemBytes(
            keyBytes: item.keyBytes, valueBytes: UInt64(item.valueBytes), flags: item.flags)
        number(" cls=1 size=", bytes, to: &writer)
        writer.append("\n")
    }

    /// `mg …`, with the key in base 64 if a line cannot hold it.
    static func append(_ key: Span<UInt8>, to writer: inout ByteWriter) {
        var isPlain = true
        for index in 0..<key.count where key[index] <= 0x20 || key[index] == 0x7f {
            isPlain = false
        }
        writer.append("mg ")
        if isPlain {
            writer.append(key)
            writer.append("\r\n")
        } else {
            Base64.append(key, to: &writer)
            writer.append(" b\r\n")
        }
    }

    /// `ITEM … [2 b; 0 s]`; a key that a line cannot hold is left out.
    static func appendBrief(
        _ item: ListedItem, _ key: Span<UInt8>, ahead: Int64, to writer: inout ByteWriter
    ) {
        for index in 0..<key.count where key[index] <= 0x20 || key[index] == 0x7f { return }
        writer.append("ITEM ")
        writer.append(key)
        number(" [", UInt64(item.valueBytes), to: &writer)
        number(" b; ", item.expiry == 0 ? 0 : date(item.expiry, ahead), to: &writer)
        writer.append(" s]\r\n")
    }

    /// When a second of the cache's time is by the system's clock.
    private static func date(_ second: UInt32, _ ahead: Int64) -> UInt64 {
        UInt64(clamping: Int64(second) - ahead)
    }

    private static func number(
        _ text: StaticString, _ value: UInt64, to writer: inout ByteWriter
    ) {
        writer.append(text)
        writer.append(decimal: value)
    }

    private static func appendEscaped(_ byte: UInt8, to writer: inout ByteWriter) {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "."), UInt8(ascii: "~"):
            writer.append(byte)
        default:
            writer.append(UInt8(ascii: "%"))
            writer.append(hexadecimal(byte >> 4))
            writer.append(hexadecimal(byte & 15))
        }
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10
    }
}
