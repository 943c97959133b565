// HostilePeerTests: every kind of bad peer, in numbers, beside honest ones with deadlines, while
// one resource after the other is scarce. What must hold:
//
// Small requests of honest peers, and of new ones, are answered within a few turns, without any
// time passing. Who reads 20 KB in a second, or sends 4, is not closed and is served to the end.
// When all are gone, nothing is held (`Worker.check` looks).

import Primitives
import ServerSimulation
import Simulation
import Support
import Testing
import Uring

@Suite struct HostilePeerTests {
    /// What is scarce, and by which peers.
    enum Scarcity: String, CaseIterable, Sendable {
        case replies, beginnings, places, pins, inputs, everything
    }

    /// A kind of bad peer.
    private enum Kind: CaseIterable {
        /// Asks for much and reads nothing.
        case deaf
        /// Reads nothing of many short replies.
        case deafToShort
        /// Announces much and sends a byte now and then.
        case trickling
        /// Sends the beginning of a line.
        case stalled
        /// Announces a large value and sends little of it.
        case stalledLarge
        /// Asks for a large value and reads a little.
        case sipping
        /// Sends, and resets the connection.
        case resetting
        /// Sends complete requests without end, and reads nothing.
        case flooding
    }

    private struct Bad {
        let kind: Kind
        var peer: SimulatedNetwork.Peer
    }

    private struct Battle {
        let world: World
        var chance: Chance
        var bad: [Bad] = []
        let honest: SimulatedNetwork.Peer
        let reader: SimulatedNetwork.Peer
        let sender: SimulatedNetwork.Peer
        var slowest = 0
    }

    private func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    private func kinds(_ scarcity: Scarcity) -> [Kind] {
        switch scarcity {
        case .replies: [.deaf]
        case .beginnings: [.stalled, .trickling]
        case .places: [.stalledLarge, .trickling]
        case .pins: [.sipping]
        case .inputs: [.flooding, .resetting]
        case .everything: Kind.allCases
        }
    }

    @Test(arguments: Scarcity.allCases)
    func whateverIsScarceTheHonestAreServed(_ scarcity: Scarcity) throws {
        for seed in NetworkSimulationTests.seeds(1) {
            var battle = try begin(scarcity, seed)
            for round in 0..<5 {
                try attack(&battle, scarcity)
                battle.world.network.setAppetite(2000, of: battle.reader)
                battle.world.network.send(value(400), from: battle.sender)
                try battle.world.pass(milliseconds: 100, idle: 8)
                let isServed = try serve(&battle)
                #expect(isServed, "\(scarcity), seed \(seed), round \(round): not answered")
                guard isServed else { return }
            }
            try end(&battle, "\(scarcity), seed \(seed)")
        }
    }

    private func begin(_ scarcity: Scarcity, _ seed: UInt64) throws -> Battle {
        let world = try World(
            seed: seed, memoryBytes: 64 << 20, receiveBuffers: 16, poolBlocks: 32,
            connections: 400)
        let honest = world.connect()
        let sets = [9000, 900_000].map { "set v\($0) 0 0 \($0)\r\n\(value($0))\r\n" }
        for set in sets { #expect(try world.ask(set, honest) == "STORED\r\n") }
        var battle = Battle(
            world: world, chance: Chance(seed: seed), honest: honest, reader: world.connect(),
            sender: world.connect())
        // Reads 20 KB in a second from a socket of some size, and sends 4.
        world.network.setAppetite(0, of: battle.reader)
        world.network.setSocketBuffer(30_000, of: battle.reader)
        world.network.send(
            String(repeating: "get v9000\r\n", count: 8), from: battle.reader)
        world.network.send("set slow 0 0 3600\r\n", from: battle.sender)
        try world.settle()
        let kinds = kinds(scarcity)
        for number in 0..<150 {
            let kind = kinds[number % kinds.count]
            battle.bad.append(Bad(kind: kind, peer: world.connect()))
            start(battle.bad[number], world)
        }
        return battle
    }

    /// What a bad peer does when it comes.
    private func start(_ bad: Bad, _ world: World) {
        let network = world.network
        network.setSocketBuffer(2000, of: bad.peer)
        if bad.kind != .resetting { network.setAppetite(0, of: bad.peer) }
        switch bad.kind {
        case .deaf: network.send(String(repeating: "get v9000\r\n", count: 13), from: bad.peer)
        case .deafToShort: network.send(String(repeating: "mn\r\n", count: 900), from: bad.peer)
        case .trickling: network.send("set t 0 0 16000\r\n\(value(2000))", from: bad.peer)
        case .stalled: network.send("get ", from: bad.peer)
        case .stalledLarge: network.send("set l 0 0 1000000\r\nv", from: bad.peer)
        case .sipping: network.send("get v900000\r\n", from: bad.peer)
        case .resetting: network.send("set r 0 0 3000\r\n\(value(1500))", from: bad.peer)
        case .flooding:
            network.send(String(repeating: "get v9000\r\nmn\r\n", count: 1200), from: bad.peer)
        }
    }

    /// What it goes on doing; who was closed comes again.
    private func attack(_ battle: inout Battle, _ scarcity: Scarcity) throws {
        let network = battle.world.network
        for index in battle.bad.indices {
            let bad = battle.bad[index]
            if network.hasEnded(bad.peer) {
                guard battle.chance.below(3) == 0 else { continue }
                battle.bad[index].peer = battle.world.connect()
                start(battle.bad[index], battle.world)
                continue
            }
            switch bad.kind {
            case .trickling, .stalledLarge: network.send("v", from: bad.peer)
            case .sipping where battle.chance.below(4) == 0: network.setAppetite(50, of: bad.peer)
            case .resetting where battle.chance.below(3) == 0: network.reset(bad.peer)
            case .flooding where network.unreceivedCount(from: bad.peer) < 20_000:
                network.send(String(repeating: "mn\r\n", count: 1000), from: bad.peer)
            default: break
            }
        }
    }

    /// Whether honest requests are answered in some turns, without any time passing.
    private func serve(_ battle: inout Battle) throws -> Bool {
        let world = battle.world
        let fresh = world.connect()
        defer { world.network.finish(fresh) }
        let asked = [
            (battle.honest, "get none\r\n", "END\r\n"),
            (battle.honest, "set small 0 0 5\r\nhello\r\n", "STORED\r\n"),
            (battle.honest, "get small\r\n", "hello\r\nEND\r\n"),
            (fresh, "mn\r\n", "MN\r\n"), (fresh, "stats\r\n", "END\r\n"),
        ]
        for (peer, request, ends) in asked {
            world.network.send(request, from: peer)
            var received = ""
            var turns = 0
            while !received.hasSuffix(ends) {
                guard turns < 60 else { return false }
                try world.turn()
                received += world.received(peer)
                turns += 1
            }
            battle.slowest = max(battle.slowest, turns)
        }
        return true
    }

    private func end(_ battle: inout Battle, _ place: String) throws {
        let world = battle.world
        // The honest have been slow, and no slower than they may be.
        #expect(!world.network.isClosed(battle.reader), "\(place): the reader was closed")
        #expect(!world.network.isClosed(battle.sender), "\(place): the sender was closed")
        for bad in battle.bad { world.network.reset(bad.peer) }
        try world.settle()
        world.network.send(value(1600) + "\r\n", from: battle.sender)
        world.network.setAppetite(.max, of: battle.reader)
        try world.pass(milliseconds: 500)
        #expect(world.received(battle.sender) == "STORED\r\n", "\(place)")
        let whole = 8 * ("VALUE v9000 0 9000\r\n".utf8.count + 9000 + 7)
        #expect(world.network.receivedCount(by: battle.reader) == whole, "\(place)")
        for peer in [battle.honest, battle.reader, battle.sender] { world.network.finish(peer) }
        try world.pass(milliseconds: 200)
        #expect(world.shared.connectionCount == 0, "\(place)")
    }
}
