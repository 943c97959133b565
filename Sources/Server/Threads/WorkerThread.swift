// WorkerThread: starts workers on threads of their own and learns how they fared.

package import Primitives
internal import Store
internal import Synchronization
package import Uring

/// How a worker's thread got on.
enum WorkerFate: Sendable {
    case starting
    case running(Waker, engine: Engine, features: String)
    case failed(String)
    case ended
}

/// What is known of all workers. Any thread; off every hot road.
final class WorkerFates: Sendable {
    private let fates: Mutex<[WorkerFate]>
    private let changes: AtomicWord32
    private let controlWaker: Waker

    init(count: Int, controlWaker: Waker) throws(MemoryError) {
        fates = Mutex(Array(repeating: .starting, count: count))
        changes = try Region.map(byteCount: 4096).atomic32(at: 0)
        self.controlWaker = controlWaker
    }

    func set(_ worker: Int, _ fate: WorkerFate) {
        fates.withLock { $0[worker] = fate }
        changes.add(1)
        changes.wake()
        controlWaker.wake()
    }

    var current: [WorkerFate] { fates.withLock { $0 } }

    /// Waits until no worker is starting any more.
    func started() -> [WorkerFate] {
        while true {
            let seen = changes.loadAcquire()
            let fates = current
            let isStarting = fates.contains { if case .starting = $0 { true } else { false } }
            guard isStarting else { return fates }
            changes.wait(while: seen, nanoseconds: 1_000_000_000)
        }
    }

    var haveEnded: Bool { unfinished.isEmpty }

    /// The numbers of the workers that have not ended.
    var unfinished: [Int] {
        current.enumerated().filter {
            switch $0.element {
            case .ended, .failed: false
            case .starting, .running: true
            }
        }.map(\.offset)
    }

    /// What went wrong with a worker that had been running, if anything.
    var failure: (worker: Int, reason: String)? {
        for case (let worker, .failed(let reason)) in current.enumerated() {
            return (worker, reason)
        }
        return nil
    }
}

/// Lets all workers go the same way: either each of them has a ring of io_uring, or none uses it.
///
/// The control thread's ring was made before, so io_uring is there; what a worker may still meet is
/// that the memory that may be locked is used up. Any thread.
package final class EngineVote: Sendable {
    private let state: Mutex<(awaited: Int, refusal: RingError?)>
    private let changes: AtomicWord32

    package init(workers: Int) throws(MemoryError) {
        state = Mutex((workers, nil))
        changes = try Region.map(byteCount: 4096).atomic32(at: 0)
    }

    /// Why some worker could not make its ring, if one could not.
    package var refusal: RingError? { state.withLock { $0.refusal } }

    /// Says how a worker's ring came out, once for each worker; waits until all have said so.
    /// Returns the first refusal.
    package func cast(_ refusal: RingError?) -> RingError? {
        state.withLock {
            $0.awaited -= 1
            if $0.refusal == nil { $0.refusal = refusal }
        }
        changes.add(1)
        changes.wake()
        while true {
            let seen = changes.loadAcquire()
            let (awaited, refusal) = state.withLock { $0 }
            if awaited <= 0 { return refusal }
            changes.wait(while: seen, nanoseconds: 1_000_000_000)
        }
    }
}

/// One worker's thread.
struct WorkerThread: Sendable {
    let number: Int
    let store: TieredStore
    let shared: SharedState
    let memory: ServerMemory
    let fates: WorkerFates
    /// Nil where the workers are to use epoll from the start.
    let vote: EngineVote?

    /// Starts the worker: its ring is made on its thread, as the kernel demands.
    func start() throws(ThreadError) {
        _ = try Thread(name: "brim-worker-\(number)") {
            do {
                try run()
                fates.set(number, .ended)
            } catch let error as RingError {
                fates.set(number, .failed(error.explanation))
            } catch {
                fates.set(number, .failed("no memory for a worker: \(error)"))
            }
        }
    }

    private func run() throws {
        guard let ring = try kernelRing() else {
            return try run(try PollRing(configuration: ringConfiguration))
        }
        try run(ring)
    }

    /// A ring of io_uring; nil if the workers are to use epoll.
    private func kernelRing() throws(RingError) -> KernelRing? {
        guard let vote else { return nil }
        do throws(RingError) {
            let ring = try KernelRing(configuration: ringConfiguration)
            guard vote.cast(nil) == nil else { return nil }
            return ring
        } catch {
            let mayFallBack = shared.settings.engine == .auto && error.allowsEpoll
            // Those whose ring was made wait for every vote, that of a worker that fails as well.
            _ = vote.cast(error)
            guard mayFallBack else { throw error }
            return nil
        }
    }

    private var ringConfiguration: RingConfiguration {
        var configuration = RingConfiguration()
        configuration.bufferCount = memory.receiveBuffers
        configuration.bufferBytes = ServerLimits.blockBytes
        configuration.ringCount = shared.settings.workers + 1
        return configuration
    }

    private func configuration(receiveBuffers: Int) -> WorkerConfiguration {
        let settings = shared.settings
        return WorkerConfiguration(
            connectionsMax: memory.connectionsPerWorker,
            receiveBuffers: receiveBuffers, poolBlocks: memory.poolBlocks,
            itemBytesMax: store.itemBytesMax + (settings.isCasDisabled ? 8 : 0),
            requestsPerTurnMax: settings.requestsPerTurnMax,
            idleTimeoutSeconds: settings.idleTimeoutSeconds,
            isCasDisabled: settings.isCasDisabled)
    }

    // Twice the same, on purpose: what is generic here may not be specialised.

    private func run(_ ring: consuming KernelRing) throws {
        let fate = WorkerFate.running(
            ring.waker, engine: .uring, features: ring.featureNames.joined(separator: ","))
        let receiveBuffers = ring.bufferCount
        var worker = try Worker<KernelRing>(
            ring: ring, door: store.door(worker: number),
            configuration: configuration(receiveBuffers: receiveBuffers),
            mailbox: shared.mailboxes[number], shared: shared, number: number, clock: .system)
        fates.set(number, fate)
        try worker.run()
    }

    private func run(_ ring: consuming PollRing) throws {
        let fate = WorkerFate.running(ring.waker, engine: .epoll, features: "")
        let receiveBuffers = ring.bufferCount
        var worker = try Worker<PollRing>(
            ring: ring, door: store.door(worker: number),
            configuration: configuration(receiveBuffers: receiveBuffers),
            mailbox: shared.mailboxes[number], shared: shared, number: number, clock: .system)
        fates.set(number, fate)
        try worker.run()
    }
}
