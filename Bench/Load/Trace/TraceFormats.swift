// TraceFormats: bytes of a trace to requests: one line of CSV, one record of oracleGeneral.
//
// Pure functions over lent bytes; every byte is checked, nothing traps. TraceReader moves the
// window over the file.

internal import Memcache
internal import Primitives

/// How a trace is written down.
public enum TraceFormat: String, BitwiseCopyable, Sendable, CaseIterable {
    /// Text of Twitter's published traces.
    case csv
    /// Binary of libCacheSim.
    case oracle
}

/// What a piece of a trace turned out to be.
enum TraceParsed {
    case request(TraceRequest)
    /// In words for the user.
    case fault(String)
}

/// Twitter's cache traces: a request a line, seven columns
/// (https://github.com/twitter/cache-trace, README, "Trace Format").
///
/// ```text
/// timestamp (s), anonymised key, key size (B), value size (B), client id, operation, TTL (s)
/// 0,q:q:1:8WTfjZU14ee,17,213,4,get,0
/// ```
///
/// The TTL is 0 in requests that do not write. A key may hold commas: the last five columns are
/// found from the end of the line. A get of size 0 is one that missed when it was recorded, so
/// the size is not known.
enum TraceCSV {
    static let columnCount = 7
    /// Longest key that the file may say; longer ones are cut to the protocol's.
    static let keySizeMax: UInt64 = 65_535

    /// Reads a line without its end.
    static func parse(_ line: Span<UInt8>) -> TraceParsed {
        // Where each of the columns behind the key begins, the last one first.
        var starts = (0, 0, 0, 0, 0)
        var end = line.count
        for index in 0..<5 {
            guard let comma = comma(before: end, line) else { return tooFew }
            switch index {
            case 0: starts.0 = comma
            case 1: starts.1 = comma
            case 2: starts.2 = comma
            case 3: starts.3 = comma
            default: starts.4 = comma
            }
            end = comma
        }
        var first = 0
        while first < end, line[first] != UInt8(ascii: ",") { first += 1 }
        guard first < end else { return tooFew }
        let key = line.extracting(first + 1..<end)
        guard key.count > 0 else { return .fault("the key is empty") }
        guard let time = number(line, 0, first) else {
            return .fault("the timestamp is not a whole number of seconds")
        }
        guard let keySize = number(line, starts.4 + 1, starts.3), keySize <= keySizeMax else {
            return .fault("the key size is not a number of at most \(keySizeMax)")
        }
        guard let valueSize = number(line, starts.3 + 1, starts.2), valueSize <= UInt32.max else {
            return .fault("the value size is not a number of at most \(UInt32.max)")
        }
        guard let operation = operation(line.extracting(starts.1 + 1..<starts.0)) else {
            return .fault(
                "the operation is none of get, gets, set, add, replace, cas, append, "
                    + "prepend, delete, incr, decr")
        }
        guard let ttl = number(line, starts.0 + 1, line.count), ttl <= UInt32.max else {
            return .fault("the TTL is not a number of at most \(UInt32.max) seconds")
        }
        var request = TraceRequest()
        request.object = objectNumber(key)
        request.time = time
        request.keyBytes = ReplayKeyText.byteCount(keySize)
        request.valueBytes = UInt32(truncatingIfNeeded: valueSize)
        request.hasSize = valueSize > 0 || !operation.isGet
        request.ttlSeconds = UInt32(truncatingIfNeeded: ttl)
        request.operation = operation
        return .request(request)
    }

    private static var tooFew: TraceParsed {
        .fault(
            "fewer than the \(columnCount) columns timestamp, key, key size, value size, "
                + "client id, operation, TTL")
    }

    private static func comma(before end: Int, _ line: Span<UInt8>) -> Int? {
        var index = end - 1
        while index >= 0 {
            if line[index] == UInt8(ascii: ",") { return index }
            index -= 1
        }
        return nil
    }

    /// Decimal digits, and nothing else.
    private static func number(_ line: Span<UInt8>, _ start: Int, _ end: Int) -> UInt64? {
        guard start < end, end - start <= 19 else { return nil }
        var value: UInt64 = 0
        for index in start..<end {
            let digit = line[index] &- 0x30
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ UInt64(digit)
        }
        return value
    }

    /// The numbers of two keys are different but for one chance in 2^64.
    static func objectNumber(_ key: Span<UInt8>) -> UInt64 {
        KeyHasher(
            secret: (
                RandomStream.step, RandomStream.factors.0, RandomStream.factors.1,
                0xD6E8_FEB8_6659_FD93
            )
        ).hash(key)
    }

    private static func operation(_ word: Span<UInt8>) -> TraceOperation? {
        // The letters, the first one in the lowest byte.
        switch (word.count, ByteScan.word(in: word, at: 0)) {
        case (3, 0x74_6567): .get
        case (4, 0x7374_6567): .gets
        case (3, 0x74_6573): .set
        case (3, 0x64_6461): .add
        case (7, 0x65_6361_6C70_6572): .replace
        case (3, 0x73_6163): .cas
        case (6, 0x646E_6570_7061): .append
        case (7, 0x64_6E65_7065_7270): .prepend
        case (6, 0x6574_656C_6564): .delete
        case (4, 0x7263_6E69): .incr
        case (4, 0x7263_6564): .decr
        default: nil
        }
    }
}

/// libCacheSim's oracleGeneral: packed records of 24 bytes, little-endian
/// (https://github.com/1a1a11a/libCacheSim,
/// libCacheSim/traceReader/customizedReader/oracle/oracleGeneralBin.h).
///
/// ```text
/// byte 0             4              12              16                       24
///      | timestamp (s) | object id … | object size (B) | next access …        |
/// ```
///
/// The next access is the number, from 1, of the request that asks for the object again; -1 if
/// none does. It is for algorithms that know the future: here it is written, and read past. Every
/// request is a get. An object's size is that of key and value together, as libCacheSim's own
/// conversion of Twitter's traces has it (twrBin.h there). A size of 0 is not known.
public enum TraceRecord {
    public static let byteCount = 24

    /// Reads the record at the start of `bytes`, which must hold one.
    static func parse(_ bytes: Span<UInt8>, keyBytes: UInt8) -> TraceRequest {
        let low = ByteScan.word(in: bytes, at: 0)
        var request = TraceRequest()
        request.time = low & 0xFFFF_FFFF
        request.object = ByteScan.word(in: bytes, at: 4)
        let size = ByteScan.word(in: bytes, at: 12) & 0xFFFF_FFFF
        request.keyBytes = keyBytes
        request.valueBytes = UInt32(truncatingIfNeeded: size &- min(size, UInt64(keyBytes)))
        request.hasSize = size > 0
        return request
    }

    /// Writes a record into a region at a multiple of 8.
    static func write(
        time: UInt32, object: UInt64, bytes: UInt32, next: Int64, to region: Region, at offset: Int
    ) {
        region.store((UInt64(time) | object << 32).littleEndian, at: offset)
        region.store((object >> 32 | UInt64(bytes) << 32).littleEndian, at: offset + 8)
        region.store(UInt64(bitPattern: next).littleEndian, at: offset + 16)
    }
}
