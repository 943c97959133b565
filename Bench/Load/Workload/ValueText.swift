// ValueText: the bytes of values: filler, or such as can be checked when they come back.

internal import Memcache
internal import Primitives

/// Writes values; one thread.
///
/// ```text
/// byte 0     8     16        24         32
///      | key | run | version | CRC-32C | filler …
/// ```
///
/// The four words of a checked value are eight hexadecimal digits each; the checksum is over
/// everything but itself, and the filler begins elsewhere for each version, so that a value made
/// of two others does not pass.
struct ValueText: BitwiseCopyable {
    static let headerBytes = 32
    static let checksumOffset = 24
    /// Different places at which a version's filler begins.
    private static let shifts = 61

    /// Longest value, in bytes.
    let bytesMax: Int
    private let filler: Region
    /// The header being written.
    private let header: Region

    init(bytesMax: Int) throws(MemoryError) {
        self.bytesMax = bytesMax
        filler = try Region.map(byteCount: bytesMax + Self.shifts)
        header = try Region.map(byteCount: Self.headerBytes)
        var random = RandomStream(seed: 0, stream: 0)
        for offset in 0..<bytesMax + Self.shifts {
            filler.store(Self.printable(random.next()), at: offset)
        }
    }

    /// Appends a value that nobody checks.
    @inline(__always)
    func append(byteCount: Int, to writer: inout ByteWriter) {
        writer.append(filler, 0, byteCount)
    }

    /// Appends the value of a key, as the run wrote it for the so many-th time.
    func append(
        _ key: UInt32, byteCount: Int, run: UInt32, version: UInt32,
        to writer: inout ByteWriter
    ) {
        let rest = byteCount - Self.headerBytes
        precondition(rest >= 0)
        header.store(KeyText.digits(key), at: 0)
        header.store(KeyText.digits(run), at: 8)
        header.store(KeyText.digits(version), at: 16)
        let shift = Int((key &+ version &* 7) % UInt32(Self.shifts))
        let sum = filler.crc32c(shift, rest, seed: header.crc32c(0, Self.checksumOffset))
        header.store(KeyText.digits(sum), at: Self.checksumOffset)
        writer.append(header, 0, Self.headerBytes)
        writer.append(filler, shift, rest)
    }

    /// One of 64 letters, digits and signs.
    private static func printable(_ number: UInt64) -> UInt8 {
        let index = UInt8(truncatingIfNeeded: number & 63)
        switch index {
        case 0..<26: return 0x61 + index
        case 26..<52: return 0x41 + index - 26
        case 52..<62: return 0x30 + index - 52
        default: return index == 62 ? 0x2B : 0x2F
        }
    }
}

/// Reads a value as it comes, in parts of any size; a trivial value.
struct ValueReader: BitwiseCopyable {
    /// What the header of a whole value said.
    struct Content: BitwiseCopyable {
        var key: UInt32
        var run: UInt32
        var version: UInt32
        /// Whether the checksum is that of the bytes.
        var isIntact: Bool
    }

    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var sum: UInt32 = 0
    private(set) var byteCount = 0

    mutating func take(_ part: Span<UInt8>) {
        var index = 0
        while index < part.count, byteCount < ValueText.headerBytes {
            shift(UInt64(part[index]))
            if byteCount < ValueText.checksumOffset {
                sum = CRC32C.of(part.extracting(index..<index + 1), seed: sum)
            }
            byteCount += 1
            index += 1
        }
        guard index < part.count else { return }
        sum = CRC32C.of(part.extracting(index..<part.count), seed: sum)
        byteCount += part.count - index
    }

    private mutating func shift(_ byte: UInt64) {
        switch byteCount / 8 {
        case 0: words.0 = words.0 << 8 | byte
        case 1: words.1 = words.1 << 8 | byte
        case 2: words.2 = words.2 << 8 | byte
        default: words.3 = words.3 << 8 | byte
        }
    }

    /// Nil where the header is not one of ours.
    var content: Content? {
        guard byteCount >= ValueText.headerBytes, let key = Self.number(words.0),
            let run = Self.number(words.1), let version = Self.number(words.2),
            let written = Self.number(words.3)
        else { return nil }
        return Content(key: key, run: run, version: version, isIntact: written == sum)
    }

    /// The number of which these are the digits, the first one highest.
    private static func number(_ digits: UInt64) -> UInt32? {
        var number: UInt32 = 0
        for index in 0..<8 {
            let digit = UInt8(truncatingIfNeeded: digits >> UInt64(56 - 8 * index))
            switch digit {
            case 0x30...0x39: number = number << 4 | UInt32(digit - 0x30)
            case 0x61...0x66: number = number << 4 | UInt32(digit - 0x57)
            default: return nil
            }
        }
        return number
    }
}
