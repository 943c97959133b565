// WorkloadTests: everything a load can do, on all three protocols, against the packaged
// memcached: what is counted is what happened there, and verified runs find nothing wrong.

import Glibc
import Load
import Primitives
import Testing

private func plan(
    _ wireProtocol: WireProtocol, _ mix: String, _ change: (inout LoadPlan) -> Void = { _ in }
) throws -> LoadPlan {
    var plan = LoadPlan()
    plan.clientCount = 7
    plan.depth = 4
    plan.keyCount = 500
    plan.warmupSeconds = 0
    plan.length = .operations(10_000)
    plan.mix = try CommandMix(parsing: mix)
    plan.wireProtocol = wireProtocol
    change(&plan)
    try plan.check()
    return plan
}

private let everything = "get=50,set=15,delete=5,touch=5,incr=8,decr=4,add=5,gat=8"

private func statistics(_ server: Memcached) throws -> (String) -> UInt64 {
    let all = try ServerFacts.ask(server.target).statistics
    return { name in all[name].flatMap { UInt64($0) } ?? 0 }
}

@Suite(.enabled(if: Memcached.path != nil, "memcached is not installed"), .serialized)
struct WorkloadTests {
    /// Requests as the server counts them. Counters that were missing were added.
    @Test(arguments: [("classic", 1), ("classic", 3), ("binary", 1), ("binary", 3)])
    func everyCommandArrives(protocolName: String, keysPerGet: Int) throws {
        let server = try Memcached()
        let plan = try plan(#require(WireProtocol(rawValue: protocolName)), everything) {
            $0.keysPerGet = keysPerGet
        }
        let counters = try LoadRun.perform(plan, against: server.target).counters
        #expect(counters.errors == 0)
        #expect(counters.operations == 10_000 + counters.setsOnMiss)
        let seen = try statistics(server)
        let requests = counters.requests
        #expect(LoadCommand.allCases.allSatisfy { requests[$0] > 0 })
        // A gat is a touch there and no get; an add is a set.
        let keys = counters.operations - counters.requestCount + requests[.get]
        #expect(seen("cmd_get") == keys)
        #expect(seen("cmd_touch") == requests[.touch] + requests[.gat])
        #expect(seen("cmd_set") == requests[.set] + requests[.add])
        #expect(seen("incr_hits") + seen("incr_misses") == requests[.incr])
        #expect(seen("decr_hits") + seen("decr_misses") == requests[.decr])
        #expect(seen("delete_hits") + seen("delete_misses") == requests[.delete])
        let misses = ["get", "touch", "incr", "decr", "delete"].reduce(0) {
            $0 + seen("\($1)_misses")
        }
        // A gat that misses is a miss of both kinds.
        #expect(counters.misses <= misses && misses <= counters.misses + requests[.gat])
        #expect(counters.setsOnMiss == seen("incr_misses") + seen("decr_misses"))
    }

    /// The whole of it: mixed sizes, absent keys, look-aside, times to live, new connections.
    @Test(arguments: WireProtocol.allCases, [Refill.batch, .window])
    func verifiedRunsFindNothingWrong(wireProtocol: WireProtocol, refill: Refill) throws {
        let server = try Memcached(["-I", "4m"])
        for keysPerGet in [1, 5] {
            let plan = try plan(wireProtocol, everything) {
                $0.verifies = true
                $0.keyBytes = .etcKeys
                $0.valueBytes = keysPerGet == 1 ? .etcValues : .range(least: 32, most: 40_000)
                $0.seed = UInt64(keysPerGet)
                $0.threadCount = 2
                $0.keysPerGet = keysPerGet
                $0.missRatio = 0.1
                $0.setsOnMiss = true
                $0.ttl = 100
                $0.requestsPerConnection = 23
                $0.distribution = .zipf(exponent: 0.9)
                $0.refill = refill
            }
            let filled = try LoadRun.perform(plan.filling(), against: server.target)
            #expect(filled.counters.operations == 500)
            #expect(filled.counters.reconnections == 0)
            let outcome = try LoadRun.perform(plan, against: server.target)
            let counters = outcome.counters
            #expect(counters.errors == 0, "\(outcome.firstError ?? "")")
            #expect(counters.hits > 0 && counters.misses > 0 && counters.setsOnMiss > 0)
            #expect(counters.operations == 10_000 + counters.setsOnMiss)
            // Each connection ends after 23 requests, but for its last.
            let most = counters.requestCount / 23
            #expect(counters.reconnections <= most && counters.reconnections + 14 >= most)
        }
    }

    @Test(arguments: WireProtocol.allCases, [1, 4])
    func lookAsideFillsTheServer(wireProtocol: WireProtocol, keysPerGet: Int) throws {
        let server = try Memcached()
        let plan = try plan(wireProtocol, "get") {
            $0.keysPerGet = keysPerGet
            $0.setsOnMiss = true
            $0.distribution = .sequential
            $0.length = .operations(2000)
            $0.valueBytes = .range(least: 10, most: 500)
        }
        let counters = try LoadRun.perform(plan, against: server.target).counters
        // Four rounds through 500 keys: the first misses, and what overtakes a set on the way.
        #expect(counters.hits + counters.misses == 2000)
        #expect(counters.setsOnMiss == counters.misses)
        #expect(counters.requests(of: .set) == counters.setsOnMiss)
        #expect(counters.misses >= 500 && counters.misses < 1500)
        #expect(counters.operations == 2000 + counters.setsOnMiss)
        let seen = try statistics(server)
        #expect(seen("curr_items") == 500)
        #expect(seen("cmd_set") == counters.setsOnMiss)
        // Again: nothing is missed, and the bytes are those of every key's own size.
        let again = try LoadRun.perform(plan, against: server.target).counters
        #expect(again.misses == 0 && again.setsOnMiss == 0)
        let sizes = plan.valueSizes
        let total = (0..<UInt32(500)).reduce(0) { $0 + sizes.bytes(of: $1) }
        let perHit = Double(again.receivedBytes) / 2000 - Double(total) / 500
        #expect(perHit > 24 && perHit < 70)
    }

    @Test(arguments: WireProtocol.allCases)
    func aShareOfTheGetsMisses(wireProtocol: WireProtocol) throws {
        let server = try Memcached()
        let plan = try plan(wireProtocol, "get") {
            $0.missRatio = 0.3
            $0.setsOnMiss = true
        }
        _ = try LoadRun.perform(plan.filling(), against: server.target)
        let counters = try LoadRun.perform(plan, against: server.target).counters
        // Six standard deviations of a share among 10,000. What is never set is never set.
        let share = Double(counters.misses) / 10_000
        #expect(abs(share - 0.3) <= 6 * (0.3 * 0.7 / 10_000).squareRoot())
        #expect(counters.setsOnMiss == 0)
    }

    @Test(arguments: WireProtocol.allCases)
    func connectionsEndAfterTheirShare(wireProtocol: WireProtocol) throws {
        let server = try Memcached()
        let before = try statistics(server)("total_connections")
        let plan = try plan(wireProtocol, "get,set") {
            $0.requestsPerConnection = 10
            $0.depth = 4
            $0.length = .operations(7 * 100)
        }
        let counters = try LoadRun.perform(plan, against: server.target).counters
        // A hundred requests each, in ten connections.
        #expect(counters.reconnections == 7 * 9)
        // Facts are asked before the run, and the probe of the protocol is one more.
        let others: UInt64 = wireProtocol == .classic ? 2 : 3
        #expect(try statistics(server)("total_connections") - before == 7 * 10 + others)
    }

    @Test func whatExpiresIsMissedAndSetAgain() throws {
        let server = try Memcached()
        let plan = try plan(.classic, "get") {
            $0.setsOnMiss = true
            $0.verifies = true
            $0.ttl = 1
            $0.keyCount = 50
            $0.length = .seconds(2.2)
        }
        let counters = try LoadRun.perform(plan, against: server.target).counters
        #expect(counters.setsOnMiss >= 100)
    }

    /// The same seed sends the same bytes, and another seed others.
    @Test(arguments: WireProtocol.allCases)
    func theSameSeedSendsTheSame(wireProtocol: WireProtocol) throws {
        let server = try Memcached()
        func sent(_ seed: UInt64) throws -> [UInt64] {
            let plan = try plan(wireProtocol, "get=5,set=4,touch=1") {
                $0.seed = seed
                $0.valueBytes = .etcValues
                $0.keyBytes = .range(least: 8, most: 60)
                $0.ttl = TimeToLive(integerLiteral: 70)
                $0.threadCount = seed == 1 ? 1 : 2
            }
            let counters = try LoadRun.perform(plan, against: server.target).counters
            return [counters.sentBytes, counters.requests[.get], counters.requests[.set]]
        }
        let first = try sent(1)
        #expect(try sent(1) == first)
        #expect(try sent(2) != first)
    }
}
