// FloorTests: the server that does nothing answers what the generator asks, however it is cut.

import Glibc
import Load
import Primitives
import Testing
import Uring

/// A floor of its own, and a connection to it.
private struct Floor {
    let child: Child
    let socket: Socket

    init(valueBytes: Int) throws {
        let port = try freePort()
        child = try Child(
            executable, ["floor", "-p", "\(port)", "--value-bytes", "\(valueBytes)"])
        var connected: Socket?
        for _ in 0..<500 where connected == nil {
            connected = try? Socket.connected(to: .loopback(port: port))
            if connected == nil { usleep(10_000) }
        }
        socket = try connected.orThrow()
    }

    /// Sends texts one by one; whether the replies to all of them are this.
    func answers(_ texts: [String], with reply: String) -> Bool {
        for text in texts { send(socket.descriptor, text) }
        let expected = Array(reply.utf8)
        return receive(expected.count, from: socket.descriptor) == expected
    }

    func end() {
        socket.close()
        child.end()
    }
}

@Suite struct FloorTests {
    @Test func everyLineIsAnsweredOnce() throws {
        let floor = try Floor(valueBytes: 3)
        defer { floor.end() }
        let reply =
            "VALUE a 0 3\r\nfff\r\nEND\r\nSTORED\r\nVALUE key-2 0 3\r\nfff\r\nEND\r\nERROR\r\n"
            + "VERSION floor\r\nEND\r\n"
        let text =
            "get a\r\nset a 0 0 6\r\nget ab\r\nget key-2\r\nmg a\r\nversion\r\nstats\r\n"
        #expect(floor.answers([text], with: reply))
        #expect(floor.answers(text.map { "\($0)" }, with: reply), "byte by byte")
    }

    @Test func aLineWithoutEndIsNotKept() throws {
        let floor = try Floor(valueBytes: 3)
        defer { floor.end() }
        send(floor.socket.descriptor, String(repeating: "x", count: 1000))
        var byte: UInt8 = 0
        #expect(recv(floor.socket.descriptor, &byte, 1, 0) == 0)
    }

    @Test func aComparisonCanStartIt() throws {
        let result = try Child(
            executable,
            [
                "compare", "--rounds", "1", "--seconds", "0.05", "--warmup", "0", "--keys", "100",
                "--clients", "3", "--depth", "16", "--csv", "--target", "floor=127.0.0.1:0",
                "--start", "floor=\(executable) floor -l {host} -p {port} --value-bytes 100",
            ]
        ).finish()
        #expect(result.exitCode == 0, "\(result.output)")
        #expect(result.output.contains(",floor,127.0.0.1:"))
        #expect(!result.output.contains("FAILED"))
    }

    @Test func whatItCannotDoIsSaid() throws {
        #expect(try bench("floor --value-bytes 9999999").exitCode == 64)
        let taken = try Listener.tcp(.loopback(port: 0))
        defer { taken.socket.close() }
        let result = try bench("floor -p \(taken.address.port.orThrow())")
        #expect(result.exitCode == 1)
        #expect(result.output.contains("floor was not started"))
    }
}
