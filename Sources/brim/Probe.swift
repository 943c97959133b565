// Probe: `brim --probe`, which asks a running server whether it is ready, for images without curl.
//
// It asks the first admin address of its settings for /readyz; without one, the first address of
// the data port for its version. It never waits for longer than a second for anything.

internal import Primitives
internal import Server
internal import Uring

enum Probe {
    private static let milliseconds = 1000

    /// 0 if the server is ready, else 1 with a line that says why not.
    static func run(_ settings: Settings) -> Int32 {
        let (address, question, answer) = target(of: settings)
        guard let address else { return fail("the settings name no address to ask") }
        do {
            let reply = try ask(address, question)
            guard reply.hasPrefix(answer) else {
                let line = reply.prefix { !$0.isNewline }
                return fail("\(address) answered '\(line)'")
            }
            return 0
        } catch {
            return fail("\(error)")
        }
    }

    private static func fail(_ text: String) -> Int32 {
        TextFile.writeToStandardError("brim: not ready: \(text)\n")
        return 1
    }

    private static func target(
        of settings: Settings
    ) -> (address: SocketAddress?, question: String, answer: String) {
        let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        let admin = settings.admin
        if let address = admin.addresses.first {
            return (resolve(address), request, "HTTP/1.1 200 ")
        }
        if let path = admin.unixSocketPaths.first {
            return (.unix(path: path), request, "HTTP/1.1 200 ")
        }
        if let address = settings.listenAddresses.first {
            return (resolve(address), "version\r\n", "VERSION ")
        }
        return (settings.unixSocketPath.map { .unix(path: $0) }, "version\r\n", "VERSION ")
    }

    /// Who listens on every address is asked on the loopback one.
    private static func resolve(_ address: ListenAddress) -> SocketAddress? {
        let loopbacks = ["0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"]
        let host = loopbacks[address.host] ?? address.host
        return try? SocketAddress.resolve(
            Endpoint(host: host, port: address.port), defaultPort: address.port
        ).first
    }

    private static func ask(_ address: SocketAddress, _ question: String) throws -> String {
        let socket = try Socket.connected(to: address, timeoutMilliseconds: milliseconds)
        defer { socket.close() }
        socket.setReceiveTimeout(milliseconds: milliseconds)
        let memory = try Region.map(byteCount: 4096)
        for (offset, byte) in question.utf8.enumerated() { memory.store(byte, at: offset) }
        guard socket.send(from: memory, at: 0, count: question.utf8.count) == question.utf8.count
        else { return "" }
        let count = socket.receive(into: memory, at: 0, count: memory.byteCount)
        guard count > 0 else { return "" }
        return String(decoding: (0..<count).map { memory.uint8(at: $0) }, as: UTF8.self)
    }
}
