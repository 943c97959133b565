// Interleaving: what one thread does while another is in the middle of a command, for plays.

internal import Synchronization

/// A play makes whole steps, a worker's command among them. So what another thread does without a
/// lock, which on real threads may fall into the middle of a command, is put off until a command
/// has looked for its key and not changed anything yet, or until that thread's next step. Any
/// thread may use it.
final class Interleaving: Sendable {
    private let waiting = Mutex<[@Sendable () -> Void]>([])

    func putOff(_ body: @escaping @Sendable () -> Void) { waiting.withLock { $0.append(body) } }

    /// Does what was put off, in its order.
    func catchUp() {
        let bodies = waiting.withLock { waiting in
            defer { waiting.removeAll() }
            return waiting
        }
        for body in bodies { body() }
    }
}
