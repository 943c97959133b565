// PoolTests: what happens when the blocks of a worker run low: the busy wait, the still are closed.

import ServerSimulation
import Testing
import Uring

@Suite struct PoolTests {
    private func value(_ count: Int, _ letter: Character = "v") -> String {
        String(repeating: letter, count: count)
    }

    /// Pool 32: 28 large blocks and 64 small ones; input may take 20 of the large.
    private func smallWorld(seed: UInt64 = 1) throws -> World {
        try World(seed: seed, receiveBuffers: 16, poolBlocks: 32, connections: 128)
    }

    /// Halves of requests lie in the cache's memory, not in the pool.
    @Test func halvesOfRequestsAreInNobodysWay() throws {
        let world = try smallWorld()
        let peers = (0..<60).map { _ in world.connect() }
        for peer in peers { world.network.send("set k 0 0 9000\r\n" + value(5000), from: peer) }
        try world.pass(seconds: 10)
        for peer in peers { world.network.send(value(4000) + "\r\n", from: peer) }
        try world.settle()
        for peer in peers { #expect(world.received(peer) == "STORED\r\n") }
        #expect(world.shared.total("closedPoolDry") == 0)
    }

    @Test func shortRestsTakeSmallBlocks() throws {
        let world = try smallWorld()
        let peers = (0..<60).map { _ in world.connect() }
        for peer in peers {
            world.network.send("set k 0 0 1000\r\n" + value(500), from: peer)
            try world.settle()
        }
        try world.pass(seconds: 10)
        for peer in peers { #expect(try world.ask(value(500) + "\r\n", peer) == "STORED\r\n") }
        #expect(world.shared.total("closedPoolDry") == 0)
        #expect(world.shared.total("receivesStarved") == 0)
    }

    @Test func whoTakesNothingDoesNotKeepOthersFromBeingServed() throws {
        let world = try smallWorld()
        let other = world.connect()
        #expect(try world.ask("set k 0 0 9000\r\n\(value(9000))\r\n", other) == "STORED\r\n")
        let deaf = (0..<24).map { _ in world.connect() }
        for peer in deaf {
            world.network.setAppetite(0, of: peer)
            world.network.send(String(repeating: "get k\r\n", count: 400), from: peer)
        }
        try world.settle()
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0)
        world.network.send("get k\r\n", from: other)
        try world.pass(milliseconds: 4000)
        #expect(world.shared.total("closedPoolDry") ?? 0 > 0)
        #expect(!world.network.isClosed(other))
        #expect(world.received(other).hasSuffix("\(value(9000))\r\nEND\r\n"))
    }

    /// Everyone reads, a value in a tenth of a second, and asks for more than the pool could hold.
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func whoReadsSlowlyIsServedAndNotClosed(_ seed: UInt64) throws {
        let world = try smallWorld(seed: seed)
        let peers = (0..<30).map { _ in world.connect() }
        let first = try #require(peers.first)
        #expect(try world.ask("set k 0 0 9000\r\n\(value(9000))\r\n", first) == "STORED\r\n")
        for peer in peers {
            world.network.setAppetite(0, of: peer)
            world.network.send(String(repeating: "get k\r\n", count: 40), from: peer)
        }
        let expected = 40 * (16 + 9002 + 5)
        for _ in 0..<400 {
            for peer in peers { world.network.setAppetite(9500, of: peer) }
            try world.pass(milliseconds: 100)
            if peers.allSatisfy({ world.network.receivedCount(by: $0) >= expected }) { break }
        }
        #expect(world.shared.total("closedPoolDry") == 0)
        for peer in peers.dropFirst() {
            #expect(world.network.receivedCount(by: peer) == expected)
        }
    }

    @Test func aLargeValueThatStandsStillGivesWayToOthers() throws {
        let world = try World(connections: 64)
        let still = (0..<20).map { _ in world.connect() }
        for peer in still {
            world.network.send("set s 0 0 500000\r\n" + value(100_000), from: peer)
            try world.settle()
        }
        let other = world.connect()
        world.network.send("set big 0 0 500000\r\n\(value(500_000))\r\n", from: other)
        try world.settle()
        #expect(world.shared.total("closedStalledForOthers") == 0)
        try world.pass(seconds: 4)
        #expect(world.received(other) == "STORED\r\n")
        #expect(world.shared.total("closedStalledForOthers") ?? 0 > 0)
        #expect(world.shared.total("closedStalledInput") == 0)
    }

    @Test func aStillLargeValueIsLeftAloneWhileNobodyWantsItsPlace() throws {
        let world = try World()
        let peer = world.connect()
        world.network.send("set s 0 0 500000\r\n" + value(100_000), from: peer)
        let other = world.connect()
        try world.pass(seconds: 5)
        #expect(try world.ask("set a 0 0 90000\r\n\(value(90_000))\r\n", other) == "STORED\r\n")
        try world.pass(seconds: 5)
        #expect(try world.ask(value(400_000) + "\r\n", peer) == "STORED\r\n")
    }

    @Test func aStoppingWorkerDoesNotWaitForWhoTakesNothing() throws {
        let world = try World()
        let deaf = world.connect()
        #expect(try world.ask("set k 0 0 9000\r\n\(value(9000))\r\n", deaf) == "STORED\r\n")
        world.network.setAppetite(0, of: deaf)
        world.network.send("get k\r\nget k\r\n", from: deaf)
        let half = world.connect()
        world.network.send("set s 0 0 500000\r\n" + value(100_000), from: half)
        try world.settle()
        world.orderStop()
        try world.settle()
        #expect(!world.isDone)
        try world.pass(milliseconds: 500)
        #expect(world.isDone)
        #expect(world.shared.total("closedDraining") == 2)
    }
}
