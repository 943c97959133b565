// ListedWorld: a server of one worker over a simulated ring and network, whose store steps on files
// in memory: for tests of what goes from the store's threads to a connection. One life at a time;
// nothing fails in it, and no chance decides.

import Primitives
import Server
import Simulation
import Store
import StoreSimulation
import Support
import Uring

package final class ListedWorld {
    package private(set) var network = SimulatedNetwork(seed: 1)
    package private(set) var lists: ItemLists
    private let home: MemoryHome
    private var played: PlayedStore
    private var shared: SharedState
    private var worker: WholeWorker
    private var clock: TimeSource
    private var now: ClockReading
    /// Whether recovery makes its steps.
    package var recovers = true

    private struct NoDisk: Error {}

    /// - Parameter home: What an earlier world has left.
    package init(_ earlier: ListedWorld? = nil) throws {
        home = earlier?.home ?? MemoryHome(seed: 1, ballast: 0)
        home.descriptor = WholeWorld.fileNumber
        earlier?.die()
        home.revive()
        now =
            earlier?.now
            ?? ClockReading(
                nanoseconds: 1 << 40, unixNanoseconds: 1_700_000_000_000_000_000)
        let moment = Moment(nanoseconds: now.nanoseconds, seconds: now.unixSeconds)
        clock = try TimeSource.manual(moment)
        var configuration = StoreConfiguration(
            memoryBytes: 16 << 20, workers: 1, itemBytesMax: 1 << 20)
        configuration.disk = DiskConfiguration(
            directory: "memory", sizeBytes: 128 << 20, flushIntervalMilliseconds: 20)
        let store = try TieredStore(
            configuration: configuration, events: .silent, home: home, now: now.unixSeconds)
        var settings = Settings()
        settings.connectionsMax = 64
        settings.workers = 1
        let shared = try SharedState(
            settings: settings, connectionsPerWorker: 64, startedAt: moment,
            storeStatistics: { store.statistics() })
        guard let lists = store.lists else { throw NoDisk() }
        shared.itemLists = lists
        let home = home
        try network.addFile(descriptor: WholeWorld.fileNumber) { offset, count in
            home.read(at: offset, count: count)
        }
        var ringConfiguration = RingConfiguration()
        ringConfiguration.entries = 64
        ringConfiguration.completions = 256
        ringConfiguration.bufferCount = 16
        let ring = try SimulatedRing(network: network, configuration: ringConfiguration)
        let waker = ring.waker
        let mailbox = shared.mailboxes[0]
        guard let played = try PlayedStore(store, at: now, wake: { _ in mailbox.notify(waker) })
        else { throw NoDisk() }
        let worker = try Worker(
            ring: ring, door: store.door(worker: 0),
            configuration: WorkerConfiguration(
                connectionsMax: 64, receiveBuffers: 16, poolBlocks: 40,
                itemBytesMax: store.itemBytesMax, requestsPerTurnMax: 20),
            mailbox: mailbox, shared: shared, number: 0, clock: clock)
        self.worker = WholeWorker(worker, waker)
        self.played = played
        self.lists = lists
        self.shared = shared
    }

    /// The process is killed.
    private func die() {
        home.die()
        played.discardMemory()
    }

    /// Everything is over: the memory goes back.
    package func close() { die() }

    package func connect() -> SimulatedNetwork.Peer {
        let (peer, socket) = network.open()
        precondition(shared.mailboxes[0].hand(socket))
        shared.mailboxes[0].notify(worker.waker)
        return peer
    }

    /// A step of each thread, and 50 µs.
    package func step(_ count: Int = 1) throws {
        for _ in 0..<count {
            _ = played.stepMaintenance(at: now)
            if recovers { _ = played.stepRecovery(at: now) }
            _ = played.stepCommitter(at: now)
            _ = played.stepLister(at: now)
            try worker.turn()
            try pass(nanoseconds: 50_000)
        }
    }

    /// Moves all clocks.
    package func pass(nanoseconds: UInt64) throws {
        now.nanoseconds += nanoseconds
        now.unixNanoseconds += nanoseconds
        network.advance(nanoseconds: nanoseconds)
        clock.move(to: Moment(nanoseconds: now.nanoseconds, seconds: now.unixSeconds))
    }

    /// Until what a peer has received ends like this; so much as there is after many steps.
    package func receive(_ peer: SimulatedNetwork.Peer, until end: String) throws -> String {
        var bytes: [UInt8] = []
        for _ in 0..<50_000 {
            bytes += network.takeReceived(by: peer)
            if bytes.suffix(end.utf8.count).elementsEqual(end.utf8) { break }
            try step()
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    package func ask(
        _ text: String, _ peer: SimulatedNetwork.Peer, until end: String = "\r\n"
    ) throws -> String {
        network.send(text, from: peer)
        return try receive(peer, until: end)
    }

    /// Commits that have completed, and how many items only the disk holds.
    package var completedCommits: UInt64 { played.commits.completed }
    package func isOnDiskOnly(_ key: String) -> Bool {
        played.describe(Array(key.utf8).span).contains("no frame")
    }
}
