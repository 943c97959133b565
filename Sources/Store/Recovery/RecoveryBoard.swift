// RecoveryBoard: what the readers of a recovery share: which directories are still to be read and
// what may answer, what they have counted, and what they made anew.

internal import Primitives
internal import SegmentLog
internal import Synchronization

/// Shared by the threads that read directories, each word of it behind a lock.
final class RecoveryBoard: Sendable {
    let front = Mutex(RecoveryFront())
    let counts = Mutex(RecoveryCounts())
    let remade = RemadeSegments()

    /// What nothing unread can have overtaken answers from now on. Takes no lock of the index: also
    /// while another thread has a shard locked.
    func settle(_ segments: Segments, _ signals: Signals) {
        front.withLock { front in
            front.settle(isLast: false, isRebuilt: false) { segment, isWhole in
                segments.advanceIf(segment, from: .unsettled, to: isWhole ? .resting : .dying)
            }
            // Sequences below this have been read, or have left.
            signals.recoveredUpTo.storeRelease(front.floor)
        }
    }
}

/// What a recovery tells of itself at its end.
struct RecoveryCounts {
    var items = 0
    var segments = 0
    var refused = 0
    var damaged = 0
    var distrusted = 0
}

/// Segments whose directories on disk are damaged: they were made anew, in memory only. Asked with
/// a shard locked.
final class RemadeSegments: Sendable {
    private let sequences = Mutex<Set<UInt64>>([])

    func contains(_ sequence: UInt64) -> Bool { sequences.withLock { $0.contains(sequence) } }
    func insert(_ sequence: UInt64) { _ = sequences.withLock { $0.insert(sequence) } }
}
