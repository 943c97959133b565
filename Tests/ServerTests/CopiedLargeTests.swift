// CopiedLargeTests: large values that are copied to their sockets while no pin is left: every byte
// of the reply, at the borders of what is copied, and when the value is changed right after.

import ServerSimulation
import Simulation
import Testing
import Uring

@Suite struct CopiedLargeTests {
    /// Room that a reply needs besides its value.
    private static let besides = 512

    /// A value in which each place shows where it is.
    private static func value(_ count: Int, _ first: UInt8 = 97) -> [UInt8] {
        (0..<count).map { first + UInt8(($0 / 97 + $0) % 23) }
    }

    private static func set(_ key: String, _ value: [UInt8]) -> [UInt8] {
        Array("set \(key) 7 0 \(value.count)\r\n".utf8) + value + Array("\r\n".utf8)
    }

    /// A world in which readers that take nothing hold all pins, and one more waits for them.
    private func world() throws -> World {
        let world = try World(memoryBytes: 80 << 20, connections: 128)
        let other = world.connect()
        for (key, count) in [("a", 16_385), ("b", 65_536), ("c", 65_537)] {
            world.network.send(Self.set(key, Self.value(count)), from: other)
            #expect(try world.ask("mn\r\n", other) == "STORED\r\nMN\r\n")
        }
        let big = String(repeating: "v", count: 900_000)
        for number in 0..<60 where world.shared.total("waitsForPin") == 0 {
            let reader = world.connect()
            world.network.setAppetite(0, of: reader)
            let set = "set big\(number) 0 0 900000\r\n\(big)\r\n"
            #expect(try world.ask(set, other) == "STORED\r\n")
            world.network.send("get big\(number)\r\n", from: reader)
            try world.settle()
        }
        #expect(world.shared.total("waitsForPin") == 1)
        return world
    }

    /// Asks, and expects an answer of which `count` bytes at the end are known.
    private func expect(
        _ world: World, _ request: [UInt8], ends expected: [UInt8], headBytes: Int = 0,
        room: Int? = nil
    ) throws {
        let peer = world.connect()
        if let room {
            world.network.setAppetite(0, of: peer)
            world.network.setSocketBuffer(room, of: peer)
        }
        let before = world.shared.total("waitsForPin")
        world.network.send(request, from: peer)
        try world.settle()
        if room != nil { world.network.setAppetite(.max, of: peer) }
        let received = world.network.takeReceived(by: peer)
        let isWhole = Array(received.dropFirst(headBytes)) == expected
        #expect(isWhole, "\(received.count) bytes for \(expected.count + headBytes)")
        #expect(world.shared.total("waitsForPin") == before, "it was not copied at once")
        world.network.finish(peer)
        try world.settle()
    }

    @Test func everyByteIsThereAtBothBorders() throws {
        let world = try world()
        for (key, count) in [("a", 16_385), ("b", 65_536)] {
            let value = Self.value(count)
            let line = Array("\r\n".utf8)
            try expect(
                world, Array("get \(key)\r\n".utf8),
                ends: Array("VALUE \(key) 7 \(count)\r\n".utf8) + value + line
                    + Array("END\r\n".utf8))
            try expect(
                world, Array("mg \(key) v f s k Oq\r\n".utf8),
                ends: Array("VA \(count) f7 s\(count) k\(key) Oq\r\n".utf8) + value + line)
            try expect(
                world, Array("get none \(key)\r\nmn\r\n".utf8),
                ends: Array("VALUE \(key) 7 \(count)\r\n".utf8) + value + line
                    + Array("END\r\nMN\r\n".utf8))
            // GETK: a head of 24 bytes, which has the unknown CAS at its end; flags, key, value.
            let request =
                [0x80, 0x0c, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1] + Array(repeating: 0, count: 12)
                + Array(key.utf8)
            try expect(
                world, request, ends: [0, 0, 0, 7] + Array(key.utf8) + value, headBytes: 24)
        }
        #expect(world.shared.total("closedStalledForOthers") == 0)
    }

    @Test func aSocketThatMayNotTakeAllOfItIsGivenNone() throws {
        let world = try world()
        let reply = { (key: String, count: Int) in
            Array("VALUE \(key) 7 \(count)\r\n".utf8) + Self.value(count)
                + Array("\r\nEND\r\n".utf8)
        }
        try expect(
            world, Array("get b\r\n".utf8), ends: reply("b", 65_536),
            room: 65_536 + Self.besides)
        // A byte less, or a longer value: these wait for a pin.
        let waiting = [("b", 65_536, 65_536 + Self.besides - 1), ("c", 65_537, 200_000)]
        let peers = try waiting.map { key, _, room in
            let peer = world.connect()
            world.network.setAppetite(0, of: peer)
            world.network.setSocketBuffer(room, of: peer)
            let before = world.shared.total("waitsForPin") ?? 0
            world.network.send("get \(key)\r\n", from: peer)
            try world.settle()
            #expect(world.shared.total("waitsForPin") == before + 1)
            world.network.setAppetite(.max, of: peer)
            #expect(world.network.receivedCount(by: peer) == 0)
            return peer
        }
        // They come all the same, when readers who take nothing have given way.
        try world.pass(milliseconds: 2000)
        for ((key, count, _), peer) in zip(waiting, peers) {
            let isWhole = world.network.takeReceived(by: peer) == reply(key, count)
            #expect(isWhole, "\(key) did not come")
        }
    }

    /// The copy is what was found, whatever becomes of the value in the same turn.
    @Test func aChangeRightAfterDoesNotShowInIt() throws {
        let world = try world()
        let fresh = Self.value(65_536, 65)
        for request in ["get b\r\n", "mg b v f s k\r\n"] {
            let old = Self.value(65_536)
            let head =
                request.hasPrefix("get") ? "VALUE b 7 65536\r\n" : "VA 65536 f7 s65536 kb\r\n"
            let end = request.hasPrefix("get") ? "\r\nEND\r\n" : "\r\n"
            try expect(
                world, Array("\(request)set b 1 0 1\r\nx\r\nget b\r\n".utf8),
                ends: Array(head.utf8) + old
                    + Array("\(end)STORED\r\nVALUE b 1 1\r\nx\r\nEND\r\n".utf8))
            let peer = world.connect()
            world.network.send(Self.set("b", old), from: peer)
            #expect(try world.ask("mn\r\n", peer) == "STORED\r\nMN\r\n")
            // Another connection changes it in the same turn.
            let (reader, writer) = (world.connect(), world.connect())
            try world.settle()
            world.network.send(request, from: reader)
            world.network.send(Self.set("b", fresh), from: writer)
            try world.settle()
            let received = world.network.takeReceived(by: reader)
            let isWhole =
                received == Array(head.utf8) + old + Array(end.utf8)
                || received == Array(head.utf8) + fresh + Array(end.utf8)
            #expect(isWhole, "\(received.count) bytes")
            world.network.send(Self.set("b", old), from: peer)
            #expect(try world.ask("mn\r\n", peer) == "STORED\r\nMN\r\n")
        }
    }
}
