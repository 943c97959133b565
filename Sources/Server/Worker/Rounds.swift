// Rounds: what a worker looks at once a second, and how far it has come with it.

/// The rounds of a worker, one a second.
struct Rounds: BitwiseCopyable {
    private var lastAt: UInt64
    /// System calls of the ring that were counted.
    private var entersTold: UInt64 = 0
    /// The connection that was looked at last for idleness.
    private var idleCursor = 0

    init(at now: UInt64) { lastAt = now }

    /// Whether the next round is due; it counts as made then.
    mutating func begin(at now: UInt64) -> Bool {
        guard now &- lastAt >= 1_000_000_000 else { return false }
        lastAt = now
        return true
    }

    /// How many of the ring's system calls are new since the last round.
    mutating func newEnters(of enterCount: UInt64) -> UInt64 {
        defer { entersTold = enterCount }
        return enterCount &- entersTold
    }

    /// The slot to look at next, of so many.
    mutating func nextSlot(of count: Int) -> Int {
        idleCursor = idleCursor + 1 < count ? idleCursor + 1 : 0
        return idleCursor
    }
}
