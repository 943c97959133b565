// Stretches: what segments held at commits while they were open, as values of their own; and how
// they are put together again when nobody came to seal their segment.

internal import LMDB
internal import Primitives
internal import SegmentLog

enum Stretches {
    /// Copies a segment's stretches, one behind the other, to the start of `region`. Answers where
    /// they end; nil if they do not follow one another, or are too long.
    static func collect(
        _ transaction: any StoreReading, _ sequence: UInt64, into region: Region
    ) throws(LMDBError) -> Int? {
        var end = 0
        var isWhole = true
        try transaction.forEachStretch(from: PairKey(sequence, 0)) { key, value in
            guard key.first == sequence else { return false }
            // Each begins where the one before it ends.
            isWhole = Int(key.second) == end && value.count <= region.byteCount - end
            guard isWhole else { return false }
            region.store(value, at: end)
            end += value.count
            return true
        }
        return isWhole ? end : nil
    }

    /// Hash and order of the record at an offset of a segment that is not sealed.
    static func identity(
        _ transaction: any StoreReading, _ sequence: UInt64, offset: Int, _ hasher: KeyHasher
    ) throws(LMDBError) -> (hash: UInt64, order: UInt64)? {
        let key = PairKey(sequence, UInt32(clamping: offset))
        return try transaction.stretch(atOrBelow: key) { key, value in
            guard key.first == sequence else { return nil }
            return SegmentImage.identity(value, at: offset - Int(key.second), hasher)
        } ?? nil
    }
}
