// WorkerThread: starts workers on threads of their own and learns how they fared.

internal import Primitives
internal import Store
internal import Synchronization
internal import Uring

/// How a worker's thread got on.
enum WorkerFate: Sendable {
    case starting
    case running(Waker, features: String)
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

/// One worker's thread.
enum WorkerThread {
    /// Starts a worker: its ring is made on its thread, as the kernel demands.
    static func start(
        number: Int, store: TieredStore, shared: SharedState, memory: ServerMemory,
        fates: WorkerFates
    ) throws(ThreadError) {
        _ = try Thread(name: "brim-worker-\(number)") {
            do {
                try run(
                    number: number, store: store, shared: shared, memory: memory, fates: fates)
                fates.set(number, .ended)
            } catch let error as RingError {
                fates.set(number, .failed(error.explanation))
            } catch {
                fates.set(number, .failed("no memory for a worker: \(error)"))
            }
        }
    }

    private static func run(
        number: Int, store: TieredStore, shared: SharedState, memory: ServerMemory,
        fates: WorkerFates
    ) throws {
        let settings = shared.settings
        var ringConfiguration = RingConfiguration()
        ringConfiguration.bufferCount = memory.receiveBuffers
        ringConfiguration.bufferBytes = ServerLimits.blockBytes
        ringConfiguration.ringCount = settings.workers + 1
        let ring = try KernelRing(configuration: ringConfiguration)
        let waker = ring.waker
        let receiveBuffers = ring.bufferCount
        let features = ring.features.names.joined(separator: ",")
        var worker = try Worker<KernelRing>(
            ring: ring, door: store.door(worker: number),
            configuration: WorkerConfiguration(
                connectionsMax: memory.connectionsPerWorker,
                receiveBuffers: receiveBuffers, poolBlocks: memory.poolBlocks,
                itemBytesMax: store.itemBytesMax + (settings.isCasDisabled ? 8 : 0),
                requestsPerTurnMax: settings.requestsPerTurnMax,
                idleTimeoutSeconds: settings.idleTimeoutSeconds,
                isCasDisabled: settings.isCasDisabled),
            mailbox: shared.mailboxes[number], shared: shared, number: number, clock: .system)
        fates.set(number, .running(waker, features: features))
        try worker.run()
    }
}
