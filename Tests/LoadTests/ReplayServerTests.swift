// ReplayServerTests: traces against real servers, and the command itself.

import Glibc
import Load
import Primitives
import Testing

/// A made-up trace, as bytes of oracleGeneral.
private func madeUp(_ change: (inout TraceRecipe) -> Void) throws -> TraceFile {
    var recipe = TraceRecipe()
    recipe.requestCount = 30_000
    recipe.objectCount = 2000
    recipe.sizes = .mixed(40, 4000)
    change(&recipe)
    let file = try TraceFile()
    defer { file.keep() }
    try TraceWriter.write(recipe, to: file.path)
    return file
}

/// All commands on few keys, of sizes below and above the header of a checked value.
private func everyOperation() -> String {
    var random = RandomStream(seed: 3, stream: 0)
    let operations = [
        "get", "get", "get", "gets", "set", "add", "replace", "cas", "append", "prepend",
        "delete", "incr", "decr",
    ]
    return (0..<20_000).map { index in
        let object = random.next(below: 300)
        let size = [5, 19, 40, 300][Int(object % 4)]
        let operation = operations[Int(random.next(below: UInt64(operations.count)))]
        return "\(index / 1000),k\(object),\(15 + object % 9),\(size),0,\(operation),0\n"
    }.joined()
}

/// Where everything fits, every hit of the server is one of the reference, and the other way
/// round, whatever the depth and the threads: the order of each key holds, and no get overtakes
/// the set that a miss asks for.
private func hitsAreThoseOfTheReference(_ target: Target) throws {
    let file = try madeUp { $0.scanShare = 0.1 }
    defer { file.keep() }
    var plan = ReplayPlan()
    plan.clientCount = 7
    plan.depth = 16
    plan.threadCount = 2
    plan.verifies = true
    plan.referenceBytes = [1 << 30, 256 << 10]
    let outcome = try ReplayRun.perform(plan, try TraceReader(file.path), against: target)
    #expect(outcome.counters.requests == 30_000)
    #expect(outcome.counters.errors == 0)
    #expect(outcome.total == outcome.references[0].total)
    #expect(outcome.counters.fills == outcome.total.gets - outcome.total.hits)
    #expect(outcome.objectCount == outcome.counters.fills)
    let small = outcome.references[1]
    #expect(small.total.hits < outcome.total.hits)
    #expect(small.total.hits > 0)
}

private func everyOperationIsAnswered(_ target: Target) throws {
    for fills in [true, false] {
        let outcome = try replay(everyOperation(), against: target) {
            $0.depth = 8
            $0.threadCount = 2
            $0.fills = fills
            $0.verifies = true
        }
        #expect(outcome.counters.requests == 20_000)
        #expect(outcome.total.hits > 0)
    }
}

private func largeObjectsAreRefused(_ target: Target) throws {
    let outcome = try replay(
        "1,a,20,2000000,0,get,0\n1,a,20,2000000,0,get,0\n1,b,20,500000,0,get,0\n"
            + "1,b,20,500000,0,get,0\n", against: target
    ) {
        $0.valueBytesMax = 4 << 20
        $0.verifies = true
    }
    #expect(outcome.counters.refused == 2)
    #expect(outcome.counters.errors == 0)
    #expect(outcome.total.hits == 1)
}

@Suite(.enabled(if: Memcached.path != nil, "memcached is not installed"), .serialized)
struct MemcachedReplayTests {
    @Test func hitsAreThoseOfAReferenceWithRoom() throws {
        let server = try Memcached(["-m", "256"])
        try hitsAreThoseOfTheReference(server.target)
    }

    @Test func everyOperationPasses() throws {
        let server = try Memcached()
        try everyOperationIsAnswered(server.target)
    }

    @Test func objectsAboveTheLimitAreRefused() throws {
        let server = try Memcached()
        try largeObjectsAreRefused(server.target)
    }

    /// A scan of three times the memory: an LRU forgets, and the server has something to show.
    @Test func evictionShows() throws {
        let server = try Memcached(["-m", "8"])
        let file = try madeUp {
            $0.scanShare = 0.5
            $0.scanObjectCount = 20_000
            $0.requestCount = 50_000
        }
        defer { file.keep() }
        var plan = ReplayPlan()
        plan.referenceBytes = [8 << 20]
        let outcome = try ReplayRun.perform(
            plan, try TraceReader(file.path), against: server.target)
        #expect(outcome.total.hits < 35_000)
        #expect(outcome.total.hits > 5000)
        #expect(outcome.references[0].total.hits > 5000)
    }
}

@Suite(.enabled(if: BrimServer.path != nil, "brim is not built"), .serialized)
struct ReplayBrimTests {
    @Test func hitsAreThoseOfAReferenceWithRoom() throws {
        let server = try BrimServer(["--no-store", "-m", "256"])
        try hitsAreThoseOfTheReference(server.target)
    }

    @Test func everyOperationPasses() throws {
        let server = try BrimServer(["--no-store", "-m", "64"])
        try everyOperationIsAnswered(server.target)
    }

    @Test func objectsAboveTheLimitAreRefused() throws {
        let server = try BrimServer(["--no-store", "-m", "64"])
        try largeObjectsAreRefused(server.target)
    }
}

// MARK: The command

private let toolPath: String = {
    let own = SystemTree.target(ofLink: "/proc/self/exe") ?? ""
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        .joined(separator: "/") + "/brim-bench"
}()

private func tool(_ line: String) throws -> (output: String, exitCode: Int32?) {
    try Child(toolPath, line.split(separator: " ").map(String.init)).finish()
}

@Test(arguments: [
    "replay", "replay /nonexistent/trace", "replay FILE 127.0.0.1:99999",
    "replay FILE --speed fast", "replay FILE --speed 0", "replay FILE --ttls maybe",
    "replay FILE --ttls scaled", "replay FILE --interval 0", "replay FILE --interval 5h",
    "replay FILE --reference-bytes 5", "replay FILE --reference-bytes 64m,",
    "replay FILE --reference-bytes 99999g", "replay FILE --depth 257", "replay FILE --clients 0",
    "replay FILE --key-bytes 10", "replay FILE --value-bytes-max 0", "replay FILE --format text",
    "replay FILE --operations 0", "replay FILE --seconds 0", "replay FILE --cpu x",
    "replay FILE --threads 9 --clients 8",
    "replay FILE --json --csv", "replay FILE --overhead-bytes 65537",
    "trace", "trace /nonexistent/trace", "trace FILE --requests 0", "trace FILE --scan 2",
    "trace FILE --sizes 5-4", "trace FILE --sizes 0", "trace FILE --sizes 1-2-3",
    "trace FILE --rate 0", "trace FILE --distribution bogus", "trace FILE --objects 0",
])
func badReplayArgumentsGetOneLine(_ line: String) throws {
    let file = try TraceFile("1,k,20,5,0,get,0\n")
    defer { file.keep() }
    let result = try tool(
        line.split(separator: " ").map { $0 == "FILE" ? file.path : String($0) }
            .joined(separator: " "))
    #expect(result.exitCode == 64, "\(result.output)")
    #expect(result.output.hasPrefix("brim-bench: "))
    #expect(result.output.split(separator: "\n").count == 1)
}

@Test func aTraceWithAFaultExitsWithOne() throws {
    let file = try TraceFile("1,k,20,5,0,get,0\n2,k,20,5,0,put,0\n")
    defer { file.keep() }
    let result = try withFake(FakeCache()) { target in
        try tool("replay \(file.path) \(target.address)")
    }
    #expect(result.exitCode == 1)
    #expect(result.output.contains("trace line 2: the operation is none of"))
}

@Test func aWrongValueExitsWithOne() throws {
    let file = try TraceFile("1,k,20,50,0,get,0\n2,k,20,50,0,get,0\n")
    defer { file.keep() }
    let result = try withFake(FakeCache { _, value in "X" + value.dropFirst() }) { target in
        try tool("replay \(file.path) \(target.address) --verify")
    }
    #expect(result.exitCode == 1)
    #expect(result.output.contains("bad value of k"))
}

@Suite(.enabled(if: Memcached.path != nil, "memcached is not installed"), .serialized)
struct ReplayProgramTests {
    @Test func aMadeUpTraceIsToldInWords() throws {
        let server = try Memcached()
        let file = try TraceFile()
        defer { file.keep() }
        #expect(
            try tool(
                "trace \(file.path) --requests 20000 --objects 1000 --sizes 40-400 --scan 0.1"
            ).exitCode == 0)
        let result = try tool(
            "replay \(file.path) \(server.target.name) --reference-bytes 64k,1m,2m,4m,1g "
                + "--interval 500 --depth 4 --quiet")
        #expect(result.exitCode == 0, "\(result.output)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 100 }, "\(result.output)")
        #expect(lines.contains { $0.hasPrefix("LRU ") && $0.contains("exact LRU of 64k") })
        #expect(lines.filter { $0.hasPrefix("LRU ") }.count == 5)
        // Forty stretches of 500 are put together by two.
        #expect(lines.contains { $0.hasPrefix("19 000 ") })
        #expect(lines.contains { $0.hasPrefix("fill ") })
    }

    /// Makes a trace up and replays it through a pipe.
    private func piped(_ target: Target, _ option: String) throws -> String {
        let child = try Child(
            "/bin/sh",
            [
                "-c",
                "'\(toolPath)' trace - --requests 5000 --objects 500 | '\(toolPath)' replay - "
                    + "\(target.name) --interval 1000 --reference-bytes 1g --quiet "
                    + option,
            ])
        let result = child.finish()
        #expect(result.exitCode == 0, "\(result.output)")
        return result.output
    }

    @Test func aPipeIsReplayedAndToldInJSON() throws {
        let server = try Memcached()
        let output = try piped(server.target, "--json")
        #expect(output.hasPrefix("{\"target\": \"\(server.target.name)\""))
        #expect(output.contains("\"trace\": \"standard input\""))
        #expect(output.contains("\"trace_format\": \"oracle\""))
        #expect(output.contains("\"trace_requests\": 5000"))
    }

    @Test func hitsOverTimeAreToldInCSV() throws {
        let server = try Memcached()
        let rows = try piped(server.target, "--csv").split(separator: "\n")
            .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        #expect(rows.map { $0.count } == Array(repeating: 10, count: 6))
        #expect(rows.first?.first == "from_request")
        let stretches = rows.dropFirst()
        #expect(stretches.map { $0[0] } == ["0", "1000", "2000", "3000", "4000"])
        // The server has room, as the reference has.
        #expect(stretches.allSatisfy { $0[1] == "1000" && $0[6] == $0[8] })
    }
}
