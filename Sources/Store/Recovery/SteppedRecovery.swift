// SteppedRecovery: recovery without its thread: whoever holds it says when the next step is made.

internal import Primitives

/// For tests; one thread at a time. Its two readers take turns.
package final class SteppedRecovery {
    private var recovery: Recovery
    private var helper: RecoveryHelper?
    private var steps = 0

    init(_ store: TieredStore, disk: Disk) throws(MemoryError) {
        recovery = try Recovery(store, disk: disk, at: 0, entriesPerStep: 16)
        helper = try RecoveryHelper(store, disk: disk, recovery.board, entriesPerStep: 16)
    }

    /// Makes one step; false when recovery has ended.
    package func step(now: UInt32, at nanoseconds: UInt64) -> Bool {
        let reading = ClockReading(
            nanoseconds: nanoseconds, unixNanoseconds: UInt64(now) * 1_000_000_000)
        steps += 1
        if steps % 2 == 0, recovery.isPresized, helper != nil {
            if helper?.step(at: reading) == .ended { helper = nil }
            return true
        }
        return recovery.step(at: reading) != .ended
    }
}
