// DiskSimulationTests: reads from disk that complete late, out of order, short, with errors or
// with wrong bits, while their keys are overwritten, deleted and flushed by other connections.
//
// Every request is answered or its connection closed, and no answer is wrong or stale. The seeds
// are fixed; SIM_SEED=n replays one, SIM_SEEDS=n runs that many.

import Primitives
import Server
import ServerSimulation
import Simulation
import Store
import Support
import Testing
import Uring

@Suite struct DiskSimulationTests {
    static let keys = 240
    static let connections = 8

    private func disk(_ seed: UInt64) -> PlayedDisk {
        // Every other world leaves the disk alone while it runs.
        PlayedDisk(seed: seed, flushIntervalMilliseconds: seed % 2 == 0 ? 60_000 : 5)
    }

    /// Writes the first version of every key, all of it on disk in the end.
    private func fill(_ disk: PlayedDisk, _ model: DiskModel, _ seed: UInt64) throws {
        let world = try World(seed: seed, memoryBytes: 16 << 20, disk: disk)
        var client = DiskClient(world.connect(), number: 0, stride: 1)
        for key in 0..<model.keyCount { client.set(key, model) }
        try complete(&client, world, model, "seed \(seed), filling")
        let didEnd = try world.close()
        #expect(didEnd)
    }

    private func reopen(_ disk: PlayedDisk, _ seed: UInt64, _ faults: FaultPlan) throws -> World {
        let world = try World(seed: seed, faults: faults, memoryBytes: 16 << 20, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    private func faults(_ seed: UInt64) -> FaultPlan {
        var faults = FaultPlan(seed: seed)
        var chance = Chance(seed: seed &* 31)
        faults.damagedReads = chance.below(3) * 60
        faults.readErrors /= 4
        faults.shortReads /= 4
        return faults
    }

    @Test(arguments: NetworkSimulationTests.seeds(8))
    func noAnswerIsStaleWhateverTheDiskDoes(_ seed: UInt64) throws {
        let disk = disk(seed)
        let model = DiskModel(keys: Self.keys)
        try fill(disk, model, seed)
        let world = try reopen(disk, seed, faults(seed))
        var chance = Chance(seed: seed &* 91)
        var clients = (0..<Self.connections).map {
            DiskClient(world.connect(), number: $0, stride: Self.connections)
        }
        for round in 0..<120 {
            for index in clients.indices {
                try converse(&clients[index], world, model, &chance, "seed \(seed), \(round)")
            }
            try disturb(world, &chance)
            try world.turn(1 + chance.below(4))
        }
        try finish(&clients, world, model, seed)
        let reads = world.shared.total("diskReads") ?? 0
        #expect(reads > 20 && model.hits > 100, "seed \(seed): the disk was read \(reads) times")
        let isAtRest = try world.turn { world.shared.connectionCount == 0 }
        #expect(isAtRest, "seed \(seed): connections are left")
        let didEnd = try world.close()
        #expect(didEnd, "seed \(seed)")
        try lookAgain(disk, model, seed)
    }

    /// Some requests, some bytes of them, and the answers so far. Who was cut off comes again.
    private func converse(
        _ client: inout DiskClient, _ world: World, _ model: DiskModel, _ chance: inout Chance,
        _ place: String
    ) throws {
        let network = world.network
        if !network.hasEnded(client.peer) {
            if chance.below(3) == 0 {
                for _ in 0...chance.below(8) { client.ask(model, &chance) }
            }
            let limit = 1 + chance.below(chance.below(2) == 0 ? 60 : 200_000)
            network.send(client.takeUnsent(limit), from: client.peer)
        }
        if let complaint = client.hear(network.takeReceived(by: client.peer), model) {
            Issue.record("\(place): \(complaint)")
            network.reset(client.peer)
        }
        // Its keys have a new writer once nothing of the old one can take effect any more.
        if network.isClosed(client.peer) {
            client = DiskClient(world.connect(), number: client.number, stride: client.stride)
        } else if chance.below(300) == 0 {
            network.reset(client.peer)
        }
    }

    /// The disk stands still, time passes, the disk goes on.
    private func disturb(_ world: World, _ chance: inout Chance) throws {
        switch chance.below(30) {
        case 0: world.network.holdsReads = true
        case 1...3: world.network.releaseReads()
        case 4: try world.pass(seconds: 1 + chance.below(6))
        case 5...12: try world.pass(milliseconds: 100)
        default: break
        }
    }

    /// Everything is sent, and everything may happen: all answers come.
    private func finish(
        _ clients: inout [DiskClient], _ world: World, _ model: DiskModel, _ seed: UInt64
    ) throws {
        world.network.releaseReads()
        for index in clients.indices where !world.network.hasEnded(clients[index].peer) {
            world.network.send(clients[index].takeUnsent(.max), from: clients[index].peer)
        }
        var open = Array(clients.indices)
        _ = try world.turn {
            open.removeAll { index in
                let bytes = world.network.takeReceived(by: clients[index].peer)
                if let complaint = clients[index].hear(bytes, model) {
                    Issue.record("seed \(seed), end: \(complaint)")
                }
                return clients[index].isAnswered || world.network.hasEnded(clients[index].peer)
            }
            return open.isEmpty
        }
        #expect(open.isEmpty, "seed \(seed): connections \(open) lack answers")
        for client in clients where !world.network.hasEnded(client.peer) {
            world.network.finish(client.peer)
        }
    }

    /// What is found after a restart is not older, either.
    private func lookAgain(_ disk: PlayedDisk, _ model: DiskModel, _ seed: UInt64) throws {
        let world = try reopen(disk, seed, .none)
        var client = DiskClient(world.connect(), number: 0, stride: 1)
        for key in 0..<model.keyCount { client.get([key], model) }
        try complete(&client, world, model, "seed \(seed), after the restart")
        let didEnd = try world.close()
        #expect(didEnd)
    }

    /// Sends everything, and makes turns until all answers are there.
    private func complete(
        _ client: inout DiskClient, _ world: World, _ model: DiskModel, _ place: String
    ) throws {
        world.network.send(client.takeUnsent(.max), from: client.peer)
        let isAnswered = try world.turn {
            let bytes = world.network.takeReceived(by: client.peer)
            if let complaint = client.hear(bytes, model) { Issue.record("\(place): \(complaint)") }
            return client.isAnswered
        }
        #expect(isAnswered, "\(place): answers are missing")
    }
}
