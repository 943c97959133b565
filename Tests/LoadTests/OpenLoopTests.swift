// OpenLoopTests: what each load model counts, against servers in this process: a stall shows in
// an open loop and hides in a closed one; counts are exact; streams of keys do not depend on it.

import Glibc
import Load
import Primitives
import Synchronization
import Testing

private func plan(_ change: (inout LoadPlan) -> Void) -> LoadPlan {
    var plan = LoadPlan()
    plan.clientCount = 4
    plan.keyCount = 1000
    plan.warmupSeconds = 0
    change(&plan)
    return plan
}

@Suite(.serialized) struct OpenLoopTests {
    private func stalled(_ change: (inout LoadPlan) -> Void) throws -> Outcome {
        let gate = StallGate(afterRequests: 500, milliseconds: 100)
        let server = try BadServer(
            serve: answering {
                gate.pass()
                return hit($0)
            })
        defer { server.end() }
        return try LoadRun.perform(
            plan {
                $0.length = .seconds(1.5)
                change(&$0)
            }, against: server.target)
    }

    /// 1000 a second, for 100 ms of which nobody answers: 100 requests wait up to 100 ms, half of
    /// them more than 50.
    @Test(arguments: Arrivals.allCases) func aStallShowsInAnOpenLoop(arrivals: Arrivals) throws {
        let outcome = try stalled {
            $0.rate = 1000
            $0.arrivals = arrivals
        }
        let pacing = try #require(outcome.pacing)
        #expect(pacing.isKept, "\(pacing.reached) of \(pacing.asked)")
        #expect(abs(Double(pacing.sentOperations) - 1500) <= 200)
        let slow = outcome.latencies.count(above: 50_000)
        // At least these; other load on the machine only adds to them.
        #expect(slow >= (arrivals == .even ? 45 : 25))
        #expect(slow <= 600)
        let p99 = try #require(outcome.latencies.all.microseconds(at: 99))
        #expect(p99 >= 50_000)
        #expect(outcome.latencies.all.maximum >= 95_000)
        // Most of them found the four connections full.
        #expect(pacing.waits.total >= 60)
        #expect(pacing.waits.microsecondsMax >= 80_000)
        #expect(pacing.errors.total > 500)
    }

    @Test func aStallHidesInAClosedLoop() throws {
        // So many that those that a stall holds up are fewer than one in a hundred.
        let outcome = try stalled { $0.length = .operations(5000) }
        #expect(outcome.pacing == nil)
        // One request of each connection was under way.
        #expect(outcome.latencies.count(above: 50_000) >= 4)
        let p99 = try #require(outcome.latencies.all.microseconds(at: 99))
        #expect(p99 < 50_000)
    }

    @Test func aRateThatTheServerCannotKeepIsSaid() throws {
        // Two connections, 20 ms each reply: 100 a second.
        let server = try BadServer(
            serve: answering {
                usleep(20_000)
                return hit($0)
            })
        defer { server.end() }
        let outcome = try LoadRun.perform(
            plan {
                $0.clientCount = 2
                $0.rate = 2000
                $0.length = .seconds(0.6)
            }, against: server.target)
        let pacing = try #require(outcome.pacing)
        #expect(!pacing.isKept)
        #expect(pacing.reached < 1000)
        #expect(pacing.crowdedOperations > 800)
        #expect(pacing.lateOperations < pacing.crowdedOperations)
        // What was due is in the percentiles, answered or not: half waited half of the run.
        let all = outcome.latencies.all
        #expect(all.count == outcome.counters.requestCount + pacing.unansweredRequests)
        #expect(abs(Double(all.count) - 1200) < 240)
        #expect(try #require(all.microseconds(at: 50)) > 200_000)
        let result = try bench(
            "run \(server.target.address) --clients 2 --rate 2000 --seconds 0.3 --warmup 0")
        #expect(result.exitCode == 0, "\(result.output)")
        #expect(result.output.contains("NOT KEPT"))
        #expect(result.output.contains("the server was too slow"))
        #expect(result.output.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    @Test(arguments: [nil, 20_000] as [Double?], [1, 3])
    func exactlySoManyOperationsAreCounted(rate: Double?, threads: Int) throws {
        let server = try BadServer(serve: answering(hit))
        defer { server.end() }
        let watched = Mutex(0)
        let outcome = try LoadRun.perform(
            plan {
                $0.clientCount = 7
                $0.threadCount = threads
                $0.depth = 3
                $0.warmupSeconds = 0.2
                $0.rate = rate
                $0.length = .operations(1003)
            }, against: server.target, watch: { _ in watched.withLock { $0 += 1 } })
        #expect(outcome.counters.operations == 1003)
        #expect(outcome.counters.requestCount == 1003)
        #expect(outcome.counters.hits == 1003)
        #expect(outcome.latencies.all.count == 1003)
        let warmup = try #require(outcome.warmup)
        #expect(warmup.counters.operations > 0)
        #expect(warmup.latencies.all.count == warmup.counters.requestCount)
        #expect(warmup.seconds >= 0.19)
        #expect(outcome.generatorShare > 0)
        #expect(outcome.pacing?.sentOperations == (rate == nil ? nil : 1003))
    }

    @Test func keysOfManyKeyGetsAreWhatARateCounts() throws {
        let server = try BadServer(serve: answering(hit))
        defer { server.end() }
        let outcome = try LoadRun.perform(
            plan {
                $0.keysPerGet = 10
                $0.rate = 1000
                $0.length = .seconds(0.5)
            }, against: server.target)
        let pacing = try #require(outcome.pacing)
        #expect(abs(Double(pacing.sentOperations) - 500) <= 50)
        #expect(outcome.counters.requestCount <= 60)
    }

    /// What each connection asks for, in order.
    private func keys(_ change: (inout LoadPlan) -> Void) throws -> [[String]] {
        let recorder = KeyRecorder()
        let server = try BadServer { peer in
            answering { line in
                recorder.note(peer, key(line))
                return hit(line)
            }(peer)
        }
        _ = try LoadRun.perform(
            plan {
                $0.length = .operations(400)
                change(&$0)
            }, against: server.target)
        server.end()
        return recorder.sequences
    }

    @Test func theStreamOfKeysIsTheSameInEveryLoadModel() throws {
        let closed = try keys { _ in }
        #expect(closed.count == 4)
        #expect(closed.allSatisfy { $0.count == 100 })
        #expect(try keys { $0.threadCount = 2 } == closed)
        #expect(try keys { $0.rate = 5000 } == closed)
        #expect(
            try keys {
                $0.rate = 5000
                $0.arrivals = .poisson
                $0.depth = 3
            } == closed)
        #expect(try keys { $0.seed = 2 } != closed)
        // A warm-up is the beginning of the same streams.
        let warmed = try keys { $0.warmupSeconds = 0.1 }
        #expect(warmed.allSatisfy { $0.count > 100 })
        #expect(warmed.map { Array($0.prefix(100)) } == closed)
    }

    /// What was missed is stored at once, on top of the rate; a connection that was closed for
    /// having had its share goes on with what is due.
    @Test(
        .enabled(if: Memcached.path != nil, "memcached is not installed"),
        arguments: [1, 4], [nil, 30_000] as [Double?])
    func missesAreStoredAndConnectionsRenewedAtARate(depth: Int, rate: Double?) throws {
        let server = try Memcached()
        let outcome = try LoadRun.perform(
            plan {
                $0.depth = depth
                $0.keyCount = 500
                $0.setsOnMiss = true
                $0.requestsPerConnection = 100
                $0.rate = rate
                $0.warmupSeconds = 0.05
                $0.length = .operations(6000)
            }, against: server.target)
        #expect(outcome.counters.requests(of: .get) == 6000)
        #expect(outcome.counters.hits + outcome.counters.misses == 6000)
        // Misses of the warm-up may be stored in the run, and the last of the run never.
        let sets = outcome.counters.requests(of: .set)
        let misses = outcome.counters.misses + (outcome.warmup?.counters.misses ?? 0)
        #expect(sets <= misses)
        #expect(misses >= 400)
        #expect(outcome.counters.reconnections >= 50)
        if rate != nil { #expect(outcome.pacing?.sentOperations == 6000) }
    }

    @Test func theSecondsOfARunAreASeries() throws {
        let server = try BadServer(serve: answering(hit))
        defer { server.end() }
        let seen = Mutex<[RunProgress]>([])
        let outcome = try LoadRun.perform(
            plan {
                $0.rate = 400
                $0.length = .seconds(2.4)
            }, against: server.target, watch: { progress in seen.withLock { $0.append(progress) } })
        let series = outcome.series
        // A late sample may leave too little of the last second.
        #expect((2...3).contains(series.count))
        #expect(series.first?.start == 0)
        for (one, next) in zip(series, series.dropFirst()) {
            #expect(abs(one.start + one.seconds - next.start) < 0.001)
        }
        let sum = series.reduce(0) { $0 + $1.operations }
        #expect(sum <= outcome.counters.operations)
        #expect(sum + 200 >= outcome.counters.operations)
        #expect(series.reduce(0) { $0 + $1.hits } == sum)
        #expect(series.allSatisfy { ($0.p50 ?? 0) > 0 && ($0.p99 ?? 0) >= ($0.p50 ?? 0) })
        // The server is this process, so its processor time is known.
        #expect(series.allSatisfy { ($0.serverShare ?? 0) > 0 })
        let progress = seen.withLock { $0 }
        #expect(progress.map(\.point) == Array(series.prefix(progress.count)))
        #expect(progress.count >= 2)
        #expect(progress.allSatisfy { !$0.isWarmUp && $0.part > 0 && $0.part <= 1 })
    }
}
