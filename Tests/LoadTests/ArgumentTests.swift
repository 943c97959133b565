// ArgumentTests: brim-bench itself: exit codes, and one line for arguments that make no sense.

import Glibc
import Load
import Primitives
import Testing

@Test(arguments: [
    "run", "run :x", "run 127.0.0.1:1 --depth 0", "run 127.0.0.1:1 --bogus",
    "run 127.0.0.1:1 --mix put=1", "run 127.0.0.1:1 --distribution pareto",
    "run 127.0.0.1:1 --key-bytes 251", "run 127.0.0.1:1 --key-bytes 2 --keys 1000",
    "run 127.0.0.1:1 --clients 0", "run 127.0.0.1:1 --threads 60 --clients 50",
    "run 127.0.0.1:1 --seconds 5 --operations 5",
    "run 127.0.0.1:1 --rate 0", "run 127.0.0.1:1 --rate fast", "run 127.0.0.1:1 --rate nan",
    "run 127.0.0.1:1 --rate 1000000000", "run 127.0.0.1:1 --rate 5 --arrivals bursts",
    "run 127.0.0.1:1 --deadline 0", "sweep 127.0.0.1:1", "sweep 127.0.0.1:1 --p99-limit 0",
    "sweep 127.0.0.1:1 --p99-limit x", "sweep 127.0.0.1:1 --p99-limit 100 --from 10 --to 5",
    "sweep 127.0.0.1:1 --p99-limit 100 --from 0", "sweep 127.0.0.1:1 --p99-limit 9 --rate 5",
    "run 127.0.0.1:1 --cpu x", "run 127.0.0.1:1 --refill never", "run 127.0.0.1:1 --seconds nan",
    "run 127.0.0.1:1 --verify --value-bytes 31", "run unix:", "run host.invalid:1",
    "run 127.0.0.1:1 --server-pid 0",
    "run 127.0.0.1:1 --mix set --clients 50000 --value-bytes 1000000",
    "compare", "compare --target a=127.0.0.1:1 --target a=127.0.0.1:2",
    "compare --target a=127.0.0.1:1 --rounds 0", "bogus", "run 127.0.0.1:99999",
    "run 127.0.0.1:1 --protocol morse",
    "run 127.0.0.1:1 --protocol ascii", "run 127.0.0.1:1 --mix gets",
    "run 127.0.0.1:1 --key-bytes 0", "run 127.0.0.1:1 --key-bytes 8-251",
    "run 127.0.0.1:1 --key-bytes 2-9 --keys 1000", "run 127.0.0.1:1 --value-bytes 9-3",
    "run 127.0.0.1:1 --value-bytes etc:1", "run 127.0.0.1:1 --value-bytes exponential:0",
    "run 127.0.0.1:1 --verify --value-bytes 31-100", "run 127.0.0.1:1 --ttl 5-1",
    "run 127.0.0.1:1 --ttl -1", "run 127.0.0.1:1 --miss-ratio 1.1",
    "run 127.0.0.1:1 --miss-ratio nan", "run 127.0.0.1:1 --mix set --miss-ratio 0.1",
    "run 127.0.0.1:1 --mix set --set-on-miss", "run 127.0.0.1:1 --requests-per-connection -1",
    "run 127.0.0.1:1 --distribution hotspot:90", "run 127.0.0.1:1 --distribution gaussian:0",
    "run 127.0.0.1:1 --preset bogus", "run 127.0.0.1:1 --preset",
    "run 127.0.0.1:1 --mix incr --keys 4000000000",
    "run 127.0.0.1:1 --multiget 0", "run 127.0.0.1:1 --clients 99999999999999999999",
])
func badArgumentsGetOneLine(_ line: String) throws {
    let result = try bench(line)
    #expect(result.exitCode == 64)
    #expect(result.output.hasPrefix("brim-bench: "))
    #expect(result.output.split(separator: "\n").count == 1)
}

@Test func helpIsNoMistake() throws {
    for line in ["--help", "run --help", "help compare"] {
        let result = try bench(line)
        #expect(result.exitCode == 0)
        #expect(result.output.contains("USAGE"))
    }
}

@Test func nobodyThereExitsWithOne() throws {
    let result = try bench("run 127.0.0.1:\(try freePort())")
    #expect(result.exitCode == 1)
    #expect(result.output.contains("ECONNREFUSED"))
}

@Test func targetsAreReadAsWritten() throws {
    #expect(try Target(parsing: "127.0.0.1:5").address == .loopback(port: 5))
    #expect(try Target(parsing: "127.0.0.1").address == .loopback(port: 11211))
    #expect(try Target(parsing: ":7").address == .loopback(port: 7))
    #expect(try Target(parsing: "a=127.0.0.1:5").name == "a")
    #expect(try Target(parsing: "127.0.0.1:5").name == "127.0.0.1:5")
    #expect(try Target(parsing: "unix:/x").address == .unix(path: "/x"))
    #expect(try Target(parsing: "b=unix:/x").address == .unix(path: "/x"))
    #expect(throws: ArgumentFault.self) { try Target(parsing: "=127.0.0.1:5") }
    #expect(throws: ArgumentFault.self) { try Target(parsing: "") }
}

@Test func workloadFilesAreOptions() throws {
    let path = "/tmp/brim-bench-\(getpid()).txt"
    defer { unlink(path) }
    #expect(TextFile.replace(path, with: "# Load.\n\ndepth = 0 # none\nverify\n") == 0)
    let first = try bench("run 127.0.0.1:1 --workload \(path)")
    #expect(first.exitCode == 64)
    #expect(first.output.contains("depth: 1 to"))
    // The command line overrides the file.
    let second = try bench("run 127.0.0.1:\(try freePort()) --depth 1 --workload=\(path)")
    #expect(second.exitCode == 1)
    #expect(TextFile.replace(path, with: "depth 1\n") == 0)
    #expect(try bench("run 127.0.0.1:1 --workload \(path)").exitCode == 64)
    #expect(try bench("run 127.0.0.1:1 --workload /nonexistent").exitCode == 64)
    #expect(try bench("run 127.0.0.1:1 --workload").exitCode == 64)
}

@Test func everyBundledWorkloadMakesSense() throws {
    let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    let folder = tests.joined(separator: "/") + "/Bench/workloads"
    let names = SystemTree.names(in: folder)
    #expect(names.count >= 8)
    let port = try freePort()
    for name in names {
        let result = try bench("run 127.0.0.1:\(port) --workload \(folder)/\(name)")
        #expect(result.output.contains("ECONNREFUSED"), "\(name): \(result.output)")
    }
}

@Test(arguments: ["etc", "twitter-12", "twitter-14", "twitter-18", "twitter-22", "twitter-29"])
func everyPresetMakesSense(name: String) throws {
    let result = try bench("run 127.0.0.1:\(try freePort()) --preset \(name)")
    #expect(result.output.contains("ECONNREFUSED"), "\(result.output)")
    // What is said beside it counts more.
    let other = try bench("run 127.0.0.1:1 --key-bytes 0 --preset=\(name)")
    #expect(other.exitCode == 64)
}

@Suite(.enabled(if: Memcached.path != nil, "memcached is not installed"), .serialized)
struct ArgumentTests {
    /// Each bundled workload, made small, with every value checked.
    @Test func everyBundledWorkloadRuns() throws {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        let folder = tests.joined(separator: "/") + "/Bench/workloads"
        let server = try Memcached(["-I", "2m", "-m", "256"])
        for name in SystemTree.names(in: folder) {
            let small = "--workload \(folder)/\(name) --keys 300 --clients 5 --verify"
            let fill = try bench("fill \(server.target.name) \(small)")
            #expect(fill.exitCode == 0, "\(name): \(fill.output)")
            let run = try bench("run \(server.target.name) \(small) --operations 3000")
            #expect(run.exitCode == 0, "\(name): \(run.output)")
            #expect(run.output.contains(" 0 errors"), "\(name): \(run.output)")
            #expect(run.output.split(separator: "\n").allSatisfy { $0.count <= 100 }, "\(name)")
        }
    }

    @Test func everyPresetRuns() throws {
        let server = try Memcached()
        for name in ["etc", "twitter-14", "twitter-22", "twitter-34"] {
            let run = try bench(
                "run \(server.target.name) --preset \(name) --keys 300 --clients 5 --verify "
                    + "--operations 3000 --set-on-miss --json")
            #expect(run.exitCode == 0, "\(name): \(run.output)")
            #expect(run.output.contains("\"errors\": 0"), "\(name): \(run.output)")
            #expect(!run.output.contains("\"sets_on_miss\": 0,"), "\(name): \(run.output)")
        }
    }

    @Test func twoServersAreCompared() throws {
        let (one, two) = (try Memcached(), try Memcached())
        let result = try bench(
            "compare --target one=\(one.target.name) --target two=\(two.target.name) --rounds 3 "
                + "--seconds 0.05 --warmup 0.02 --keys 500 --clients 4")
        #expect(result.exitCode == 0, "\(result.output)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("fill ") }.count == 2)
        #expect(lines.filter { $0.hasPrefix("round ") }.count == 6)
        #expect(lines.contains { $0.hasPrefix("one ") && $0.contains("1.00") })
        #expect(lines.contains { $0.hasPrefix("two ") })
        #expect(lines.allSatisfy { $0.count <= 100 })
    }

    @Test func serversAreStartedAndStopped() throws {
        let path = try Memcached.path.orThrow()
        let (one, two) = (try freePort(), try freePort())
        let user = getuid() == 0 ? "-u nobody" : ""
        let child = try Child(
            executable,
            [
                "compare", "--rounds", "1", "--seconds", "0.05", "--warmup", "0", "--keys", "100",
                "--clients", "2", "--target", "one=127.0.0.1:\(one)", "--start",
                "one=\(path) -l 127.0.0.1 -p \(one) -U 0 \(user)", "--target",
                "two=127.0.0.1:\(two)", "--start",
                "two=\(path) -l 127.0.0.1 -p \(two) -U 0 \(user)",
            ])
        let result = child.finish()
        #expect(result.exitCode == 0, "\(result.output)")
        #expect(ServerProcess(listeningOn: .loopback(port: one)) == nil)
        #expect(ServerProcess(listeningOn: .loopback(port: two)) == nil)
    }

    @Test(arguments: ["/bin/false", "/bin/sleep 0.05", "/nonexistent/server"])
    func aServerThatDoesNotStartIsNamed(command: String) throws {
        let child = try Child(
            executable,
            [
                "compare", "--target", "one=127.0.0.1:\(try freePort())", "--start",
                "one=\(command)",
            ])
        let result = child.finish()
        #expect(result.exitCode == 1)
        #expect(result.output.contains("one was not started: it ended at once"))
    }

    @Test func aServerThatIsThereAlreadyIsNotOurs() throws {
        let server = try Memcached()
        let child = try Child(
            executable,
            ["compare", "--target", "one=\(server.target.name)", "--start", "one=/bin/sleep 9"])
        let result = child.finish()
        #expect(result.exitCode == 1)
        #expect(result.output.contains("answers on its address already"))
    }

    @Test func percentilesAreWrittenInTheirOwnFormat() throws {
        let server = try Memcached()
        let path = "/tmp/brim-bench-\(getpid()).hgrm"
        defer { unlink(path + ".get") }
        let result = try bench(
            "run \(server.target.name) --keys 100 --clients 3 --operations 1000 --hdr \(path)")
        #expect(result.exitCode == 0)
        let text = try SystemTree.text(path + ".get").orThrow()
        #expect(text.split(separator: "\n").first?.contains("Percentile") == true)
        #expect(text.contains("Total count    =         1000"), "\(text.suffix(300))")
    }

    @Test func aRunIsToldInWordsAndInJSON() throws {
        let server = try Memcached()
        let name = server.target.name
        #expect(try bench("fill \(name) --keys 100 --clients 3").exitCode == 0)
        let words = try bench("run \(name) --keys 100 --clients 3 --operations 1000")
        #expect(words.exitCode == 0)
        #expect(words.output.contains("1 000 hits, 0 misses (100.00 % hits), 0 errors"))
        let object = try bench("run \(name) --keys 100 --clients 3 --operations 1000 --json")
        #expect(object.output.hasPrefix("{\"target\": \"\(name)\""))
        #expect(object.output.contains("\"hits\": 1000, \"misses\": 0, \"errors\": 0"))
        #expect(object.output.contains("\"server_process\": \(server.child.id)"))
    }
}
