// Server: the running parts of one process: store, workers, acceptor, and the thread that waits
// for signals. `Daemon` makes it and says how it begins and ends.

internal import Glibc
internal import Primitives
internal import Store
internal import Synchronization
internal import Uring

/// The parts of a server, while it runs. The main thread's.
struct Server<Control: SystemRing & ~Copyable>: ~Copyable {
    private let settings: Settings
    private let events: EventLog
    private let memory: ServerMemory
    private let store: TieredStore
    private let listeners: [Listener]
    private let shared: SharedState
    private let fates: WorkerFates
    private let controlWaker: Waker
    private let stopOrder: AtomicWord32
    private let vote: EngineVote?
    private var ring: Control?
    private var acceptor: Acceptor<Control>?
    private var wakers: [Waker] = []

    init(
        settings: Settings, events: EventLog, memory: ServerMemory, store: TieredStore,
        access: Access, listeners: [Listener], ring: consuming Control
    ) throws(Daemon.Failure) {
        let controlWaker = ring.waker
        let shared: SharedState
        let fates: WorkerFates
        let stopOrder: AtomicWord32
        let vote: EngineVote?
        do {
            vote = Control.engine == .uring ? try EngineVote(workers: settings.workers) : nil
            shared = try SharedState(
                settings: settings, connectionsPerWorker: memory.connectionsPerWorker,
                startedAt: TimeSource.system.now(), controlWaker: controlWaker, access: access,
                events: events,
                storeStatistics: { store.statistics() })
            shared.watchEvictions(of: store)
            fates = try WorkerFates(count: settings.workers, controlWaker: controlWaker)
            stopOrder = try Region.map(byteCount: 4096).atomic32(at: 0)
        } catch {
            throw Daemon.Failure(line: "no memory: \(error)", exitCode: Daemon.ExitCode.system)
        }
        self.settings = settings
        self.events = events
        self.memory = memory
        self.store = store
        self.listeners = listeners
        self.shared = shared
        self.fates = fates
        self.controlWaker = controlWaker
        self.stopOrder = stopOrder
        self.vote = vote
        self.ring = consume ring
        acceptor = nil
    }

    // MARK: Starting

    /// Starts the workers, then the store's threads; returns when all are ready to serve.
    mutating func start() throws(Daemon.Failure) {
        do {
            for number in 0..<settings.workers {
                try WorkerThread(
                    number: number, store: store, shared: shared, memory: memory, fates: fates,
                    vote: vote
                ).start()
            }
            try watchSignals()
        } catch {
            throw Daemon.Failure(
                line: "no thread: \(errorText(error.errno))", exitCode: Daemon.ExitCode.system)
        }
        var names = ""
        var engine = Control.engine
        for (number, fate) in fates.started().enumerated() {
            switch fate {
            case .running(let waker, let ownEngine, let features):
                wakers.append(waker)
                names = features
                engine = ownEngine
            case .failed(let reason):
                throw Daemon.Failure(
                    line: reason, exitCode: Daemon.ExitCode.system, worker: number)
            case .starting, .ended: break
            }
        }
        if let refusal = vote?.refusal { events.warning(.ringFallback, refusal.fallbackFields) }
        let memory = memory
        let (features, chosen) = (names, engine)
        shared.facts.update {
            $0.engine = chosen
            $0.ringFeatures = features
            $0.memory = memory
        }
        try startStore()
        guard let ring = ring.take() else { return }
        do {
            acceptor = try Acceptor(
                ring: ring, listeners: listeners, shared: shared, wakers: wakers,
                events: events)
        } catch {
            throw Daemon.Failure(line: "no memory: \(error)", exitCode: Daemon.ExitCode.system)
        }
    }

    private func startStore() throws(Daemon.Failure) {
        let mailboxes = shared.mailboxes
        let wakers = wakers
        do {
            try store.start { worker in mailboxes[worker].notify(wakers[worker]) }
        } catch {
            throw Daemon.failure(error)
        }
    }

    /// Waits for signals on a thread of its own; TERM, INT and USR1 order a stop.
    private func watchSignals() throws(ThreadError) {
        let stopOrder = stopOrder
        let waker = controlWaker
        let events = events
        let shared = shared
        _ = try Thread(name: "brim-signals") {
            while true {
                let signal = SignalWatch.next()
                if signal == .hangup {
                    Self.reread(shared.access, events)
                    continue
                }
                events.info(
                    .serverStopping, "signal=\(signal) connections=\(shared.connectionCount)")
                stopOrder.storeRelease(1)
                waker.wake()
            }
        }
    }

    /// What a hangup is for.
    private static func reread(_ access: Access, _ events: EventLog) {
        guard access.hasFile else { return events.info(.hangupIgnored) }
        if let reason = access.reread() {
            events.warning(.credentialsKept, "reason=\(quoted: reason)")
        } else {
            events.info(.credentialsRead)
        }
    }

    /// Starts what serves the admin addresses, once everything that it shows is there.
    func startAdmin(
        _ admin: AdminStarter?, _ listeners: [Listener]
    ) throws(Daemon.Failure) -> (any AdminPort)? {
        guard let admin, !listeners.isEmpty else { return nil }
        do {
            return try admin(listeners, shared, events)
        } catch {
            throw Daemon.Failure(line: "\(error)", exitCode: Daemon.ExitCode.system)
        }
    }

    /// Says where and how it serves.
    func announce() {
        shared.phase = .serving
        let places = listeners.map { "\($0.address)" }.joined(separator: ", ")
        let facts = shared.facts.current
        events.info(
            .ringFeatures,
            "engine=\(facts.engine.rawValue) names=\(quoted: facts.ringFeatures)")
        events.info(
            .serverReady,
            "version=\(Version.number) addresses=\(quoted: places) workers=\(settings.workers)"
                + " memory_mib=\(settings.memoryBytes >> 20)"
                + " connections=\(settings.connectionsMax)"
                + " store=\(settings.store.map { "\(quoted: $0.directory)" } ?? "none")"
                // Scripts that were written for releases without events wait for these words.
                + " text=\"now ready: brim \(Version.number) on \(places),"
                + " workers=\(settings.workers)\"")
    }

    // MARK: Serving

    /// Accepts until a stop is ordered. What it returns went wrong meanwhile.
    mutating func serve() -> Daemon.Failure? {
        let stopOrder = stopOrder
        let fates = fates
        do {
            try acceptor?.run {
                stopOrder.loadAcquire() == 1 || fates.failure != nil
            }
        } catch {
            return Daemon.Failure(line: error.explanation, exitCode: Daemon.ExitCode.software)
        }
        return fates.failure.map {
            Daemon.Failure(
                line: $0.reason, exitCode: Daemon.ExitCode.software, worker: $0.worker)
        }
    }

    /// Stops accepting, lets the workers answer what has arrived, then commits.
    ///
    /// - Returns: whether everything that was written is on disk, if there is one.
    mutating func stop(deadline: UInt64) -> Bool {
        let fates = fates
        shared.phase = .stopping
        let begun = Clock.monotonicNanoseconds()
        let workersDeadline = deadline - min(deadline, 1_500_000_000)
        for (mailbox, waker) in zip(shared.mailboxes, wakers) {
            mailbox.orderStop()
            mailbox.notify(waker)
        }
        do {
            try acceptor?.stop()
            for (mailbox, waker) in zip(shared.mailboxes, wakers) { mailbox.notify(waker) }
            try acceptor?.wait {
                fates.haveEnded || Clock.monotonicNanoseconds() >= workersDeadline
            }
        } catch {
            events.warning(.stopDisturbed, "reason=\(quoted: error.explanation)")
        }
        for worker in fates.unfinished {
            events.warning(.workerUnfinished, "worker=\(worker)")
        }
        let isCommitted = store.stop(deadlineNanoseconds: deadline)
        let spent = Clock.monotonicNanoseconds() - begun
        events.info(.serverStopped, "milliseconds=\(spent / 1_000_000)")
        return isCommitted
    }
}
