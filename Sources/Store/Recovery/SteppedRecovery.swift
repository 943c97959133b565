// SteppedRecovery: recovery without its thread: whoever holds it says when the next step is made.

/// For tests; one thread at a time.
package final class SteppedRecovery {
    private var recovery: Recovery

    init(_ recovery: consuming Recovery) { self.recovery = recovery }

    /// Makes one step; false when recovery has ended.
    package func step(now: UInt32, at nanoseconds: UInt64) -> Bool {
        switch recovery.step(now: now, at: nanoseconds) {
        case .more, .waits: true
        case .ended: false
        }
    }
}
