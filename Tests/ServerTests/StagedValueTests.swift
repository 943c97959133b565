// StagedValueTests: what is asked behind a get that reads from disk is answered behind its value,
// whichever of the two is ready first.

import ServerSimulation
import Testing

@Suite struct StagedValueTests {
    /// A world that finds `large` on disk only.
    private func world(_ byteCount: Int) throws -> World {
        let disk = PlayedDisk()
        let isFilled = try disk.fill([("large", byteCount)])
        #expect(isFilled)
        let world = try World(memoryBytes: 16 << 20, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    /// A value that is staged where it will lie has all come when the one before it has been read:
    /// its reply does not leave while the other value does.
    @Test(arguments: [900, 20_000, 60_000, 200_000, 900_000])
    func aStagedValueIsCompleteWhenTheReadIs(byteCount: Int) throws {
        let world = try world(byteCount)
        let peer = world.connect()
        try world.settle()
        world.network.holdsReads = true
        world.holdsStore = true
        let value = String(repeating: "s", count: 40_000)
        world.network.send(
            "get large\r\nset staged 0 0 40000\r\n\(value.prefix(15_000))", from: peer)
        try world.turn(200)
        let early = world.network.receivedCount(by: peer)
        #expect(early == 0)
        world.network.send("\(value.dropFirst(15_000))\r\nget staged\r\nmn\r\n", from: peer)
        world.network.releaseReads()
        world.holdsStore = false
        try world.settle()
        let large = String(repeating: "v", count: byteCount)
        let reply = world.received(peer)
        let isRight =
            reply
            == "VALUE large 0 \(byteCount)\r\n\(large)\r\nEND\r\nSTORED\r\n"
            + "VALUE staged 0 40000\r\n\(value)\r\nEND\r\nMN\r\n"
        #expect(isRight, "\(reply.utf8.count) bytes")
        #expect(world.shared.total("closedByError") == 0)
        #expect(try world.close())
    }

    /// The same while what was changed before has to be committed first: the value has been read,
    /// and waits behind that, when the commit is complete and all of the staged one has come. That
    /// is refused, so its reply waits for no commit of its own.
    @Test(arguments: 0..<8)
    func aStagedValueIsCompleteWhenTheCommitIs(turns: Int) throws {
        let disk = PlayedDisk(isAcknowledging: true)
        let isFilled = try disk.fill([("large", 20_000)])
        #expect(isFilled)
        let world = try World(memoryBytes: 16 << 20, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        let peer = world.connect()
        try world.settle()
        world.holdsStore = true
        let value = String(repeating: "s", count: 40_000)
        world.network.send(
            "set staged 0 0 1\r\nx\r\nget large\r\nadd staged 0 0 40000\r\n"
                + value.prefix(15_000), from: peer)
        try world.turn(200)
        let early = world.network.receivedCount(by: peer)
        #expect(early == 0)
        for _ in 0..<200 { world.stepStore() }
        try world.turn(turns)
        world.network.send("\(value.dropFirst(15_000))\r\nmn\r\n", from: peer)
        world.holdsStore = false
        try world.settle()
        let reply = world.received(peer)
        let large = String(repeating: "v", count: 20_000)
        let isRight =
            reply
            == "STORED\r\nVALUE large 0 20000\r\n\(large)\r\nEND\r\nNOT_STORED\r\nMN\r\n"
        #expect(isRight, "\(reply.utf8.count) bytes")
        #expect(try world.close())
    }
}
