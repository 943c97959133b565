// StopWatch: the thread that waits for signals. One begins the stop, a second one hurries it, a
// hangup reads the settings again.

internal import Primitives
internal import Uring

struct StopWatch: Sendable {
    let events: EventLog
    let shared: SharedState
    let reloader: Reloader
    let manager: ServiceManager
    /// Set to 1: the control thread ends its service.
    let stopOrder: AtomicWord32
    let waker: Waker

    /// Never returns; the process ends without it.
    func run() -> Never {
        var deadline: UInt64?
        while true {
            guard let signal = next(until: deadline) else {
                deadline = nil
                order()
                continue
            }
            if signal == .hangup {
                if shared.phase != .stopping { _ = reloader.reload() }
            } else if shared.phase == .stopping {
                deadline = nil
                events.info(.serverHurried)
                shared.isHurried = true
                order()
            } else {
                deadline = begin(signal)
                if deadline == nil { order() }
            }
        }
    }

    private func next(until deadline: UInt64?) -> StopSignal? {
        guard let deadline else { return SignalWatch.next() }
        while true {
            let now = Clock.monotonicNanoseconds()
            guard now < deadline else { return nil }
            // A process that was stopped and goes on waits no more, without a signal.
            if let signal = SignalWatch.next(withinNanoseconds: deadline - now) { return signal }
        }
    }

    /// The server says that it stops; when it is to begin to, if not at once.
    private func begin(_ signal: StopSignal) -> UInt64? {
        shared.phase = .stopping
        let delay = shared.drainDelayNanoseconds
        events.info(.serverStopping, "signal=\(signal) connections=\(shared.connectionCount)")
        manager.stopping(
            "stopping", withinNanoseconds: delay + shared.drainTimeoutNanoseconds + 10_000_000_000)
        return delay == 0 ? nil : Clock.monotonicNanoseconds() + delay
    }

    private func order() {
        stopOrder.storeRelease(1)
        waker.wake()
    }
}
