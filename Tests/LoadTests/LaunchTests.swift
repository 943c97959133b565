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
}
