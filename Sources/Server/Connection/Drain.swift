// Drain: whether a worker stops, and until when it goes on answering. What it does then is
// Closing's business.

struct Drain: BitwiseCopyable {
    private(set) var isActive = false
    private var deadline: UInt64 = 0

    mutating func begin(until deadline: UInt64) {
        precondition(!isActive)
        isActive = true
        self.deadline = deadline
    }

    /// Whether nobody is waited for any more.
    func isOver(at now: UInt64) -> Bool { isActive && now >= deadline }
}
