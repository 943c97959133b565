// DeafDiskTests: hundreds of peers that ask for much of what lies on disk and read none of it; and
// what honest clients beside them wait for: from disk, from memory, and changes.
//
// Store and worker make their steps one after the other on a clock of their own (World), so what
// is measured here is turns and not the machine.

import Primitives
import ServerSimulation
import Simulation
import Store
import Support
import Testing
import Uring

@Suite struct DeafDiskTests {
    private static func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    private static let smallCount = 1200
    private static let largeCount = 160

    /// What each of the deaf peers asks for: some small values, and large ones behind them, of
    /// which all together want more than the memory that reads may have.
    struct Kind: Sendable, CustomStringConvertible {
        let description: String
        var small = 0
        var large = 0
        var isOneByOne = false
        var isChange = false

        func request(_ number: Int) -> String {
            let first = (0..<small).map { "k\((number * small + $0) % (smallCount - 10))" }
            let last = (0..<large).map { "l\((number * large + $0) % (largeCount - 10))" }
            let keys = first + last
            if isChange { return keys.map { "append \($0) 0 0 1\r\nx\r\n" }.joined() }
            return isOneByOne
                ? keys.map { "get \($0)\r\n" }.joined()
                : "get \(keys.joined(separator: " "))\r\n"
        }
    }

    static let kinds = [
        Kind(description: "small", small: 60),
        Kind(description: "mixed", small: 20, large: 2),
        Kind(description: "large", large: 8),
        Kind(description: "large, one by one", large: 8, isOneByOne: true),
        Kind(description: "some small, many large", small: 6, large: 12),
        Kind(description: "changes", small: 40, isChange: true),
    ]

    /// A world that finds small values `k0`, `k1`, …, large ones `l0`, … and `huge` on disk only.
    private func world() throws -> World {
        let disk = PlayedDisk()
        let small = (0..<Self.smallCount).map { (key: "k\($0)", byteCount: 3000) }
        let large = (0..<Self.largeCount).map { (key: "l\($0)", byteCount: 20_000) }
        let isFilled = try disk.fill(
            small + large + [(key: "huge", byteCount: 60_000)], memoryBytes: 24 << 20)
        #expect(isFilled)
        let world = try World(
            memoryBytes: 12 << 20, poolBlocks: 64, connections: 512, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    /// Peers whose sockets take a part of what they ask for, and no more.
    private func beDeaf(_ world: World, _ count: Int, _ kind: Kind) -> [SimulatedNetwork.Peer] {
        (0..<count).map { number in
            let peer = world.connect()
            world.network.setSocketBuffer(10_000, of: peer)
            world.network.setAppetite(10_000, of: peer)
            world.network.send(kind.request(number), from: peer)
            return peer
        }
    }

    /// Tenths of a second until a new connection's request is answered whole; nil for none in 6 s.
    private func tenths(
        _ world: World, _ request: String, _ start: String, _ end: String
    ) throws -> Int? {
        let peer = world.connect()
        world.network.setSocketBuffer(70_000, of: peer)
        world.network.send(request, from: peer)
        var received = ""
        for tenth in 0..<60 {
            if tenth == 0 { try world.turn(200) } else { try world.pass(milliseconds: 100) }
            received += world.received(peer)
            guard received.hasSuffix(end) else { continue }
            world.network.finish(peer)
            #expect(received.hasPrefix(start), "\(request.prefix(20)): \(received.prefix(40))")
            return tenth
        }
        return nil
    }

    @Test(arguments: kinds) func whoeverReadsIsAnsweredSoon(_ kind: Kind) throws {
        let world = try world()
        let deaf = beDeaf(world, 200, kind)
        try world.turn(300)
        let (small, large) = (Self.smallCount - 1, Self.largeCount - 1)
        let large1 = "VALUE l\(large) 0 20000\r\n"
        let large2 = "VALUE l\(large - 1) 0 20000\r\n"
        // Readers leave some places to values on their way in.
        let honest = [
            ("get none\r\n", "END", "END\r\n", 1),
            ("get k\(small)\r\n", "VALUE k\(small) 0 3000\r\n", "vv\r\nEND\r\n", 1),
            ("get l\(large)\r\n", large1, "vv\r\nEND\r\n", 1),
            ("get huge\r\n", "VALUE huge 0 60000\r\n", "vv\r\nEND\r\n", 1),
            ("append k\(small - 1) 0 0 1\r\nx\r\n", "STORED", "STORED\r\n", 1),
            ("set s 0 0 17000\r\n\(Self.value(17_000))\r\n", "STORED", "STORED\r\n", 1),
            ("get s\r\n", "VALUE s 0 17000\r\n", "vv\r\nEND\r\n", 1),
            ("stats\r\n", "STAT", "END\r\n", 1),
            ("get l\(large - 1)\r\n", large2, "vv\r\nEND\r\n", 1),
        ]
        for (request, start, end, bound) in honest {
            let tenths = try tenths(world, request, start, end)
            #expect(
                tenths.map { $0 <= bound } == true,
                "\(request.prefix(20)): \(tenths.map { "\($0) tenths" } ?? "no answer")")
        }
        let waits = ["waitsForReadSlot", "waitsForPin", "waitsForMemory", "waitsForBlocks"]
            .map { world.shared.total($0) ?? 0 }
        #expect(waits.reduce(0, +) > 0, "there was enough")
        for peer in deaf { world.network.reset(peer) }
        #expect(try world.close())
    }

    /// A read that was given up is begun again when it can leave. The key may have a longer value
    /// on disk by then, which needs more room than was wanted before. Which of them are given up
    /// is not what this is about: some are.
    @Test func aValueThatGrewMeanwhileHasRoom() throws {
        let world = try world()
        let readers = (0..<5).map { _ in world.connect() }
        for (number, reader) in readers.enumerated() {
            world.network.setSocketBuffer(10_000, of: reader)
            world.network.setAppetite(10_000, of: reader)
            world.network.send("get l15\(2 * number) l15\(2 * number + 1)\r\n", from: reader)
        }
        let deaf = beDeaf(world, 100, Self.kinds[3])
        try world.turn(300)
        #expect(world.shared.total("waitsForReadSlot") ?? 0 > 0, "nobody had to wait")
        let writer = world.connect()
        let grown = String(repeating: "w", count: 30_000)
        for number in readers.indices {
            let key = "l15\(2 * number + 1)"
            world.network.send("set \(key) 0 0 30000 noreply\r\n\(grown)\r\n", from: writer)
        }
        for number in 0..<1000 {
            let other = "set other\(number) 0 0 15000 noreply\r\n\(Self.value(15_000))\r\n"
            world.network.send(other, from: writer)
        }
        world.network.send("mn\r\n", from: writer)
        let isFilled = try world.turn { world.received(writer) == "MN\r\n" }
        #expect(isFilled)
        for peer in deaf { world.network.reset(peer) }
        var grownCount = 0
        for (number, reader) in readers.enumerated() {
            world.network.setAppetite(.max, of: reader)
            var received = ""
            let isAnswered = try world.turn {
                received += world.received(reader)
                return received.hasSuffix("END\r\n")
            }
            #expect(isAnswered)
            func answer(_ second: String) -> String {
                "VALUE l15\(2 * number) 0 20000\r\n\(Self.value(20_000))\r\n"
                    + "VALUE l15\(2 * number + 1) 0 \(second.utf8.count)\r\n"
                    + "\(second)\r\nEND\r\n"
            }
            let isGrown = received == answer(grown)
            if isGrown { grownCount += 1 }
            let isWhole = isGrown || received == answer(Self.value(20_000))
            #expect(isWhole, "\(received.utf8.count) bytes")
        }
        #expect(grownCount > 0, "none was given up")
        #expect(try world.close())
    }
}
