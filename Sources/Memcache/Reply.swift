// Reply: every line that the classic text protocol answers with, byte for byte.
//
// Each function appends one line (or the head of a value) to a writer; the caller has made sure
// of the room: Limits.headerLineBytesMax for a hit, Limits.statusLineBytesMax for the rest.
// Statistics have lines of their own (StatLine.swift). Whether to answer at all is the caller's
// question.

public import Primitives

/// Appends reply lines. Threads: values in, values out. Errors: a writer that is full refuses.
public enum Reply {
    // MARK: Values

    /// `VALUE <key> <flags> <bytes>\r\n`; the value and `\r\n` follow.
    @inlinable @inline(__always)
    public static func value(
        _ key: Span<UInt8>, flags: UInt32, bytes: Int, to writer: inout ByteWriter
    ) {
        if flags == 0, UInt(bitPattern: bytes) < 1000,
            writer.append(ShortText(bits: 0x2045_554c_4156, count: 6), key, shortTail(bytes))
        {
            return
        }
        longValue(key, flags: flags, bytes: bytes, to: &writer)
    }

    /// A whole reply with a short value that has no flags, and what ends it, with one check.
    /// Returns its bytes; 0: it is none, or has no room, and nothing was written.
    @inlinable @inline(__always)
    public static func plainValue(
        _ key: Span<UInt8>, flags: UInt32, bytes: Int, from memory: Region, at offset: Int,
        endsKeys: Bool, to writer: ByteWriter
    ) -> Int {
        guard flags == 0, UInt(bitPattern: bytes) < 1000 else { return 0 }
        return writer.write(
            ShortText(bits: 0x2045_554c_4156, count: 6), key, shortTail(bytes), memory, offset,
            bytes, valueEnd(endsKeys: endsKeys))
    }

    /// The same of any value.
    @usableFromInline @inline(never)
    static func longValue(
        _ key: Span<UInt8>, flags: UInt32, bytes: Int, to writer: inout ByteWriter
    ) {
        begin(key, flags: flags, bytes: bytes, to: &writer)
        lineEnd(to: &writer)
    }

    /// ` 0 <bytes>\r\n`, the end of nearly every value's line: of one of fewer than 1,000 bytes; or
    /// the same behind three other bytes.
    @inlinable @inline(__always)
    static func shortTail(_ bytes: Int, behind start: UInt64 = 0x20_3020) -> ShortText {
        let (digits, bits) = digits(UInt32(truncatingIfNeeded: bytes))
        let lineEnd: UInt64 = 0x0a0d_0000_0000_0000
        return ShortText(
            bits: start | UInt64(digits) &<< 24 | lineEnd &>> UInt64(bits),
            count: 8 &- Int(bits &>> 3))
    }

    /// The decimal digits of a number below 1,000, and how many bits fewer than 24 they have.
    @inlinable @inline(__always)
    static func digits(_ small: UInt32) -> (text: UInt32, missingBits: UInt32) {
        let (hundreds, tens) = (small / 100, small / 10)
        let digits =
            0x30_3030 | hundreds | (tens &- hundreds &* 10) &<< 8 | (small &- tens &* 10) &<< 16
        // Zeros in front are shifted out.
        let bits: UInt32 = small < 10 ? 16 : small < 100 ? 8 : 0
        return (digits &>> bits, bits)
    }

    /// ` <letter><number>`, as the reply to a meta command tells a number.
    public static func metaNumber(
        _ letter: Unicode.Scalar, _ number: UInt64, to writer: inout ByteWriter
    ) {
        let head = 0x20 | UInt64(letter.value) &<< 8
        if number < 1000 {
            let (digits, bits) = digits(UInt32(truncatingIfNeeded: number))
            let text = ShortText(
                bits: head | UInt64(digits) &<< 16, count: 5 &- Int(bits &>> 3))
            if writer.append(text) { return }
        }
        writer.append(UInt8(ascii: " "))
        writer.append(UInt8(ascii: letter))
        writer.append(decimal: number)
    }

    /// `VA <bytes>`, or `HD`: how the reply to a meta get begins.
    @inlinable @inline(__always)
    public static func metaHead(valueBytes: Int?, to writer: inout ByteWriter) {
        guard let bytes = valueBytes else { return writer.append("HD") }
        // "VA "
        if UInt(bitPattern: bytes) < 1000 {
            let (text, missingBits) = digits(UInt32(truncatingIfNeeded: bytes))
            let head = ShortText(
                bits: 0x20_4156 | UInt64(text) &<< 24, count: 6 &- Int(missingBits &>> 3))
            if writer.append(head) { return }
        }
        writer.append("VA ")
        writer.append(decimal: UInt64(truncatingIfNeeded: bytes))
    }

    /// A word of the request that the reply to a meta command repeats: ` k` and the key, or others.
    @inlinable @inline(__always)
    public static func metaWord(
        _ word: Span<UInt8>, isKey: Bool, to writer: inout ByteWriter
    ) {
        let mark = ShortText(bits: isKey ? 0x6b20 : 0x20, count: isKey ? 2 : 1)
        if writer.append(mark, word, ShortText(bits: 0, count: 0)) { return }
        writer.append(isKey ? " k" : " ")
        writer.append(word)
    }

    /// The same of a meta get that asks for the value alone.
    @inlinable @inline(__always)
    public static func plainMetaValue(
        bytes: Int, from memory: Region, at offset: Int, to writer: ByteWriter
    ) -> Int {
        guard UInt(bitPattern: bytes) < 1000 else { return 0 }
        return writer.write(
            shortTail(bytes, behind: 0x20_4156), memory, offset, bytes,
            valueEnd(endsKeys: false))
    }

    /// `VA <bytes>\r\n`; the value and `\r\n` follow.
    @inlinable @inline(__always)
    public static func metaValue(bytes: Int, to writer: inout ByteWriter) {
        // "VA "
        if UInt(bitPattern: bytes) < 1000, writer.append(shortTail(bytes, behind: 0x20_4156)) {
            return
        }
        writer.append("VA ")
        writer.append(decimal: UInt64(truncatingIfNeeded: bytes))
        lineEnd(to: &writer)
    }

    @inlinable @inline(__always)
    static func valueEnd(endsKeys: Bool) -> ShortText {
        // "\r\nEND\r\n"
        ShortText(bits: endsKeys ? 0x0a_0d44_4e45_0a0d : 0x0a0d, count: endsKeys ? 7 : 2)
    }

    /// What ends a value and, if it `endsKeys`, the reply.
    @inlinable @inline(__always)
    public static func valueEnd(endsKeys: Bool, to writer: inout ByteWriter) {
        if writer.append(valueEnd(endsKeys: endsKeys)) { return }
        lineEnd(to: &writer)
        if endsKeys { self.end(to: &writer) }
    }

    /// `VALUE <key> <flags> <bytes> <cas>\r\n`; the value and `\r\n` follow.
    @inlinable @inline(__always)
    public static func value(
        _ key: Span<UInt8>, flags: UInt32, bytes: Int, cas: UInt64, to writer: inout ByteWriter
    ) {
        begin(key, flags: flags, bytes: bytes, to: &writer)
        writer.append(UInt8(ascii: " "))
        writer.append(decimal: cas)
        lineEnd(to: &writer)
    }

    @inlinable @inline(__always)
    static func begin(
        _ key: Span<UInt8>, flags: UInt32, bytes: Int, to writer: inout ByteWriter
    ) {
        writer.append("VALUE ")
        writer.append(key)
        if flags == 0 {
            writer.append(" 0 ")
        } else {
            writer.append(UInt8(ascii: " "))
            writer.append(decimal: UInt64(flags))
            writer.append(UInt8(ascii: " "))
        }
        writer.append(decimal: UInt64(truncatingIfNeeded: bytes))
    }

    /// What ends a line, and a value.
    @inlinable @inline(__always)
    public static func lineEnd(to writer: inout ByteWriter) { writer.append("\r\n") }

    /// The result of incr or decr.
    @inlinable
    public static func number(_ value: UInt64, to writer: inout ByteWriter) {
        writer.append(decimal: value)
        lineEnd(to: &writer)
    }

    // MARK: One line each

    /// A value was stored.
    @inlinable
    public static func stored(to writer: inout ByteWriter) {
        writer.append("STORED\r\n")
    }

    /// The condition of add, replace, append or prepend was not met.
    @inlinable
    public static func notStored(to writer: inout ByteWriter) {
        writer.append("NOT_STORED\r\n")
    }

    /// The CAS of the item is another.
    @inlinable
    public static func exists(to writer: inout ByteWriter) {
        writer.append("EXISTS\r\n")
    }

    /// There is no such item.
    @inlinable
    public static func notFound(to writer: inout ByteWriter) {
        writer.append("NOT_FOUND\r\n")
    }

    /// An item is gone.
    @inlinable
    public static func deleted(to writer: inout ByteWriter) {
        writer.append("DELETED\r\n")
    }

    /// An item has a new expiry.
    @inlinable
    public static func touched(to writer: inout ByteWriter) {
        writer.append("TOUCHED\r\n")
    }

    /// Done, where there is nothing else to say.
    @inlinable
    public static func ok(to writer: inout ByteWriter) {
        writer.append("OK\r\n")
    }

    /// The statistics begin anew.
    @inlinable
    public static func reset(to writer: inout ByteWriter) {
        writer.append("RESET\r\n")
    }

    /// Everything before `mn` is answered.
    @inlinable
    public static func noop(to writer: inout ByteWriter) {
        writer.append("MN\r\n")
    }

    /// No more values or statistics.
    @inlinable
    public static func end(to writer: inout ByteWriter) {
        writer.append("END\r\n")
    }

    /// Unknown command, or one that is not served.
    @inlinable
    public static func error(to writer: inout ByteWriter) {
        writer.append("ERROR\r\n")
    }

    /// `VERSION <text>\r\n`; clients take `text` apart as x.y.z.
    public static func version(_ text: StaticString, to writer: inout ByteWriter) {
        writer.append("VERSION ")
        writer.append(text)
        lineEnd(to: &writer)
    }

    // MARK: Errors

    /// A line that cannot be read.
    public static func badFormat(to writer: inout ByteWriter) {
        writer.append("CLIENT_ERROR bad command line format\r\n")
    }

    /// incr or decr on a value that is no number.
    public static func nonNumeric(to writer: inout ByteWriter) {
        writer.append("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")
    }

    /// flush_all is switched off.
    public static func flushNotAllowed(to writer: inout ByteWriter) {
        writer.append("CLIENT_ERROR flush_all not allowed\r\n")
    }

    /// shutdown is switched on, and given a word that it does not know.
    public static func invalidShutdown(to writer: inout ByteWriter) {
        writer.append("CLIENT_ERROR invalid shutdown mode\r\n")
    }

    /// shutdown is switched off.
    public static func shutdownNotEnabled(to writer: inout ByteWriter) {
        writer.append("SERVER_ERROR: shutdown not enabled\r\n")
    }

    /// No room could be made for what is no value of the client's.
    public static func outOfMemoryAlone(to writer: inout ByteWriter) {
        writer.append("SERVER_ERROR out of memory\r\n")
    }

    /// No room could be made for a value.
    public static func outOfMemory(to writer: inout ByteWriter) {
        writer.append("SERVER_ERROR out of memory storing object\r\n")
    }

    /// A value beyond the limit; clients know this line by heart.
    public static func tooLarge(to writer: inout ByteWriter) {
        writer.append("SERVER_ERROR object too large for cache\r\n")
    }

    /// cache_memlimit below what can be: as many mebibytes.
    public static func memlimitTooSmall(_ least: UInt64, to writer: inout ByteWriter) {
        writer.append("MEMLIMIT_TOO_SMALL cannot set maxbytes to less than ")
        writer.append(decimal: least)
        writer.append("m\r\n")
    }

    /// cache_memlimit above 1,000,000,000.
    public static func memlimitNotMebibytes(to writer: inout ByteWriter) {
        writer.append("MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n")
    }

    /// cache_memlimit beyond what can be had.
    public static func memlimitRefused(to writer: inout ByteWriter) {
        writer.append("MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n")
    }

    /// The connection limit is reached; then close.
    public static func tooManyConnections(to writer: inout ByteWriter) {
        writer.append("ERROR Too many open connections\r\n")
    }

    /// The line of a fault; none for a kind that has none. Not for faults that are quiet.
    public static func fault(_ kind: Fault.Kind, to writer: inout ByteWriter) {
        switch kind {
        case .unknownCommand: error(to: &writer)
        case .badFormat, .keyTooLong: badFormat(to: &writer)
        case .badDelete:
            writer.append("CLIENT_ERROR bad command line format.  ")
            writer.append("Usage: delete <key> [noreply]\r\n")
        case .badExpiry: writer.append("CLIENT_ERROR invalid exptime argument\r\n")
        case .badDelta: writer.append("CLIENT_ERROR invalid numeric delta argument\r\n")
        case .badDataChunk: writer.append("CLIENT_ERROR bad data chunk\r\n")
        case .tooLarge: tooLarge(to: &writer)
        case .unsigned: writer.append("CLIENT_ERROR unauthenticated\r\n")
        case .signInEnd: writer.append("CLIENT_ERROR bad command line termination\r\n")
        case .signInLong: writer.append("CLIENT_ERROR auth token too long\r\n")
        case .lineTooLong, .http, .otherProtocol, .rest: break
        case .binaryUnknown, .binaryInvalid, .binaryUnsigned: break
        default: metaFault(kind, to: &writer)
        }
    }

    private static func metaFault(_ kind: Fault.Kind, to writer: inout ByteWriter) {
        writer.append("CLIENT_ERROR ")
        let text: StaticString =
            switch kind {
            case .metaTwice: "duplicate flag"
            case .metaTooMany: "options flags are too long"
            case .metaToken: "bad token in command line format"
            case .metaKey: "error decoding key"
            case .metaOpaque: "opaque token too long"
            case .metaMode: "incorrect length for M token"
            case .metaInitial: "invalid numeric initial value"
            case .metaDelta: "invalid numeric delta value"
            case .metaSetMode: "invalid mode for ms M token"
            case .metaArithmeticMode: "invalid mode for ma M token"
            case .metaArithmeticFlags: "invalid or duplicate flag"
            default: "invalid flag"
            }
        writer.append(text)
        lineEnd(to: &writer)
    }
}
