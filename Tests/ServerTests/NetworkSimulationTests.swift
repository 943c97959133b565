// NetworkSimulationTests: many connections, a network that misbehaves, and answers that are known.
//
// Each connection has keys of its own, so its answers follow from its own requests alone. Every
// accepted request is answered, in order, or the connection is closed.

import Glibc
import ServerSimulation
import Simulation
import Support
import Testing
import Uring

@Suite struct NetworkSimulationTests {
    /// One connection's requests, and what must come back.
    struct Client {
        let peer: SimulatedNetwork.Peer
        var unsent: [UInt8] = []
        var sent = 0
        var expected: [UInt8] = []
        var received = 0
        var values: [String: (flags: Int, value: [UInt8])] = [:]
        var isFinished = false

        init(_ peer: SimulatedNetwork.Peer) { self.peer = peer }
    }

    /// So many fixed seeds, unless the environment names one or a number of them.
    static func seeds(_ count: UInt64) -> [UInt64] {
        if let text = getenv("SIM_SEED"), let seed = UInt64(String(cString: text)) {
            return [seed]
        }
        if let text = getenv("SIM_SEEDS"), let count = UInt64(String(cString: text)), count > 0 {
            return Array(1...count)
        }
        return Array(1...count)
    }

    @Test(arguments: seeds(24))
    func everyRequestIsAnsweredOrItsConnectionClosed(_ seed: UInt64) throws {
        var chance = Chance(seed: seed &* 77)
        let world = try World(
            seed: seed, faults: FaultPlan(seed: seed), memoryBytes: 512 << 20, poolBlocks: 256)
        var clients = (0..<12).map { _ in Client(world.connect()) }
        for round in 0..<60 {
            for index in clients.indices where !clients[index].isFinished {
                if chance.below(3) == 0 {
                    for _ in 0...chance.below(12) {
                        addRequest(to: &clients[index], number: index, &chance)
                    }
                }
                send(&clients[index], world, &chance)
                check(&clients[index], world, "seed \(seed) round \(round)")
            }
            try world.turn(1 + chance.below(4))
        }
        // Now everything may happen.
        for index in clients.indices where !clients[index].isFinished {
            let rest = clients[index].unsent
            world.network.send(rest, from: clients[index].peer)
            clients[index].unsent = []
        }
        try world.settle(turnsMax: 200_000)
        #expect(clients.contains { $0.received > 100 }, "seed \(seed): nothing happened")
        for index in clients.indices {
            check(&clients[index], world, "seed \(seed) end")
            let client = clients[index]
            if !client.isFinished {
                #expect(
                    client.received == client.expected.count,
                    "seed \(seed): connection \(index) lacks answers")
                world.network.finish(client.peer)
            }
        }
        try world.settle(turnsMax: 200_000)
        #expect(world.shared.connectionCount == 0, "seed \(seed)")
    }

    private func send(_ client: inout Client, _ world: World, _ chance: inout Chance) {
        guard !client.unsent.isEmpty, !world.network.hasEnded(client.peer) else { return }
        let count = min(client.unsent.count, 1 + chance.below(chance.below(2) == 0 ? 30 : 40_000))
        world.network.send(Array(client.unsent[..<count]), from: client.peer)
        client.unsent.removeFirst(count)
    }

    /// What came is a prefix of what must come.
    private func check(_ client: inout Client, _ world: World, _ place: String) {
        let came = world.network.takeReceived(by: client.peer)
        let end = client.received + came.count
        guard end <= client.expected.count,
            Array(client.expected[client.received..<end]) == came
        else {
            Issue.record("\(place): wrong answer after \(client.received) bytes")
            client.isFinished = true
            return
        }
        client.received = end
        if world.network.hasEnded(client.peer) { client.isFinished = true }
    }

    private func addRequest(to client: inout Client, number: Int, _ chance: inout Chance) {
        let key = "c\(number)k\(chance.below(8))"
        switch chance.below(40) == 0 ? 9 : chance.below(9) {
        case 0...3:
            let sizes = [0, 1, 30, 500, 5000, 17_000, 40_000, 150_000]
            let size = sizes[min(chance.below(8), chance.below(12))]
            let letter = UInt8(97 + chance.below(26))
            let value = [UInt8](repeating: letter, count: size)
            let isQuiet = chance.below(5) == 0
            let flags = chance.below(100)
            client.unsent += Array(
                "set \(key) \(flags) 0 \(size)\(isQuiet ? " noreply" : "")\r\n".utf8)
            client.unsent += value + [13, 10]
            client.values[key] = (flags, value)
            if !isQuiet { client.expected += Array("STORED\r\n".utf8) }
        case 4...6:
            let keys = (0...chance.below(5)).map { _ in "c\(number)k\(chance.below(8))" }
            client.unsent += Array("get \(keys.joined(separator: " "))\r\n".utf8)
            for key in keys {
                guard let (flags, value) = client.values[key] else { continue }
                client.expected += Array("VALUE \(key) \(flags) \(value.count)\r\n".utf8)
                client.expected += value + [13, 10]
            }
            client.expected += Array("END\r\n".utf8)
        case 7:
            client.unsent += Array("delete \(key)\r\n".utf8)
            let wasThere = client.values.removeValue(forKey: key) != nil
            client.expected += Array((wasThere ? "DELETED\r\n" : "NOT_FOUND\r\n").utf8)
        case 8:
            client.unsent += Array("nonsense \(key)\r\n".utf8)
            client.expected += Array("ERROR\r\n".utf8)
        default:
            client.unsent += Array("set \(key) 0 0 3000000\r\n".utf8)
            client.unsent += [UInt8](repeating: 120, count: 3_000_000) + [13, 10]
            client.values[key] = nil
            client.expected += Array("SERVER_ERROR object too large for cache\r\n".utf8)
        }
    }
}
