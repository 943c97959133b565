// DeafPeersTests: hundreds of peers that ask for much, with each kind of request, and read none of
// it; and what honest clients beside them wait for: small and long replies, and changes.
//
// The deaf ones are as a system makes them: their own socket takes some, which looks like progress,
// the server's socket holds some more, and then nothing moves.

import Primitives
import Server
import ServerSimulation
import Simulation
import Store
import Support
import Testing
import Uring

@Suite(.serialized) struct DeafPeersTests {
    private static func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    private static func binary(_ opcode: UInt8, _ key: String) -> [UInt8] {
        let count = UInt8(key.utf8.count)
        return [0x80, opcode, 0, count, 0, 0, 0, 0, 0, 0, 0, count]
            + Array(repeating: 0, count: 12) + Array(key.utf8)
    }

    /// What the deaf ask for, each in one go.
    private static func requests(_ kind: String) -> [UInt8] {
        func repeated(_ request: String, _ count: Int) -> [UInt8] {
            Array(String(repeating: request, count: count).utf8)
        }
        func repeated(_ request: [UInt8], _ count: Int) -> [UInt8] {
            Array(repeatElement(request, count: count).joined())
        }
        return switch kind {
        case "get": repeated("get v16\r\n", 60)
        case "mg": repeated("mg v16 v k\r\n", 60)
        case "mg and touch": repeated("mg v16 v T100\r\n", 60)
        case "gat": repeated("gat 100 v16\r\n", 60)
        case "get of many":
            repeated("get \((0..<100).map { "m\($0)" }.joined(separator: " "))\r\n", 2)
        case "GETK": repeated(binary(0x0c, "v16"), 60)
        case "STAT": repeated(binary(0x10, ""), 300)
        case "stats": repeated("stats\r\n", 300)
        case "stats of parts":
            repeated("stats settings\r\nstats items\r\nstats slabs\r\nstats conns\r\n", 150)
        case "detail": repeated("stats detail dump\r\n", 60)
        case "lists":
            repeated("lru_crawler metadump all\r\nstats cachedump 1 0\r\nstats conns\r\n", 60)
        default: repeated("mn\r\n", 4000)
        }
    }

    static let kinds = [
        "get", "mg", "mg and touch", "gat", "get of many", "GETK", "STAT", "stats",
        "stats of parts", "detail", "lists", "short",
    ]

    /// What each of the honest asks for, and what ends the answer.
    private static let honest: [(request: String, end: String)] = [
        ("get none\r\n", "END\r\n"),
        ("get v16\r\n", "vv\r\nEND\r\n"),
        ("set s16 0 0 16384\r\n\(value(16_384))\r\n", "STORED\r\n"),
        ("get v17\r\n", "vv\r\nEND\r\n"),
        ("mg v16 v\r\nmn\r\n", "vv\r\nMN\r\n"),
        ("mg v17 v\r\nmn\r\n", "vv\r\nMN\r\n"),
        ("set s17 0 0 17000\r\n\(value(17_000))\r\n", "STORED\r\n"),
        ("stats\r\n", "END\r\n"),
        ("set a 0 0 3\r\nabc\r\n", "STORED\r\n"),
    ]

    /// Tenths of a second until a new connection's request is answered whole; nil for none in 6 s.
    private func tenths(_ world: World, _ request: String, _ end: String) throws -> Int? {
        let peer = world.connect()
        world.network.setSocketBuffer(40_000, of: peer)
        world.network.send(request, from: peer)
        var received = ""
        for tenth in 0..<60 {
            if tenth == 0 { try world.turn(60) } else { try world.pass(milliseconds: 100) }
            received += world.received(peer)
            if received.hasSuffix(end) {
                world.network.finish(peer)
                return tenth
            }
        }
        return nil
    }

    /// Stores what is asked for.
    private func fill(_ world: World) throws {
        let filler = world.connect()
        world.network.send("stats detail on\r\n", from: filler)
        var sets = [("v16", 16_384), ("v17", 17_000)]
            .map { "set \($0) 0 0 \($1) noreply\r\n\(Self.value($1))\r\n" }
        for number in 0..<100 {
            sets.append("set m\(number) 0 0 8192 noreply\r\n\(Self.value(8192))\r\n")
            sets.append("set prefix\(number):key 0 0 1 noreply\r\nx\r\n")
        }
        #expect(try world.ask(sets.joined() + "mn\r\n", filler).hasSuffix("MN\r\n"))
        world.network.finish(filler)
        try world.settle()
    }

    /// A peer that asks for much and reads little of it.
    private func deafen(
        _ peer: SimulatedNetwork.Peer, _ kind: String, _ requests: [UInt8], _ world: World
    ) {
        world.network.setSocketBuffer(kind == "short" ? 3000 : 20_000, of: peer)
        world.network.setAppetite(kind == "short" ? 3000 : 20_000, of: peer)
        world.network.send(requests, from: peer)
    }

    private func expectTheHonestAreAnswered(_ world: World) throws {
        for (request, end) in Self.honest {
            let tenths = try tenths(world, request, end)
            #expect(
                tenths.map { $0 <= 10 } == true,
                "\(request.prefix(20)): \(tenths.map { "\($0) tenths" } ?? "no answer")")
        }
    }

    @Test(arguments: kinds)
    func whoeverReadsIsAnsweredWithinASecond(_ kind: String) throws {
        let world = try World(
            memoryBytes: 56 << 20, receiveBuffers: 32, poolBlocks: 64, connections: 256)
        try fill(world)
        let deaf = (0..<200).map { _ in world.connect() }
        let requests = Self.requests(kind)
        for peer in deaf { deafen(peer, kind, requests, world) }
        try world.settle()
        try expectTheHonestAreAnswered(world)
        // What they read is in no connection's way; and nothing leaks.
        for peer in deaf { world.network.reset(peer) }
        try world.pass(milliseconds: 200)
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
    }

    static let beginnings = [
        "g", "set u 0 0 3000\r\n\(value(2000))", "set u 0 0 16000\r\n\(value(2000))",
        "set u 0 0 1000000\r\n\(value(2000))",
    ]

    /// All connections that a worker of `-m 256 -t 2 -c 1024` may have, but for one: half of them
    /// deaf, of every kind, half in the middle of a line or a value, of which no more comes.
    @Test func whoeverReadsIsAnsweredWhateverAllOtherConnectionsDo() throws {
        let connections = 512
        // As many places more as a worker has for those that are just being closed.
        let world = try World(
            memoryBytes: 112 << 20, receiveBuffers: 128, poolBlocks: 256,
            connections: connections + connections / 8)
        try fill(world)
        let deaf = Self.kinds.map { (kind: $0, requests: Self.requests($0)) }
        let peers = (1..<connections).map { number in
            let peer = world.connect()
            if number % 2 == 0 {
                let (kind, requests) = deaf[number / 2 % deaf.count]
                deafen(peer, kind, requests, world)
            } else {
                let beginning = Self.beginnings[number / 2 % Self.beginnings.count]
                world.network.send(beginning, from: peer)
            }
            return peer
        }
        try world.settle()
        try expectTheHonestAreAnswered(world)
        for peer in peers { world.network.reset(peer) }
        try world.pass(milliseconds: 200)
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
        #expect(world.shared.connectionCount == 0)
    }

    // MARK: A small server

    /// Milliseconds until a new connection's request is answered whole; nil for none in 6 s.
    private func milliseconds(_ world: World, _ request: String, _ end: String) throws -> Int? {
        let peer = world.connect()
        world.network.setSocketBuffer(40_000, of: peer)
        world.network.send(request, from: peer)
        var received = ""
        for step in 0..<600 {
            if step == 0 {
                try world.turn(60)
            } else {
                world.advance(nanoseconds: 10_000_000)
                try world.settle()
            }
            received += world.received(peer)
            if received.hasSuffix(end) {
                world.network.finish(peer)
                return step * 10
            }
        }
        return nil
    }

    enum Crowd: CaseIterable, Sendable { case mixed, deaf, beginnings }

    /// All connections but one that `-m 64 -t 1 -c 1024` may have. Those who are deaf have sent
    /// more requests than the pool could keep.
    @Test(arguments: Crowd.allCases)
    func aSmallServerAnswersWhateverAllOtherConnectionsDo(_ crowd: Crowd) throws {
        let connections = 1024
        let memory = ServerMemory(
            memoryBytes: 64 << 20, connectionsMax: connections, workers: 1)
        let world = try World(
            memoryBytes: memory.storeBytes, receiveBuffers: memory.receiveBuffers,
            poolBlocks: memory.poolBlocks, connections: memory.connectionsPerWorker)
        try fill(world)
        let deaf = Self.kinds.map { (kind: $0, requests: Self.requests($0)) }
        let peers = (1..<connections).map { number in
            let peer = world.connect()
            if crowd == .deaf || crowd == .mixed && number % 2 == 0 {
                let (kind, requests) = deaf[number / 2 % deaf.count]
                deafen(peer, kind, requests, world)
            } else {
                let beginning = Self.beginnings[number / 2 % Self.beginnings.count]
                world.network.send(beginning, from: peer)
            }
            return peer
        }
        // Not all of it has been received yet.
        try world.turn(200)
        for (request, end) in Self.honest {
            // Who holds the place of a value is judged after 0.2 s, by the next alarm.
            let bound = request.hasPrefix("set s") ? 300 : 50
            let milliseconds = try milliseconds(world, request, end)
            #expect(
                milliseconds.map { $0 <= bound } == true,
                "\(request.prefix(20)): \(milliseconds.map { "\($0) ms" } ?? "no answer")")
        }
        // What they have sent has room in the cache, so nobody need give way for that.
        #expect(crowd != .deaf || world.shared.total("closedPoolDry") == 0)
        for peer in peers { world.network.reset(peer) }
        try world.pass(milliseconds: 200)
        #expect(world.shared.total("receivesStarved") ?? 0 > 0, "there was enough")
        #expect(world.shared.connectionCount == 0)
    }

    /// More has been sent on top of replies that nobody reads than the pool and the cache have room
    /// for: those who read nothing give way before they may be said to stand still.
    @Test func whatFindsNoRoomAtAllGivesWaySoon() throws {
        let world = try World(
            memoryBytes: 4 << 20, receiveBuffers: 16, poolBlocks: 32, connections: 512)
        let first = world.connect()
        let value = String(repeating: "v", count: 9000)
        #expect(try world.ask("set k 0 0 9000\r\n\(value)\r\n", first) == "STORED\r\n")
        world.network.finish(first)
        let peers = (0..<500).map { _ in world.connect() }
        for peer in peers {
            world.network.setAppetite(0, of: peer)
            world.network.setSocketBuffer(2000, of: peer)
            world.network.send(String(repeating: "get k\r\n", count: 6000), from: peer)
        }
        try world.turn(20)
        for _ in 0..<10 {
            for (request, end) in [("get none\r\n", "END\r\n"), ("mn\r\n", "MN\r\n")] {
                let waited = try milliseconds(world, request, end)
                #expect(waited.map { $0 <= 300 } == true, "\(waited.map(String.init) ?? "none")")
            }
        }
        #expect(world.shared.total("closedPoolDry") ?? 0 > 0, "there was room for all")
        for peer in peers { world.network.reset(peer) }
        try world.pass(milliseconds: 200)
        #expect(world.shared.connectionCount == 0)
    }
}
