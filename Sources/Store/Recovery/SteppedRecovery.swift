// SteppedRecovery: recovery without its thread: whoever holds it says when the next step is made.

internal import Primitives

/// For tests; one thread at a time. Its two readers take turns.
package final class SteppedRecovery {
    private let store: TieredStore
    private let disk: Disk
    private var recovery: StartingRecovery
    private var helper: RecoveryHelper?
    private var steps = 0

    private static let entriesPerStep = 16

    init(_ store: TieredStore, disk: Disk, memoryFailures failures: Int) {
        self.store = store
        self.disk = disk
        var left = failures
        recovery = StartingRecovery(store, disk: disk, entriesPerStep: Self.entriesPerStep) {
            () throws(MemoryError) -> Region in
            left -= 1
            guard left < 0 else { throw .refused(byteCount: Directory.regionBytes) }
            return try DirectoryReader.makeRoom()
        }
    }

    /// Makes one step; false when recovery has ended.
    package func step(now: UInt32, at nanoseconds: UInt64) -> Bool {
        let reading = ClockReading(
            nanoseconds: nanoseconds, unixNanoseconds: UInt64(now) * 1_000_000_000)
        steps += 1
        if steps % 2 == 0, let board = recovery.boardToShare() {
            if helper == nil {
                helper = try? RecoveryHelper(
                    store, disk: disk, board, entriesPerStep: Self.entriesPerStep)
            }
            if helper?.step(at: reading) == .ended { helper = nil }
            return true
        }
        return recovery.step(at: reading) != .ended
    }
}
