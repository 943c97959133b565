// OutputAreaTests: a turn whose replies fill the worker's output to its last bytes. What finds no
// room in it waits for the next turn, whoever writes it: nothing is lost, and the process lives.

import Primitives
import ServerSimulation
import Simulation
import Store
import Support
import Testing
import Uring

@Suite struct OutputAreaTests {
    private func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    private func world() throws -> World {
        try World(
            memoryBytes: 512 << 20, receiveBuffers: 64, poolBlocks: 256, connections: 64)
    }

    /// Connections that fill the output of one turn but for `bytesLeft`.
    private struct Filler {
        /// What is around a value here: its line with the longest key and flags, its line end, END.
        private static let around = 6 + 250 + 1 + 10 + 1 + 5 + 2 + 2 + 5
        /// What each is answered. One reply more is written as long as the longest one would fit:
        /// behind fifteen of these, whoever comes last, there is just room for that.
        private static let replies = [16_271, 16_271, 16_272, 16_382 + around]
        static let bytesLeft = (256 << 10) - 4 * replies.reduce(0, +)

        let world: World
        let peers: [SimulatedNetwork.Peer]

        init(_ world: World) throws {
            self.world = world
            peers = (0..<4).map { _ in world.connect() }
            try world.settle()
            let writer = world.connect()
            for (number, bytes) in Self.replies.enumerated() {
                let count = bytes - Self.around
                let value = String(repeating: "f", count: count)
                let reply = try world.ask(
                    "set \(Self.key(number)) 4294967295 0 \(count)\r\n\(value)\r\n", writer)
                #expect(reply == "STORED\r\n")
            }
        }

        private static func key(_ number: Int) -> String {
            let digits = "\(number)"
            return String(repeating: "K", count: 250 - digits.count) + digits
        }

        /// Asks for so much that these connections have a second turn, which is theirs first: who
        /// is heard of in it comes behind them.
        func begin() throws {
            for peer in peers {
                world.network.send(String(repeating: "mn\r\n", count: 64), from: peer)
                for number in Self.replies.indices {
                    world.network.send("get \(Self.key(number))\r\n", from: peer)
                }
            }
            try world.turn()
        }

        /// Lets that turn be, and one that hands its replies to the kernel.
        func end() throws {
            try world.turn(2)
            for peer in peers {
                let count = world.network.takeReceived(by: peer).count
                #expect(count == 64 * 4 + Self.replies.reduce(0, +))
            }
        }
    }

    struct Ending: CustomStringConvertible, Sendable {
        var bytes: String
        var reply: String
        var description: String { reply }
    }

    @Test(arguments: [
        Ending(bytes: "xx", reply: "CLIENT_ERROR bad data chunk\r\n"),
        Ending(bytes: "\r\n", reply: "STORED\r\n"),
    ])
    func repliesToLargeValuesWaitForRoom(_ ending: Ending) throws {
        let world = try world()
        let filler = try Filler(world)
        let count = Filler.bytesLeft / ending.reply.utf8.count + 8
        let writers = (0..<count).map { _ in world.connect() }
        for (number, peer) in writers.enumerated() {
            world.network.send("set w\(number) 0 0 17000\r\n" + value(17_000), from: peer)
        }
        try world.settle()
        try filler.begin()
        for (number, peer) in writers.enumerated() {
            world.network.send(ending.bytes, from: peer)
            // Who will send no more is answered like the others.
            if number % 2 == 1 { world.network.finish(peer) }
        }
        try filler.end()
        let early = writers.map { world.received($0) }
        #expect(early.contains(""), "the output was never full")
        try world.settle()
        for (peer, before) in zip(writers, early) {
            #expect(before + world.received(peer) == ending.reply)
        }
        #expect(world.shared.connectionCount == 5 + count - count / 2)
    }

    @Test func theLineEndBehindALargeValueWaitsForRoom() throws {
        let world = try world()
        let filler = try Filler(world)
        let big = value(300_000)
        #expect(
            try world.ask("set big 0 0 300000\r\n\(big)\r\n", world.connect()) == "STORED\r\n")
        let readers = (0..<Filler.bytesLeft / 7 + 8).map { _ in world.connect() }
        let whole = "VALUE big 0 300000\r\n\(big)\r\nEND\r\n"
        for peer in readers {
            world.network.setAppetite(whole.utf8.count - 7 - 90_000, of: peer)
            world.network.send("get big\r\n", from: peer)
        }
        try world.settle()
        var received = readers.map { world.received($0) }
        try filler.begin()
        for peer in readers { world.network.setAppetite(.max, of: peer) }
        try filler.end()
        for (index, peer) in readers.enumerated() { received[index] += world.received(peer) }
        #expect(received.contains { !$0.hasSuffix("END\r\n") }, "the output was never full")
        try world.settle()
        for (index, peer) in readers.enumerated() {
            let isWhole = received[index] + world.received(peer) == whole
            #expect(isWhole, "reader \(index)")
            #expect(try world.ask("mn\r\n", peer) == "MN\r\n")
        }
    }
}

/// Replies of one connection that wait for a commit, and for the disk.
@Suite struct ReplyOrderTests {
    private let big = String(repeating: "b", count: 20_000)

    private static let attemptsMax = 20

    /// A world that finds `big1`, `big2`, … on disk only, and whose store has a second worker,
    /// played by the test: no commit completes before that one has answered.
    private func world() throws -> World {
        let disk = PlayedDisk(isAcknowledging: true)
        let isFilled = try disk.fill(
            (1...Self.attemptsMax).map { ("big\($0)", 20_000) }, letter: "b")
        #expect(isFilled)
        let world = try World(
            memoryBytes: 16 << 20, poolBlocks: 256, connections: 1600, disk: disk,
            storeWorkers: 2)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    @Test func nothingIsWrittenBetweenTheLineOfALargeValueAndTheValue() throws {
        let world = try world()
        var second = world.store.door(worker: 1)
        var strikes = 0
        for attempt in 1...Self.attemptsMax where strikes < 3 {
            let peer = world.connect()
            let hits = world.shared.total("diskHits") ?? 0
            let commits = second.news().commits
            world.network.send("set a 0 0 1\r\nx\r\nget big\(attempt)\r\n", from: peer)
            let isRead = try world.turn { (world.shared.total("diskHits") ?? 0) > hits }
            #expect(isRead)
            world.network.send("add a 0 0 20000\r\n\(big)", from: peer)
            try world.settle()
            // The commit completes while the worker does not look: in its next turn the value may
            // leave, and the other value is complete. A turn in between is for a commit that had
            // not asked this worker yet.
            for round in 1...10_000 where second.news().commits == commits {
                second.beginTurn(now: world.moment.seconds)
                second.endTurn()
                world.advance(nanoseconds: 1_000_000)
                world.stepStore()
                if round % 100 == 0 { try world.turn() }
            }
            var received = world.received(peer)
            if received.isEmpty { strikes += 1 }
            world.network.send("\r\nmn\r\n", from: peer)
            let isAnswered = try world.turn {
                second.beginTurn(now: world.moment.seconds)
                second.endTurn()
                received += world.received(peer)
                return received.hasSuffix("MN\r\n")
            }
            #expect(isAnswered)
            let isRight =
                received
                == "STORED\r\nVALUE big\(attempt) 0 20000\r\n\(big)\r\nEND\r\nNOT_STORED\r\nMN\r\n"
            #expect(isRight, "attempt \(attempt)")
        }
        #expect(strikes > 0, "the commit was never heard of at the right moment")
        second.close()
        #expect(try world.close())
    }

    @Test func aListOfConnectionsThatMustWaitDoesNotKeepTheWorkerBusy() throws {
        let world = try world()
        var second = world.store.door(worker: 1)
        second.close()
        let peer = world.connect()
        _ = (0..<1500).map { _ in world.connect() }
        try world.settle()
        world.network.holdsReads = true
        world.network.send("get big1\r\nstats conns\r\n", from: peer)
        try world.turn(64)
        #expect(world.isIdle, "it turns for nothing")
        #expect(world.received(peer) == "")
        world.network.releaseReads()
        var received = ""
        let isAnswered = try world.turn {
            received += world.received(peer)
            return received.hasSuffix("\r\nEND\r\n") && received.contains("STAT")
        }
        #expect(isAnswered)
        #expect(received.hasPrefix("VALUE big1 0 20000\r\n\(big)\r\nEND\r\nSTAT "))
        #expect(received.split(separator: ":addr ").count == 1502)
        #expect(try world.close())
    }
}
