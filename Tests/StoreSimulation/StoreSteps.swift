// StoreSteps: the steps of a played store's threads, and what must hold after each. Both worlds
// make them, the store's play and the whole server's; when, is theirs to say.

import Primitives
import Store

/// The threads of one life. A class: a step is made from within the files of another's.
package final class StoreSteps {
    package let played: PlayedStore
    /// The committer is in a step, at its files.
    package private(set) var isCommitting = false
    /// When the committer's step began, the last run had left something that is not sealed yet.
    private var hadUnsealed = false
    /// Told what does not hold.
    private let fail: (String) -> Void

    package init(_ played: PlayedStore, fail: @escaping (String) -> Void) {
        self.played = played
        self.fail = fail
    }

    package func committer(at now: ClockReading) -> NextStep {
        guard !isCommitting else { return .nothing }
        isCommitting = true
        defer { isCommitting = false }
        hadUnsealed = played.hasUnsealed
        let mark = played.flushMark
        let next = played.stepCommitter(at: now)
        if let what = played.checkCommitter() { fail("after a step of the committer: \(what)") }
        if played.flushMark < mark { fail("the flush mark has fallen") }
        return next
    }

    package func maintenance(at now: ClockReading) { _ = played.stepMaintenance(at: now) }

    /// False: it waits for a lock, while the last run's segments are being sealed.
    ///
    /// - Parameter isHelper: It is the second reader's step.
    package func recovery(at now: ClockReading, isHelper: Bool) -> Bool {
        guard !(isCommitting && hadUnsealed) else { return false }
        _ = played.stepRecovery(at: now, isHelper: isHelper)
        if let what = played.recoveryFinding { fail("after a step of recovery: \(what)") }
        return true
    }

    /// Steps until a store that was told to stop has stopped; false: it does not.
    ///
    /// - Parameters:
    ///   - others: What happens between two steps of the committer, time included.
    package func finish(
        patience: Int, isOver: () -> Bool, committer: () -> NextStep, others: () -> Void
    ) -> Bool {
        for _ in 0..<patience {
            guard !isOver(), committer() != .ended else { return true }
            others()
        }
        return false
    }
}
