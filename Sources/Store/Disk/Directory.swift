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
    /// Room for the directory of any segment: a record takes 24 bytes at least.
    static let regionBytes = 2 << 20

    struct Entry: BitwiseCopyable {
        var hash: UInt64
        var order: UInt64
        var isTombstone: Bool
        var offset: Int
        var expiry: UInt32
    }

    /// What stands in front of the entries.
    struct Head: BitwiseCopyable {
        var kind: SegmentKind
        var filled: Int
        /// No segment with this or a later sequence was open before this one was sealed.
        var overlap: UInt64
        var count: Int
        var earliest: UInt32
        var latest: UInt32
    }

    static func bytes(count: Int) -> Int { headerBytes + entryBytes * count }

    /// Walks a segment's records (complete, in memory), fills in their checksums, notes the lowest
    /// order, and writes the directory to `target`. Returns how many entries it has.
    static func make(
        _ segment: Int, _ log: SegmentLog, into target: Region
    ) -> Int {
        let segments = log.segments
        let frame = segments.frame(unwritten: segment)
        let filled = Int(segments.filled(segment).loadRelaxed())
        let kind = segments.kind(segment)
        let count = addRecords(
            of: log.frames.memory, at: log.frames.offset(frame), filled: filled,
            isChain: kind == .chain, log.hasher, to: target)
        let head = Head(
            kind: kind, filled: filled, overlap: segments.overlap(segment).loadRelaxed(),
            count: count, earliest: segments.earliestExpiry(segment).loadRelaxed(),
            latest: segments.latestExpiry(segment).loadRelaxed())
        finish(head, target)
        segments.lowestOrder(segment).storeRelaxed(lowestOrder(target, count: count))
        return count
    }

    /// The same for the image of a segment that shares its records, at the start of `image`. All
    /// of them are sound.
    static func make(
        image: Region, filled: Int, overlap: UInt64, _ hasher: KeyHasher, into target: Region
    ) -> Int {
        let count = addRecords(
            of: image, at: 0, filled: filled, isChain: false, hasher, to: target)
        var earliest: UInt32 = 0
        var latest: UInt32 = 0
        for number in 0..<count {
            let expiry = target.uint32(at: headerBytes + number * entryBytes + 20)
            if expiry != 0, earliest == 0 || expiry < earliest { earliest = expiry }
            latest = max(latest, expiry == 0 ? .max : expiry)
        }
        finish(
            Head(
                kind: .log, filled: filled, overlap: overlap, count: count, earliest: earliest,
                latest: latest), target)
        return count
    }

    private static func addRecords(
        of region: Region, at base: Int, filled: Int, isChain: Bool, _ hasher: KeyHasher,
        to target: Region
    ) -> Int {
        var count = 0
        var records = RecordWalk(region, at: base, end: filled, isChain: isChain, isTrusted: true)
        while let (record, offset) = records.next() {
            if !isChain { record.fillChecksum() }
            add(record, offset, count, hasher, to: target)
            count += 1
        }
        return count
    }

    private static func finish(_ head: Head, _ target: Region) {
        target.store(Self.version, at: 0)
        target.store(head.kind.rawValue, at: 4)
        target.store(UInt64(head.filled), at: 8)
        target.store(head.overlap, at: 16)
        target.store(UInt32(head.count), at: 24)
        target.store(head.earliest, at: 32)
        target.store(head.latest, at: 36)
        target.store(checksum(target, count: head.count), at: 28)
    }

    private static func add(
        _ record: Record, _ offset: Int, _ number: Int, _ hasher: KeyHasher, to target: Region
    ) {
        let at = headerBytes + number * entryBytes
        target.store(record.hash(with: hasher), at: at)
        target.store(record.order | record.form << 56, at: at + 8)
        target.store(UInt32(offset), at: at + 16)
        target.store(record.expiry, at: at + 20)
    }

    /// The lowest order of a directory's entries.
    private static func lowestOrder(_ region: Region, count: Int) -> UInt64 {
        var lowest = Record.orderMax
        for number in 0..<count {
            let word = region.uint64(at: headerBytes + number * entryBytes + 8)
            lowest = min(lowest, Record.order(word))
        }
        return lowest
    }

    private static func checksum(_ region: Region, count: Int) -> UInt32 {
        let crc = region.crc32c(0, 28)
        return region.crc32c(32, bytes(count: count) - 32, seed: crc)
    }

    /// Makes the checksum of so many bytes right, whatever they are.
    static func seal(_ region: Region, byteCount: Int) {
        guard byteCount >= headerBytes else { return }
        let count = (byteCount - headerBytes) / entryBytes
        region.store(checksum(region, count: count), at: 28)
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
        ///
        /// - Parameter sequence: of the segment that it was found under. A write that was lost, or
        ///   went elsewhere, leaves a directory there that was sound before: its segment was sealed
        ///   before this one was opened, and so it overlaps nothing of this sequence.
        init?(_ region: Region, byteCount: Int, of sequence: UInt64) {
            self.init(region, byteCount: byteCount)
            guard overlap & ~Segments.returnedBit > sequence else { return nil }
        }

        /// The same where it does not matter whose it is.
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

        var lowestOrder: UInt64 { Directory.lowestOrder(region, count: count) }

        func hash(_ number: Int) -> UInt64 {
            region.uint64(at: headerBytes + number * entryBytes)
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
