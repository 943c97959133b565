// SteppedRecovery: recovery without its thread: whoever holds it says when the next step is made.

/// For tests; one thread at a time.
package final class SteppedRecovery {
    private var recovery: Recovery

    init(_ recovery: consuming Recovery) { self.recovery = recovery }

    /// Makes one step; false when recovery has ended.
    package func step(now: UInt32, at nanoseconds: UInt64) -> Bool {
        let reading = ClockReading(
            nanoseconds: nanoseconds, unixNanoseconds: UInt64(now) * 1_000_000_000)
        return recovery.step(at: reading) != .ended
    }
}
