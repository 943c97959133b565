// WholeWorker: a production worker over the simulated ring, and whether somebody has woken it.

import Server
import Simulation
import Uring

/// One worker. A class, since workers cannot be copied.
final class WholeWorker {
    private var worker: Worker<SimulatedRing>
    let waker: Waker
    /// Somebody has notified it since its last turn.
    var isNotified = false

    init(_ worker: consuming Worker<SimulatedRing>, _ waker: Waker) {
        self.worker = worker
        self.waker = waker
    }

    func turn() throws {
        isNotified = false
        try worker.turn()
        worker.check()
    }

    var isDone: Bool { worker.isDone }

    /// It is done, and takes leave of the store.
    func leave() throws { try worker.run() }
}
