// WholeWorld: the server without threads, clock and kernel, over many lives: production workers
// over a simulated ring and network, the store as steps, and its files in memory.
//
// This file has its lives and steps; what clients do is in WholeWorld+Clients.swift. At each call
// of the files the committer is between two instructions of others: they make steps there.

import LMDB
import Primitives
import Server
import Simulation
import Store
import StoreSimulation
import Support
import Uring

package final class WholeWorld: @unchecked Sendable {
    // Sendable by name only: one thread plays it.
    /// The number of the store's file in every ring.
    static let fileNumber: Int32 = 1_000_000
    static let patience = 12_000

    package let seed: UInt64
    let casting: WholeCasting
    package let home: MemoryHome
    var law: WholeLaw
    var chance: Chance
    var now: ClockReading
    private(set) var network: SimulatedNetwork
    private var store: TieredStore?
    private var steps: StoreSteps?
    private var played: PlayedStore? { steps?.played }
    private var shared: SharedState?
    let clock: TimeSource
    private(set) var workers: [WholeWorker] = []
    var clients: [WholeClient] = []
    var connectionsMade = 0
    private var depth = 0
    private var wasTroubled = false
    private(set) var isRecovering = false
    /// Nobody asks anything new.
    private var isSettling = false
    private(set) var isAcknowledging = false
    /// This life is to go on without its store.
    private var isAlone = false
    /// Of the delayed flush_all, as it was after the last step.
    private var flushAt: UInt64 = 0
    /// Damage was done: what cannot be read, or begun, is no fault.
    private var isDamaged = false
    /// The last run has stopped with everything committed, so the next one's time goes on.
    var isCountKept = false
    /// How often the store had been moved aside when the last life began.
    private var movesBefore = 0
    /// The last life went on without its store: what it was told is gone, and what was before.
    private var wasAlone = false
    package var result = WholeResult()
    package var trace: ((String) -> Void)?
    /// What the store knew of the watched key.
    private var watched = ""
    private let events: EventLog

    package init(seed: UInt64, _ casting: WholeCasting, trace: ((String) -> Void)?) throws {
        self.seed = seed
        self.casting = casting
        self.trace = trace
        home = MemoryHome(
            seed: seed, ballast: casting.ballast,
            likeness: casting.isAlike ? Question.name(0) : nil)
        home.descriptor = Self.fileNumber
        law = WholeLaw(keys: casting.keys)
        chance = Chance(seed: seed)
        now = ClockReading(nanoseconds: 1 << 40, unixNanoseconds: 1_700_000_000_000_000_000)
        network = SimulatedNetwork(seed: seed)
        clock = try TimeSource.manual(Moment(nanoseconds: 1 << 40, seconds: 1_700_000_000))
        nonisolated(unsafe) let say = trace
        events = EventLog(threshold: .info) { level, line in say?("    log: \(level) \(line)") }
        home.interleave = { [unowned self] in interleave() }
        law.setTime(now.unixSeconds)
    }

    /// Nothing more is to be played in this life.
    var isOver: Bool { home.isDead || law.fault != nil }
    var isRunning: Bool { played != nil && !isOver }
    func fail(_ what: String) { if !home.isDead { law.fail(what) } }
    var commits: (begun: UInt64, completed: UInt64) { played?.commits ?? (0, 0) }
    var isTroubled: Bool { wasTroubled || !home.plan.isHarmless }

    // MARK: Lives

    /// A start with flags that the chance picks; clients come at once.
    func start() throws {
        home.revive()
        pass(20_000_000 + UInt64(chance.below(500_000_000)))
        var configuration = StoreConfiguration(
            memoryBytes: casting.memories[chance.below(casting.memories.count)],
            workers: casting.workers[chance.below(casting.workers.count)],
            itemBytesMax: casting.itemMaxima[chance.below(casting.itemMaxima.count)])
        let sizeBytes = casting.stores[chance.below(casting.stores.count)]
        configuration.disk = DiskConfiguration(
            directory: "memory", sizeBytes: sizeBytes, isAcknowledging: chance.below(2) == 0,
            flushIntervalMilliseconds: 5 + chance.below(200))
        configuration.itemBytesMax = min(configuration.itemBytesMax, sizeBytes / 8)
        isAcknowledging = configuration.disk?.isAcknowledging ?? false
        trace?(
            "  start -m \(configuration.memoryBytes >> 20) -t \(configuration.workers) "
                + "--store-size \(sizeBytes >> 20)m -I \(configuration.itemBytesMax) "
                + (isAcknowledging ? "ack" : "interval"))
        // What cannot be looked at before the first request is not looked at later.
        let readFails = home.plan.readFails
        home.plan.readFails = 0
        defer { home.plan.readFails = readFails }
        var other = Chance(seed: seed ^ UInt64(result.lives))
        isAlone = other.happens(perMille: casting.startsAlone)
        let moves = home.movedAside
        let store: TieredStore
        do {
            store = try TieredStore(
                configuration: configuration, events: events, home: home, now: now.systemSeconds)
        } catch {
            trace?("  did not start: \(error)")
            if home.plan.isHarmless, !home.isDead, !isDamaged { fail("no start: \(error)") }
            return
        }
        try makeServer(store, configuration)
        if !isAlone, !isDamaged, home.movedAside > moves || played?.isMemoryOnly ?? false {
            fail("a sound store was moved aside")
        }
    }

    private func makeServer(
        _ store: TieredStore, _ configuration: StoreConfiguration
    ) throws {
        network = SimulatedNetwork(seed: chance.next(), faults: casting.networkFaults(&chance))
        try network.addFile(descriptor: Self.fileNumber) { [unowned self] offset, count in
            home.read(at: offset, count: count)
        }
        var settings = Settings()
        settings.connectionsMax = 64
        settings.workers = configuration.workers
        settings.requestsPerTurnMax = [1, 2, 20, 64, 1000][chance.below(5)]
        if home.movedAside > movesBefore { isCountKept = false }
        beginCount(secondsAhead: store.secondsAhead)
        let shared = try SharedState(
            settings: settings, connectionsPerWorker: 32, startedAt: moment, events: events,
            storeStatistics: { store.statistics() })
        shared.itemLists = store.lists
        self.shared = shared
        workers = []
        // It cannot be read.
        if isAlone { home.plan.readFails = 1000 }
        let played = try PlayedStore(store, at: now) { [unowned self] worker in
            notify(worker)
        }
        home.plan.readFails = 0
        guard let played else {
            if home.plan.isHarmless { fail("no disk at a start") }
            return
        }
        steps = StoreSteps(played) { [unowned self] in fail($0) }
        self.store = store
        if home.isDead { return }
        for number in 0..<configuration.workers {
            workers.append(try makeWorker(store, shared, number))
        }
        isRecovering = store.statistics().isRecovering != 0
        flushAt = played.flushAt
        law.start(flushAt: flushAt, isStoreLost: home.movedAside > movesBefore || wasAlone)
        movesBefore = home.movedAside
        wasAlone = played.isMemoryOnly
        for _ in 0..<casting.connections { connect() }
    }

    private func makeWorker(
        _ store: TieredStore, _ shared: SharedState, _ number: Int
    ) throws -> WholeWorker {
        var ringConfiguration = RingConfiguration()
        ringConfiguration.entries = 64
        ringConfiguration.completions = 256
        ringConfiguration.bufferCount = 16
        let ring = try SimulatedRing(network: network, configuration: ringConfiguration)
        let waker = ring.waker
        let configuration = WorkerConfiguration(
            connectionsMax: 32, receiveBuffers: 16, poolBlocks: [32, 40, 64][chance.below(3)],
            itemBytesMax: store.itemBytesMax,
            requestsPerTurnMax: shared.settings.requestsPerTurnMax)
        let worker = try Worker(
            ring: ring, door: store.door(worker: number), configuration: configuration,
            mailbox: shared.mailboxes[number], shared: shared, number: number, clock: clock)
        return WholeWorker(worker, waker)
    }

    /// As another thread would: the worker looks what there is, and does not sleep before.
    private func notify(_ number: Int) {
        guard number < workers.count else { return }
        shared?.mailboxes[number].notify(workers[number].waker)
        workers[number].isNotified = true
    }

    private func makeClient(_ peer: SimulatedNetwork.Peer) -> WholeClient {
        connectionsMade += 1
        let isBinary = chance.below(100) < casting.binaryPercent
        return WholeClient(peer, number: connectionsMade, isBinary: isBinary)
    }

    func connect() {
        guard let shared, !workers.isEmpty else { return }
        let number = chance.below(workers.count)
        let (peer, socket) = network.open()
        guard shared.mailboxes[number].hand(socket) else { return fail("a mailbox is full") }
        notify(number)
        clients.append(makeClient(peer))
    }

    /// The process is gone. What it had sent before has arrived.
    ///
    /// - Parameter isTrapped: It has ended by a fault of its own.
    func bury(isClean: Bool = false, isTrapped: Bool = false) {
        for client in clients { hear(client, isLast: true) }
        let completed = commits.completed
        if played != nil {
            result.lives += 1
            result.diskReads += Int(shared?.total("diskReads") ?? 0)
        }
        if isTrapped { home.trap() }
        home.die()
        for client in clients { client.abandon(self) }
        clients = []
        workers = []
        played?.discardMemory()
        steps = nil
        store = nil
        shared = nil
        law.die(isClean: isClean, completed: completed)
    }

    /// The power is gone, and comes back: another system begins, whose monotonic clock does, too.
    func losePower() {
        bury()
        home.losePower()
        result.powerCuts += 1
        pass(UInt64(1 + chance.below(100)) * 1_000_000_000)
        now.nanoseconds = 1 << 34 + UInt64(chance.below(1 << 34))
    }

    /// Somebody, or the disk, changes bytes of the files between two lives.
    func damage() {
        bury()
        isDamaged = true
        for _ in 0...chance.below(3) {
            let what = chance.below(3) == 0 ? home.damageNumbers() : home.damage()
            guard let what else { continue }
            trace?("  damaged: \(what)")
            result.damages += 1
        }
    }

    /// SIGTERM.
    func stop() throws {
        guard let played, let shared, isRunning else { return }
        isSettling = true
        defer { isSettling = false }
        network.releaseReads()
        for number in workers.indices {
            shared.mailboxes[number].orderStop()
            notify(number)
        }
        var patience = Self.patience
        while !isOver, !workers.allSatisfy(\.isDone) {
            step()
            pass(500_000)
            patience -= 1
            if patience < 0 { return fail("the workers do not stop") }
        }
        guard !isOver else { return }
        for client in clients { hear(client) }
        for worker in workers { try worker.leave() }
        workers = []
        // A slow disk needs longer.
        let slowness = UInt64(casting.callNanoseconds * 2000)
        played.stop(deadline: now.nanoseconds + 4_500_000_000 + slowness)
        let hasStopped = steps?.finish(
            patience: Self.patience, isOver: { isOver }, committer: { stepCommitter() },
            others: {
                pass(1 + UInt64(chance.below(20_000_000)))
                if chance.below(2) == 0 { stepMaintenance() }
                if chance.below(2) == 0 { stepRecovery() }
            })
        guard hasStopped == true else { return fail("a stop does not end") }
        let isClean = !isOver && !played.isUncommitted
        if !isOver, !isClean, home.plan.isHarmless, !isDamaged {
            fail("stopped with something uncommitted, and the disk is well")
        }
        trace?("  stopped, clean: \(isClean)")
        // What a run without its disk was told is gone with it.
        isCountKept = isClean && !played.isMemoryOnly && !isDamaged
        bury(isClean: isClean && !played.isMemoryOnly)
    }

    /// The last act: all is well, everything is answered, and once more every key is looked at.
    func end() throws {
        trouble(StoreSimulation.FaultPlan())
        heal()
        if isRunning { try stop() }
        guard law.fault == nil else { return }
        try start()
        inspect()
        heal()
        if isRunning { try stop() }
    }

    /// Nothing is played any more.
    func close() {
        if played != nil { bury() }
    }

    // MARK: Steps

    func turn(_ number: Int) {
        guard isRunning, number < workers.count else { return }
        guard workers[number].isNotified || !network.isAsleep(ring: number) else { return }
        do { try workers[number].turn() } catch { fail("worker \(number): \(error)") }
        watch("worker \(number)")
        noteFlush(isTurn: true)
    }

    @discardableResult
    func stepCommitter() -> NextStep {
        let next = steps?.committer(at: now) ?? .nothing
        watch("committer")
        noteFlush()
        return next
    }

    func stepMaintenance() {
        guard let steps, !isOver else { return }
        steps.maintenance(at: now)
        watch("maintenance")
        noteFlush()
    }

    func stepRecovery() {
        guard let steps, !isOver, steps.recovery(at: now, isHelper: chance.below(3) == 0)
        else { return }
        watch("recovery")
        if isRecovering { isRecovering = (store?.statistics().isRecovering ?? 0) != 0 }
    }

    /// Tells what a step has changed in what the store knows of the watched key.
    private func watch(_ who: String) {
        guard let trace, let key = Player.watchedKey, let played, !isOver else { return }
        let known = played.describe(Array(Question.name(key).utf8).span)
        guard known != watched else { return }
        watched = known
        trace("    \(who): \(known)")
    }

    /// Whether a delayed flush_all was ordered, or has taken effect, in the step before.
    private func noteFlush(isTurn: Bool = false) {
        guard let played, !isOver else { return }
        let found = played.flushAt
        let isDue = flushAt != 0 && flushAt <= UInt64(now.unixSeconds)
        if isTurn, isDue, found == flushAt {
            return fail("a flush_all at \(found) is not done at \(now.unixSeconds)")
        }
        guard found != flushAt else { return }
        trace?("    flush_all at \(flushAt) \(isDue ? "done" : "replaced"), next at \(found)")
        flushAt = found
        law.noteFlush(at: found, isDone: isDue, commits: commits)
    }

    /// Somebody makes a step.
    func step() {
        guard isRunning else { return }
        pass(1000 + UInt64(chance.below(chance.below(30) == 0 ? 20_000_000 : 200_000)))
        switch chance.below(20) {
        case 0..<5: stepCommitter()
        case 5..<7: stepMaintenance()
        case 7..<9: for _ in 0...chance.below(8) { stepRecovery() }
        default: if !workers.isEmpty { turn(chance.below(workers.count)) }
        }
    }

    /// The committer is at its files: what other threads, and clients, do there.
    private func interleave() {
        guard isRunning else { return }
        if casting.callNanoseconds > 0 { pass(UInt64(chance.below(casting.callNanoseconds))) }
        guard chance.below(10) == 0, depth < 2 else { return }
        depth += 1
        defer { depth -= 1 }
        switch chance.below(6) {
        case 0: stepMaintenance()
        case 1: for _ in 0...chance.below(30) { stepRecovery() }
        case 2: if !isSettling { converse() }
        default: if !workers.isEmpty { turn(chance.below(workers.count)) }
        }
    }

    // MARK: What must hold

    func trouble(_ plan: StoreSimulation.FaultPlan) {
        home.plan = plan
        wasTroubled = true
    }

    /// All is well from now on: every request is answered, commits succeed, every hold comes back.
    func heal() {
        home.plan = StoreSimulation.FaultPlan()
        guard isRunning else { return }
        isSettling = true
        defer { isSettling = false }
        network.faults = .none
        network.releaseReads()
        for client in clients {
            network.setAppetite(.max, of: client.peer)
            sendAll(client)
        }
        if !stepAll(until: { clients.allSatisfy { $0.isAnswered || isGone($0) } }) {
            let who = clients.first { !$0.isAnswered && !isGone($0) }
            let what = who?.questions.first?.words ?? ""
            return fail("c\(who?.number ?? 0) is not answered: \(what); \(describe())")
        }
        guard isRunning else { return }
        let target = commits.begun + 1
        probe()
        // Without its store, no commit ever does.
        let isAlone = played?.isMemoryOnly ?? false
        if !isAlone, !stepAll(until: { commits.completed >= target }) {
            return isDamaged ? () : fail("no commit succeeds: \(describe())")
        }
        let isReleased = stepAll(patience: 500) {
            (store?.statistics().framesPinned ?? 0) == 0 && checkHolds() == nil
        }
        if !isReleased { return fail("held: \(checkHolds() ?? describe())") }
        wasTroubled = false
        // Each worker's timer of a second hides a wake-up that was lost, but not for so long.
        probe()
        let isHeard = stepAll(patience: 700) {
            clients.allSatisfy { $0.isAnswered || isGone($0) }
        }
        if !isHeard { fail("an answer waits for a wake-up: \(describe())") }
    }

    private func checkHolds() -> String? { played?.check() ?? played?.checkAccounts() }

    /// Everybody makes steps, a millisecond passes with each; false: it never became so.
    private func stepAll(patience: Int = patience, until condition: () -> Bool) -> Bool {
        for _ in 0..<patience {
            guard isRunning else { return true }
            if condition() { return true }
            for number in workers.indices { turn(number) }
            stepCommitter()
            stepMaintenance()
            stepRecovery()
            for client in clients { hear(client) }
            pass(1_000_000)
        }
        return condition() || isOver
    }

    private func describe() -> String {
        guard let statistics = store?.statistics() else { return "no store" }
        return "free \(statistics.framesFree) of \(statistics.frames), pinned "
            + "\(statistics.framesPinned), dirty \(statistics.framesDirty), failing "
            + "\(statistics.isDiskFailing), recovering \(statistics.isRecovering), commits "
            + "\(commits.completed) of \(commits.begun)"
    }
}
