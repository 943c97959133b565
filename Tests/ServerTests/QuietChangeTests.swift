// QuietChangeTests: with `ack`, what says that quiet changes are done says so when they are on
// disk.

import ServerSimulation
import Simulation
import Testing
import Uring

@Suite struct QuietChangeTests {
    /// A binary request: extras, key and value of so many bytes.
    private static func packet(
        _ opcode: UInt8, extras: [UInt8] = [], key: String = "", value: String = ""
    ) -> [UInt8] {
        let body = extras + Array(key.utf8) + Array(value.utf8)
        var head: [UInt8] = [0x80, opcode, 0, UInt8(key.utf8.count), UInt8(extras.count), 0, 0, 0]
        head += [0, 0, 0, UInt8(body.count)] + [UInt8](repeating: 0, count: 12)
        return head + body
    }

    private static let zeros = [UInt8](repeating: 0, count: 8)
    private static let noop = packet(0x0a)

    /// Quiet changes of a key that is there.
    static let changes: [[UInt8]] = [
        Array("ms k 1 q\r\n2\r\n".utf8), Array("md k q\r\n".utf8), Array("ma k q\r\n".utf8),
        packet(0x11, extras: zeros, key: "k", value: "2"), packet(0x14, key: "k"),
        packet(0x15, extras: zeros + zeros + [0, 0, 0, 0], key: "k"),
        packet(0x19, key: "k", value: "2"), packet(0x18),
    ]

    @Test(arguments: changes) func areAnsweredByANoopWhenTheyAreOnDisk(_ change: [UInt8]) throws {
        let isBinary = change.first == 0x80
        let noop = isBinary ? Self.noop : Array("mn\r\n".utf8)
        let disk = PlayedDisk(isAcknowledging: true)
        let world = try World(disk: disk)
        let peer = world.connect()
        #expect(try world.ask("set k 0 0 1\r\n1\r\n", peer) == "STORED\r\n")
        let changing = isBinary ? world.connect() : peer
        world.holdsStore = true
        world.network.send(noop, from: changing)
        try world.turn(20)
        let bytes = world.network.receivedCount(by: changing)
        #expect(bytes > 0, "there is nothing to wait for")
        world.network.send(change, from: changing)
        try world.turn(20)
        world.network.send(noop, from: changing)
        try world.turn(20)
        #expect(world.network.receivedCount(by: changing) == bytes, "it was answered too early")
        world.holdsStore = false
        try world.settle()
        #expect(world.network.receivedCount(by: changing) > bytes)
        #expect(try world.close())
    }

    /// As who waits for a commit that fails, whoever would have waited for it is closed.
    @Test func areNotAnsweredWhereACommitHasFailedSince() throws {
        let disk = PlayedDisk(isAcknowledging: true)
        let world = try World(disk: disk)
        let (peer, other) = (world.connect(), world.connect())
        #expect(try world.ask("set k 0 0 1\r\n1\r\n", peer) == "STORED\r\n")
        #expect(try world.ask("mn\r\n", peer) == "MN\r\n")
        disk.home.plan.syncFails = 1000
        #expect(try world.ask("ms k 1 q\r\n2\r\n", peer) == "")
        #expect(try world.ask("set l 0 0 1\r\n1\r\n", other) == "")
        #expect(world.network.isClosed(other), "the commit has not failed")
        disk.home.plan.syncFails = 0
        try world.pass(seconds: 2)
        #expect(try world.ask("mn\r\n", peer) == "")
        #expect(world.network.isClosed(peer))
        #expect(try world.close())
    }
}
