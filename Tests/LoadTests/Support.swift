// Support: processes, ports and servers for the tests of the load.

import Glibc
import Load
import Primitives
import Synchronization
import Uring

/// 1 / x^-exponent, for statistics.
func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }

func exponential(_ x: Double) -> Double { exp(x) }
func errorFunction(_ x: Double) -> Double { erf(x) }

/// Where the built brim-bench lies: beside the test bundle.
let executable: String = {
    let own = SystemTree.target(ofLink: "/proc/self/exe") ?? ""
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        .joined(separator: "/") + "/brim-bench"
}()

/// Runs brim-bench with blank-separated arguments to its end.
func bench(_ line: String) throws -> (output: String, exitCode: Int32?) {
    try Child(executable, line.split(separator: " ").map(String.init)).finish()
}

/// Nobody else starts a process between the making of a pipe and its use.
private let spawning = Mutex(())

/// A process that a test started; ended, by its number, with the value.
final class Child: Sendable {
    let id: pid_t
    private let reading: Int32
    private let isReaped = Mutex(false)

    /// Starts a program; standard output and standard error go to one pipe.
    init(_ path: String, _ arguments: [String]) throws {
        (id, reading) = try spawning.withLock { _ in
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw ChildError(code: errno) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            defer { close(ends[1]) }
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
            posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
            let argv = ([path] + arguments).map { strdup($0) } + [nil]
            defer { for text in argv { free(text) } }
            var id: pid_t = 0
            let code = posix_spawn(&id, path, &actions, nil, argv, environ)
            guard code == 0 else {
                close(ends[0])
                throw ChildError(code: code)
            }
            return (id, ends[0])
        }
    }

    /// Waits for its end. What it said, and its exit code (nil if a signal ended it).
    func finish() -> (output: String, exitCode: Int32?) {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(reading, &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        let status = reap()
        let text = String(decoding: bytes, as: UTF8.self)
        return (text, status & 0x7F == 0 ? status >> 8 & 0xFF : nil)
    }

    private func reap() -> Int32 {
        isReaped.withLock { isReaped in
            guard !isReaped else { return 0 }
            isReaped = true
            var status: Int32 = 0
            while waitpid(id, &status, 0) < 0, errno == EINTR {}
            return status
        }
    }

    func end() {
        guard !isReaped.withLock({ $0 }) else { return }
        kill(id, SIGKILL)
        _ = reap()
    }

    deinit {
        end()
        close(reading)
    }
}

struct ChildError: Error { let code: Int32 }

/// The packaged memcached, on a port of its own.
final class Memcached: Sendable {
    static let path: String? = ["/usr/bin/memcached", "/usr/local/bin/memcached"]
        .first { (path: String) in access(path, X_OK) == 0 }
    let child: Child
    let target: Target

    init(_ arguments: [String] = []) throws {
        let path = try Memcached.path.orThrow()
        for _ in 0..<20 {
            // The port may be taken between the two lines; then the child ends at once.
            let port = try freePort()
            let child = try Child(
                path,
                ["-l", "127.0.0.1", "-p", "\(port)", "-U", "0", "-u", "nobody", "-t", "2"]
                    + arguments)
            if answers(port, child) {
                self.child = child
                target = try Target(parsing: "127.0.0.1:\(port)")
                return
            }
            child.end()
        }
        throw ChildError(code: EADDRINUSE)
    }
}

/// Whether the child itself listens on the port within a few seconds.
private func answers(_ port: UInt16, _ child: Child) -> Bool {
    for _ in 0..<500 {
        if ServerProcess(listeningOn: .loopback(port: port))?.id == child.id { return true }
        usleep(10_000)
    }
    return false
}

func freePort() throws -> UInt16 {
    let listener = try Listener.tcp(.loopback(port: 0))
    defer { listener.socket.close() }
    return try listener.address.port.orThrow()
}

extension Optional {
    func orThrow() throws -> Wrapped {
        guard let self else { throw ChildError(code: ENOENT) }
        return self
    }
}

/// A server that misbehaves as told: it answers `version` and `stats` of the first connection,
/// and hands all others to `serve`, each on a thread.
final class BadServer: Sendable {
    let target: Target
    private let listener: Listener
    private let acceptor: ThreadBox

    init(serve: @escaping @Sendable (Int32) -> Void) throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        self.listener = listener
        target = try Target(parsing: "bad=\(listener.address)")
        acceptor = ThreadBox()
        let peers = ThreadBox()
        acceptor.append(
            try Thread(name: "accept") {
                var isFirst = true
                while true {
                    let peer = accept(listener.socket.descriptor, nil, nil)
                    guard peer >= 0 else { break }
                    guard !isFirst else {
                        isFirst = false
                        send(peer, "VERSION bad\r\nEND\r\n")
                        discard(from: peer)
                        close(peer)
                        continue
                    }
                    guard
                        let thread = try? Thread(
                            name: "peer",
                            body: {
                                serve(peer)
                                close(peer)
                            })
                    else { break }
                    peers.append(thread)
                }
                peers.joinAll()
            })
    }

    /// Ends it and waits for its threads.
    func end() {
        shutdown(listener.socket.descriptor, Int32(SHUT_RDWR))
        acceptor.joinAll()
        listener.socket.close()
    }
}

/// Sends all of a text.
func send(_ descriptor: Int32, _ text: String) { sendBytes(descriptor, Array(text.utf8)) }

/// Reads until the peer closes.
func discard(from descriptor: Int32) {
    var bytes = [UInt8](repeating: 0, count: 4096)
    while recv(descriptor, &bytes, bytes.count, 0) > 0 {}
}

/// Lines of a connection, one by one, without their ends; nil when it is over.
struct LineReader {
    let descriptor: Int32
    private var bytes: [UInt8] = []
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    mutating func next() -> String? {
        while true {
            if let end = bytes.firstIndex(of: 10) {
                let line = String(decoding: bytes[..<end], as: UTF8.self)
                bytes.removeSubrange(...end)
                return line.hasSuffix("\r") ? String(line.dropLast()) : line
            }
            var part = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &part, part.count, 0)
            guard count > 0 else { return nil }
            bytes += part[..<count]
        }
    }
}

/// Accepts connections, or lets the system do so, and never says a word.
final class SilentServer: Sendable {
    let target: Target
    private let listener: Listener

    init() throws {
        listener = try Listener.tcp(.loopback(port: 0))
        target = try Target(parsing: "silent=\(listener.address)")
    }

    func end() { listener.socket.close() }
}

/// Reads so many bytes; nil if the peer closes before.
func receive(_ count: Int, from descriptor: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let got = bytes[filled...].withUnsafeMutableBytes {
            recv(descriptor, $0.baseAddress, $0.count, 0)
        }
        guard got > 0 else { return nil }
        filled += got
    }
    return bytes
}

/// Sends all of some bytes.
func sendBytes(_ descriptor: Int32, _ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
        let count = bytes[sent...].withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        sent += count
    }
}

/// Values that connections of a misbehaving server share.
final class SharedValues: Sendable {
    private let values = Mutex<(byKey: [String: String], last: String)>(([:], ""))
    private let harm: Harm
    init(_ harm: Harm) { self.harm = harm }

    func set(_ key: String, _ value: String) {
        values.withLock { values in
            values.last = value
            if harm != .stale || values.byKey[key] == nil { values.byKey[key] = value }
        }
    }

    func get(_ key: String) -> String? {
        values.withLock { values in
            guard let value = values.byKey[key] else { return nil }
            switch harm {
            case .none, .stale: return value
            case .torn: return String(value.dropLast(3)) + "~~~"
            case .swapped: return values.last
            }
        }
    }
}
