// Directory: the keys of one segment, as they lie on disk beside it, so that a start need not read
// the values.

internal import Primitives
internal import SegmentLog

/// Reads and writes key directories in a region.
///
/// ```text
/// byte 0         4      8        16        24      28    32         36       40
///      | version | kind | filled | overlap | count | crc | earliest | latest | entries …
/// entry 0      8                 16       20       24
///       | hash | order, form<<56 | offset | expiry |
/// ```
/// All numbers little-endian; CRC-32C over everything but the crc field itself. Entries ascend by
/// offset; the form is the record's (its tombstone bit counts).
enum Directory {
    static let version: UInt32 = 1
    static let headerBytes = 40
    static let entryBytes = 24

    struct Entry: BitwiseCopyable {
        var hash: UInt64
        var order: UInt64
        var isTombstone: Bool
        var offset: Int
        var expiry: UInt32
    }

    static func bytes(count: Int) -> Int { headerBytes + entryBytes * count }

    /// Walks a segment's records (complete, in memory), fills in their checksums, and writes the
    /// directory to `target`. Returns how many entries it has.
    static func make(
        _ segment: Int, _ log: SegmentLog, into target: Region
    ) -> Int {
        let segments = log.segments
        let frame = segments.frame(segment).loadAcquire()
        precondition(frame != 0)
        let base = log.frames.offset(Int(frame) - 1)
        let filled = Int(segments.filled(segment).loadRelaxed())
        let isChain = segments.kind(segment) == .chain
        var position = 0
        var count = 0
        while position < filled {
            let record = Record(log.frames.memory, at: base + position)
            let bytes = isChain ? filled : record.totalBytes
            precondition(bytes > 0)
            if !record.isFiller {
                if !isChain { record.fillChecksum() }
                add(record, position, count, log.hasher, to: target)
                count += 1
            }
            position += bytes
        }
        target.store(Self.version, at: 0)
        target.store(segments.kind(segment).rawValue, at: 4)
        target.store(UInt64(filled), at: 8)
        target.store(segments.overlap(segment).loadRelaxed(), at: 16)
        target.store(UInt32(count), at: 24)
        target.store(segments.earliestExpiry(segment).loadRelaxed(), at: 32)
        target.store(segments.latestExpiry(segment).loadRelaxed(), at: 36)
        target.store(checksum(target, count: count), at: 28)
        return count
    }

    private static func add(
        _ record: Record, _ offset: Int, _ number: Int, _ hasher: KeyHasher, to target: Region
    ) {
        let at = headerBytes + number * entryBytes
        let hash = record.region.withBytes(record.keyOffset, record.keyBytes) { hasher.hash($0) }
        target.store(hash, at: at)
        target.store(record.order | record.form << 56, at: at + 8)
        target.store(UInt32(offset), at: at + 16)
        target.store(record.expiry, at: at + 20)
    }

    private static func checksum(_ region: Region, count: Int) -> UInt32 {
        let crc = region.crc32c(0, 28)
        return region.crc32c(32, bytes(count: count) - 32, seed: crc)
    }

    /// A directory that was copied to the start of `region`, checked.
    struct View {
        let region: Region
        let kind: SegmentKind
        let filled: Int
        let overlap: UInt64
        let count: Int
        let earliest: UInt32
        let latest: UInt32

        /// Nil if the bytes are not a sound directory.
        init?(_ region: Region, byteCount: Int) {
            guard byteCount >= headerBytes, region.uint32(at: 0) == version,
                let kind = SegmentKind(rawValue: region.uint32(at: 4))
            else { return nil }
            let count = Int(region.uint32(at: 24))
            guard count <= byteCount / entryBytes, bytes(count: count) == byteCount,
                region.uint64(at: 8) <= 1 << 30,
                region.uint32(at: 28) == checksum(region, count: count)
            else { return nil }
            self.region = region
            self.kind = kind
            self.count = count
            filled = Int(region.uint64(at: 8))
            overlap = region.uint64(at: 16)
            earliest = region.uint32(at: 32)
            latest = region.uint32(at: 36)
        }

        subscript(number: Int) -> Entry {
            let at = headerBytes + number * entryBytes
            let word = region.uint64(at: at + 8)
            return Entry(
                hash: region.uint64(at: at), order: Record.order(word),
                isTombstone: Record.form(word) & Record.Form.tombstone != 0,
                offset: Int(region.uint32(at: at + 16)), expiry: region.uint32(at: at + 20))
        }
    }

    /// Whether the head of a stored directory, sound or not, says that a start brought it back.
    static func isReturned(_ bytes: Span<UInt8>) -> Bool {
        bytes.count >= headerBytes && bytes.word(at: 16) & Segments.returnedBit != 0
    }

    /// The entry for a record, found in the stored bytes of its segment's directory.
    static func find(_ offset: Int, in bytes: Span<UInt8>) -> (hash: UInt64, order: UInt64)? {
        var low = 0
        var high = (bytes.count - headerBytes) / entryBytes
        while low < high {
            let middle = (low + high) / 2
            let at = headerBytes + middle * entryBytes
            let found = Int(UInt32(truncatingIfNeeded: bytes.word(at: at + 16)))
            if found == offset {
                return (bytes.word(at: at), Record.order(bytes.word(at: at + 8)))
            }
            if found < offset { low = middle + 1 } else { high = middle }
        }
        return nil
    }
}
