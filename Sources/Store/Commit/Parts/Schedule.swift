// Schedule: when the next commit is due, and how far the end of the server has come.

/// When to commit. Times are of the monotonic clock, in nanoseconds.
///
/// ```text
///           the server stops          a commit succeeds, or the deadline is over
/// working ────────────────► closing ─────────────────────────────────────────► ended
///                            ▲   │
///                            └───┘ a commit fails: again after a pause
/// ```
struct Schedule {
    enum Phase: Equatable {
        case working
        /// The server stops: everything there is is committed, tried again until the deadline.
        case closing(retryAt: UInt64)
        case ended
    }

    private(set) var phase = Phase.working
    /// When the next commit is due.
    private(set) var dueAt: UInt64
    /// The last commit did not come about: what it was for is below the cuts and still waits.
    private(set) var owesCommit = false
    /// When the last commit that succeeded began, until it is known how long it took.
    private var unmeasured: UInt64?
    private var interval: UInt64

    init(interval: UInt64, at now: UInt64) {
        self.interval = interval
        dueAt = now
    }

    func isDue(at now: UInt64) -> Bool { now >= dueAt }
    mutating func passInterval(at now: UInt64) { dueAt = now + interval }

    /// From now on, commits come so far apart.
    mutating func choose(interval: UInt64, at now: UInt64) {
        guard interval != self.interval else { return }
        self.interval = interval
        dueAt = min(dueAt, now + interval)
    }

    mutating func didBegin() { owesCommit = true }

    /// A commit that began then is complete.
    mutating func didSucceed(since began: UInt64) {
        owesCommit = false
        unmeasured = began
    }

    /// How long the commit of the last step took; nil if there was none.
    mutating func measure(at now: UInt64) -> UInt64? {
        guard let began = unmeasured else { return nil }
        unmeasured = nil
        return now - min(began, now)
    }

    /// The server stops; commits are tried from this time on.
    mutating func close(retryAt: UInt64) {
        precondition(phase != .ended)
        phase = .closing(retryAt: retryAt)
    }

    mutating func end() { phase = .ended }

    /// What must hold between two steps; a sentence if it does not.
    func check(at now: UInt64) -> String? {
        dueAt > now + interval ? "the next commit is due later than after an interval" : nil
    }
}
