// Stretches: what segments held at commits while they were open, as values of their own; and how
// they are put together again when nobody came to seal their segment.

internal import LMDB
internal import Primitives
internal import SegmentLog

enum Stretches {
    /// Copies a segment's stretches, one behind the other, to the start of `region`. Answers where
    /// they end; nil if they do not follow one another, or are too long.
    static func collect(
        _ files: DiskFiles, _ transaction: borrowing some Transaction & ~Copyable,
        _ sequence: UInt64, into region: Region
    ) throws(LMDBError) -> Int? {
        try transaction.withCursor(files.stretches) { cursor throws(LMDBError) -> Int? in
            var end = 0
            var isThere = try PairKey(sequence, 0).withBytes { key throws(LMDBError) in
                try cursor.seek(atOrAbove: key)
            }
            while isThere {
                let key = try cursor.withKeyBytes { bytes throws(LMDBError) in PairKey(bytes) }
                guard let key, key.first == sequence else { break }
                let start = end
                let count = try cursor.withValue { value throws(LMDBError) -> Int? in
                    guard value.count <= region.byteCount - start else { return nil }
                    region.store(value, at: start)
                    return value.count
                }
                // Each begins where the one before it ends.
                guard let count, Int(key.second) == start else { return nil }
                end += count
                isThere = try cursor.next()
            }
            return end
        }
    }

    /// Hash and order of the record at an offset of a segment that is not sealed.
    static func identity(
        _ files: DiskFiles, _ transaction: borrowing some Transaction & ~Copyable,
        _ sequence: UInt64, offset: Int, _ hasher: KeyHasher
    ) throws(LMDBError) -> (hash: UInt64, order: UInt64)? {
        try transaction.withCursor(files.stretches) { cursor throws(LMDBError) in
            let isThere = try PairKey(sequence, UInt32(clamping: offset) + 1).withBytes {
                key throws(LMDBError) in
                try cursor.seek(atOrAbove: key)
            }
            guard try isThere ? cursor.previous() : cursor.last() else { return nil }
            let key = try cursor.withKeyBytes { bytes throws(LMDBError) in PairKey(bytes) }
            guard let key, key.first == sequence else { return nil }
            return try cursor.withValue { value throws(LMDBError) in
                let start = offset - Int(key.second)
                guard start >= 0, start + Record.headerBytes <= value.count else { return nil }
                let word = value.word(at: start)
                let (from, count) = Record.keyPlace(word)
                guard start + from + count <= value.count else { return nil }
                let bytes = value.extracting(start + from..<start + from + count)
                return (hasher.hash(bytes), Record.order(word))
            }
        }
    }
}
