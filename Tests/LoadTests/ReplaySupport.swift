// ReplaySupport: small traces, and servers to replay them against, for the tests of the replay.

import Glibc
import Load
import Primitives
import Synchronization

/// A file that a test made; removed with the value, so keep it while its path is in use:
/// `defer { file.keep() }`.
final class TraceFile: Sendable {
    let path: String
    private static let count = Atomic<Int>(0)

    init(_ bytes: [UInt8] = []) throws {
        let number = TraceFile.count.wrappingAdd(1, ordering: .relaxed).newValue
        path = "/tmp/brim-bench-\(getpid())-\(number).trace"
        guard let file = fopen(path, "w") else { throw ChildError(code: errno) }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    convenience init(_ text: String) throws { try self.init(Array(text.utf8)) }

    deinit { unlink(path) }

    /// Uses it once more.
    @inline(never) func keep() {}
}

/// Bytes of one record of oracleGeneral, written here without the module under test.
func oracleRecord(_ time: UInt32, _ object: UInt64, _ size: UInt32, _ next: Int64 = -1)
    -> [UInt8]
{
    func little(_ value: UInt64, _ count: UInt64) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    return little(UInt64(time), 4) + little(object, 8) + little(UInt64(size), 4)
        + little(UInt64(bitPattern: next), 8)
}

/// All requests of a trace.
func requests(_ file: TraceFile, _ format: TraceFormat? = nil) throws -> [TraceRequest] {
    defer { file.keep() }
    return try requests(file.path, format)
}

func requests(_ path: String, _ format: TraceFormat? = nil) throws -> [TraceRequest] {
    var reader = try TraceReader(path, format: format)
    defer { reader.close() }
    var all: [TraceRequest] = []
    while true {
        switch try reader.next() {
        case .request(let request): all.append(request)
        case .pending: continue
        case .end: return all
        }
    }
}

/// Replays a trace's text with a few clients, unless `change` asks for more.
func replay(
    _ trace: String, against target: Target, _ change: (inout ReplayPlan) -> Void = { _ in }
) throws -> ReplayOutcome {
    try replay(Array(trace.utf8), against: target, change)
}

func replay(
    _ trace: [UInt8], against target: Target, _ change: (inout ReplayPlan) -> Void = { _ in }
) throws -> ReplayOutcome {
    let file = try TraceFile(trace)
    defer { file.keep() }
    var plan = ReplayPlan()
    plan.clientCount = 4
    plan.stallSeconds = 2
    change(&plan)
    try plan.check()
    return try ReplayRun.perform(plan, try TraceReader(file.path), against: target)
}

/// The failure of a replay.
func replayFailure(
    _ trace: String, against target: Target, _ change: (inout ReplayPlan) -> Void = { _ in }
) throws -> LoadFailure? {
    do {
        _ = try replay(trace, against: target, change)
        return nil
    } catch let failure as LoadFailure {
        return failure
    }
}

/// What a cache in this process was asked, and what it holds.
final class FakeCache: Sendable {
    struct State {
        var lines: [String] = []
        var values: [String: String] = [:]
    }
    let state = Mutex(State())
    /// Changes a value on its way out: key, value.
    let spoil: @Sendable (String, String) -> String
    /// Longest value that is taken.
    let bytesMax: Int
    /// Whether a key keeps its first value for good, whatever it answers to later sets.
    let keepsFirst: Bool
    /// Whether replies leave byte by byte.
    let isSlow: Bool

    init(
        bytesMax: Int = .max, keepsFirst: Bool = false, isSlow: Bool = false,
        spoil: @escaping @Sendable (String, String) -> String = { _, value in value }
    ) {
        self.bytesMax = bytesMax
        self.keepsFirst = keepsFirst
        self.isSlow = isSlow
        self.spoil = spoil
    }

    var lines: [String] { state.withLock { $0.lines } }

    /// Serves one connection.
    func serve(_ peer: Int32) {
        var reader = LineReader(peer)
        var on: Int32 = 1
        setsockopt(peer, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        while let line = reader.next() {
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 2 else { return }
            let isStore = words.count == 5
            guard let value = isStore ? reader.next() : "" else { return }
            let reply = state.withLock { answer(words, line, value, &$0) }
            if isSlow {
                for character in reply.unicodeScalars { send(peer, String(character)) }
            } else {
                send(peer, reply)
            }
        }
    }

    private func answer(
        _ words: [String], _ line: String, _ value: String, _ state: inout State
    ) -> String {
        state.lines.append(line)
        let key = words[1]
        let old = state.values[key]
        switch words[0] {
        case "get", "gets":
            guard let old else { return "END\r\n" }
            let text = spoil(key, old)
            let cas = words[0] == "gets" ? " 7" : ""
            return "VALUE \(key) 0 \(text.utf8.count)\(cas)\r\n\(text)\r\nEND\r\n"
        case "delete":
            state.values[key] = keepsFirst ? old : nil
            return old == nil ? "NOT_FOUND\r\n" : "DELETED\r\n"
        case "incr", "decr":
            guard let number = old.flatMap({ UInt64($0) }) else {
                return old == nil ? "NOT_FOUND\r\n" : "CLIENT_ERROR not a number\r\n"
            }
            state.values[key] = "\(number + 1)"
            return "\(number + 1)\r\n"
        default:
            guard value.utf8.count <= bytesMax else {
                return "SERVER_ERROR object too large for cache\r\n"
            }
            let wantsNone = words[0] == "add"
            guard words[0] == "set" || (old == nil) == wantsNone else { return "NOT_STORED\r\n" }
            if words[0] == "append" {
                state.values[key] = (old ?? "") + value
            } else if words[0] == "prepend" {
                state.values[key] = value + (old ?? "")
            } else if old == nil || !keepsFirst {
                state.values[key] = value
            }
            return "STORED\r\n"
        }
    }
}

/// Runs `body` against a server in this process.
func withFake<R>(_ cache: FakeCache, _ body: (Target) throws -> R) throws -> R {
    let server = try BadServer { cache.serve($0) }
    defer { server.end() }
    return try body(server.target)
}

/// The release server of this package, beside the tests, on a port of its own.
final class BrimServer: Sendable {
    static let path: String? = {
        let own = SystemTree.target(ofLink: "/proc/self/exe") ?? ""
        let path =
            own.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/") + "/brim"
        return access(path, X_OK) == 0 ? path : nil
    }()
    let child: Child
    let target: Target

    init(_ arguments: [String]) throws {
        let path = try BrimServer.path.orThrow()
        for _ in 0..<20 {
            let port = try freePort()
            let child = try Child(
                path, ["-l", "127.0.0.1", "-p", "\(port)", "-t", "1"] + arguments)
            for _ in 0..<1000 {
                if ServerProcess(listeningOn: .loopback(port: port))?.id == child.id {
                    self.child = child
                    target = try Target(parsing: "127.0.0.1:\(port)")
                    return
                }
                usleep(10_000)
            }
            child.end()
        }
        throw ChildError(code: EADDRINUSE)
    }
}
