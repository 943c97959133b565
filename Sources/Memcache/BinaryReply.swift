// BinaryReply: what the binary protocol answers with, byte for byte.
//
// Each function appends one packet, or the head of one whose value follows; the caller has made
// sure of the room (Limits.headerLineBytesMax is enough for a head with its key). Numbers are
// big-endian:
//
//     0      1        2     4        5   6        8       12      16    24
//     | 0x81 | opcode | key | extras | 0 | status | body  | opaque | cas | extras key value

public import Primitives

/// Appends binary replies. Threads: values in, values out. Errors: a writer that is full refuses.
public enum BinaryReply {
    /// The header; what it announces follows.
    public static func header(
        _ head: BinaryHead, status: UInt16 = BinaryStatus.ok, extras: Int = 0, key: Int = 0,
        body: Int = 0, cas: UInt64 = 0, to writer: inout ByteWriter
    ) {
        writer.append(
            bigEndian: 0x81 << 56 | UInt64(head.opcode) << 48
                | UInt64(UInt16(truncatingIfNeeded: key)) << 32
                | UInt64(UInt8(truncatingIfNeeded: extras)) << 24 | UInt64(status))
        writer.append(
            bigEndian: UInt64(UInt32(truncatingIfNeeded: body)) << 32 | UInt64(head.opaque))
        writer.append(bigEndian: cas)
    }

    /// Done, and nothing to tell but the CAS.
    public static func done(_ head: BinaryHead, cas: UInt64 = 0, to writer: inout ByteWriter) {
        header(head, cas: cas, to: &writer)
    }

    /// A hit: header, flags, and the key if it is asked for; `bytes` of value follow.
    public static func value(
        _ head: BinaryHead, _ key: Span<UInt8>, flags: UInt32, bytes: Int, cas: UInt64,
        to writer: inout ByteWriter
    ) {
        let keyBytes = head.returnsKey ? key.count : 0
        header(
            head, extras: 4, key: keyBytes, body: 4 &+ keyBytes &+ bytes, cas: cas, to: &writer)
        BinaryEncoder.half(flags, to: &writer)
        if keyBytes > 0 { writer.append(key) }
    }

    /// A get that finds nothing: the key if it is asked for, or a text.
    public static func miss(
        _ head: BinaryHead, _ key: Span<UInt8>, to writer: inout ByteWriter
    ) {
        guard head.returnsKey else { return error(head, BinaryStatus.notFound, to: &writer) }
        header(
            head, status: BinaryStatus.notFound, key: key.count, body: key.count, to: &writer)
        writer.append(key)
    }

    /// The result of increment or decrement.
    public static func number(
        _ head: BinaryHead, _ value: UInt64, cas: UInt64, to writer: inout ByteWriter
    ) {
        header(head, body: 8, cas: cas, to: &writer)
        writer.append(bigEndian: value)
    }

    /// A text that is no error.
    public static func text(
        _ head: BinaryHead, _ text: StaticString, to writer: inout ByteWriter
    ) {
        header(head, body: text.utf8CodeUnitCount, to: &writer)
        writer.append(text)
    }

    /// An error with its text.
    public static func error(
        _ head: BinaryHead, _ status: UInt16, to writer: inout ByteWriter
    ) {
        let text = text(of: status)
        header(head, status: status, body: text.utf8CodeUnitCount, to: &writer)
        writer.append(text)
    }

    /// The reply to a fault. Not for faults that are quiet.
    public static func fault(_ fault: Fault, to writer: inout ByteWriter) {
        let status: UInt16 =
            switch fault.kind {
            case .binaryUnknown: BinaryStatus.unknownCommand
            case .binaryInvalid: BinaryStatus.invalid
            case .binaryUnsigned: BinaryStatus.authError
            default: BinaryStatus.tooLarge
            }
        error(fault.head, status, to: &writer)
    }

    /// As memcached writes them.
    private static func text(of status: UInt16) -> StaticString {
        switch status {
        case BinaryStatus.notFound: "Not found"
        case BinaryStatus.exists: "Data exists for key."
        case BinaryStatus.tooLarge: "Too large."
        case BinaryStatus.invalid: "Invalid arguments"
        case BinaryStatus.notStored: "Not stored."
        case BinaryStatus.notNumeric: "Non-numeric server-side value for incr or decr"
        case BinaryStatus.authError: "Auth failure."
        case BinaryStatus.unknownCommand: "Unknown command"
        case BinaryStatus.outOfMemory: "Out of memory"
        default: ""
        }
    }
}
