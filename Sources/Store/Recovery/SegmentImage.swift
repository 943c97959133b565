// SegmentImage: the bytes of a segment as they were read from disk, of which nothing is believed
// before it was checked.

internal import LMDB
internal import Primitives
internal import SegmentLog

enum SegmentImage {
    /// How many of the first `count` bytes of `region` are sound records, end to end. Zeros behind
    /// them are what fills a short value up, and count as sound.
    static func soundBytes(_ region: Region, count: Int) -> (bytes: Int, isWhole: Bool) {
        var position = 0
        while position + 8 <= count {
            if isZero(region, position..<count) { return (position, true) }
            let record = Record(region, at: position)
            guard record.isPlausible(limit: count - position) else { return (position, false) }
            guard record.isFiller || record.checksum() == record.storedChecksum else {
                return (position, false)
            }
            position += record.totalBytes
        }
        return (position, position == count)
    }

    /// Hash and order of the record at an offset; nil if that lies outside.
    static func identity(
        _ bytes: Span<UInt8>, at offset: Int, _ hasher: KeyHasher
    ) -> (hash: UInt64, order: UInt64)? {
        guard offset >= 0, offset + Record.headerBytes <= bytes.count else { return nil }
        let word = bytes.word(at: offset)
        let (from, count) = Record.keyPlace(word)
        guard offset + from + count <= bytes.count else { return nil }
        let key = bytes.extracting(offset + from..<offset + from + count)
        return (hasher.hash(key), Record.order(word))
    }

    /// Makes the directory of a sealed segment anew from its records, if all of them are sound.
    ///
    /// - Parameters:
    ///   - image: room for a segment, for as long as this takes.
    ///   - directory: room for what is made.
    /// - Returns: how many entries it has; nil if the segment cannot be read, or is damaged.
    /// - Throws: nothing was made, and can be later.
    static func remakeDirectory(
        _ transaction: any StoreReading, _ sequence: UInt64, by image: Region, overlap: UInt64,
        _ hasher: KeyHasher, into directory: Region
    ) throws(LMDBError) -> Int? {
        let found = try unlessDamaged { () throws(LMDBError) -> Int? in
            try transaction.get(.segments, key: SegmentKey.make(sequence)) { bytes -> Int in
                let count = min(bytes.count, image.byteCount)
                image.store(bytes.extracting(0..<count), at: 0)
                return count
            }
        }
        guard let found, case let sound = soundBytes(image, count: found), sound.isWhole else {
            return nil
        }
        return Directory.make(
            image: image, filled: sound.bytes, overlap: overlap, hasher, into: directory)
    }

    private static func isZero(_ region: Region, _ range: Range<Int>) -> Bool {
        // No record begins with eight zeros: its order is not 0.
        guard region.uint64(at: range.lowerBound) == 0 else { return false }
        return region.withBytes(range.lowerBound, range.count) { bytes in
            for index in bytes.indices where bytes[index] != 0 { return false }
            return true
        }
    }
}
