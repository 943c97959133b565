// Debts: what is owed for segments that were given up before they were written; see
// `Committer+Debts` for why.

internal import SegmentLog

/// What is owed for what was given up since the last completed commit.
///
/// ```text
///          owe              oweFlushMark: too many, or no memory
/// nothing ─────► tombstones ─────────────────────────────────────► a flush mark
///    ▲               │ settle                                          │ didWriteFlushMark
///    └───────────────┴─────────────────────────────────────────────────┘
/// ```
struct Debts {
    /// The flush mark that is owed; 0: none.
    private(set) var flushMark: UInt64 = 0
    /// Bytes of owed tombstones.
    private(set) var bytes = 0
    /// Sealed segments that hold them: these are not given up.
    private(set) var segments: [Committer.Named] = []
    private var didWarn = false
    /// Segments that were given up: their numbers are free again after quiescence.
    private var givenUp: [(segment: Int, turns: Frames.Snapshot)] = []

    /// One more tombstone is owed.
    ///
    /// - Parameter sealed: the segment that was sealed to make room for it.
    mutating func owe(bytes more: Int, sealed: Committer.Named?) {
        bytes += more
        if let sealed { segments.append(sealed) }
    }

    /// A flush mark takes the place of the tombstones.
    mutating func oweFlushMark(above written: UInt64) {
        segments = []
        flushMark = max(written + 1, 1)
    }
    mutating func raiseFlushMark(to order: UInt64) { flushMark = max(flushMark, order) }
    mutating func didWriteFlushMark() { flushMark = 0 }

    /// A commit has completed; a mark, if one was owed, was in its first transaction.
    mutating func settle() {
        bytes = 0
        segments = []
        didWarn = false
    }

    mutating func isFirstWarning() -> Bool {
        defer { didWarn = true }
        return !didWarn
    }

    // MARK: Numbers

    mutating func giveUp(_ segment: Int, _ turns: Frames.Snapshot) {
        givenUp.append((segment, turns))
    }

    /// Takes out the segments that nobody can be looking at any more.
    mutating func takeQuiet(_ isQuiet: (Frames.Snapshot) -> Bool) -> [Int] {
        let quiet = givenUp.filter { isQuiet($0.turns) }.map(\.segment)
        givenUp.removeAll { quiet.contains($0.segment) }
        return quiet
    }

    /// What must hold between two steps; a sentence if it does not.
    func check() -> String? {
        if bytes == 0, !segments.isEmpty { return "nothing is owed, but segments are held for it" }
        let numbers = Set(givenUp.map(\.segment))
        return numbers.count == givenUp.count ? nil : "a segment was given up twice"
    }
}
