// MemcachedTests: the load against the packaged memcached: what is counted is what happened.

import Glibc
import Load
import Primitives
import Testing

private func plan(_ change: (inout LoadPlan) -> Void = { _ in }) -> LoadPlan {
    var plan = LoadPlan()
    plan.clientCount = 7
    plan.depth = 4
    plan.keyCount = 1000
    plan.warmupSeconds = 0
    plan.length = .operations(20_000)
    change(&plan)
    return plan
}

private var hasMemcached: Bool { Memcached.path != nil }

@Suite(.enabled(if: hasMemcached, "memcached is not installed"), .serialized)
struct MemcachedTests {
    @Test func whatIsFilledIsHit() throws {
        let server = try Memcached()
        let fill = try LoadRun.perform(plan().filling(), against: server.target)
        #expect(fill.counters.operations == 1000)
        #expect(fill.counters.requests(of: .set) == 1000)
        #expect(fill.latencies.summary(of: .set).count == 1000)
        #expect(try ServerFacts.ask(server.target).statistics["curr_items"] == "1000")

        let gets = try LoadRun.perform(plan(), against: server.target)
        #expect(gets.counters.operations == 20_000)
        #expect(gets.counters.hits == 20_000)
        #expect(gets.counters.misses == 0)
        #expect(gets.counters.errors == 0)
        #expect(gets.latencies.all.count == 20_000)
        #expect(gets.facts.version.hasPrefix("1."))
        #expect(gets.facts.brimVersion == nil)
        #expect(gets.serverProcess == server.child.id)
        #expect(gets.serverMicrosecondsPerOperation ?? 0 > 0)
        #expect(gets.residentBytesAfter ?? 0 > 0)
        // Each hit is "VALUE <key> 0 100", the value, and "END".
        #expect(gets.counters.receivedBytes == 20_000 * UInt64(6 + 32 + 8 + 102 + 5))
        #expect(gets.counters.sentBytes == 20_000 * UInt64(4 + 32 + 2))
        #expect(try ServerFacts.ask(server.target).statistics["get_hits"] == "20000")
    }

    @Test(
        arguments: [(1, 1, .batch), (3, 1, .window), (3, 2, .batch)] as [(Int, Int, Refill)],
        WireProtocol.allCases)
    func everyMixIsAnswered(
        shape: (keys: Int, threads: Int, refill: Refill), wireProtocol: WireProtocol
    ) throws {
        let server = try Memcached()
        let outcome = try LoadRun.perform(
            plan {
                $0.mix = (try? CommandMix(parsing: "get=5,set=3,delete=1,touch=1")) ?? .gets
                $0.keysPerGet = shape.keys
                $0.threadCount = shape.threads
                $0.wireProtocol = wireProtocol
                $0.refill = shape.refill
                $0.distribution = .zipf(exponent: 0.9)
            }, against: server.target)
        let counters = outcome.counters
        #expect(counters.operations == 20_000)
        #expect(counters.errors == 0)
        #expect(counters.hits > 0)
        #expect(counters.misses > 0)
        let statistics = try ServerFacts.ask(server.target).statistics
        #expect(statistics["cmd_set"] == "\(counters.requests(of: .set))")
        let keys = counters.operations - counters.requestCount + counters.requests(of: .get)
        let touches = counters.requests(of: .touch)
        // An mg that touches nothing counts as a get there.
        let seen = ["cmd_touch", "cmd_get"].map { statistics[$0].flatMap { UInt64($0) } ?? 0 }
        // So does the question whether the server speaks meta.
        let probes: UInt64 = wireProtocol == .meta ? 1 : 0
        #expect(seen[0] + seen[1] == touches + keys + probes)
        if wireProtocol == .classic { #expect(seen[0] == touches) }
        #expect(outcome.generatorShares.count == shape.threads)
    }

    @Test func largeValuesComeWholeThroughSmallBuffers() throws {
        let server = try Memcached(["-I", "8m", "-m", "512"])
        let outcome = try LoadRun.perform(
            plan {
                $0.mix = (try? CommandMix(parsing: "get,set")) ?? .gets
                $0.valueBytes = 300_001
                $0.keyCount = 50
                $0.length = .operations(500)
                $0.verifies = true
            }, against: server.target)
        #expect(outcome.counters.operations == 500)
        #expect(outcome.counters.errors == 0)
        #expect(outcome.counters.hits > 0)
    }

    @Test(arguments: WireProtocol.allCases)
    func verifiedValuesAreWholeAndNew(wireProtocol: WireProtocol) throws {
        let server = try Memcached()
        let change: (inout LoadPlan) -> Void = {
            $0.verifies = true
            $0.wireProtocol = wireProtocol
            $0.threadCount = 2
            $0.keyCount = 100
            $0.mix = (try? CommandMix(parsing: "get=5,set=4,delete=1")) ?? .gets
        }
        _ = try LoadRun.perform(plan(change).filling(), against: server.target)
        let outcome = try LoadRun.perform(plan(change), against: server.target)
        #expect(outcome.counters.hits > 0)
        #expect(outcome.counters.operations == 20_000)
    }

    @Test func aTimedRunTakesItsTime() throws {
        let server = try Memcached()
        let outcome = try LoadRun.perform(
            plan {
                $0.length = .seconds(0.3)
                $0.warmupSeconds = 0.1
            }, against: server.target)
        #expect(outcome.seconds >= 0.29)
        #expect(outcome.counters.operations > 0)
        #expect(outcome.counters.misses == outcome.counters.operations)
    }

    @Test func unixSocketsAreServedAndFound() throws {
        let path = "/tmp/brim-bench-\(getpid()).sock"
        let child = try Child(try Memcached.path.orThrow(), ["-s", path, "-u", "nobody"])
        defer {
            child.end()
            unlink(path)
        }
        let target = try Target(parsing: "unix:\(path)")
        for _ in 0..<500 where ServerProcess(listeningOn: target.address) == nil {
            usleep(10_000)
        }
        // The socket is made before its mode is set for others; this test runs as its owner.
        let outcome = try LoadRun.perform(plan(), against: target)
        #expect(outcome.serverProcess == child.id)
        #expect(outcome.counters.operations == 20_000)
    }

    @Test func errorLinesAreCountedAndShown() throws {
        let server = try Memcached(["-I", "1k", "-o", "slab_chunk_max=512"])
        let outcome = try LoadRun.perform(
            plan {
                $0.mix = .sets
                $0.valueBytes = 100_000
                $0.length = .operations(100)
            }, against: server.target)
        #expect(outcome.counters.errors == 100)
        #expect(outcome.firstError?.contains("too large") == true)
    }
}
