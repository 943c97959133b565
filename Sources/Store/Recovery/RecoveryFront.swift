// RecoveryFront: which directories are still to be read, and which segments may answer.
//
// A record can be older than another of its key only if its segment is older, or was open at the
// same time. Each directory's head says up to which sequence that can be (`overlap`). So once
// every unread directory's overlap lies at or below a segment's sequence, nothing unread can hold
// anything newer than what that segment holds. It knows nothing of the index or of the disk.

/// The order of recovery, and what is settled. Used by the recovery thread.
struct RecoveryFront {
    typealias Head = DirectorySurvey.Head

    private struct Unsettled {
        var segment: Int
        var sequence: UInt64
        /// Whether its values can be read.
        var isWhole: Bool
        /// Brought back by an earlier release: its records are older than its place says.
        var isReturned: Bool
    }

    /// Unread heads, ascending; those before `oldest` were taken from the bottom.
    private var heads: [Head] = []
    private var oldest = 0
    /// The highest overlap of the heads up to each of them.
    private var limits: [UInt64] = []
    /// The same of what could not be read.
    private var failedLimit: UInt64 = 0
    private var unsettled: [Unsettled] = []
    /// Segments at or above this may answer; only falls.
    private var settledFrom: UInt64 = .max
    /// Sequences of directories that could not be read.
    private(set) var failedSequences: [UInt64] = []
    /// Read before a second survey, which must not bring them again.
    private var known: Set<UInt64> = []

    /// What a survey found, ascending, less what was read before.
    mutating func begin(_ found: [Head]) {
        heads = found.filter { !known.contains($0.sequence) }
        oldest = 0
        limits = []
        limits.reserveCapacity(heads.count)
        var limit: UInt64 = 0
        for head in heads {
            limit = max(limit, head.overlap)
            limits.append(limit)
        }
    }

    /// Every directory below this sequence has been taken.
    var floor: UInt64 { oldest < heads.count ? heads[oldest].sequence : .max }

    mutating func takeNewest() -> Head? {
        guard heads.count > oldest else { return nil }
        limits.removeLast()
        return heads.removeLast()
    }

    mutating func takeOldest() -> Head? {
        guard heads.count > oldest else { return nil }
        defer { oldest += 1 }
        return heads[oldest]
    }

    mutating func didRead(_ head: Head) { known.insert(head.sequence) }

    /// A directory cannot be read: what it could have overtaken is never settled.
    mutating func didFail(_ head: Head) {
        known.insert(head.sequence)
        if head.sequence != .max { failedSequences.append(head.sequence) }
        failedLimit = max(failedLimit, head.overlap)
    }

    mutating func add(_ segment: Int, _ sequence: UInt64, isWhole: Bool, isReturned: Bool) {
        unsettled.append(
            Unsettled(
                segment: segment, sequence: sequence, isWhole: isWhole, isReturned: isReturned))
    }

    /// Calls `body` for every segment that may answer from now on.
    ///
    /// - Parameter isLast: everything has been read.
    mutating func settle(isLast: Bool, _ body: (_ segment: Int, _ isWhole: Bool) -> Void) {
        let unread = limits.count > oldest ? limits[limits.count - 1] : 0
        settledFrom = max(unread, failedLimit)
        let from = settledFrom
        unsettled.removeAll { entry in
            let isSafe = entry.isReturned ? isLast && failedLimit == 0 : entry.sequence >= from
            if isSafe { body(entry.segment, entry.isWhole) }
            return isSafe
        }
    }

    /// Calls `body` for every segment that never may answer; returns how many.
    mutating func distrust(_ body: (_ segment: Int) -> Void) -> Int {
        for entry in unsettled { body(entry.segment) }
        defer { unsettled = [] }
        return unsettled.count
    }
}
