// InputTests: nobody's incomplete request keeps another's complete one from being answered, and
// whoever sends slowly but steadily is served to the end.

import ServerSimulation
import Simulation
import Testing
import Uring

@Suite struct InputTests {
    private func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    /// Pool 32: 28 large blocks and 64 small ones.
    private func smallWorld(seed: UInt64 = 1, connections: Int = 256) throws -> World {
        try World(seed: seed, receiveBuffers: 16, poolBlocks: 32, connections: connections)
    }

    /// Whether a new connection's request and `stats` are answered in this moment.
    private func isServed(_ world: World, _ peer: SimulatedNetwork.Peer) throws -> Bool {
        guard try world.ask("get canary\r\n", peer) == "END\r\n" else { return false }
        return try world.ask("stats\r\n", world.connect()).hasSuffix("END\r\n")
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func slowUploadsAllCompleteAndOthersAreServed(_ seed: UInt64) throws {
        let world = try smallWorld(seed: seed)
        let canary = world.connect()
        let request = Array("set up 0 0 15000\r\n\(value(15_000))\r\n".utf8)
        let peers = (0..<100).map { _ in world.connect() }
        var sent = 0
        while sent < request.count {
            let end = min(sent + 400, request.count)
            for peer in peers { world.network.send(Array(request[sent..<end]), from: peer) }
            sent = end
            try world.pass(milliseconds: 100)
            #expect(try world.ask("get canary\r\n", canary) == "END\r\n")
        }
        for peer in peers { #expect(world.received(peer) == "STORED\r\n") }
        #expect(try isServed(world, canary))
    }

    @Test func tricklersKeepNobodyFromBeingServed() throws {
        let world = try smallWorld()
        let canary = world.connect()
        let peers = (0..<150).map { _ in world.connect() }
        for peer in peers {
            world.network.send("set t 0 0 16000\r\n\(value(2000))", from: peer)
        }
        try world.settle()
        for _ in 0..<30 {
            for peer in peers where !world.network.isClosed(peer) {
                world.network.send("z", from: peer)
            }
            try world.pass(milliseconds: 400)
            #expect(try isServed(world, canary))
        }
    }

    /// More beginnings of lines than the pool has blocks: who has sent least in the longest time
    /// gives way, and nobody who holds nothing waits.
    @Test func beginningsOfLinesKeepNobodyFromBeingServed() throws {
        let world = try smallWorld(connections: 600)
        let canary = world.connect()
        let peers = (0..<500).map { _ in world.connect() }
        for peer in peers { world.network.send("ge", from: peer) }
        try world.settle()
        #expect(try isServed(world, canary))
        let open = peers.filter { !world.network.isClosed($0) }
        #expect(open.count > 200)
        for peer in open { world.network.send("t canary", from: peer) }
        try world.settle()
        #expect(try isServed(world, canary))
        let rest = open.filter { !world.network.isClosed($0) }
        for peer in rest { world.network.send("\r\n", from: peer) }
        try world.settle()
        #expect(rest.count > 200)
        for peer in rest { #expect(world.received(peer) == "END\r\n") }
    }

    @Test func whoIsGoneGivesBackAtOnce() throws {
        let world = try smallWorld(connections: 600)
        let canary = world.connect()
        let peers = (0..<300).map { _ in world.connect() }
        for peer in peers {
            world.network.send("set t 0 0 3000\r\n\(value(1500))", from: peer)
        }
        try world.settle()
        for peer in peers { world.network.finish(peer) }
        try world.settle()
        #expect(try isServed(world, canary))
        #expect(world.shared.connectionCount <= 2)
    }

    /// Of those who hold the memory for large values, who would need longest gives way, and many
    /// at once.
    @Test func tricklersOfLargeValuesGiveWay() throws {
        let world = try smallWorld()
        let peers = (0..<20).map { _ in world.connect() }
        for peer in peers {
            world.network.send("set t 0 0 1000000\r\n\(value(100))", from: peer)
        }
        try world.settle()
        let honest = world.connect()
        world.network.send("set big 0 0 500000\r\n\(value(500_000))\r\n", from: honest)
        var tenths = 0
        var answer = ""
        while answer.isEmpty, tenths < 50 {
            for peer in peers where !world.network.isClosed(peer) {
                world.network.send("z", from: peer)
            }
            try world.pass(milliseconds: 100)
            answer += world.received(honest)
            tenths += 1
        }
        #expect(answer == "STORED\r\n")
        #expect(tenths < 40)
        #expect(!world.network.isClosed(honest))
    }

    /// Large values that all arrive steadily and do not fit side by side wait for one another.
    @Test func steadyLargeValuesWaitInOrderAndNoneIsClosed() throws {
        let world = try World(valueBytesMax: 8 << 20)
        let peers = (0..<8).map { _ in world.connect() }
        for peer in peers {
            world.network.send("set big 0 0 1500000\r\n", from: peer)
            try world.settle()
        }
        for _ in 0..<15 {
            for peer in peers { world.network.send(value(100_000), from: peer) }
            try world.pass(milliseconds: 100)
        }
        for peer in peers { world.network.send("\r\n", from: peer) }
        try world.pass(milliseconds: 1000)
        for peer in peers { #expect(world.received(peer) == "STORED\r\n") }
        #expect(world.shared.total("closedStalledForOthers") == 0)
    }

    /// Senders of more than there are buffers: each gets one in turn, and who asks for little is
    /// among them.
    @Test func bulkLoadDelaysNobodyByMoreThanARound() throws {
        let world = try smallWorld()
        let canary = world.connect()
        let load = (0..<60).map { _ in world.connect() }
        let set = "set k 0 0 10000 noreply\r\n\(value(10_000))\r\n"
        try world.settle()
        var slowest = 0
        for _ in 0..<12 {
            for peer in load where world.network.unreceivedCount(from: peer) < 60_000 {
                world.network.send(String(repeating: set, count: 6), from: peer)
            }
            world.network.send("get canary\r\n", from: canary)
            var turns = 0
            while world.received(canary).isEmpty, turns < 100 {
                try world.turn()
                turns += 1
            }
            slowest = max(slowest, turns)
        }
        // A round takes each of 61 once, a few in a turn: as many as there are buffers lent.
        #expect(slowest <= 20)
    }
}
