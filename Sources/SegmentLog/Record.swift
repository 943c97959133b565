// Record: one cached value, as its bytes lie in a segment.
//
// The same image lies in memory and on disk; only the checksum is filled in on the way to disk.
// This file draws it and reads it; who may write it when is the log's business.

public import Primitives

/// A record in memory, named by region and byte offset; a value without a lifetime.
///
/// ```text
/// byte 0       6   7   8     12  14  16
///      | order | k | f | crc | v | z | cas? | wide? | expiry? | flags? | key | value | pad | home?
/// bytes  6       1   1   4     2   2   8      4       4         4
/// ```
/// k: key bytes. f: form, below. v: value bytes, unless `wide` (then four bytes hold them).
/// z: marks, see `Mark`; they may change while the record stands, also where nothing else may, and
/// the checksum leaves them out.
/// A `?` field is there if its form bit says so. pad: to a multiple of 8. home: only in the
/// promotion region, where the record lies on disk. All numbers little-endian. CRC-32C (RFC 3720)
/// over bytes 0..<8, 12..<14 and from 16 to the end of the value, with the home bit cleared.
///
/// A filler (form bit) is a hole of any multiple of 8 bytes: its order field is its length.
public struct Record: BitwiseCopyable {
    public let region: Region
    /// Byte offset in the region, a multiple of 8.
    public let at: Int

    @inlinable public init(_ region: Region, at offset: Int) {
        self.region = region
        at = offset
    }

    /// The bits of byte 7.
    public enum Form {
        public static let expiry: UInt64 = 1
        public static let flags: UInt64 = 2
        public static let cas: UInt64 = 4
        public static let wide: UInt64 = 8
        public static let tombstone: UInt64 = 16
        public static let filler: UInt64 = 32
        public static let home: UInt64 = 64
    }

    /// The bits of bytes 14 and 15: what the meta commands know of an item, and the second of its
    /// last access, from bit 3 on.
    public enum Mark {
        public static let stale: UInt16 = 1
        /// Some client was told to renew it.
        public static let sent: UInt16 = 2
        public static let fetched: UInt16 = 4
        /// What an access leaves as it was.
        public static let kept: UInt16 = 3

        /// The marks of a record that is accessed in this second.
        @inlinable public static func access(at now: UInt32) -> UInt16 {
            UInt16(truncatingIfNeeded: now) &<< 3 | fetched
        }
        /// Seconds since the last access, as far as 13 bits tell.
        @inlinable public static func age(_ marks: UInt16, at now: UInt32) -> UInt32 {
            (now &- UInt32(marks &>> 3)) & 0x1FFF
        }
    }

    public static let headerBytes = 16
    public static let alignment = 8
    public static let homeBytes = 8
    public static let keyBytesMax = 250
    /// A key of one byte and no value.
    static let bytesMin = 24
    public static let orderMax: UInt64 = (1 << 48) - 1
    /// Header and all optional fields.
    public static let overheadBytesMax = 16 + 8 + 4 + 4 + 4

    /// Order, key length and form: the first eight bytes.
    @inlinable @inline(__always) public var word: UInt64 { region.uint64(at: at) }
    /// These, and the next eight: checksum, value length and marks.
    @inlinable @inline(__always) public var words: (UInt64, UInt64) { region.twoWords(at: at) }
    @inlinable @inline(__always) public static func order(_ word: UInt64) -> UInt64 {
        word & orderMax
    }
    @inlinable @inline(__always) public static func keyBytes(_ word: UInt64) -> Int {
        Int(word >> 48 & 0xFF)
    }
    @inlinable @inline(__always) public static func form(_ word: UInt64) -> UInt64 { word >> 56 }
    @inlinable @inline(__always) static func bytesBeforeKey(_ form: UInt64) -> Int {
        headerBytes
            &+ Int((form & Form.cas) &<< 1)  // 4 → 8
            &+ Int((form & Form.wide) &>> 1)  // 8 → 4
            &+ Int((form & Form.expiry) &<< 2)  // 1 → 4
            &+ Int((form & Form.flags) &<< 1)  // 2 → 4
    }

    @inlinable @inline(__always) public var order: UInt64 { Self.order(word) }
    @inlinable @inline(__always) public var form: UInt64 { Self.form(word) }
    @inlinable @inline(__always) public var keyBytes: Int { Self.keyBytes(word) }
    @inlinable @inline(__always) public var isTombstone: Bool { form & Form.tombstone != 0 }
    @inlinable @inline(__always) public var isFiller: Bool { form & Form.filler != 0 }
    @inlinable @inline(__always) public var hasHome: Bool { form & Form.home != 0 }
    @inlinable @inline(__always) public var keyOffset: Int { at &+ Self.bytesBeforeKey(form) }
    @inlinable @inline(__always) public var valueOffset: Int { keyOffset &+ keyBytes }

    @inlinable @inline(__always) public var valueBytes: Int {
        let form = form
        if form & Form.wide == 0 { return Int(region.uint16(at: at &+ 12)) }
        return Int(region.uint32(at: at &+ 16 &+ Int((form & Form.cas) &<< 1)))
    }
    @inlinable @inline(__always) var expiryOffset: Int {
        at &+ 16 &+ Int((form & Form.cas) &<< 1) &+ Int((form & Form.wide) &>> 1)
    }
    /// Absolute unix seconds, 0 for never.
    @inlinable @inline(__always) public var expiry: UInt32 {
        form & Form.expiry == 0 ? 0 : region.uint32(at: expiryOffset)
    }
    @inlinable @inline(__always) public var flags: UInt32 {
        let form = form
        if form & Form.flags == 0 { return 0 }
        return region.uint32(at: expiryOffset &+ Int((form & Form.expiry) &<< 2))
    }
    /// The CAS of the record of a key with this hash: unique, as orders are unique in a shard, and
    /// the upper bits of the hash are the shard's number (of which there are at most 2^12); and
    /// rising, as orders are.
    @inlinable @inline(__always) public func cas(_ hash: UInt64) -> UInt64 {
        form & Form.cas == 0 ? order &<< 16 | hash &>> 48 : region.uint64(at: at &+ 16)
    }
    @inlinable @inline(__always) public var marks: UInt16 { region.uint16(at: at &+ 14) }
    /// The committer may load them meanwhile, for what else is in their word.
    @inlinable @inline(__always) public func setMarks(_ marks: UInt16) {
        region.storeRelaxed(marks, at: at &+ 14)
    }
    /// Changes the expiry of a record that was written with one.
    public func setExpiry(_ expiry: UInt32) {
        if form & Form.expiry != 0 { region.store(expiry, at: expiryOffset) }
    }
    /// From the header to the end of the value.
    @inlinable @inline(__always) public var contentBytes: Int {
        let form = form
        return Self.bytesBeforeKey(form) &+ keyBytes &+ valueBytes
    }
    /// The whole record, padded, with its home.
    @inlinable @inline(__always) public var totalBytes: Int {
        let word = word
        let form = Self.form(word)
        if form & Form.filler != 0 { return Int(Self.order(word)) }
        return Self.aligned(contentBytes) &+ Int((form & Form.home) &>> 3)
    }
    @inlinable @inline(__always) public static func aligned(_ bytes: Int) -> Int {
        (bytes &+ 7) & ~7
    }

    @inlinable @inline(__always) public func hasKey(_ key: Span<UInt8>) -> Bool {
        keyBytes == key.count && region.equals(key, at: keyOffset)
    }
    /// The same for a record whose first word is at hand.
    @inlinable @inline(__always)
    public func hasKey(_ key: Span<UInt8>, _ word: UInt64) -> Bool {
        Self.keyBytes(word) == key.count
            && region.equals(key, at: at &+ Self.bytesBeforeKey(Self.form(word)))
    }
    /// The hash of the key.
    public func hash(with hasher: KeyHasher) -> UInt64 {
        region.withBytes(keyOffset, keyBytes) { hasher.hash($0) }
    }
    @inlinable @inline(__always) public func isExpired(at now: UInt32) -> Bool {
        let expiry = expiry
        return expiry != 0 && expiry <= now
    }

    /// Where the record lies on disk (promotion region only).
    @inlinable public var home: Home {
        Home(bits: hasHome ? region.uint64(at: at &+ totalBytes &- 8) : 0)
    }

    /// The checksum of the record's immutable bytes, whatever its crc field holds.
    public func checksum() -> UInt32 {
        let content = contentBytes
        let crc = headerChecksum()
        return region.crc32c(at + 16, content - 16, seed: crc)
    }
    /// Of the marks it covers those that an access leaves as they were: below a cut they do not
    /// change. A record without them has the checksum that it had before they were covered.
    func headerChecksum() -> UInt32 {
        let (word, second) = words
        let kept = UInt32(truncatingIfNeeded: second >> 48) & UInt32(Mark.kept)
        let crc = region.crc32c(at + 12, 2, seed: CRC32C.of(word & ~(Form.home << 56)))
        return crc ^ kept &* 0x9E37_79B9
    }
    public var storedChecksum: UInt32 { region.uint32(at: at + 8) }
    /// Readers may load the word around the checksum meanwhile, for what else is in it.
    public func fillChecksum() { region.atomic32(at: at + 8).storeRelaxed(checksum()) }
}

/// Where a promoted record lies on disk: segment number, byte offset, and the low bits of the
/// segment's sequence, which tell whether the number still means the same segment.
///
/// ```text
/// bit 63      41 40     17 16          0
///     | sequence | segment | offset / 8 |
/// ```
public struct Home: BitwiseCopyable, Equatable {
    public let bits: UInt64
    @inlinable public init(bits: UInt64) { self.bits = bits }
    @inlinable public init(_ place: Place, sequence: UInt64) {
        bits =
            Self.sequenceBits(sequence) << Self.sequenceShift
            | UInt64(place.segment) << Place.offsetBits | place.offsetField
    }
    @inlinable public var isNone: Bool { bits == 0 }
    @inlinable public var sequenceBits: UInt64 { bits >> Self.sequenceShift }
    /// What a home keeps of a sequence.
    @inlinable public static func sequenceBits(_ sequence: UInt64) -> UInt64 {
        sequence & (1 << (64 - sequenceShift) - 1)
    }
    @inlinable public var place: Place {
        Place(
            segment: Int(bits >> Place.offsetBits & Self.segmentMask), offset: Place.offset(bits))
    }
    @inlinable static var sequenceShift: UInt64 { 41 }
    @inlinable static var segmentMask: UInt64 { 1 << (sequenceShift - Place.offsetBits) - 1 }
}

/// A position in the log: which segment, how many bytes into it.
public struct Place: BitwiseCopyable, Equatable {
    public var segment: Int
    public var offset: Int
    @inlinable public init(segment: Int, offset: Int) {
        self.segment = segment
        self.offset = offset
    }

    /// Slots and homes keep the offset, an eighth of it, in their lowest bits.
    @inlinable public static var offsetBits: UInt64 { 17 }
    @inlinable static var offsetMask: UInt64 { 1 << offsetBits - 1 }
    @inlinable static func offset(_ bits: UInt64) -> Int {
        Int(truncatingIfNeeded: bits & offsetMask) &<< 3
    }
    @inlinable var offsetField: UInt64 { UInt64(offset &>> 3) }
}

/// What a new record is to hold, besides order, key and value.
public struct RecordFields: BitwiseCopyable {
    public var flags: UInt32
    public var expiry: UInt32
    /// Nil: the record's CAS follows from its order.
    public var cas: UInt64?
    public var isTombstone: Bool
    public var marks: UInt16
    @inlinable public init(
        flags: UInt32 = 0, expiry: UInt32 = 0, cas: UInt64? = nil, isTombstone: Bool = false,
        marks: UInt16 = 0
    ) {
        self.flags = flags
        self.expiry = expiry
        self.cas = cas
        self.isTombstone = isTombstone
        self.marks = marks
    }

    @inlinable @inline(__always) public func form(valueBytes: Int) -> UInt64 {
        (expiry != 0 ? Record.Form.expiry : 0) | (flags != 0 ? Record.Form.flags : 0)
            | (cas != nil ? Record.Form.cas : 0) | (valueBytes > 0xFFFF ? Record.Form.wide : 0)
            | (isTombstone ? Record.Form.tombstone : 0)
    }
    /// Bytes of the padded record, without a home.
    @inlinable @inline(__always) public func totalBytes(keyBytes: Int, valueBytes: Int) -> Int {
        Record.aligned(
            Record.bytesBeforeKey(form(valueBytes: valueBytes)) &+ keyBytes &+ valueBytes)
    }
}

extension Record {
    /// Writes header and optional fields; returns where the key goes.
    @inlinable @inline(__always) @discardableResult
    public func write(
        _ fields: RecordFields, order: UInt64, keyBytes: Int, valueBytes: Int
    ) -> Int {
        let form = fields.form(valueBytes: valueBytes)
        region.store(order | UInt64(keyBytes) << 48 | form << 56, at: at)
        let low = form & Form.wide == 0 ? UInt64(valueBytes) : 0
        region.store(low << 32 | UInt64(fields.marks) << 48, at: at &+ 8)
        var next = at &+ 16
        if let cas = fields.cas {
            region.store(cas, at: next)
            next &+= 8
        }
        if form & Form.wide != 0 {
            region.store(UInt32(valueBytes), at: next)
            next &+= 4
        }
        if form & Form.expiry != 0 {
            region.store(fields.expiry, at: next)
            next &+= 4
        }
        if form & Form.flags != 0 {
            region.store(fields.flags, at: next)
            next &+= 4
        }
        return next
    }

    /// Sets the order of a record that was written with another.
    @inlinable public func setOrder(_ order: UInt64) {
        region.store(word & ~Self.orderMax | order, at: at)
    }

    /// Writes a filler of `bytes`, a multiple of 8.
    @inlinable public func writeFiller(bytes: Int) {
        region.store(UInt64(bytes) | Form.filler << 56, at: at)
    }

    /// Marks the record as promoted and notes its home behind it.
    @inlinable public func setHome(_ home: Home) {
        let end = Self.aligned(contentBytes)
        region.store(word | Form.home << 56, at: at)
        region.store(home.bits, at: at &+ end)
    }

    /// Order and key of a record whose bytes another thread may be overwriting: one load tells
    /// everything, so that what is answered lies within `limit` bytes. Nil if it does not.
    public func untrustedKey(limit: Int) -> (order: UInt64, offset: Int, count: Int)? {
        guard limit >= Self.headerBytes else { return nil }
        let word = word
        let (start, count) = Self.keyPlace(word)
        guard start + count <= limit else { return nil }
        return (Self.order(word), at + start, count)
    }

    /// How many bytes into a record its key begins, and its length, from the first word alone.
    public static func keyPlace(_ word: UInt64) -> (start: Int, count: Int) {
        (bytesBeforeKey(form(word)), keyBytes(word))
    }

    /// Whether the record, read from bytes that cannot be trusted, stays within `limit` bytes
    /// from its start and makes sense. Must hold before any other member is used on such bytes.
    public func isPlausible(limit: Int) -> Bool {
        guard limit >= 16 else { return limit >= 8 && isFiller && totalBytes == limit }
        let form = form
        guard form & ~(0x3F) == 0 else { return false }
        if form & Form.filler != 0 {
            let bytes = order
            return bytes >= 8 && bytes <= UInt64(limit) && bytes % 8 == 0
        }
        guard Self.bytesBeforeKey(form) <= limit else { return false }
        guard keyBytes >= 1, keyBytes <= Self.keyBytesMax else { return false }
        return Self.aligned(contentBytes) <= limit
    }
}
