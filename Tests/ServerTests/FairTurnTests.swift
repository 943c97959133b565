// FairTurnTests: what one connection may do before the others have their turn, and what stalled
// readers of large values may keep from them.

import ServerSimulation
import Simulation
import Testing
import Uring

@Suite struct FairTurnTests {
    private func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    @Test func aTurnHasSoManyRequestsOfEachConnectionAsTheOptionSays() throws {
        let world = try World(requestsPerTurnMax: 20)
        let peers = (0..<3).map { _ in world.connect() }
        try world.settle()
        for peer in peers {
            world.network.send(String(repeating: "mn\r\n", count: 100), from: peer)
        }
        var most = 0
        for _ in 0..<40 {
            let before = peers.map { world.network.receivedCount(by: $0) / 4 }
            try world.turn()
            let now = peers.map { world.network.receivedCount(by: $0) / 4 }
            let isContested = now.allSatisfy { $0 < 80 }
            if isContested { most = max(most, zip(now, before).map { $0 - $1 }.max() ?? 0) }
        }
        #expect(most == 20)
        #expect(peers.allSatisfy { world.network.receivedCount(by: $0) == 400 })
    }

    @Test(arguments: [
        "touch big 100\r\n", "gat 100 big\r\n", "append big 0 0 1\r\nx\r\n",
        "mg big T100\r\n", "ms big 1 MA\r\nx\r\n",
    ])
    func changesThatCopyMuchLeaveTheTurnToOthers(_ request: String) throws {
        let world = try World(memoryBytes: 64 << 20)
        let peer = world.connect()
        let other = world.connect()
        let stored = try world.ask("set big 0 0 900000\r\n\(value(900_000))\r\n", peer)
        #expect(stored == "STORED\r\n")
        // A touch to the same second copies nothing.
        let requests = (0..<30).map {
            request.replacing("100", with: "\(100 + $0)")
        }
        world.network.send(requests.joined(), from: peer)
        try world.turn(3)
        world.network.send("get none\r\n", from: other)
        var turns = 0
        let before = world.network.receivedCount(by: peer)
        while world.network.receivedCount(by: other) == 0, turns < 50 {
            try world.turn()
            turns += 1
        }
        #expect(world.received(other) == "END\r\n")
        let between = world.network.receivedCount(by: peer) - before
        #expect(between < 12 * 8 || request.hasPrefix("gat"), "\(between) bytes of replies")
        #expect(turns < 12, "\(turns) turns")
        try world.settle()
        #expect(world.shared.connectionCount == 2)
    }

    /// Each of them takes as long as hundreds of gets.
    @Test(arguments: ["stats\r\n", "stats latency\r\n", "stats hotkeys 1\r\n"])
    func statisticsLeaveTheTurnToOthers(_ request: String) throws {
        let world = try World(poolBlocks: 256)
        let peers = (0..<20).map { _ in world.connect() }
        let other = world.connect()
        for peer in peers {
            world.network.send(String(repeating: request, count: 20), from: peer)
        }
        try world.turn(3)
        let before = world.shared.total("statsCommands") ?? 0
        #expect(before > 0)
        world.network.send("get none\r\n", from: other)
        var turns = 0
        while world.network.receivedCount(by: other) == 0, turns < 400 {
            try world.turn()
            turns += 1
        }
        #expect(world.received(other) == "END\r\n")
        let between = (world.shared.total("statsCommands") ?? 0) - before
        #expect(between <= 64, "\(between) statistics in \(turns) turns")
        try world.settle()
        #expect(world.shared.total("statsCommands") == 400)
    }

    /// Each turn has room for one change that copies much, and parses the requests of four
    /// connections: of twelve that are ready, nine would stand behind one of the other three in
    /// every turn.
    @Test func whoIsParsedBehindChangesThatCopyMuchHasATurn() throws {
        let world = try World(memoryBytes: 64 << 20, requestsPerTurnMax: 20)
        let peers = (0..<11).map { _ in world.connect() }
        let other = world.connect()
        let stored = try world.ask("set big 0 0 900000\r\n\(value(900_000))\r\n", other)
        #expect(stored == "STORED\r\n")
        for at in 0..<200 {
            for peer in peers {
                world.network.send("touch big \(100 + at % 2) noreply\r\n", from: peer)
            }
        }
        try world.turn(4)
        // As many as a turn takes of one connection: with fewer, a fifth would be parsed beside
        // them, and whoever comes first in a turn would be another one each time.
        world.network.send(String(repeating: "get none\r\n", count: 20), from: other)
        let before = world.network.receivedCount(by: other)
        var turns = 0
        while world.network.receivedCount(by: other) == before, turns < 100 {
            try world.turn()
            turns += 1
        }
        #expect(world.received(other) == String(repeating: "END\r\n", count: 20))
        #expect(turns < 20, "\(turns) turns")
    }

    /// The disk takes nothing, so memory fills up with what was set; and no time passes.
    @Test func whoWritesMuchDoesNotKeepOthersFromWritingALittle() throws {
        let disk = PlayedDisk(flushIntervalMilliseconds: 100)
        let world = try World(memoryBytes: 16 << 20, connections: 128, disk: disk)
        let honest = (0..<4).map { _ in world.connect() }
        #expect(try world.ask("set n 0 0 1\r\n1\r\n", honest[0]) == "STORED\r\n")
        disk.home.plan.isFull = true
        var bulk = (0..<20).map { _ in world.connect() }
        for (number, peer) in bulk.enumerated() {
            for at in 0..<100 {
                let line = "set w\(number)-\(at) 0 0 10000 noreply\r\n"
                world.network.send("\(line)\(value(10_000))\r\n", from: peer)
            }
            world.network.send("mn\r\n", from: peer)
        }
        try world.turn(2000)
        // Short ones, too, until there is nothing left but the reserve.
        let short = world.connect()
        for at in 0..<400 {
            let set = "set s\(at) 0 0 100 noreply\r\n\(value(100))\r\n"
            world.network.send(set, from: short)
        }
        world.network.send("mn\r\n", from: short)
        try world.turn(100)
        #expect(world.network.receivedCount(by: short) == 0)
        bulk.append(short)
        let waiting = bulk.count { world.network.receivedCount(by: $0) == 0 }
        #expect(waiting > 10, "there was enough")
        let small = [
            ("set a 0 0 20\r\n\(value(20))\r\n", "STORED\r\n"), ("incr n 1\r\n", "\r\n"),
            ("touch n 1000\r\n", "TOUCHED\r\n"), ("delete a\r\n", "DELETED\r\n"),
            ("ms b 3\r\nabc\r\n", "HD\r\n"), ("append b 0 0 1\r\nd\r\n", "STORED\r\n"),
        ]
        for round in 0..<10 {
            for (number, (request, end)) in small.enumerated() {
                let peer = honest[(round + number) % honest.count]
                world.network.send(request, from: peer)
                try world.turn(6)
                let answer = world.received(peer)
                #expect(answer.hasSuffix(end), "\(request): \(answer)")
            }
        }
        // They wait on, and are served in the end.
        #expect(bulk.count { world.network.receivedCount(by: $0) == 0 } == waiting)
        disk.home.plan.isFull = false
        let isServed = try world.turn {
            bulk.allSatisfy { world.network.receivedCount(by: $0) > 0 }
        }
        #expect(isServed)
        #expect(world.shared.total("waitsExpired") == 0)
    }

    /// Readers that take nothing of values of their own.
    private func stalledReaders(_ count: Int, _ world: World) throws -> [SimulatedNetwork.Peer] {
        let readers = (0..<count).map { _ in world.connect() }
        for (number, peer) in readers.enumerated() {
            let set = "set big\(number) 0 0 900000\r\n\(value(900_000))\r\n"
            #expect(try world.ask(set, peer) == "STORED\r\n")
            world.network.setAppetite(0, of: peer)
            world.network.send("get big\(number)\r\n", from: peer)
            try world.settle()
        }
        return readers
    }

    @Test func readersOfLargeValuesPinHalfOfTheFramesAndThoseWhoStandStillGiveWay() throws {
        let world = try World(memoryBytes: 64 << 20, connections: 128)
        let readers = try stalledReaders(45, world)
        let statistics = world.store.statistics()
        #expect(statistics.framesPinned > statistics.frames / 4)
        #expect(statistics.framesPinned <= statistics.frames / 2)
        #expect(world.shared.total("waitsForPin") ?? 0 > 0)
        #expect(world.shared.total("closedStalledForOthers") == 0)
        try world.pass(milliseconds: 2000)
        #expect(world.shared.total("closedStalledForOthers") ?? 0 > 0)
        // Who reads gets all of it.
        let last = try #require(readers.last)
        world.network.setAppetite(.max, of: last)
        try world.settle()
        #expect(world.received(last).hasSuffix("\r\nEND\r\n"))
    }

    @Test func whoWaitsForFramesIsNotKeptFromThemByReadersThatStandStill() throws {
        let world = try World(memoryBytes: 64 << 20, connections: 128)
        let readers = try stalledReaders(10, world)
        let other = world.connect()
        var number = 0
        while world.shared.total("waitsForMemory") == 0, number < 100 {
            let set = "set s\(number) 0 0 900000\r\n\(value(900_000))\r\n"
            _ = try world.ask(set, other)
            number += 1
        }
        #expect(number < 100)
        #expect(world.shared.total("closedStalledForOthers") == 0)
        try world.pass(milliseconds: 2000)
        #expect(readers.allSatisfy { world.network.isClosed($0) })
        #expect(world.store.statistics().framesPinned == 0)
    }
}
