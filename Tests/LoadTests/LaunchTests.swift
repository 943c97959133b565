// LaunchTests: servers that a comparison starts end with it, however it ends, and are the ones
// that are measured.

import Glibc
import Load
import Primitives
import Testing

/// Waits until something holds; false if it does not within half a minute.
private func eventually(_ holds: () -> Bool) -> Bool {
    for _ in 0..<3000 {
        if holds() { return true }
        usleep(10_000)
    }
    return holds()
}

/// A comparison that would last minutes, of two memcached that it starts itself.
private func startComparison() throws -> (child: Child, servers: [ServerProcess]) {
    let path = try Memcached.path.orThrow()
    let ports = [try freePort(), try freePort()]
    var arguments = [
        "compare", "--rounds", "100", "--seconds", "5", "--keys", "1000", "--clients", "2",
    ]
    for (name, port) in zip(["one", "two"], ports) {
        // Dropping privileges clears what the kernel would otherwise do at a parent's death.
        arguments += [
            "--target", "\(name)=127.0.0.1:\(port)", "--start",
            "\(name)=\(path) -l 127.0.0.1 -p \(port) -U 0 \(getuid() == 0 ? "-u nobody" : "")",
        ]
    }
    let child = try Child(executable, arguments)
    var servers: [ServerProcess] = []
    let isUp = eventually {
        servers = ports.compactMap { ServerProcess(listeningOn: .loopback(port: $0)) }
        return servers.count == ports.count
    }
    #expect(isUp)
    return (child, servers)
}

private func isGone(_ server: ServerProcess) -> Bool { server.processorNanoseconds == nil }

@Suite(.enabled(if: Memcached.path != nil, "memcached is not installed"), .serialized)
struct LaunchTests {
    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func aSignalStopsTheServersFirst(signal: Int32) throws {
        let (child, servers) = try startComparison()
        kill(child.id, signal)
        let result = child.finish()
        #expect(servers.allSatisfy(isGone), "they must be gone when brim-bench is")
        #expect(result.exitCode == 128 + signal, "\(result.output)")
        #expect(result.output.contains("its servers were stopped"))
    }

    @Test func serversDoNotOutliveBrimBenchItself() throws {
        let (child, servers) = try startComparison()
        kill(child.id, SIGKILL)
        #expect(eventually { servers.allSatisfy(isGone) })
        _ = child.finish()
    }

    @Test func portsAndFoldersAreChosenAndRemoved() throws {
        let path = try Memcached.path.orThrow()
        let user = getuid() == 0 ? "-u nobody" : ""
        let child = try Child(
            executable,
            [
                "compare", "--rounds", "2", "--seconds", "0.05", "--warmup", "0", "--keys", "100",
                "--clients", "2", "--start-cpu", "0", "--json",
                "--target", "tcp=127.0.0.1:0", "--start",
                "tcp=\(path) -l {host} -p {port} -U 0 \(user)",
                "--target", "unix=unix:{folder}/socket", "--start",
                "unix=\(path) -s {path} -a 777 \(user)",
            ])
        let result = child.finish()
        #expect(result.exitCode == 0, "\(result.output)")
        #expect(result.output.contains("\"server_cores\": \"0\""))
        #expect(!result.output.contains("{port}"))
        let address = try #require(
            result.output.firstMatch(of: /"address": "([^"]+\/socket)"/)
        ).output.1
        #expect(access(String(address.dropLast("/socket".count)), F_OK) == -1)
    }

    @Test func aTargetThatDoesNotStartDoesNotHideTheOther() throws {
        let server = try Memcached()
        let child = try Child(
            executable,
            [
                "compare", "--rounds", "2", "--seconds", "0.05", "--warmup", "0", "--keys", "100",
                "--clients", "2", "--target", "good=\(server.target.name)",
                "--target", "bad=127.0.0.1:\(try freePort())", "--start", "bad=/bin/false",
            ])
        let result = child.finish()
        #expect(result.exitCode == 1)
        #expect(result.output.contains("bad: FAILED before the first round"), "\(result.output)")
        #expect(result.output.contains("good: 1."))
        #expect(result.output.contains("brim-bench: bad was not started: it ended at once"))
    }

    /// A wrapper that leaves the serving to a child of its own is not what was started; it ends
    /// all the same, with its child.
    @Test func aServerThatIsNotTheChildEndsTheComparison() throws {
        let path = try Memcached.path.orThrow()
        let port = try freePort()
        let user = getuid() == 0 ? "-u nobody" : ""
        let child = try Child(
            executable,
            [
                "compare", "--target", "one=127.0.0.1:\(port)", "--start",
                "one=sh -c '\(path) -l 127.0.0.1 -p \(port) -U 0 \(user); true'",
            ])
        let result = child.finish()
        #expect(result.exitCode == 1)
        #expect(result.output.contains("is not the server that was started"), "\(result.output)")
        #expect(ServerProcess(listeningOn: .loopback(port: port)) == nil)
    }

    @Test func aListenerOnAnotherAddressIsAnother() throws {
        let port = try freePort()
        let path = try Memcached.path.orThrow()
        var arguments = ["-l", "127.0.0.2", "-p", "\(port)", "-U", "0"]
        if getuid() == 0 { arguments += ["-u", "nobody"] }
        let child = try Child(path, arguments)
        defer { child.end() }
        let address = try Target(parsing: "127.0.0.2:\(port)").address
        #expect(eventually { ServerProcess(listeningOn: address)?.id == child.id })
        #expect(ServerProcess(listeningOn: .loopback(port: port)) == nil)
    }

    @Test func aSuiteMakesOnePageOfSeveralLoads() throws {
        let folder = try ScratchFolder(prefix: "brim-suite")
        defer { folder.remove() }
        let server = try Memcached()
        let loads = "# Two.\n[first load]\nmix = get\n\n[second load]\nmix = set\ndepth = 4\n"
        #expect(TextFile.replace(folder.path + "/suite.txt", with: loads) == 0)
        #expect(TextFile.replace(folder.path + "/load.txt", with: "key-bytes = 9\n") == 0)
        let result = try bench(
            "suite \(folder.path)/suite.txt --target one=\(server.target.name) --rounds 2 "
                + "--seconds 0.05 --warmup 0 --keys 100 --clients 2 --csv "
                + "--workload \(folder.path)/load.txt "
                + "--html \(folder.path)/page.html --hdr \(folder.path)/hdr")
        #expect(result.exitCode == 0, "\(result.output)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 1 + 2 + 2)
        #expect(lines[1].hasPrefix("\"first load\",1,one,"))
        #expect(lines[1].contains(" depth=1 "))
        #expect(lines[3].contains(" depth=4 "))
        #expect(lines[1].contains(" key_bytes=9 "))
        let page = try SystemTree.text(folder.path + "/page.html").orThrow()
        #expect(page.contains("<h2>first load</h2>"))
        #expect(page.contains("<h2>second load</h2>"))
        #expect(SystemTree.text(folder.path + "/hdr.second-load.set") != nil)
    }

    @Test(arguments: [
        "suite", "suite /nonexistent --target a=127.0.0.1:1", "compare --start x=y --target a=:1",
        "compare --target a=127.0.0.1:1 --json --csv", "compare --target a=:1 --start-cpu x",
        "run 127.0.0.1:1 --json --csv", "compare --target a=:1 --rounds 1001",
    ])
    func argumentsThatMakeNoSenseStartNothing(line: String) throws {
        let result = try bench(line)
        #expect(result.exitCode == 64, "\(result.output)")
        #expect(result.output.split(separator: "\n").count == 1)
    }
}
