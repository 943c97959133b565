// ScarcityTests: a small request is answered at once, whatever others hold: replies that nobody
// reads, requests that wait for a disk, memory that reads from disk need.

import Primitives
import ServerSimulation
import Simulation
import Store
import Support
import Testing
import Uring

@Suite(.serialized) struct ScarcityTests {
    private func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    /// Turns, without any time passing, until a peer was answered; nil if that is too many.
    private func turns(
        _ world: World, _ peer: SimulatedNetwork.Peer, _ request: String, ends: String
    ) throws -> Int? {
        world.network.send(request, from: peer)
        var received = ""
        for turn in 1...40 {
            try world.turn()
            received += world.received(peer)
            if received.hasSuffix(ends) { return turn }
        }
        return nil
    }

    /// Long replies that are not read fill the pool's large blocks, short ones the small ones.
    @Test func repliesThatNobodyReadsKeepNobodyFromBeingAnswered() throws {
        let (world, honest) = try World.scarce(connections: 512)
        let deaf = world.connectDeaf(300, socketBytes: 2000) {
            $0 % 3 == 0 ? "get k\r\n" : String(repeating: "mn\r\n", count: 2000)
        }
        try world.settle()
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
        for _ in 0..<5 {
            #expect(try turns(world, honest, "get none\r\n", ends: "END\r\n") != nil)
            #expect(try turns(world, honest, "set a 0 0 1\r\nx\r\n", ends: "STORED\r\n") != nil)
            #expect(try turns(world, world.connect(), "stats\r\n", ends: "END\r\n") != nil)
            #expect(try turns(world, honest, "mn\r\nmn\r\nmn\r\n", ends: "MN\r\nMN\r\n") != nil)
        }
        #expect(world.shared.total("closedPoolDry") == 0)
        // A long one waits for those who read nothing.
        world.network.send("get k\r\n", from: honest)
        try world.pass(milliseconds: 3000)
        #expect(world.received(honest).hasSuffix("vv\r\nEND\r\n"))
        for peer in deaf { world.network.reset(peer) }
        world.network.finish(honest)
        try world.pass(milliseconds: 200)
    }

    /// Two requests and the beginning of a large value in one packet: while blocks are scarce, one
    /// is answered in each turn, and the value is behind them.
    @Test func aLargeValueBehindRequestsThatWaitForRoomArrives() throws {
        let (world, honest) = try World.scarce(connections: 512)
        let deaf = world.connectDeaf(300, socketBytes: 2000) {
            $0 % 3 == 0 ? "get k\r\n" : String(repeating: "mn\r\n", count: 2000)
        }
        try world.settle()
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
        let large = value(100_000)
        for _ in 0..<10 {
            let peer = world.connect()
            world.network.send(
                "get no\r\nget no\r\nset big 0 0 100000\r\n" + large.prefix(500), from: peer)
            try world.turn(40)
            world.network.send(large.dropFirst(500) + "\r\n", from: peer)
            try world.turn(80)
            #expect(world.received(peer) == "END\r\nEND\r\nSTORED\r\n")
            world.network.finish(peer)
        }
        #expect(world.shared.total("closedByFault") == 0)
        for peer in deaf { world.network.reset(peer) }
        world.network.finish(honest)
        try world.pass(milliseconds: 200)
    }

    /// Requests on top of replies that nobody reads fill the pool, and what the cache's memory has
    /// for them: who holds nothing is received from all the same, and nobody is closed for it.
    @Test func requestsOnTopOfUnreadRepliesKeepNobodyFromBeingReceived() throws {
        let world = try World(receiveBuffers: 16, poolBlocks: 32, connections: 512)
        let honest = world.connect()
        #expect(try world.ask("set k 0 0 17000\r\n\(value(17000))\r\n", honest) == "STORED\r\n")
        let deaf = (0..<400).map { _ in world.connect() }
        for peer in deaf {
            world.network.setAppetite(0, of: peer)
            world.network.setSocketBuffer(2000, of: peer)
            world.network.send(String(repeating: "get k\r\n", count: 4000), from: peer)
        }
        try world.settle()
        let newcomers = (0..<100).map { _ in world.connect() }
        for _ in 0..<5 {
            #expect(try turns(world, honest, "get none\r\n", ends: "END\r\n") != nil)
            #expect(try turns(world, honest, "set a 0 0 1\r\nx\r\n", ends: "STORED\r\n") != nil)
            // A request that comes in two pieces, and one that does not fit a small block.
            world.network.send("get no", from: honest)
            try world.turn(4)
            #expect(try turns(world, honest, "ne\r\n", ends: "END\r\n") != nil)
            let keys = (0..<40).map { "key\($0)" + value(20) }.joined(separator: " ")
            #expect(try turns(world, honest, "get \(keys)\r\n", ends: "END\r\n") != nil)
            for peer in newcomers { world.network.send("mn\r\n", from: peer) }
            try world.turn(40)
            #expect(newcomers.allSatisfy { world.received($0) == "MN\r\n" })
        }
        // What ends behind its request is answered, and gone.
        for peer in newcomers {
            world.network.send("mn\r\n", from: peer)
            world.network.finish(peer)
        }
        try world.turn(60)
        #expect(newcomers.allSatisfy { world.received($0) == "MN\r\n" })
        #expect(newcomers.allSatisfy { world.network.isClosed($0) })
        // A request that fills what is for short ones.
        #expect(
            try turns(
                world, honest, "set b 0 0 3500\r\n\(value(3500))\r\n", ends: "STORED\r\n") != nil)
        #expect(world.shared.total("receivesStarved") ?? 0 > 0, "there was enough")
        #expect(world.shared.total("closedPoolDry") == 0)
        for peer in deaf { world.network.reset(peer) }
        world.network.finish(honest)
        try world.pass(milliseconds: 200)
    }

    /// Whoever has waited for blocks, was told to try, and is gone by then, leaves nothing to do.
    @Test(arguments: 0..<8) func whoIsGoneIsNotWaitedFor(turns: Int) throws {
        let (world, honest) = try World.scarce(connections: 64)
        let deaf = world.connectDeaf(60, socketBytes: 2000) { _ in "get k\r\nget k\r\n" }
        try world.settle()
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
        for peer in deaf[..<20] { world.network.reset(peer) }
        try world.turn(turns)
        for peer in deaf[20...] { world.network.reset(peer) }
        world.network.finish(honest)
        try world.settle(turnsMax: 1000)
        #expect(world.isIdle)
    }

    /// Each of them has room for a few replies more in every turn, and none for the rest: those who
    /// have taken nothing for a while give way to whoever asks.
    @Test func manyShortRepliesThatNobodyReadsKeepNobodyWaitingForLong() throws {
        let world = try World(receiveBuffers: 16, poolBlocks: 32, connections: 512)
        let deaf = world.connectDeaf(300, socketBytes: 2000) { _ in
            String(repeating: "mn\r\n", count: 900)
        }
        for _ in 0..<5 {
            let honest = world.connect()
            world.network.send("get none\r\n", from: honest)
            var received = ""
            var waitedMilliseconds = 0
            while received.isEmpty, waitedMilliseconds < 1000 {
                try world.pass(milliseconds: 50)
                waitedMilliseconds += 50
                received += world.received(honest)
            }
            #expect(received == "END\r\n")
        }
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
        for peer in deaf { world.network.reset(peer) }
        try world.pass(milliseconds: 200)
    }

    /// The first halves of more values than there are places and buffers for: what waits for a
    /// place keeps others from being received. Who has waited for a moment only is not refused for
    /// that, and then few are in one turn, as others may need no more than what they give back.
    @Test func whoHasNotWaitedForLongIsNotRefused() throws {
        let world = try World(
            memoryBytes: 4 << 20, receiveBuffers: 16, poolBlocks: 32, connections: 256)
        let peers = (0..<160).map { _ in world.connect() }
        try world.settle()
        let half = value(50_000)
        for (number, peer) in peers.enumerated() {
            world.network.send("set k\(number) 0 0 100000\r\n\(half)", from: peer)
        }
        try world.turn(100)
        #expect(world.shared.total("waitsForMemory") ?? 0 > 0, "there was enough")
        for _ in 0..<13 {
            world.advance(nanoseconds: 3_000_000)
            try world.turn(2)
        }
        var refused = world.shared.total("waitsExpired") ?? 0
        #expect(refused == 0)
        world.advance(nanoseconds: 2_000_000)
        for _ in 0..<20 {
            try world.turn()
            let now = world.shared.total("waitsExpired") ?? 0
            #expect(now - refused <= 4)
            refused = now
        }
        #expect(refused > 4, "nobody was in the way")
        for peer in peers { world.network.reset(peer) }
        try world.pass(milliseconds: 200)
    }

    /// Who asks for more text than the pool has room for stands in nobody's way, makes the worker
    /// turn for nothing, and is refused in the end.
    @Test func aTextThatFindsNoRoomKeepsNobodyFromBeingAnswered() throws {
        let world = try World(receiveBuffers: 16, poolBlocks: 32, connections: 128)
        let honest = world.connect()
        #expect(try world.ask("stats detail on\r\n", honest) == "OK\r\n")
        #expect(try world.ask("set k 0 0 9000\r\n\(value(9000))\r\n", honest) == "STORED\r\n")
        let gets = (0..<4000).map { "get p\($0):k\r\n" }.joined()
        #expect(try world.ask(gets, honest).utf8.count == 4000 * 5)
        let askers = (0..<8).map { _ in world.connect() }
        for peer in askers {
            world.network.setAppetite(0, of: peer)
            world.network.setSocketBuffer(3000, of: peer)
            var dump = BinaryPacket(0x10, opaque: 7)
            dump.key = Array("detail dump".utf8)
            world.network.send(dump.bytes, from: peer)
        }
        let readers = world.connectDeaf(40, socketBytes: 20_000) { _ in
            String(repeating: "get k\r\n", count: 20)
        }
        for _ in 0..<50 {
            for peer in readers { world.network.setAppetite(8000, of: peer) }
            let before = world.shared.total("turns") ?? 0
            try world.pass(milliseconds: 100)
            #expect(world.isIdle)
            #expect((world.shared.total("turns") ?? 0) - before < 200, "it turns for nothing")
        }
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
        let reply = 20 * ("VALUE k 0 9000\r\n\r\nEND\r\n".utf8.count + 9000)
        for peer in readers { #expect(world.network.receivedCount(by: peer) == reply) }
        for _ in 0..<20 {
            for peer in askers { world.network.setAppetite(.max, of: peer) }
            try world.pass(milliseconds: 100)
        }
        for peer in askers {
            // Or it has given way to another, as it has read nothing.
            let answer = world.network.takeReceived(by: peer)
            var isAnswered = answer.count > 100_000
            if case .reply(let packet) = BinaryPacket.reply(in: answer) {
                isAnswered = isAnswered || packet.status != 0
            }
            #expect(isAnswered || world.network.isClosed(peer))
        }
    }

    // MARK: With a disk

    /// Each has a small set that a commit acknowledges, and then waits for the place of a value.
    /// The commit comes while no receive buffer can be lent: in one turn's end replies leave, and
    /// those of their connections that have waited longest are refused, and looked at once more.
    @Test func repliesOfWhoIsRefusedInTheSameTurnAreSentOnce() throws {
        // Which turn that is, is the store's business.
        let wasSeen = try (0..<4).map { try refuseInTurn($0, afterTheStoreGoesOn: 41_000_000) }
        #expect(wasSeen.contains(true), "no replies left in a turn that refused somebody")
    }

    /// Whether, in one turn, many replies left and some of their connections were refused.
    private func refuseInTurn(
        _ turns: Int, afterTheStoreGoesOn nanoseconds: UInt64
    ) throws -> Bool {
        let world = try World(
            memoryBytes: 4 << 20, receiveBuffers: 16, poolBlocks: 32, connections: 256,
            disk: PlayedDisk(isAcknowledging: true))
        let peers = (0..<160).map { _ in world.connect() }
        try world.settle()
        world.holdsStore = true
        let half = value(50_000)
        for (number, peer) in peers.enumerated() {
            let small = "set s\(number) 0 0 1\r\nx\r\n"
            world.network.send("\(small)set k\(number) 0 0 100000\r\n\(half)", from: peer)
        }
        try world.turn(100)
        #expect(world.shared.total("waitsForMemory") ?? 0 > 20, "there was enough")
        world.holdsStore = false
        try world.turn(turns)
        world.advance(nanoseconds: nanoseconds)
        var answers = peers.map { _ in "" }
        var (answered, refused, wasSeen) = (0, 0, false)
        for _ in 0..<60 {
            try world.turn()
            for (index, peer) in peers.enumerated() { answers[index] += world.received(peer) }
            // Both are told in the turn after.
            let (answeredNow, refusedNow) = (
                answers.count { !$0.isEmpty }, Int(world.shared.total("waitsExpired") ?? 0)
            )
            wasSeen = wasSeen || answeredNow > answered + 20 && refusedNow > refused
            (answered, refused) = (answeredNow, refusedNow)
        }
        let refusal = "SERVER_ERROR out of memory storing object\r\n"
        for answer in answers {
            let isOnce = ["", "STORED\r\n", "STORED\r\n" + refusal].contains(answer)
            #expect(isOnce, "\(answer)")
        }
        for peer in peers { world.network.reset(peer) }
        try world.pass(milliseconds: 200)
        return wasSeen
    }

    /// A world that finds `k0`, `k1`, … on disk only.
    private func world(
        _ count: Int, valueBytes: Int, memoryBytes: Int, poolBlocks: Int
    ) throws -> World {
        let disk = PlayedDisk()
        let isFilled = try disk.fill((0..<count).map { ("k\($0)", valueBytes) })
        #expect(isFilled)
        let world = try World(
            memoryBytes: memoryBytes, poolBlocks: poolBlocks, connections: 512, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    @Test func requestsThatWaitForADiskKeepNobodyFromBeingAnswered() throws {
        let world = try world(
            400, valueBytes: 1000, memoryBytes: 32 << 20, poolBlocks: 32)
        let honest = world.connect()
        try world.settle()
        world.network.holdsReads = true
        let peers = (0..<300).map { _ in world.connect() }
        for (number, peer) in peers.enumerated() {
            let request = "append k\(number) 0 0 80\r\n\(value(80))\r\n"
            world.network.send(String(repeating: request, count: 60), from: peer)
        }
        try world.turn(200)
        #expect(world.shared.total("waitsForReadSlot") ?? 0 > 100, "nobody had to wait")
        for _ in 0..<5 {
            #expect(try turns(world, honest, "get none\r\n", ends: "END\r\n") != nil)
            #expect(try turns(world, world.connect(), "stats\r\n", ends: "END\r\n") != nil)
        }
        #expect(world.shared.total("closedPoolDry") == 0)
        world.network.releaseReads()
        var replies = peers.map { _ in 0 }
        let isOver = try world.turn {
            for (number, peer) in peers.enumerated() {
                replies[number] += world.received(peer).utf8.count { $0 == 10 }
            }
            return replies.allSatisfy { $0 == 60 }
        }
        #expect(isOver, "answers are missing")
        #expect(try world.close())
    }

    /// Who waits is not listened to once it has sent much; its connection ends with its peer all
    /// the same, not with its wait.
    @Test func whoIsGoneKeepsNoConnectionWhileItWaits() throws {
        let world = try world(
            40, valueBytes: 1000, memoryBytes: 32 << 20, poolBlocks: 256)
        let honest = world.connect()
        try world.settle()
        world.network.holdsReads = true
        let peers = (0..<20).map { _ in world.connect() }
        for (number, peer) in peers.enumerated() {
            let request = "append k\(number) 0 0 80\r\n\(value(80))\r\n"
            world.network.send(String(repeating: request, count: 300), from: peer)
        }
        try world.turn(200)
        for peer in peers { world.network.reset(peer) }
        try world.turn(20)
        let count = world.shared.connectionCount
        #expect(count > 1, "the worker has heard of all at once")
        try world.pass(seconds: 2)
        #expect(world.shared.connectionCount == 1, "of \(count)")
        #expect(try turns(world, honest, "get none\r\n", ends: "END\r\n") != nil)
        world.network.releaseReads()
        #expect(try world.close())
    }

    /// Who reads nothing of large records holds what others' reads need: a frame is kept for those
    /// that leave at once, so nobody need give way.
    @Test func readsThatNeedMemoryAreNotKeptFromItByWhoReadsNothing() throws {
        let world = try world(
            401, valueBytes: 20_000, memoryBytes: 16 << 20, poolBlocks: 256)
        let deaf = (0..<200).map { _ in world.connect() }
        let honest = world.connect()
        try world.settle()
        for (number, peer) in deaf.enumerated() {
            world.network.setAppetite(0, of: peer)
            world.network.send("get k\(number) k\(number + 200)\r\n", from: peer)
        }
        try world.turn(200)
        var tenths = 0
        var received = ""
        world.network.send("get k400\r\n", from: honest)
        while !received.hasSuffix("END\r\n"), tenths < 60 {
            try world.pass(milliseconds: 100)
            received += world.received(honest)
            tenths += 1
        }
        let isHit = received == "VALUE k400 0 20000\r\n\(value(20_000))\r\nEND\r\n"
        #expect(isHit, "answered by \(received.prefix(20)) after \(tenths) tenths")
        #expect(tenths <= 2)
        #expect(world.shared.total("closedStalledForOthers") == 0)
        for peer in deaf { world.network.reset(peer) }
        #expect(try world.close())
    }
}
