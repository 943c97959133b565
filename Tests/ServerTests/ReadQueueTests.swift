// ReadQueueTests: more reads from disk than there are slots for: who waits is served in order, and
// who does not take what was read for it holds nothing that others wait for.

import Primitives
import ServerSimulation
import Simulation
import Store
import Support
import Testing
import Uring

@Suite struct ReadQueueTests {
    /// A world that finds `k0`, `k1`, … on disk only.
    private func world(_ count: Int, valueBytes: Int, poolBlocks: Int = 128) throws -> World {
        let disk = PlayedDisk()
        let isFilled = try disk.fill((0..<count).map { ("k\($0)", valueBytes) })
        #expect(isFilled)
        let world = try World(
            memoryBytes: 16 << 20, poolBlocks: poolBlocks, connections: 128, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    @Test func whoDoesNotTakeWhatWasReadHoldsNoReadSlots() throws {
        let world = try world(1000, valueBytes: 3000)
        let deaf = (0..<12).map { _ in world.connect() }
        let other = world.connect()
        try world.settle()
        for (index, peer) in deaf.enumerated() {
            world.network.setAppetite(0, of: peer)
            let keys = (0..<60).map { "k\(index * 60 + $0)" }
            world.network.send("get \(keys.joined(separator: " "))\r\n", from: peer)
        }
        try world.settle()
        let isAnswered = try ask(world, other, 900)
        #expect(isAnswered)
        #expect(world.shared.total("getMisses") == 0)
        // Nobody was closed for it, and who reads after all gets everything.
        #expect(world.shared.connectionCount == 13)
        var received = deaf.map { world.received($0) }
        for peer in deaf { world.network.setAppetite(.max, of: peer) }
        let isOver = try world.turn {
            for (index, peer) in deaf.enumerated() { received[index] += world.received(peer) }
            return received.allSatisfy { $0.hasSuffix("\r\nEND\r\n") }
        }
        #expect(isOver)
        for (index, text) in received.enumerated() {
            let keys = text.split(separator: "\r\n").filter { $0.hasPrefix("VALUE") }
            #expect(keys.count == 60 && keys.first == "VALUE k\(index * 60) 0 3000")
        }
        #expect(try world.close())
    }

    /// What a peer takes its time for is not held against its request: it pauses, or reads 50 KB
    /// in each second.
    @Test(arguments: [false, true]) func whoReadsSlowlyFindsAllOfIt(isPaused: Bool) throws {
        let world = try world(400, valueBytes: 12_000)
        let peer = world.connect()
        world.network.setSocketBuffer(65_536, of: peer)
        world.network.setAppetite(0, of: peer)
        let keys = (0..<400).map { "k\($0)" }
        world.network.send("get \(keys.joined(separator: " "))\r\n", from: peer)
        for _ in 0..<150 {
            world.network.setAppetite(isPaused ? 0 : 5000, of: peer)
            try world.pass(milliseconds: 100)
        }
        world.network.setAppetite(.max, of: peer)
        var received = ""
        let isOver = try world.turn {
            received += world.received(peer)
            return received.hasSuffix("\r\nEND\r\n")
        }
        #expect(isOver)
        #expect(received.split(separator: "\r\n").count { $0.hasPrefix("VALUE") } == 400)
        #expect(world.shared.total("getMisses") == 0)
        #expect(try world.close())
    }

    /// Several who read steadily, each at its own pace: there is room for replies that take them
    /// longer than a request may be denied anything.
    @Test func slowReadersDoNotKeepEachOtherFromWhatLiesOnDisk() throws {
        let world = try world(2400, valueBytes: 12_000, poolBlocks: 2048)
        let peers = (0..<6).map { _ in world.connect() }
        for (number, peer) in peers.enumerated() {
            world.network.setSocketBuffer(65_536, of: peer)
            world.network.setAppetite(0, of: peer)
            let keys = (0..<400).map { "k\(number * 400 + $0)" }
            world.network.send("get \(keys.joined(separator: " "))\r\n", from: peer)
        }
        for _ in 0..<600 {
            for (number, peer) in peers.enumerated() {
                world.network.setAppetite([2500, 5000, 20_000][number % 3], of: peer)
            }
            try world.pass(milliseconds: 100)
        }
        #expect(world.shared.total("waitsForReadSlot") ?? 0 > 0, "nobody had to wait")
        #expect(world.shared.total("getMisses") == 0)
        #expect(world.shared.total("waitsExpired") == 0)
        for peer in peers { world.network.reset(peer) }
        #expect(try world.close())
    }

    private func ask(
        _ world: World, _ peer: SimulatedNetwork.Peer, _ number: Int
    ) throws -> Bool {
        world.network.send("get k\(number)\r\n", from: peer)
        var received = ""
        return try world.turn {
            received += world.received(peer)
            return received.hasPrefix("VALUE k\(number) ") && received.hasSuffix("\r\nEND\r\n")
        }
    }

    @Test func whoWaitsForReadSlotsIsServedInOrderAndParsedOnce() throws {
        let world = try world(4000, valueBytes: 100)
        let peers = (0..<24).map { _ in world.connect() }
        try world.settle()
        let each = 160
        let before = world.shared.total("connectionYields") ?? 0
        for (index, peer) in peers.enumerated() {
            for number in 0..<each {
                world.network.send("get k\(index * each + number)\r\n", from: peer)
            }
        }
        let bytes = peers.indices.map { index in
            (0..<each).reduce(0) { $0 + "VALUE k\(index * each + $1) 0 100\r\n".utf8.count + 107 }
        }
        var widest = 0.0
        let isOver = try world.turn {
            let shares = peers.indices.map {
                Double(world.network.receivedCount(by: peers[$0])) / Double(bytes[$0])
            }
            widest = max(widest, (shares.max() ?? 0) - (shares.min() ?? 0))
            return shares.allSatisfy { $0 >= 1 }
        }
        #expect(isOver)
        #expect(world.shared.total("waitsForReadSlot") ?? 0 > 20, "nobody had to wait")
        #expect(widest < 0.5, "some were served before others")
        let yields = (world.shared.total("connectionYields") ?? 0) - before
        #expect(yields < UInt64(4 * each * peers.count), "\(yields) requests were parsed in vain")
        #expect(try world.close())
    }
}
