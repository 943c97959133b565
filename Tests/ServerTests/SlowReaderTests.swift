// SlowReaderTests: peers that take their replies slowly, or not at all, and what a worker makes of
// it: who moves is left alone, who does not costs nobody anything.

import ServerSimulation
import Simulation
import Testing
import Uring

@Suite struct SlowReaderTests {
    private func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    /// Each peer takes so much in a tenth of a second, from a socket that says so late.
    private func read(
        _ bytesPerStep: Int, steps: Int, _ peers: [SimulatedNetwork.Peer], _ world: World
    ) throws {
        for _ in 0..<steps {
            for peer in peers { world.network.setAppetite(bytesPerStep, of: peer) }
            try world.pass(milliseconds: 100)
        }
    }

    @Test func whoTakesTwentyKilobytesASecondIsNotClosedForOthers() throws {
        let (world, _) = try World.scarce(connections: 128)
        let peers = world.connectDeaf(40, socketBytes: 60_000) { _ in
            String(repeating: "get k\r\n", count: 40)
        }
        try world.settle()
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0)
        try read(2000, steps: 100, peers, world)
        #expect(world.shared.total("closedPoolDry") == 0)
        #expect(peers.allSatisfy { !world.network.isClosed($0) })
        let taken = peers.reduce(0) { $0 + world.network.receivedCount(by: $1) }
        #expect(taken > 3_000_000, "hardly anybody was served")
    }

    /// What a socket was sent at once, and holds, is taken before what it had no room for: it
    /// counts, and the window that it has shut opens late.
    @Test func whatWasSentAtOnceCountsAsTaken() throws {
        let (world, _) = try World.scarce(connections: 128)
        let peers = world.connectDeaf(40, socketBytes: 1_000_000) { _ in
            String(repeating: "get k\r\n", count: 150)
        }
        try world.settle()
        #expect(world.shared.total("waitsForBlocks") ?? 0 > 0, "there was enough")
        // 100 KB/s, in pieces that come seven tenths of a second apart.
        for _ in 0..<20 {
            try world.pass(milliseconds: 600)
            try read(70_000, steps: 1, peers, world)
        }
        #expect(world.shared.total("closedPoolDry") == 0)
        #expect(peers.allSatisfy { world.network.receivedCount(by: $0) > 1_350_000 })
    }

    /// A system with a large buffer tells late that there is room again; others wait for the pins
    /// meanwhile.
    @Test func whoseWindowIsShutForAWhileIsNotClosedForOthers() throws {
        let world = try World(memoryBytes: 48 << 20, connections: 128)
        let other = world.connect()
        for number in 0..<48 {
            let set = "set k\(number) 0 0 500000\r\n\(value(500_000))\r\n"
            #expect(try world.ask(set, other) == "STORED\r\n")
        }
        let peers = (0..<48).map { _ in world.connect() }
        for (number, peer) in peers.enumerated() {
            world.network.setAppetite(120_000, of: peer)
            world.network.setSocketBuffer(60_000, of: peer)
            world.network.send("get k\(number)\r\n", from: peer)
        }
        try world.settle()
        #expect(world.shared.total("waitsForPin") ?? 0 > 0, "there was enough")
        // 20 KB/s, in pieces that come three quarters of a second apart.
        for _ in 0..<5 {
            for peer in peers { world.network.setAppetite(16_000, of: peer) }
            try world.pass(milliseconds: 800)
        }
        #expect(world.shared.total("closedStalledForOthers") == 0)
        #expect(peers.allSatisfy { !world.network.isClosed($0) })
    }

    @Test func whoTakesNothingIsClosedForOthersAlsoIfItsSocketHoldsMuch() throws {
        let (world, other) = try World.scarce(connections: 128)
        _ = world.connectDeaf(20, socketBytes: 60_000) { _ in
            String(repeating: "get k\r\n", count: 12)
        }
        try world.settle()
        // A short reply needs nothing that they hold, a long one waits for who does not read.
        #expect(try world.ask("get none\r\n", other) == "END\r\n")
        world.network.send("get k\r\n", from: other)
        try world.pass(milliseconds: 3000)
        let isWhole = world.received(other) == "VALUE k 0 9000\r\n\(value(9000))\r\nEND\r\n"
        #expect(isWhole)
        // Their windows might have been shut for so long.
        try world.pass(milliseconds: 2000)
        #expect(world.shared.total("closedPoolDry") ?? 0 > 0)
    }

    /// Many have stood still for long, and hold all pins: as many give way as somebody waits for.
    @Test func noMoreGiveWayThanThereAreWhoWait() throws {
        let world = try World(memoryBytes: 48 << 20, connections: 128)
        let honest = world.connect()
        for number in 0..<48 {
            let set = "set k\(number) 0 0 500000\r\n\(value(500_000))\r\n"
            #expect(try world.ask(set, honest) == "STORED\r\n")
        }
        var still: [SimulatedNetwork.Peer] = []
        while (world.shared.total("waitsForPin") ?? 0) == 0, still.count < 48 {
            let number = still.count
            still += world.connectDeaf(1, socketBytes: 60_000) { _ in "get k\(number)\r\n" }
            try world.settle()
        }
        // Who waits for one is not among those who are to give way.
        world.network.reset(still.removeLast())
        try world.pass(seconds: 30)
        #expect(still.allSatisfy { !world.network.isClosed($0) })
        world.network.send("get k47\r\n", from: honest)
        for _ in 0..<20 { try world.pass(milliseconds: 100) }
        #expect(world.received(honest).hasSuffix("v\r\nEND\r\n"))
        let closed = still.count { world.network.isClosed($0) }
        #expect(closed == 1, "\(closed) of \(still.count)")
    }

    @Test func aReplyThatIsTakenSlowlyMayTakeItsTime() throws {
        let world = try World()
        let peer = world.connect()
        #expect(
            try world.ask("set k 0 0 1000000\r\n\(value(1_000_000))\r\n", peer) == "STORED\r\n")
        world.network.setAppetite(0, of: peer)
        world.network.send("get k\r\n", from: peer)
        for _ in 0..<200 {
            world.network.setAppetite(5100, of: peer)
            try world.pass(seconds: 1)
        }
        let reply = "STORED\r\nVALUE k 0 1000000\r\n".utf8.count + 1_000_000 + 7
        #expect(world.network.receivedCount(by: peer) == reply)
        #expect(world.shared.total("closedUnread") == 0)
    }

    @Test func whoTakesNothingForLongIsClosed() throws {
        let world = try World()
        let peer = world.connect()
        #expect(try world.ask("set k 0 0 9000\r\n\(value(9000))\r\n", peer) == "STORED\r\n")
        world.network.setAppetite(0, of: peer)
        world.network.send("get k\r\n", from: peer)
        for _ in 0..<115 { try world.pass(seconds: 1) }
        #expect(world.shared.total("closedUnread") == 0)
        for _ in 0..<10 { try world.pass(seconds: 1) }
        #expect(world.shared.total("closedUnread") == 1)
        #expect(world.network.isClosed(peer))
    }

    @Test func whoIsStillOwedAReplyIsNotIdle() throws {
        let world = try World(idleTimeoutSeconds: 3)
        let peer = world.connect()
        let holder = world.connect()
        #expect(
            try world.ask("set k 0 0 300000\r\n\(value(300_000))\r\n", holder) == "STORED\r\n")
        // One has much to be sent, the other's socket has all of it.
        for reader in [peer, holder] { world.network.setAppetite(0, of: reader) }
        world.network.setSocketBuffer(400_000, of: holder)
        for reader in [peer, holder] { world.network.send("get k\r\n", from: reader) }
        try world.settle()
        for _ in 0..<12 {
            world.network.setAppetite(20_000, of: peer)
            world.network.setAppetite(20_000, of: holder)
            try world.pass(seconds: 1)
        }
        #expect(world.shared.total("idleKicks") == 0)
        for reader in [peer, holder] { world.network.setAppetite(.max, of: reader) }
        for _ in 0..<6 { try world.pass(seconds: 1) }
        #expect(world.shared.total("idleKicks") == 2)
        #expect(world.received(peer).hasSuffix("\r\nEND\r\n"))
        #expect(world.received(holder).hasSuffix("\r\nEND\r\n"))
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func whoSendsNoMoreAndReadsLateGetsEverything(_ seed: UInt64) throws {
        let world = try World(seed: seed)
        let peer = world.connect()
        let big = value(100_000)
        #expect(try world.ask("set k 0 0 100000\r\n\(big)\r\n", peer) == "STORED\r\n")
        world.network.setAppetite(0, of: peer)
        world.network.setSocketBuffer(9000, of: peer)
        world.network.send("get k k none\r\n", from: peer)
        world.network.finish(peer)
        try world.settle()
        #expect(world.isIdle, "it turns for nothing")
        var received = world.received(peer)
        for step in 0..<200 {
            world.network.setAppetite(2000, of: peer)
            // A step without a turn: room comes while a send is on its way.
            if step % 3 > 0 { try world.turn(3) } else { try world.settle() }
            received += world.received(peer)
        }
        let one = "VALUE k 0 100000\r\n\(big)\r\n"
        let isWhole = received == one + one + "END\r\n"
        #expect(isWhole)
        #expect(world.network.isClosed(peer))
    }
}
