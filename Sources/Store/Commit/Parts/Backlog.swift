// Backlog: what waits to be written: sealed segments, in the order in which they were sealed; and
// how much of each segment that is open is on disk already, as stretches.

internal import LMDB
internal import Primitives
internal import SegmentLog

/// Sealed segments that wait, and stretches that are there or may be.
///
/// ```text
///            takeSealed          didWrite
/// log.sealed ──────────► pending ────────► on disk whole; its stretches are gone
///                          │ keep
///                          └────────► given up
/// ```
struct Backlog {
    /// Sealed segments that wait.
    private(set) var pending: [Int] = []
    /// A commit that the file had no room for at once. It is complete when this segment, the last
    /// that waited when it was made, is written.
    private var unfinished: (commit: Cuts.Asked, last: Int)?
    /// For each open segment (by sequence), where its stretches on disk begin, and up to where.
    private var stretches: [UInt64: (offsets: [UInt32], end: Int)] = [:]
    /// Where those begin that were put into a transaction which has not succeeded: it may have
    /// failed and be durable all the same.
    private var possible: [UInt64: Set<UInt32>] = [:]

    var isEmpty: Bool { pending.isEmpty }
    var count: Int { pending.count }

    /// Takes over what writers have sealed.
    mutating func takeSealed(_ log: SegmentLog) {
        while let segment = log.sealed.pop() { pending.append(Int(segment)) }
    }

    /// The first ones are on disk whole.
    mutating func didWrite(_ written: [Int], _ log: SegmentLog) {
        precondition(pending.starts(with: written))
        pending.removeFirst(written.count)
        for segment in written { _ = releaseStretches(log.segments.sequence(segment)) }
    }

    /// What is not among these was given up.
    mutating func keep(_ kept: [Int]) { pending = kept }

    var hasUnfinished: Bool { unfinished != nil }

    /// A commit ends before everything is written that is pending.
    mutating func leaveUnfinished(_ commit: Cuts.Asked) {
        guard unfinished == nil, let last = pending.last else { return }
        unfinished = (commit, last)
    }

    /// The unfinished commit, once everything is written that it was to write.
    mutating func takeFinished() -> Cuts.Asked? {
        guard let (commit, last) = unfinished, !pending.contains(last) else { return nil }
        unfinished = nil
        return commit
    }

    /// Nobody waits for the unfinished commit any more.
    mutating func dropUnfinished() { unfinished = nil }

    /// Bytes that are on disk in stretches.
    var stretchBytes: Int { stretches.values.reduce(0) { $0 + $1.end } }

    // MARK: Stretches

    /// Up to where a segment is on disk in stretches.
    func end(_ sequence: UInt64) -> Int { stretches[sequence]?.end ?? 0 }

    /// Keys of a segment's stretches, of those that may be there, too.
    func keys(_ sequence: UInt64) -> [PairKey] {
        (stretches[sequence]?.offsets ?? []).map { PairKey(sequence, $0) } + possibleKeys(sequence)
    }

    /// Keys that may be there because of transactions that have failed. All lie where the next
    /// stretches go, and are not to be left among them.
    func possibleKeys(_ sequence: UInt64) -> [PairKey] {
        (possible[sequence] ?? []).sorted().map { PairKey(sequence, $0) }
    }

    /// A stretch was put into a transaction: whatever becomes of that, it may be there.
    mutating func notePossible(_ key: PairKey) {
        possible[key.first, default: []].insert(key.second)
    }

    /// These stretches are on disk, and no others of their segments behind those that were known.
    mutating func note(_ written: [Committer.Stretch]) {
        for stretch in written {
            possible[stretch.sequence] = nil
            var known = stretches[stretch.sequence] ?? ([], 0)
            known.offsets.append(UInt32(stretch.start))
            known.end = stretch.end
            stretches[stretch.sequence] = known
        }
    }

    /// A segment's stretches are somebody else's business from now on; answers their keys.
    mutating func releaseStretches(_ sequence: UInt64) -> [PairKey] {
        defer { (stretches[sequence], possible[sequence]) = (nil, nil) }
        return keys(sequence)
    }

    /// What must hold between two steps; a sentence if it does not.
    func check(_ log: SegmentLog) -> String? {
        var seen: Set<Int> = []
        for segment in pending {
            guard seen.insert(segment).inserted else { return "segment \(segment) waits twice" }
            let state = log.segments.state(segment)
            guard state == .sealed else { return "segment \(segment) waits and is \(state)" }
            guard log.segments.frame(segment) != nil else {
                return "segment \(segment) waits, and is not in memory"
            }
        }
        if let last = unfinished?.last, !pending.contains(last) {
            return "a commit waits for segment \(last), which does not wait"
        }
        for (sequence, known) in stretches {
            guard known.offsets.first == 0, known.offsets == known.offsets.sorted() else {
                return "stretches of \(sequence) do not follow one another"
            }
        }
        for (sequence, offsets) in possible where offsets.contains(where: { $0 < end(sequence) }) {
            return "a stretch of \(sequence) may be there, within those that are"
        }
        return nil
    }
}
