// World: a worker over a simulated ring, with a store, peers and a clock that a test plays by hand.
//
// With a store in memory everything runs on the test's thread and is decided by the seed. With one
// on disk the store's own threads run as well, and only what a read brings, and when, is simulated.

import Primitives
import Server
import Simulation
import Store
import Uring

package final class World {
    package let network: SimulatedNetwork
    package let store: TieredStore
    package let shared: SharedState
    package let clock: TimeSource
    private var worker: Worker<SimulatedRing>
    package private(set) var moment: Moment
    private let waker: Waker
    private let hasDisk: Bool

    package init(
        seed: UInt64 = 1, faults: FaultPlan = .none, memoryBytes: Int = 16 << 20,
        receiveBuffers: Int = 16, poolBlocks: Int = 64, valueBytesMax: Int = 1 << 20,
        connections: Int = 64, idleTimeoutSeconds: Int = 0, requestsPerTurnMax: Int = 64,
        disk: DiskConfiguration? = nil, mayEvict: Bool = true, storeWorkers: Int = 1,
        access: Access = Access(),
        configure: (inout Settings) -> Void = { _ in }
    ) throws {
        network = SimulatedNetwork(seed: seed, faults: faults)
        hasDisk = disk != nil
        moment = Moment(nanoseconds: 100_000_000_000, seconds: 1_800_000_000)
        clock = try TimeSource.manual(moment)
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: memoryBytes, workers: storeWorkers, itemBytesMax: valueBytesMax,
                disk: disk, mayEvict: mayEvict),
            events: .silent, now: moment.seconds)
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
        // Before any connection could get the file's number.
        if disk != nil { try network.addFile(descriptor: door.diskDescriptor) }
        if disk != nil || !mayEvict {
            let mailbox = shared.mailboxes[0]
            try store.start { worker in if worker == 0 { mailbox.notify(waker) } }
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

    /// One turn, after which nothing that the worker keeps contradicts itself. Where nothing came,
    /// nothing has changed.
    private func oneTurn() throws {
        let wasStill = network.isStill
        try worker.turn()
        if !wasStill || !network.isStill { worker.check() }
    }

    package func turn(_ count: Int = 1) throws {
        for _ in 0..<count { try oneTurn() }
    }

    /// Turns until nothing more happens. Without a disk that is certain, once the worker has waited
    /// and the network had nothing left; else so many turns without news are taken for it.
    package func settle(idle: Int? = nil, turnsMax: Int = 100_000) throws {
        let idle = idle ?? (hasDisk ? 48 : 1)
        var turns = 0
        var quiet = 0
        while quiet < idle, turns < turnsMax {
            try oneTurn()
            quiet = network.isStill && worker.isIdle ? quiet + 1 : 0
            turns += 1
        }
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

    /// Moves the clocks by less than a second, in steps of the worker's alarm. `idle`: turns
    /// without news after which a step is over.
    package func pass(milliseconds: Int, idle: Int? = nil) throws {
        for _ in 0..<(milliseconds + 99) / 100 {
            moment.nanoseconds += 100_000_000
            clock.move(to: moment)
            network.advance(nanoseconds: 100_000_000)
            try settle(idle: idle)
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

    /// Makes turns until `condition` holds, for what other threads have to do; answers whether it
    /// did in time.
    package func turn(secondsMax: Int = 20, until condition: () -> Bool) throws -> Bool {
        let end = Clock.monotonicNanoseconds() + UInt64(secondsMax) * 1_000_000_000
        while !condition() {
            if Clock.monotonicNanoseconds() > end { return false }
            try oneTurn()
            Pause.short()
        }
        return true
    }

    /// Ends the worker and, with a disk, the store: everything that was written is on disk then.
    /// Answers whether they ended.
    package func close() throws -> Bool {
        network.releaseReads()
        orderStop()
        let isOver = try turn { worker.isDone }
        // Done: it only takes leave of the store.
        if isOver { try worker.run() }
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
        return isOver
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
