// Health: whether the disk takes what is written, since when it does not, and when to try again.

/// What the committer knows of its disk. Times are of the monotonic clock, in nanoseconds.
///
/// ```text
///          didFail             hasFailedLong: memory is freed at the price of
/// fine ─────────────► failing  what commits should have written
///   ▲                    │
///   └──── didSucceed ────┘            unusable: could not be read at the start; never written
/// ```
struct Health {
    private enum State: Equatable {
        case fine
        case failing(since: UInt64)
        case unusable
    }

    private var state = State.fine
    private var retryAt: UInt64 = 0
    /// To be counted from the next step on: what failed may have taken its time.
    private var pause: UInt64?
    /// It was said that the index is full.
    private var didWarnIndex = false
    /// Failed commits that had been counted when the first of those failed that failed in a row.
    private(set) var failedBefore: UInt64 = 0

    /// How long commits must have failed before memory is freed at the price of what they should
    /// have written: less than a set waits for memory.
    static let patienceNanosecondsMax: UInt64 = 2_000_000_000

    var isUnusable: Bool { state == .unusable }
    var isFailing: Bool { state != .fine }

    /// A step begins.
    mutating func begin(at now: UInt64) {
        if let pause { retryAt = now + pause }
        pause = nil
    }

    func mayCommit(at now: UInt64) -> Bool { state != .unusable && now >= retryAt }

    /// When the next commit may be made; nil if there will be none.
    var triedAgainAt: UInt64? { state == .unusable ? nil : retryAt }

    func hasFailedLong(at now: UInt64) -> Bool {
        switch state {
        case .fine: false
        case .failing(let since): now &- since >= Self.patienceNanosecondsMax
        case .unusable: true
        }
    }

    /// How long commits have been failing; 0 if the last one succeeded.
    func failingMilliseconds(at now: UInt64) -> UInt64 {
        guard case .failing(let since) = state else { return 0 }
        return (now - min(since, now)) / 1_000_000
    }

    /// The next commit is made at once, or so much after the next step.
    mutating func retry(after nanoseconds: UInt64) {
        retryAt = 0
        pause = nanoseconds == 0 ? nil : nanoseconds
    }

    /// How long to wait before the next commit.
    func pauseLeft(at now: UInt64) -> UInt64 { pause ?? (retryAt - min(now, retryAt)) }

    /// Answers whether it is the first in a row.
    mutating func didFail(at now: UInt64, countedBefore: UInt64) -> Bool {
        guard state == .fine else { return false }
        state = .failing(since: now)
        failedBefore = countedBefore
        return true
    }

    mutating func didSucceed() {
        precondition(state != .unusable)
        state = .fine
        retryAt = 0
        pause = nil
    }

    /// Nothing may be written over what could not be read.
    mutating func giveUp() { state = .unusable }

    /// Whether nobody has been told yet that the index is full.
    mutating func isFirstIndexWarning() -> Bool {
        defer { didWarnIndex = true }
        return !didWarnIndex
    }

    /// What must hold between two steps; a sentence if it does not.
    func check(at now: UInt64) -> String? {
        retryAt > now + 500_000_000 ? "commits are tried again too late" : nil
    }
}
