// ReplayFakeTests: what a replay sends, seen by a server in this process, and what it says of
// one that misbehaves.

import Glibc
import Load
import Primitives
import Synchronization
import Testing

/// So many requests for so many objects, each of its own size.
private func trace(_ count: Int, objects: Int, operation: String = "get") -> String {
    (0..<count).map { index in
        let object = index * 7 % objects
        return "\(index / 10),key\(object),20,\(40 + object),0,\(operation),0\n"
    }.joined()
}

@Suite(.serialized) struct ReplayFakeTests {
    @Test func aMissIsFollowedByASet() throws {
        let cache = FakeCache()
        let outcome = try withFake(cache) { target in
            try replay(
                "1,a,20,100,0,get,0\n1,a,20,100,0,get,0\n2,b,40,7,0,gets,0\n",
                against: target)
        }
        let words = cache.lines.map { $0.split(separator: " ").map(String.init) }
        let first = words.filter { $0[1].utf8.count == 20 }
        #expect(first.map { $0[0] } == ["get", "set", "get"])
        #expect(Set(first.map { $0[1] }).count == 1)
        #expect(first[1].dropFirst(2) == ["0", "0", "100"])
        let second = words.filter { $0[1].utf8.count == 40 }
        #expect(second.map { $0[0] } == ["gets", "set"])
        #expect(outcome.counters.requests == 3)
        #expect(outcome.counters.fills == 2)
        #expect(outcome.total.gets == 3)
        #expect(outcome.total.hits == 1)
        #expect(outcome.total.getBytes == 120 + 120 + 47)
        #expect(outcome.total.hitBytes == 120)
        #expect(outcome.objectCount == 2)
        #expect(outcome.objectBytes == 167)
        #expect(outcome.spanSeconds == 1)
        #expect(outcome.latencies.summary(of: .get).count == 2)
        #expect(outcome.latencies.summary(of: .fill).count == 2)
    }

    @Test func shortKeysAreMadeLongEnough() throws {
        let cache = FakeCache()
        _ = try withFake(cache) { target in
            try replay(
                "1,a,1,0,0,set,0\n1,b,1,0,0,set,0\n1,c,999,0,0,set,0\n", against: target)
        }
        let keys = cache.lines.map { $0.split(separator: " ")[1] }
        #expect(Set(keys).count == 3)
        #expect(keys.map { $0.utf8.count }.sorted() == [11, 11, 250])
    }

    @Test func operationsStandAsRecorded() throws {
        let cache = FakeCache()
        let operations = [
            "get", "incr", "set", "get", "gets", "incr", "decr", "add", "replace", "cas",
            "append", "prepend", "delete", "delete",
        ]
        let outcome = try withFake(cache) { target in
            try replay(
                operations.map { "1,k,20,5,0,\($0),60\n" }.joined(), against: target
            ) {
                $0.fills = false
                $0.depth = 16
                $0.times = .recorded
            }
        }
        let wire = cache.lines.map { String($0.split(separator: " ")[0]) }
        #expect(wire == operations.map { $0 == "cas" ? "replace" : $0 })
        #expect(cache.lines[2].hasSuffix(" 0 60 5"))
        // incr and delete of nothing, and add of something.
        #expect(outcome.counters.unstored == 3)
        #expect(outcome.counters.errors == 0)
        #expect(outcome.counters.fills == 0)
        #expect(outcome.total.gets == 3)
        #expect(outcome.total.hits == 2)
    }

    @Test func aGetThatTheTraceSawMissIsNotFilled() throws {
        let cache = FakeCache()
        let outcome = try withFake(cache) { target in
            try replay("1,a,20,0,0,get,0\n1,a,20,0,0,get,0\n", against: target) {
                $0.referenceBytes = [1 << 20]
            }
        }
        #expect(cache.lines.count == 2)
        #expect(outcome.total.hits == 0)
        #expect(outcome.references[0].total.hits == 0)
    }

    @Test(arguments: [
        (ReplaySpeed.full, ReplayTimes.ignored, "0"), (.full, .recorded, "100"),
        (.times(10), .scaled, "10"), (.times(1000), .scaled, "1"), (.times(10), .recorded, "100"),
        (.times(10), .ignored, "0"),
    ])
    func timesToLiveFollowTheOption(speed: ReplaySpeed, times: ReplayTimes, wanted: String) throws {
        let cache = FakeCache()
        _ = try withFake(cache) { target in
            try replay("1,a,20,5,0,set,100\n", against: target) {
                $0.speed = speed
                $0.times = times
            }
        }
        #expect(cache.lines[0].split(separator: " ")[3] == wanted)
    }

    @Test func longTimesToLiveAreNotDates() throws {
        let cache = FakeCache()
        _ = try withFake(cache) { target in
            try replay("1,a,20,5,0,set,\(UInt32.max)\n1,b,20,5,0,get,0\n", against: target) {
                $0.times = .recorded
                $0.ttlSeconds = 77
                $0.clientCount = 1
            }
        }
        let times = cache.lines.filter { $0.hasPrefix("set") }.map { $0.split(separator: " ")[3] }
        #expect(times == ["2592000", "77"])
    }

    /// Four seconds of the trace, ten times as fast: no sooner than after 0.4 seconds.
    @Test func theTraceSetsThePace() throws {
        let cache = FakeCache()
        let outcome = try withFake(cache) { target in
            try replay(trace(41, objects: 5), against: target) { $0.speed = .times(10) }
        }
        // The clock begins a moment before the workers do.
        #expect(outcome.seconds >= 0.39)
        #expect(outcome.counters.requests == 41)
        #expect(outcome.spanSeconds == 4)
    }

    /// Two seconds and a half: the watcher is told at least once how far it is.
    @Test func aReplayCanBeWatched() throws {
        let file = try TraceFile(trace(26, objects: 5))
        defer { file.keep() }
        var seen: [ReplayProgress] = []
        let outcome = try withFake(FakeCache()) { target in
            var plan = ReplayPlan()
            plan.clientCount = 2
            plan.speed = .times(1)
            return try ReplayRun.perform(plan, try TraceReader(file.path), against: target) {
                seen.append($0)
            }
        }
        #expect(outcome.counters.requests == 26)
        #expect(!seen.isEmpty)
        #expect(seen.allSatisfy { $0.seconds >= 1 && $0.requests <= 26 && $0.hits <= $0.gets })
        #expect(seen.last.map { $0.requests >= 10 } == true)
    }

    @Test func aTimeLimitEndsAPacedReplay() throws {
        let cache = FakeCache()
        let outcome = try withFake(cache) { target in
            try replay(trace(1000, objects: 5), against: target) {
                $0.speed = .times(10)
                $0.secondsMax = 0.35
            }
        }
        // Seconds 0 to 3 of the trace, and half of the fourth.
        #expect(outcome.requests >= 31 && outcome.requests < 40)
        #expect(outcome.counters.requests == outcome.requests)
    }

    @Test func operationsEndAReplay() throws {
        let cache = FakeCache()
        let outcome = try withFake(cache) { target in
            try replay(trace(1000, objects: 5), against: target) { $0.operationsMax = 123 }
        }
        #expect(outcome.requests == 123)
        #expect(outcome.counters.requests == 123)
    }

    @Test func stretchesAreCounted() throws {
        let cache = FakeCache()
        func intervals(_ interval: ReplayInterval) throws -> ReplayOutcome {
            try withFake(cache) { target in
                try replay(trace(95, objects: 5), against: target) {
                    $0.interval = interval
                    $0.referenceBytes = [1 << 20]
                }
            }
        }
        let first = try intervals(.requests(30))
        #expect(first.intervals.map(\.requests) == [30, 30, 30, 5])
        #expect(first.intervals.map(\.hits) == [25, 30, 30, 5])
        #expect(first.references[0].intervals.map(\.hits) == [25, 30, 30, 5])
        let second = try intervals(.seconds(4))
        #expect(second.intervals.map(\.requests) == [40, 40, 15])
    }

    @Test func tooLargeIsRefusedNotWrong() throws {
        let cache = FakeCache(bytesMax: 1000)
        let outcome = try withFake(cache) { target in
            try replay(
                "1,a,20,1001,0,get,0\n1,a,20,1001,0,set,0\n1,b,20,2001,0,get,0\n"
                    + "1,b,20,2001,0,set,0\n1,c,20,1000,0,set,0\n", against: target
            ) { $0.valueBytesMax = 2000 }
        }
        // Two by the server, two that were not even sent.
        #expect(outcome.counters.refused == 4)
        #expect(outcome.counters.errors == 0)
        #expect(outcome.counters.requests == 5)
        #expect(!cache.lines.contains { $0.hasSuffix(" 2001") })
    }

    @Test func otherErrorsAreCountedAndShown() throws {
        let server = try BadServer { peer in
            var lines = LineReader(peer)
            while lines.next() != nil { send(peer, "SERVER_ERROR out of memory\r\n") }
        }
        defer { server.end() }
        let outcome = try replay(trace(10, objects: 5), against: server.target)
        #expect(outcome.counters.errors == 10)
        #expect(outcome.total.hits == 0)
        #expect(outcome.counters.fills == 0)
        #expect(outcome.firstError?.contains("out of memory") == true)
    }

    // MARK: Wrong servers

    @Test func tornValuesAreNamed() throws {
        let cache = FakeCache { _, value in String(value.dropLast(3)) + "~~~" }
        let failure = try withFake(cache) { target in
            try replayFailure(trace(100, objects: 5), against: target) { $0.verifies = true }
        }
        guard case .badValue(_, let key, .torn)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(key.utf8.count == 20)
    }

    @Test func staleValuesAreNamed() throws {
        let cache = FakeCache(keepsFirst: true)
        let failure = try withFake(cache) { target in
            try replayFailure(
                "1,a,20,90,0,set,0\n1,a,20,90,0,get,0\n1,a,20,90,0,set,0\n1,a,20,90,0,get,0\n",
                against: target
            ) {
                $0.verifies = true
                $0.depth = 8
            }
        }
        guard case .badValue(_, _, .stale(1, 2))? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func valuesThatWereDeletedAreStale() throws {
        let cache = FakeCache(keepsFirst: true)
        let failure = try withFake(cache) { target in
            try replayFailure(
                "1,a,20,90,0,set,0\n1,a,20,90,0,delete,0\n1,a,20,90,0,get,0\n", against: target
            ) { $0.verifies = true }
        }
        guard case .badValue(_, _, .stale(1, 2))? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test(arguments: [10, 90])
    func valuesOfAnotherKeyAreNamed(size: Int) throws {
        let last = Mutex("")
        let cache = FakeCache { _, value in
            last.withLock { last in
                defer { last = value }
                return last.isEmpty ? value : last
            }
        }
        let failure = try withFake(cache) { target in
            try replayFailure(
                ["a", "b"].map { "1,\($0),20,\(size),0,get,0\n" }.joined()
                    + ["a", "b"].map { "1,\($0),20,\(size),0,get,0\n" }.joined(), against: target
            ) {
                $0.verifies = true
                $0.clientCount = 1
            }
        }
        guard case .badValue(_, _, let value)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect("\(value)".hasPrefix("wrong"))
    }

    @Test func anHonestServerPasses() throws {
        let operations = ["get", "set", "gets", "append", "get", "incr", "delete", "add", "cas"]
        let text = (0..<2000).map { index in
            let object = index * 7 % 31
            let size = [5, 19, 31, 32, 33, 200][object % 6]
            return "1,k\(object),20,\(size),0,\(operations[index % 9]),0\n"
        }.joined()
        let outcome = try withFake(FakeCache()) { target in
            try replay(text, against: target) {
                $0.verifies = true
                $0.depth = 8
                $0.threadCount = 2
            }
        }
        #expect(outcome.counters.requests == 2000)
    }

    @Test func repliesMayComeByteByByte() throws {
        let outcome = try withFake(FakeCache(isSlow: true)) { target in
            try replay(trace(300, objects: 20), against: target) {
                $0.verifies = true
                $0.depth = 4
            }
        }
        #expect(outcome.total.hits == 280)
    }

    /// Times that jump and sizes of 4 GiB are a trace like any other.
    @Test(arguments: [ReplaySpeed.full, .times(1_000_000)])
    func extremesDoNoHarm(speed: ReplaySpeed) throws {
        let times: [UInt32] = [5, 4, .max, 0, 7, .max]
        let records = times.flatMap { oracleRecord($0, UInt64($0) << 32, .max, .min) }
        let lines = ["0", "9999999999999999999", "7"]
            .map { "\($0),k,65535,4294967295,,set,4294967295\n" }
        for bytes in [records, Array(lines.joined().utf8)] {
            let outcome = try withFake(FakeCache()) { target in
                try replay(bytes, against: target) {
                    $0.speed = speed
                    $0.times = .recorded
                    $0.interval = .seconds(1)
                    $0.referenceBytes = [1 << 40]
                    $0.secondsMax = 0.2
                }
            }
            #expect(outcome.counters.requests == outcome.requests)
            #expect(outcome.counters.refused > 0)
        }
    }

    @Test func whatOthersLeftIsNotJudged() throws {
        let cache = FakeCache()
        let checks: (inout ReplayPlan) -> Void = { $0.verifies = true }
        let writes = "1,a,20,90,0,set,0\n1,a,20,90,0,append,0\n1,b,20,90,0,set,0\n"
        _ = try withFake(cache) { try replay(writes, against: $0, checks) }
        _ = try withFake(cache) { try replay("1,c,20,90,0,set,0\n", against: $0) }
        let gets = ["a", "b", "c"].map { "1,\($0),20,90,0,get,0\n" }.joined()
        let outcome = try withFake(cache) { try replay(gets, against: $0, checks) }
        #expect(outcome.total.hits == 3)
        #expect(outcome.counters.unjudged == 3)
    }

    @Test(arguments: ["STORED\r\n", "VALUE other 0 1\r\nx\r\nEND\r\n", "12\r\n", "OK\r\n"])
    func aReplyOfAnotherKindIsNamed(reply: String) throws {
        let server = try BadServer { peer in
            var lines = LineReader(peer)
            while lines.next() != nil { send(peer, reply) }
        }
        defer { server.end() }
        guard
            case .wrongReply(_, let request, _, _)? = try replayFailure(
                trace(10, objects: 5), against: server.target)
        else { return #expect(Bool(false), "not noticed") }
        #expect(request.hasPrefix("get "))
    }

    @Test func aStallAndACloseAreNamed() throws {
        let silent = try BadServer { discard(from: $0) }
        defer { silent.end() }
        guard
            case .stalled? = try replayFailure(
                trace(10, objects: 5), against: silent.target, { $0.stallSeconds = 0.3 })
        else { return #expect(Bool(false), "the stall was not noticed") }
        let closing = try BadServer { peer in
            var lines = LineReader(peer)
            _ = lines.next()
        }
        defer { closing.end() }
        guard case .closed? = try replayFailure(trace(10, objects: 5), against: closing.target)
        else { return #expect(Bool(false), "the close was not noticed") }
    }

    @Test func aBadTraceEndsTheReplay() throws {
        let failure = try withFake(FakeCache()) { target in
            try replayFailure(trace(5000, objects: 5) + "oops\n", against: target)
        }
        #expect("\(failure.map { "\($0)" } ?? "")".hasPrefix("trace line 5001: "))
        let empty = try withFake(FakeCache()) { target in try replayFailure("", against: target) }
        #expect("\(empty.map { "\($0)" } ?? "")".contains("the trace is empty"))
    }
}
