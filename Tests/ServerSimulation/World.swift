// World: a worker over a simulated ring, with a store, peers and a clock that a test plays by hand.
//
// Everything runs on the test's thread and is decided by the seed: with a store on disk, its
// threads are steps that are made before each turn, and its files are in memory.

import Primitives
import Server
import Simulation
import Store
import Uring

/// Something goes on and on.
package struct Unrest: Error { let turns: Int }

package final class World {
    package let network: SimulatedNetwork
    package let store: TieredStore
    package let shared: SharedState
    package let clock: TimeSource
    private var worker: Worker<SimulatedRing>
    package private(set) var moment: Moment
    private let waker: Waker
    /// The store's threads, as steps; nil without a disk.
    private let played: PlayedStore?
    /// The store's threads make no steps with the turns.
    package var holdsStore = false
    /// Nothing is left for the store's threads until the clock moves or a worker asks.
    private var isStoreIdle = true

    package init(
        seed: UInt64 = 1, faults: Simulation.FaultPlan = .none, memoryBytes: Int = 16 << 20,
        receiveBuffers: Int = 16, poolBlocks: Int = 64, valueBytesMax: Int = 1 << 20,
        connections: Int = 64, idleTimeoutSeconds: Int = 0, requestsPerTurnMax: Int = 64,
        disk: PlayedDisk? = nil, storeWorkers: Int = 1, access: Access = Access(),
        configure: (inout Settings) -> Void = { _ in }
    ) throws {
        let network = SimulatedNetwork(seed: seed, faults: faults)
        self.network = network
        disk?.home.revive()
        moment = Moment(nanoseconds: 100_000_000_000, seconds: 1_800_000_000)
        clock = try TimeSource.manual(moment)
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: memoryBytes, workers: storeWorkers, itemBytesMax: valueBytesMax,
                disk: disk?.configuration),
            events: .silent, home: disk?.home, now: moment.seconds)
        self.store = store
        var settings = Settings()
        settings.connectionsMax = connections
        settings.workers = 1
        settings.idleTimeoutSeconds = idleTimeoutSeconds
        configure(&settings)
        shared = try SharedState(
            settings: settings, connectionsPerWorker: connections, startedAt: moment,
            access: access,
            storeStatistics: { store.statistics() })
        shared.watchEvictions(of: store)
        var ringConfiguration = RingConfiguration()
        ringConfiguration.entries = 64
        ringConfiguration.completions = 256
        ringConfiguration.bufferCount = receiveBuffers
        let ring = try SimulatedRing(network: network, configuration: ringConfiguration)
        let waker = ring.waker
        self.waker = waker
        let door = store.door(worker: 0)
        if let home = disk?.home {
            try network.addFile(descriptor: door.diskDescriptor) { home.read(at: $0, count: $1) }
        }
        let mailbox = shared.mailboxes[0]
        played = try PlayedStore(store, at: Self.reading(moment)) { worker in
            if worker == 0 { mailbox.notify(waker) }
        }
        worker = try Worker(
            ring: ring, door: door,
            configuration: WorkerConfiguration(
                connectionsMax: connections, receiveBuffers: receiveBuffers,
                poolBlocks: poolBlocks, itemBytesMax: valueBytesMax,
                requestsPerTurnMax: requestsPerTurnMax, idleTimeoutSeconds: idleTimeoutSeconds),
            mailbox: shared.mailboxes[0], shared: shared, number: 0, clock: clock)
    }

    /// A new connection, handed to the worker as the acceptor would.
    package func connect() -> SimulatedNetwork.Peer {
        let (peer, socket) = network.open()
        precondition(shared.mailboxes[0].hand(socket))
        shared.mailboxes[0].notify(waker)
        return peer
    }

    private static func reading(_ moment: Moment) -> ClockReading {
        ClockReading(
            nanoseconds: moment.nanoseconds,
            unixNanoseconds: UInt64(moment.seconds) * 1_000_000_000,
            nanosecondsAhead: moment.secondsAhead * 1_000_000_000)
    }

    /// One step of each of the store's threads, while the worker does nothing.
    package func stepStore() {
        guard let played else { return }
        let now = Self.reading(moment)
        let steps = [
            played.stepRecovery(at: now), played.stepMaintenance(at: now),
            played.stepCommitter(at: now), played.stepLister(at: now),
        ]
        isStoreIdle = steps.allSatisfy { $0 != .nothing }
        if let what = played.recoveryFinding ?? played.checkCommitter() {
            preconditionFailure("the store contradicts itself: \(what)")
        }
    }

    /// One turn, after which nothing that the worker keeps contradicts itself. Where nothing came,
    /// nothing has changed.
    private func oneTurn() throws {
        if !holdsStore { stepStore() }
        let wasStill = network.isStill
        try worker.turn()
        if !wasStill || !network.isStill { worker.check() }
    }

    package func turn(_ count: Int = 1) throws {
        for _ in 0..<count { try oneTurn() }
    }

    /// Turns until nothing more can happen, which is certain: once the worker has waited, the
    /// network had nothing left and the store's threads wait for the clock or a worker. It is seen
    /// twice, since a step may have given the worker something to do. Throws if so many turns are
    /// not enough.
    package func settle(turnsMax: Int = 100_000) throws {
        guard try comesToRest(turnsMax: turnsMax) else { throw Unrest(turns: turnsMax) }
    }

    /// The same; answers whether so many turns were enough.
    package func comesToRest(turnsMax: Int) throws -> Bool {
        var quiet = 0
        let enough = played == nil ? 1 : 2
        for _ in 0..<turnsMax {
            try oneTurn()
            quiet = network.isStill && worker.isIdle && isStoreIdle ? quiet + 1 : 0
            if quiet == enough { return true }
        }
        return false
    }

    /// Moves all clocks; the worker's timer fires once for each second.
    package func pass(seconds: Int) throws {
        var left = seconds
        while left > 0 {
            let step = left > 30 ? left : 1
            moment.nanoseconds += UInt64(step) * 1_000_000_000
            moment.seconds += UInt32(step)
            clock.move(to: moment)
            network.advance(nanoseconds: UInt64(step) * 1_000_000_000)
            try settle()
            left -= step
        }
    }

    /// The system's clock is set.
    package func setClock(by seconds: Int) {
        moment.secondsAhead -= Int64(seconds)
        clock.move(to: moment)
    }

    /// Moves the clocks by less than a second, in steps of the worker's alarm.
    package func pass(milliseconds: Int) throws {
        for _ in 0..<(milliseconds + 99) / 100 {
            advance(nanoseconds: 100_000_000)
            try settle()
        }
    }

    /// Orders the worker to stop, as the control thread would.
    package func orderStop() {
        shared.mailboxes[0].orderStop()
        shared.mailboxes[0].notify(waker)
    }

    package var isDone: Bool { worker.isDone }

    /// Whether the worker has nothing to do until something completes.
    package var isIdle: Bool { worker.isIdle }

    /// Makes turns until `condition` holds; answers whether it did in so many. Time passes, a
    /// millisecond with every 16 turns, for who waits for it.
    package func turn(turnsMax: Int = 200_000, until condition: () -> Bool) throws -> Bool {
        for turn in 0..<turnsMax {
            if condition() { return true }
            if turn % 16 == 15 { advance(nanoseconds: 1_000_000) }
            try oneTurn()
        }
        return condition()
    }

    /// Turns until the store has taken up all that its files hold; answers whether it has.
    package func recover() throws -> Bool {
        try turn { store.statistics().isRecovering == 0 }
    }

    /// Moves the clocks; nobody looks at them yet.
    package func advance(nanoseconds: UInt64) {
        moment.nanoseconds += nanoseconds
        clock.move(to: moment)
        network.advance(nanoseconds: nanoseconds)
    }

    /// Ends the worker and, with a disk, the store: everything that was written is on disk then.
    /// Answers whether they ended, and all of it was written.
    package func close() throws -> Bool {
        network.releaseReads()
        orderStop()
        guard try turn(until: { worker.isDone }) else { return false }
        // Done: it only takes leave of the store.
        try worker.run()
        guard let played else { return true }
        played.stop(deadline: moment.nanoseconds + 10_000_000_000)
        for _ in 0..<20_000 {
            advance(nanoseconds: 1_000_000)
            let now = Self.reading(moment)
            _ = played.stepRecovery(at: now)
            _ = played.stepMaintenance(at: now)
            guard played.stepCommitter(at: now) == .ended else { continue }
            let isClean = !played.isUncommitted
            played.discardMemory()
            return isClean
        }
        return false
    }

    /// What a peer was sent since it was last asked.
    package func received(_ peer: SimulatedNetwork.Peer) -> String {
        String(decoding: network.takeReceived(by: peer), as: UTF8.self)
    }

    /// Sends, lets everything happen, and returns what came back.
    package func ask(_ text: String, _ peer: SimulatedNetwork.Peer) throws -> String {
        network.send(text, from: peer)
        try settle()
        return received(peer)
    }
}
