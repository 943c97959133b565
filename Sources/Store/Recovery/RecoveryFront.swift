// RecoveryFront: which directories are still to be read, and which segments may answer.
//
// A record can be older than another of its key only if its segment is older, or was open at the
// same time. Each directory's head says up to which sequence that can be (`overlap`). So once
// every unread directory's overlap lies at or below a segment's sequence, nothing unread can hold
// anything newer than what that segment holds. It knows nothing of the index or of the disk.

/// The order of recovery, and what is settled. The readers share one, behind a lock.
struct RecoveryFront {
    typealias Head = DirectorySurvey.Head

    private struct Unsettled {
        var segment: Int
        var sequence: UInt64
        /// Whether its values can be read.
        var isWhole: Bool
        /// Brought back by an earlier release: its records are older than its place says.
        var isReturned: Bool
        /// Too large for a frame of this run, and without a place in the file before it is rebuilt.
        var waitsForRebuild: Bool
    }

    /// Unread heads, ascending; those before `oldest` were taken from the bottom.
    private var heads: [Head] = []
    private var oldest = 0
    /// Taken, and not merged whole yet: one for each reader at most.
    private var inWork: [Head] = []
    /// The highest overlap of the heads up to each of them.
    private var limits: [UInt64] = []
    /// The same of what could not be read.
    private(set) var failedLimit: UInt64 = 0
    private var unsettled: [Unsettled] = []
    /// Segments at or above this may answer; only falls.
    private var settledFrom: UInt64 = .max
    /// Sequences of directories that could not be read.
    private(set) var failedSequences: [UInt64] = []

    /// What the survey found, ascending.
    ///
    /// - Parameter isWhole: if not, there are others, of which nothing is known.
    mutating func begin(_ found: [Head], isWhole: Bool) {
        if !isWhole { failedLimit = .max }
        heads = found
        limits.reserveCapacity(heads.count)
        var limit: UInt64 = 0
        for head in heads {
            limit = max(limit, head.overlap)
            limits.append(limit)
        }
    }

    /// Every directory below this sequence has been read.
    var floor: UInt64 {
        let unread = oldest < heads.count ? heads[oldest].sequence : .max
        return inWork.reduce(unread) { min($0, $1.sequence) }
    }
    /// Whether nothing is left to take, and no reader is at work.
    var isRead: Bool { heads.count <= oldest && inWork.isEmpty }

    /// What is taken counts as unread until `didRead` is told of it.
    mutating func takeNewest() -> Head? {
        guard heads.count > oldest else { return nil }
        limits.removeLast()
        let head = heads.removeLast()
        inWork.append(head)
        return head
    }

    mutating func takeOldest() -> Head? {
        guard heads.count > oldest else { return nil }
        defer { oldest += 1 }
        inWork.append(heads[oldest])
        return heads[oldest]
    }

    /// What was taken has been merged, or cannot be.
    mutating func didRead(_ head: Head) {
        let index = inWork.firstIndex { $0.sequence == head.sequence }
        if let index { inWork.remove(at: index) }
    }

    /// A directory cannot be read: what it could have overtaken is never settled.
    mutating func didFail(_ head: Head) {
        failedSequences.append(head.sequence)
        failedLimit = max(failedLimit, head.overlap)
    }

    /// Segments that only a damaged directory can name.
    mutating func didNotFind(_ sequences: [UInt64]) {
        let known = Set(failedSequences)
        failedSequences += sequences.filter { !known.contains($0) }
    }

    mutating func add(
        _ segment: Int, _ sequence: UInt64, isWhole: Bool, isReturned: Bool, waitsForRebuild: Bool
    ) {
        unsettled.append(
            Unsettled(
                segment: segment, sequence: sequence, isWhole: isWhole, isReturned: isReturned,
                waitsForRebuild: waitsForRebuild))
    }

    /// Calls `body` for every segment that may answer from now on.
    ///
    /// - Parameters:
    ///   - isLast: everything has been read.
    ///   - isRebuilt: nothing of the last run waits to be rebuilt any more.
    mutating func settle(
        isLast: Bool, isRebuilt: Bool, _ body: (_ segment: Int, _ isWhole: Bool) -> Void
    ) {
        let waitingLimit = limits.count > oldest ? limits[limits.count - 1] : 0
        let unreadLimit = inWork.reduce(waitingLimit) { max($0, $1.overlap) }
        let from = max(unreadLimit, failedLimit)
        settledFrom = from
        unsettled.removeAll { entry in
            let isNewest = entry.isReturned ? isLast && failedLimit == 0 : entry.sequence >= from
            guard isNewest, isRebuilt || !entry.waitsForRebuild else { return false }
            body(entry.segment, entry.isWhole)
            return true
        }
    }

    /// Calls `body` for every segment that never may answer; returns how many. What waits to be
    /// rebuilt stays.
    mutating func distrust(_ body: (_ segment: Int) -> Void) -> Int {
        let before = unsettled.count
        let from = settledFrom
        unsettled.removeAll { entry in
            if entry.waitsForRebuild, entry.sequence >= from { return false }
            body(entry.segment)
            return true
        }
        return before - unsettled.count
    }

    /// Once everything else is settled or distrusted: segments that wait until the committer has
    /// rebuilt what the last run had open.
    var waiting: Int { unsettled.count }
}
