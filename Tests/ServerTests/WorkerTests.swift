// WorkerTests: what a worker does for and against single connections.

import ServerSimulation
import Simulation
import Testing
import Uring

@Suite struct WorkerTests {
    private func value(_ count: Int, _ letter: Character = "v") -> String {
        String(repeating: letter, count: count)
    }

    @Test func valuesOfEverySizeComeBack() throws {
        let world = try World()
        let peer = world.connect()
        for size in [0, 1, 100, 4096, 16_300, 16_384, 16_385, 20_000, 100_000, (1 << 20) - 64] {
            #expect(try world.ask("set k 7 0 \(size)\r\n\(value(size))\r\n", peer) == "STORED\r\n")
            let reply = try world.ask("get k\r\n", peer)
            let isWhole = reply == "VALUE k 7 \(size)\r\n\(value(size))\r\nEND\r\n"
            #expect(isWhole, "\(size) bytes")
        }
    }

    @Test func aPeerThatDoesNotReadCostsOnlyItself() throws {
        let world = try World()
        let greedy = world.connect()
        let other = world.connect()
        _ = try world.ask("set k 0 0 100\r\n\(value(100))\r\n", greedy)
        world.network.setAppetite(1000, of: greedy)
        for _ in 0..<100 {
            world.network.send(String(repeating: "get k\r\n", count: 1000), from: greedy)
            try world.turn()
            #expect(try world.ask("get nothing\r\n", other) == "END\r\n")
        }
        #expect(world.network.unreceivedCount(from: greedy) > 100_000)
        _ = world.network.takeReceived(by: greedy)
        world.network.setAppetite(.max, of: greedy)
        try world.settle()
        let total = world.network.receivedCount(by: greedy)
        #expect(total == 8 + 100_000 * (15 + 102 + 5))
        #expect(world.network.unreceivedCount(from: greedy) == 0)
    }

    @Test func aHundredThousandRequestsMayWaitInOneConnection() throws {
        let world = try World()
        let peer = world.connect()
        world.network.send(String(repeating: "incr n 1\r\n", count: 100_000), from: peer)
        try world.settle()
        #expect(world.network.receivedCount(by: peer) == 100_000 * 11)
    }

    @Test func slowReadersOfLargeValuesGetThemWhole() throws {
        let world = try World()
        let peer = world.connect()
        let big = value(300_000)
        #expect(try world.ask("set big 0 0 300000\r\n\(big)\r\n", peer) == "STORED\r\n")
        world.network.setAppetite(0, of: peer)
        world.network.send("get big\r\nget none\r\nget big big\r\n", from: peer)
        var received = ""
        for _ in 0..<400 {
            world.network.setAppetite(3000, of: peer)
            try world.settle()
            received += world.received(peer)
        }
        let one = "VALUE big 0 300000\r\n\(big)\r\n"
        let isWhole = received == one + "END\r\nEND\r\n" + one + one + "END\r\n"
        #expect(isWhole)
    }

    @Test func whatArrivedBeforeAHalfCloseIsAnswered() throws {
        let world = try World()
        let peer = world.connect()
        world.network.send("set a 0 0 1\r\nx\r\nget a\r\nversion\r\nget unfinis", from: peer)
        world.network.finish(peer)
        try world.settle()
        #expect(world.received(peer) == "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nVERSION 1.6.45\r\n")
        #expect(world.network.isClosed(peer))
        #expect(world.shared.connectionCount == 0)
    }

    @Test func anIdleConnectionIsClosed() throws {
        let world = try World(idleTimeoutSeconds: 10)
        let idle = world.connect()
        let busy = world.connect()
        for _ in 0..<15 {
            _ = try world.ask("get k\r\n", busy)
            try world.pass(seconds: 1)
        }
        #expect(world.network.isClosed(idle))
        #expect(!world.network.isClosed(busy))
        #expect(world.shared.total("idleKicks") == 1)
    }

    @Test func aLargeValueThatStopsComingIsGivenUp() throws {
        let world = try World()
        let peer = world.connect()
        _ = try world.ask("set big 0 0 500000\r\n\(value(1000))", peer)
        let other = world.connect()
        #expect(try world.ask("set a 0 0 1\r\nx\r\n", other) == "STORED\r\n")
        for _ in 0..<35 { try world.pass(seconds: 1) }
        #expect(world.network.isClosed(peer))
        #expect(world.shared.total("closedStalledInput") == 1)
        #expect(try world.ask("get big\r\n", other) == "END\r\n")
    }

    @Test func aLargeValueMayTrickleIn() throws {
        let world = try World()
        let peer = world.connect()
        let big = value(100_000)
        let all = Array("set big 1 0 100000\r\n\(big)\r\nget big\r\n".utf8)
        for start in stride(from: 0, to: all.count, by: 777) {
            world.network.send(Array(all[start..<min(start + 777, all.count)]), from: peer)
            try world.turn(3)
        }
        try world.settle()
        let isWhole =
            world.received(peer) == "STORED\r\nVALUE big 1 100000\r\n\(big)\r\nEND\r\n"
        #expect(isWhole)
    }

    @Test func aLargeValueWithoutItsLineEndIsRefused() throws {
        let world = try World()
        let peer = world.connect()
        let reply = try world.ask(
            "set big 1 0 100000\r\n\(value(100_000))xyget big\r\nmn\r\n", peer)
        #expect(reply == "CLIENT_ERROR bad data chunk\r\nEND\r\nMN\r\n")
    }

    @Test func aValueThatIsTooLargeTakesTheOldOneWithIt() throws {
        let world = try World()
        let peer = world.connect()
        _ = try world.ask("set k 0 0 1\r\nx\r\n", peer)
        let reply = try world.ask("set k 0 0 2000000\r\n\(value(2_000_000))\r\nget k\r\n", peer)
        #expect(reply == "SERVER_ERROR object too large for cache\r\nEND\r\n")
    }

    @Test func aStoppingWorkerAnswersWhatHasArrived() throws {
        let world = try World()
        let peers = (0..<10).map { _ in world.connect() }
        try world.settle()
        for peer in peers { world.network.send("set a 0 0 1\r\nx\r\nget a\r\n", from: peer) }
        try world.turn()
        world.orderStop()
        try world.settle()
        #expect(world.isDone)
        for peer in peers {
            #expect(world.received(peer) == "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
            #expect(world.network.isClosed(peer))
        }
    }

    @Test func statisticsHaveTheFormThatExportersReadAndCountWhatWasAsked() throws {
        let world = try World()
        let peer = world.connect()
        let requests =
            "set k 0 0 1\r\nx\r\nset n 0 0 1\r\n5\r\nset k 0 0 2\r\nyz\r\nget k\r\nget none\r\n"
            + "delete none\r\nincr n 2\r\ntouch n 100\r\n"
        let replies = try world.ask(requests, peer)
        #expect(
            replies
                == "STORED\r\nSTORED\r\nSTORED\r\nVALUE k 0 2\r\nyz\r\nEND\r\nEND\r\nNOT_FOUND\r\n"
                + "7\r\nTOUCHED\r\n")
        let expected: [(request: String, values: [String: Int])] = [
            (
                "stats",
                [
                    "bytes_read": requests.utf8.count + "stats\r\n".utf8.count,
                    "bytes_written": replies.utf8.count,
                    "cmd_get": 2, "get_hits": 1, "get_misses": 1, "cmd_set": 3, "total_items": 3,
                    "delete_hits": 0, "delete_misses": 1, "incr_hits": 1, "incr_misses": 0,
                    "cmd_touch": 1, "touch_hits": 1, "curr_items": 2, "evictions": 0, "threads": 1,
                ]
            ),
            ("stats settings", ["maxconns": 64, "num_threads": 1]),
            ("stats items", ["items:1:number": 2, "items:1:number_hot": 2]),
            ("stats slabs", ["1:get_hits": 1, "1:cmd_set": 3, "1:touch_hits": 1]),
            ("stats conns", [:]),
        ]
        for (request, values) in expected {
            let found = try statistics(request, world, peer)
            for (name, value) in values {
                #expect(found[name] == String(value), "\(request): \(name)")
            }
            // The form of their values is not that of the others': some are texts.
            if request == "stats conns" { #expect(found.count == 4) }
        }
    }

    /// The answer by names, after a look at the form of each line.
    private func statistics(
        _ request: String, _ world: World, _ peer: SimulatedNetwork.Peer
    ) throws -> [String: String] {
        let reply = try world.ask(request + "\r\n", peer)
        var lines = reply.split(separator: "\r\n")
        #expect(lines.popLast() == "END", "\(request)")
        #expect(!lines.isEmpty, "\(request)")
        var found: [String: String] = [:]
        for line in lines {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count >= 3, words[0] == "STAT" else {
                Issue.record("\(request): \(line)")
                continue
            }
            if request != "stats settings" { #expect(words.count == 3, "\(line)") }
            let name = String(words[1])
            #expect(found[name] == nil, "\(request): twice \(name)")
            found[name] = words[2...].joined(separator: " ")
        }
        return found
    }
}
