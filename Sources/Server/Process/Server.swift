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
    private let host: Host
    private let reloader: Reloader
    private var heartbeat: Heartbeat?
    private var status: ServingStatus?
    private var ring: Control?
    private var acceptor: Acceptor<Control>?
    private var wakers: [Waker] = []

    init(
        settings: Settings, events: EventLog, memory: ServerMemory, store: TieredStore,
        access: Access, listeners: [Listener], ring: consuming Control, host: Host
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
            shared.itemLists = store.lists
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
        self.host = host
        reloader = Reloader(host: host, shared: shared, events: events, store: store)
        let reloader = reloader
        shared.enable(
            OperatorOrders(
                reload: { reloader.reload() }, flush: { store.flushAll() },
                settings: { reloader.inEffect },
                configured: { try host.settingsAgain?() ?? settings }, defaults: host.defaults))
        self.ring = consume ring
        acceptor = nil
    }

    /// How long stopping may take besides the time that peers are given.
    static var stopNanosecondsMax: UInt64 { 4_200_000_000 }

    // MARK: Starting

    /// Starts the workers, then the store's threads; returns when who has been waiting is accepted.
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
        do {
            try acceptor?.begin()
        } catch {
            throw Daemon.Failure(line: error.explanation, exitCode: Daemon.ExitCode.system)
        }
        do {
            try store.startRecovery()
        } catch {
            throw Daemon.failure(error)
        }
    }

    private func startStore() throws(Daemon.Failure) {
        let mailboxes = shared.mailboxes
        let wakers = wakers
        do {
            try store.startServing { worker in mailboxes[worker].notify(wakers[worker]) }
        } catch {
            throw Daemon.failure(error)
        }
    }

    /// Waits for signals on a thread of its own.
    private func watchSignals() throws(ThreadError) {
        let watch = StopWatch(
            events: events, shared: shared, reloader: reloader, manager: host.manager,
            stopOrder: stopOrder, waker: controlWaker)
        _ = try Thread(name: "brim-signals") { watch.run() }
    }

    /// Starts what serves the admin addresses, once everything that it shows is there.
    func startAdmin(
        _ admin: AdminStarter?, _ listeners: [Listener]
    ) throws(Daemon.Failure) -> (any AdminPort)? {
        guard let admin, !listeners.isEmpty else { return nil }
        do {
            let port = try admin(listeners, shared, events)
            reloader.attach(port)
            return port
        } catch {
            throw Daemon.Failure(line: "\(error)", exitCode: Daemon.ExitCode.system)
        }
    }

    /// Says where and how it serves.
    mutating func announce() {
        // A stop may have been ordered meanwhile.
        _ = shared.changePhase(from: .starting, to: .serving)
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
        var status = ServingStatus(places: places)
        let text = status.next { shared.recoveryState } ?? ""
        if shared.phase == .serving { host.manager.ready(text) }
        self.status = status
        guard let limit = host.manager.watchdogMicroseconds else { return }
        if limit < Heartbeat.microsecondsMin {
            events.warning(.watchdogShort, "microseconds=\(limit)")
        }
        heartbeat = Heartbeat(
            limitMicroseconds: limit, turns: shared.turnCounts, at: Clock.monotonicNanoseconds())
    }

    // MARK: Serving

    /// Accepts until a stop is ordered. What it returns went wrong meanwhile.
    mutating func serve() -> Daemon.Failure? {
        let stopOrder = stopOrder
        let fates = fates
        let (shared, host) = (shared, host)
        var heartbeat = heartbeat
        var status = status
        do {
            try acceptor?.run {
                let now = Clock.monotonicNanoseconds()
                if shared.phase == .serving, let text = status?.next({ shared.recoveryState }) {
                    host.manager.status(text)
                }
                if heartbeat?.isDue(shared.turnCounts, at: now) == true { host.manager.alive() }
                host.tick()
                return stopOrder.loadAcquire() == 1 || fates.failure != nil
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
    mutating func stop() -> Bool {
        let fates = fates
        let (shared, manager, wakers) = (shared, host.manager, wakers)
        shared.phase = .stopping
        let begun = Clock.monotonicNanoseconds()
        let deadline = begun + Self.stopNanosecondsMax + shared.drainTimeoutNanoseconds
        let workersDeadline = deadline - 1_500_000_000
        for (mailbox, waker) in zip(shared.mailboxes, wakers) {
            mailbox.orderStop()
            mailbox.notify(waker)
        }
        do {
            try acceptor?.stop()
            for (mailbox, waker) in zip(shared.mailboxes, wakers) { mailbox.notify(waker) }
            var hasHurried = false
            try acceptor?.wait {
                manager.alive()
                if shared.isHurried, !hasHurried {
                    hasHurried = true
                    for (mailbox, waker) in zip(shared.mailboxes, wakers) { mailbox.notify(waker) }
                }
                return fates.haveEnded || Clock.monotonicNanoseconds() >= workersDeadline
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
