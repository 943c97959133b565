// RecordWalk: the records of a run of bytes, one after the other; the one place that knows how a
// segment is walked. What a record holds is Record's matter.

public import Primitives

/// Goes through records that lie back to back and passes over fillers.
///
/// Bytes that were read from disk are not trusted: what cannot be a record there ends the walk, and
/// `isComplete` says that it did not reach the end.
public struct RecordWalk {
    private let region: Region
    private let base: Int
    private let end: Int
    private let isChain: Bool
    private let isTrusted: Bool
    private var position = 0

    /// Records in `region` from `base` on, up to `end` bytes behind it. A chain holds one, of
    /// which the first frame is enough.
    public init(
        _ region: Region, at base: Int, end: Int, isChain: Bool = false, isTrusted: Bool
    ) {
        self.region = region
        self.base = base
        self.end = end
        self.isChain = isChain
        self.isTrusted = isTrusted
    }

    /// Whether the walk has passed every byte.
    public var isComplete: Bool { position == end }

    /// The next record, and how many bytes behind the base it begins.
    public mutating func next() -> (record: Record, offset: Int)? {
        while position < end {
            let record = Record(region, at: base + position)
            guard isTrusted || record.isPlausible(limit: end - position) else { return nil }
            let offset = position
            let next = isChain ? end : position + record.totalBytes
            precondition(next > position && next <= end)
            position = next
            if !record.isFiller { return (record, offset) }
        }
        return nil
    }
}

extension SegmentLog {
    /// The records of a segment that is in memory, up to `end` bytes (what it is filled to, once
    /// it is sealed); nil if it is not in memory.
    public func records(of segment: Int, end: Int? = nil) -> RecordWalk? {
        guard let frame = segments.frame(segment) else { return nil }
        return RecordWalk(
            frames.memory, at: frames.offset(frame),
            end: end ?? Int(segments.filled(segment).loadRelaxed()),
            isChain: segments.kind(segment) == .chain, isTrusted: true)
    }
}
