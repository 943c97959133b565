// Sleeper: what a ring waits for that was to wait and had nothing to tell; whether it still sleeps.
//
// A test that turns a worker whose ring sleeps wakes it up for no reason, and so never notices that
// somebody else has forgotten to.

internal import Primitives

/// A ring that waits.
struct Sleeper {
    let operations: [SimulatedRing.Operation]
    let wakeWord: AtomicWord32
}

extension SimulatedNetwork {
    /// Whether a ring waits, and nothing has happened that would end its wait.
    ///
    /// - Parameter ring: its number, in the order in which this network's rings were made.
    public func isAsleep(ring: Int) -> Bool {
        guard let sleeper = sleepers[ring] else { return false }
        return !sleeper.operations.contains { mayComplete($0, sleeper.wakeWord) }
    }

    private func mayComplete(
        _ operation: SimulatedRing.Operation, _ wakeWord: AtomicWord32
    ) -> Bool {
        switch operation.kind {
        case .accept: return !(backlogs[operation.descriptor] ?? []).isEmpty
        case .receive, .receiveOnce, .receiveInto:
            let link = links[operation.link]
            return link.waiting > 0 || link.isReset || link.isPeerFinished || link.isShutDown
        case .room:
            let link = links[operation.link]
            let hasNews = operation.toldRoom != link.roomNews && link.hasRoom
            return link.isReset || link.isShutDown || operation.toldRoom < 0 || hasNews
        case .read: return !holdsReads
        case .timeout: return operation.number <= nanoseconds
        case .wake: return wakeWord.loadAcquire() != 0
        case .sendNow, .send, .cancel, .shutdown, .close: return true
        }
    }
}
