// Play: one store with its clients and its disk, over many lives, played from a list of acts.
//
// Every act has a seed of its own, so that acts can be left out when a failing history is
// shortened and the others stay as they are. While an act runs, at each call of the files and
// wherever a client waits, others make steps: what threads could do there.

import Glibc
import LMDB
import Primitives
import Store
import Support

/// One play.
package final class Play: @unchecked Sendable {
    // Sendable by name only: one thread plays it.
    /// Steps of others after which a command that waits is given up.
    static let patience = 4000

    package let seed: UInt64
    let casting: Casting
    package let home: MemoryHome
    var model: TruthModel
    var chance: Chance
    private(set) var now: ClockReading
    private var store: TieredStore?
    private var steps: StoreSteps?
    private var played: PlayedStore? { steps?.played }
    private(set) var clients: [PlayedClient] = []
    private let buffers: [Region]
    private var depth = 0
    /// The key that was changed last, and by which client.
    var lastChanged: (key: Int, client: Int)?
    var isCommitting: Bool { steps?.isCommitting ?? false }
    /// Whether recovery, or a mended disk, may still be on its way.
    private var wasTroubled = false
    private(set) var isRecovering = false
    /// In this life looks or reads have failed.
    private var hadFailingReads = false
    /// The highest order that was given out in any life.
    private var highestOrder: UInt64 = 0
    /// The same of lives that could reserve none: only the time of their starts keeps them apart.
    private var highestUnreservedOrder: UInt64 = 0
    /// Damage was done: what cannot be read is no fault.
    var isDamaged = false
    /// How often the store had been moved aside when the last life began.
    private var movesBefore = 0
    /// The last life went on without its store: what it was told is gone, and what was before.
    private var wasAlone = false
    package private(set) var lives = 0
    package private(set) var operations = 0
    package private(set) var hits = 0
    package var trace: ((String) -> Void)?
    private let events: EventLog

    package init(seed: UInt64, _ casting: Casting, trace: ((String) -> Void)? = nil) throws {
        self.seed = seed
        self.casting = casting
        self.trace = trace
        home = MemoryHome(seed: seed, ballast: casting.ballast)
        model = TruthModel(keys: casting.keys)
        // Where no reservation could be written, it is the clock that keeps numbers apart.
        model.comparesTokens = !(casting.clockSteps && casting.isOld)
        home.refusesBlocks = casting.isOld
        if casting.isFullAtFirst { home.plan.fullAfter = 1 }
        chance = Chance(seed: seed)
        now = ClockReading(nanoseconds: 1 << 40, unixNanoseconds: 1_700_000_000_000_000_000)
        buffers = try (0..<3).map { _ in try Region.map(byteCount: 4 << 20) }
        nonisolated(unsafe) let say = trace
        events = EventLog(threshold: .info) { level, line in say?("    log: \(level) \(line)") }
        home.interleave = { [unowned self] in interleave() }
    }

    var isDead: Bool { home.isDead || model.fault != nil }
    func fail(_ what: String) { if !home.isDead { model.fail(what) } }
    package var fault: String? { model.fault }
    var commits: (begun: UInt64, completed: UInt64) { played?.commits ?? (0, 0) }

    // MARK: Lives

    /// A start with flags that the chance picks.
    func start() throws {
        home.revive()
        // What cannot be looked at before the first request is not looked at later.
        let readFails = home.plan.readFails
        home.plan.readFails = 0
        hadFailingReads = readFails > 0
        isRecovering = false
        defer {
            home.plan.readFails = readFails
            if isRecovering { failReads(casting.readFailsWhileRecovering) }
        }
        // A process takes its time to start.
        pass(20_000_000 + UInt64(chance.below(500_000_000)))
        let configuration = drawConfiguration()
        let opening = pickOpening()
        home.refusesOpening = opening == .refused || opening == .fixed
        home.refusesMoving = opening == .fixed
        defer { (home.refusesOpening, home.refusesMoving) = (false, false) }
        let moves = home.movedAside
        let store: TieredStore
        do {
            store = try TieredStore(
                configuration: configuration, events: events, home: home, now: now.unixSeconds)
        } catch {
            trace?("  did not start: \(error)")
            let isRight = isDamaged || opening == .fixed
            if home.plan.isHarmless, !home.isDead, !isRight { fail("no start: \(error)") }
            return
        }
        if opening == .unread { home.plan.readFails = 1000 }
        let played = try PlayedStore(store, at: now) { [unowned self] worker in
            if worker < clients.count { clients[worker].isWoken = true }
        }
        home.plan.readFails = 0
        self.store = store
        guard let played else {
            // There may be none yet, and no room to make it.
            let isRefused = opening == .refused || opening == .fixed
            if home.plan.isHarmless, !isRefused { fail("no disk at a start") }
            if !home.isDead { liveWithoutFiles(configuration.workers) }
            self.store = nil
            return
        }
        if opening == .whole, !isDamaged, home.movedAside > moves || played.isMemoryOnly {
            fail("a sound store was moved aside")
        }
        begin(played, workers: configuration.workers)
    }

    private func drawConfiguration() -> StoreConfiguration {
        let workers = casting.changesWorkers ? 1 + chance.below(3) : casting.clients
        var configuration = StoreConfiguration(
            memoryBytes: casting.memories[chance.below(casting.memories.count)],
            workers: workers,
            itemBytesMax: casting.itemMaxima[chance.below(casting.itemMaxima.count)])
        configuration.disk = DiskConfiguration(
            directory: "memory", sizeBytes: casting.stores[chance.below(casting.stores.count)],
            isAcknowledging: chance.below(2) == 0, flushIntervalMilliseconds: 5 + chance.below(200))
        configuration.disk?.ordersAhead = casting.ordersAhead
        configuration.itemBytesMax = min(
            configuration.itemBytesMax, (configuration.disk?.sizeBytes ?? 0) / 8)
        let mebibytes = (configuration.disk?.sizeBytes ?? 0) >> 20
        trace?(
            "  start -m \(configuration.memoryBytes >> 20) -t \(workers) --store-size \(mebibytes)m"
        )
        return configuration
    }

    /// Takes up what the files hold: a life begins.
    private func begin(_ played: PlayedStore, workers: Int) {
        steps = StoreSteps(played) { [unowned self] in fail($0) }
        if home.isDead { return }
        trace?("    orders begin above \(played.ordersBegin); \(home.ordersText)")
        if home.hasLostOrders { model.comparesTokens = false }
        if played.ordersBegin < highestOrder, model.comparesTokens {
            fail("orders begin above \(played.ordersBegin), and \(highestOrder) was given out")
        }
        if played.ordersBegin < highestUnreservedOrder { model.comparesTokens = false }
        makeClients(workers)
        isRecovering = (store?.statistics().isRecovering ?? 0) != 0
        model.start(
            flushAt: played.flushAt, isStoreLost: home.movedAside > movesBefore || wasAlone,
            now: now.unixSeconds)
        movesBefore = home.movedAside
        wasAlone = played.isMemoryOnly
    }

    private func makeClients(_ count: Int) {
        guard let store else { return }
        clients = (0..<count).map { PlayedClient(store, number: $0, self, buffer: buffers[$0]) }
    }

    /// How a start finds the files.
    private enum Opening {
        case whole
        /// They cannot be opened for want of room; and then, they cannot be moved aside either.
        case refused, fixed
        /// They are open, and what is in them cannot be read.
        case unread
    }

    private func pickOpening() -> Opening {
        // What the act draws stays as it was.
        var copy = chance
        var other = Chance(seed: copy.next() ^ 0xA10E)
        guard other.happens(perMille: casting.startsAlone) else { return .whole }
        return [.unread, .unread, .refused, .fixed][other.below(4)]
    }

    /// A short life in which nothing waits: without files the store has no steps but maintenance.
    private func liveWithoutFiles(_ workers: Int) {
        trace?("  without files")
        makeClients(workers)
        model.start(flushAt: 0, isStoreLost: true, now: now.unixSeconds)
        for _ in 0..<chance.below(60) where !isDead {
            Command(&chance, casting).execute(self, pickClient())
        }
        for client in clients { client.close() }
        clients = []
        model.die(completed: 0, isClean: false)
        // Nothing was reserved: only the time keeps numbers apart.
        if casting.clockSteps { model.comparesTokens = false }
        lives += 1
        movesBefore = home.movedAside
        wasAlone = true
    }

    private func failReads(_ perMille: Int) {
        guard perMille > 0 else { return }
        home.plan.readFails = max(home.plan.readFails, perMille)
        trouble(home.plan)
    }

    var itemBytesMax: Int { store?.itemBytesMax ?? 0 }
    var isRunning: Bool { played != nil && !isDead }

    /// The process is gone.
    ///
    /// - Parameter isTrapped: It has ended by a fault of its own.
    func bury(isClean: Bool = false, isTrapped: Bool = false) {
        let completed = played?.commits.completed ?? 0
        checkOrders()
        home.refusesBlocks = false
        if played != nil { lives += 1 }
        if isTrapped { home.trap() }
        home.die()
        clients = []
        played?.discardMemory()
        steps = nil
        store = nil
        model.die(completed: completed, isClean: isClean)
    }

    /// Nothing is played any more.
    func close() {
        bury()
        for buffer in buffers { buffer.discardAll() }
    }

    /// SIGTERM.
    func stop() {
        guard let played else { return }
        for client in clients { client.close() }
        clients = []
        // A slow disk needs longer.
        let slowness = UInt64(casting.callNanoseconds * 2000)
        played.stop(deadline: now.nanoseconds + 4_500_000_000 + slowness)
        let hasStopped = steps?.finish(
            patience: Self.patience, isOver: { isDead }, committer: { stepCommitter() },
            others: {
                pass(1 + UInt64(chance.below(20_000_000)))
                if chance.below(2) == 0 { stepMaintenance() }
                // A step of its takes some microseconds.
                for _ in 0..<chance.below(16) { stepRecovery() }
            })
        guard hasStopped == true else { return fail("a stop does not end") }
        let isClean = !isDead && !played.isUncommitted
        if !isDead, !isClean, home.plan.isHarmless, !isDamaged {
            fail("stopped with something uncommitted, and the disk is well")
        }
        // What a run without its disk was told is gone with it.
        bury(isClean: isClean && !played.isMemoryOnly)
    }

    // MARK: Steps of others

    func pass(_ nanoseconds: UInt64) {
        now.nanoseconds += nanoseconds
        now.unixNanoseconds += nanoseconds
        model.tell(now.unixSeconds)
    }

    /// The wall clock is set.
    func setClock(by seconds: Int) {
        let moved = Int64(now.unixNanoseconds) + Int64(seconds) * 1_000_000_000
        now.unixNanoseconds = UInt64(moved)
        model.tell(now.unixSeconds)
    }

    @discardableResult
    func stepCommitter() -> NextStep {
        guard let steps else { return .nothing }
        let next = steps.committer(at: now)
        checkOrders()
        if let key = Player.watchedKey, let trace { trace("    c \(describe(key: key))") }
        return next
    }

    /// What was given out is known to the next start.
    private func checkOrders() {
        guard let played, !home.isDead else { return }
        guard played.areOrdersReserved, !played.isMemoryOnly else {
            highestUnreservedOrder = max(highestUnreservedOrder, played.highestOrder)
            return
        }
        highestOrder = max(highestOrder, played.highestOrder)
        guard played.highestOrder > home.reservedOrders else { return }
        fail("\(played.highestOrder) was given out, \(home.reservedOrders) is reserved")
    }

    func stepMaintenance() {
        guard let steps, !isDead else { return }
        steps.maintenance(at: now)
        didBeginTurn()
    }

    func stepRecovery() {
        guard let steps, !isDead, steps.recovery(at: now, isHelper: chance.below(3) == 0)
        else { return }
        if let key = Player.watchedKey, let trace { trace("    r \(describe(key: key))") }
        if isRecovering, let key = (0..<model.keys.count).first(where: { slots(of: $0) > 8 }) {
            fail("key \(key) has \(slots(of: key)) slots")
        }
        if isRecovering {
            isRecovering = (store?.statistics().isRecovering ?? 0) != 0
            if !isRecovering, casting.readFailsWhileRecovering > 0 { home.plan.readFails = 0 }
        }
    }

    /// While recovery runs, one removal of a key is remembered, however often it is removed.
    func checkRemovals(of key: Int) {
        let count = played?.removalCount(Array("key:\(key)".utf8).span) ?? 0
        if count > 1 { fail("\(count) removals of key \(key) are remembered") }
    }

    /// Who executes the next command.
    func pickClient() -> PlayedClient {
        if casting.isUneven, chance.below(4) > 0 { return clients[clients.count - 1] }
        return clients[chance.below(clients.count)]
    }

    /// A delayed flush_all may just have taken effect.
    func didBeginTurn(now: UInt32 = 0) {
        guard let played else { return }
        if played.flushAt != 0, played.flushAt <= UInt64(now) {
            fail("a flush_all at \(played.flushAt) is not done at \(now)")
        }
        guard model.flush.possible != [0], played.flushAt == 0 else { return }
        let isCertain = !model.flush.possible.contains(0)
        let commits = commits
        model.flushAll(
            isCertain: isCertain, commit: commits.begun + 1, completed: commits.completed)
        model.flush.change([0], commit: commits.begun + 1)
    }

    /// A client waits: somebody else makes a step. False: there is no going on.
    func idle(_ client: PlayedClient) -> Bool {
        guard !isDead, played != nil else { return false }
        step(besides: client)
        return !isDead
    }

    private func step(besides client: PlayedClient?) {
        pass(1000 + UInt64(chance.below(chance.below(20) == 0 ? 50_000_000 : 500_000)))
        switch chance.below(20) {
        case 0..<9: stepCommitter()
        case 9..<12: stepMaintenance()
        case 12..<15: for _ in 0...chance.below(16) { stepRecovery() }
        case 15..<18:
            for other in clients where !other.isBusy { other.turn() }
        default:
            guard depth < 2, let other = clients.first(where: { !$0.isBusy && $0 !== client })
            else { return }
            depth += 1
            let command = Command(&chance, casting)
            command.execute(self, other)
            depth -= 1
        }
    }

    /// The committer is at its files: what other threads do there.
    private func interleave() {
        guard !isDead, played != nil else { return }
        if casting.callNanoseconds > 0 { pass(UInt64(chance.below(casting.callNanoseconds))) }
        guard chance.below(12) == 0, depth < 2 else { return }
        depth += 1
        defer { depth -= 1 }
        switch chance.below(5) {
        case 0: stepMaintenance()
        case 1: for other in clients where !other.isBusy { other.turn() }
        case 2: for _ in 0...chance.below(30) { stepRecovery() }
        default:
            guard let other = clients.first(where: { !$0.isBusy }) else { return }
            Command(&chance, casting).execute(self, other)
        }
    }

    /// How many steps of others a disk read takes.
    func latency() -> Int { chance.below(3) == 0 ? chance.below(12) : chance.below(2) }

    // MARK: What is noted

    func didStarve(_ what: String) {
        let isAlone = clients.count(where: \.isBusy) <= 1
        if home.plan.isHarmless, !wasTroubled, !isDamaged, isAlone {
            fail("waited for \(what) through \(Self.patience) steps: \(describe())")
        }
    }

    func holdsTwice(_ read: DiskRead) -> Bool { played?.holdsTwice(read) ?? false }

    func holdsWanted(beside bytes: Int) -> Bool { played?.holdsWanted(beside: bytes) ?? false }

    func didMeetDamage() {
        if !isDamaged, !hadFailingReads { fail("a read from disk was damaged") }
    }

    func didOperate(hit: Bool) {
        operations += 1
        if hit { hits += 1 }
    }

    /// Slots of the index that may be the key's.
    private func slots(of key: Int) -> Int {
        played?.slotCount(Array("key:\(key)".utf8).span) ?? 0
    }

    /// What the store knows of a key.
    func describe(key: Int) -> String {
        played?.describe(Array("key:\(key)".utf8).span) ?? "no store"
    }

    func describe() -> String {
        guard let statistics = store?.statistics() else { return "no store" }
        return "free \(statistics.framesFree) of \(statistics.frames), dirty "
            + "\(statistics.framesDirty), failing \(statistics.isDiskFailing), segments "
            + "\(statistics.diskSegments), bytes \(statistics.diskBytes), full maps "
            + "\(statistics.fullMaps), recovering \(statistics.isRecovering)"
    }

    /// The disk is well from now on: commits must succeed again, and every hold come back.
    func heal() {
        home.plan = FaultPlan()
        guard isRunning, let first = clients.first, !first.isBusy else { return }
        wasTroubled = false
        let isAlone = played?.isMemoryOnly ?? false
        first.begin()
        let barrier = first.door.barrier()
        first.door.endTurn()
        let isDone = first.busily {
            for _ in 0..<(isAlone ? 100 : Self.patience) where commits.completed < barrier {
                guard idle(first) else { return true }
                first.turn()
            }
            return commits.completed >= barrier
        }
        guard !isDead else { return }
        if !isDone, !isDamaged, !isAlone { return fail("no commit succeeds: \(describe())") }
        let statistics = store?.statistics() ?? StoreStatistics()
        if statistics.damagedReads != 0, !isDamaged, !hadFailingReads {
            fail("\(statistics.damagedReads) records could not be read back")
        }
        if statistics.framesPinned != 0 { fail("\(statistics.framesPinned) pins were kept") }
        if let what = played?.check() ?? played?.checkAccounts() { fail(what) }
    }

    func trouble(_ plan: FaultPlan) {
        home.plan = plan
        wasTroubled = true
        if plan.readFails > 0 { hadFailingReads = true }
    }

    /// Something may take as long as it likes: the disk is not well, or was not.
    var isTroubled: Bool { wasTroubled || !home.plan.isHarmless }

    /// Plays to the end: every key is looked at in one more life.
    func end() {
        trouble(FaultPlan())
        heal()
        if isRunning { stop() }
    }
}
