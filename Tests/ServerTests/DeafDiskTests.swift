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
    private static let largeCount = 440

    /// A world that finds small values `k0`, `k1`, … and large ones `l0`, … on disk only.
    private func world() throws -> World {
        let disk = PlayedDisk()
        let small = (0..<Self.smallCount).map { (key: "k\($0)", byteCount: 3000) }
        let large = (0..<Self.largeCount).map { (key: "l\($0)", byteCount: 20_000) }
        let isFilled = try disk.fill(small + large, memoryBytes: 32 << 20)
        #expect(isFilled)
        let world = try World(
            memoryBytes: 16 << 20, poolBlocks: 64, connections: 512, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    /// What each of 200 deaf peers asks for.
    private static func requests(_ kind: String, _ number: Int) -> String {
        func keys(_ letter: String, _ count: Int, of all: Int) -> String {
            (0..<count).map { "\(letter)\((number * count + $0) % all)" }.joined(separator: " ")
        }
        return switch kind {
        case "small": "get \(keys("k", 60, of: smallCount - 10))\r\n"
        case "mixed":
            "get \(keys("k", 20, of: smallCount - 10)) \(keys("l", 2, of: largeCount - 10))\r\n"
        default:
            (0..<40).map { "append k\((number * 40 + $0) % (smallCount - 10)) 0 0 1\r\nx\r\n" }
                .joined()
        }
    }

    static let kinds = ["small", "mixed", "changes"]

    /// Tenths of a second until a new connection's request is answered whole; nil for none in 6 s.
    private func tenths(
        _ world: World, _ request: String, _ start: String, _ end: String
    ) throws -> Int? {
        let peer = world.connect()
        world.network.setSocketBuffer(40_000, of: peer)
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

    @Test(arguments: kinds)
    func whoeverReadsIsAnsweredWithinASecond(_ kind: String) throws {
        let world = try world()
        let deaf = (0..<200).map { _ in world.connect() }
        for (number, peer) in deaf.enumerated() {
            world.network.setSocketBuffer(10_000, of: peer)
            world.network.setAppetite(10_000, of: peer)
            world.network.send(Self.requests(kind, number), from: peer)
        }
        try world.turn(300)
        let (small, large) = (Self.smallCount - 1, Self.largeCount - 1)
        let honest = [
            ("get none\r\n", "END", "END\r\n"),
            ("get k\(small)\r\n", "VALUE k\(small) 0 3000\r\n", "vv\r\nEND\r\n"),
            ("get l\(large)\r\n", "VALUE l\(large) 0 20000\r\n", "vv\r\nEND\r\n"),
            ("append k\(small - 1) 0 0 1\r\nx\r\n", "STORED", "STORED\r\n"),
            ("set s 0 0 17000\r\n\(Self.value(17_000))\r\n", "STORED", "STORED\r\n"),
            ("get s\r\n", "VALUE s 0 17000\r\n", "vv\r\nEND\r\n"),
            ("stats\r\n", "STAT", "END\r\n"),
        ]
        for (request, start, end) in honest {
            let tenths = try tenths(world, request, start, end)
            #expect(
                tenths.map { $0 <= 10 } == true,
                "\(request.prefix(20)): \(tenths.map { "\($0) tenths" } ?? "no answer")")
        }
        let waits = ["waitsForReadSlot", "waitsForPin", "waitsForMemory", "waitsForBlocks"]
            .map { world.shared.total($0) ?? 0 }
        #expect(waits.reduce(0, +) > 0, "there was enough")
        for peer in deaf { world.network.reset(peer) }
        #expect(try world.close())
    }
}
