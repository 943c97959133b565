// BadServerTests: servers that answer wrongly, close or stall are named, in bounded time.

import Glibc
import Load
import Primitives
import Testing

/// Runs a short load against a server and returns how it failed.
private func failure(
    _ mix: String = "get", depth: Int = 2, verifies: Bool = false,
    serve: @escaping @Sendable (Int32) -> Void
) throws -> LoadFailure? {
    let server = try BadServer(serve: serve)
    defer { server.end() }
    var plan = LoadPlan()
    plan.clientCount = 2
    plan.depth = depth
    plan.keyCount = 100
    plan.mix = try CommandMix(parsing: mix)
    plan.warmupSeconds = 0
    plan.length = .seconds(20)
    plan.stallSeconds = 0.5
    plan.verifies = verifies
    let start = Clock.monotonicNanoseconds()
    defer { #expect(Clock.monotonicNanoseconds() - start < 10_000_000_000) }
    do throws(LoadFailure) {
        _ = try LoadRun.perform(plan, against: server.target)
        return nil
    } catch {
        return error
    }
}

/// Answers each line of a connection by what `reply` makes of it, until it returns nil.
private func answering(_ reply: @escaping @Sendable (String) -> String?)
    -> @Sendable (Int32) -> Void
{
    { peer in
        var lines = LineReader(peer)
        while let line = lines.next(), let text = reply(line) { send(peer, text) }
    }
}

private func key(_ line: String) -> String {
    String(line.split(separator: " ").dropFirst().first ?? "")
}

@Suite(.serialized) struct BadServerTests {
    @Test func aHonestFakePasses() throws {
        let server = try BadServer(
            serve: answering { "VALUE \(key($0)) 0 3\r\nabc\r\nEND\r\n" })
        defer { server.end() }
        var plan = LoadPlan()
        plan.clientCount = 2
        plan.warmupSeconds = 0
        plan.length = .operations(100)
        let outcome = try LoadRun.perform(plan, against: server.target)
        #expect(outcome.counters.hits == 100)
        // It listens in this process.
        #expect(outcome.serverProcess == getpid())
    }

    @Test func aValueOfAnotherKeyIsAWrongReply() throws {
        let failure = try failure(
            serve: answering { _ in "VALUE other 0 3\r\nabc\r\nEND\r\n" })
        guard case .wrongReply(_, let request, let reply, _)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(request.hasPrefix("get key-"))
        #expect(reply == "\"VALUE other 0 3\"")
    }

    @Test(arguments: [
        ("get", "STORED\r\n"), ("get", "NOT_FOUND\r\n"), ("get", "HELLO\r\n"),
        ("get", "VALUE x\r\n"), ("delete", "STORED\r\n"), ("touch", "END\r\n"),
        ("delete", "VALUE key 0 1\r\nx\r\n"), ("get", "\r\n"),
    ])
    func aReplyOfAnotherKindIsAWrongReply(mix: String, reply: String) throws {
        let failure = try failure(mix, serve: answering { _ in reply })
        guard case .wrongReply? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func aSecondReplyIsAWrongReply() throws {
        let failure = try failure(depth: 1, serve: answering { _ in "END\r\nEND\r\n" })
        guard case .wrongReply? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func aShortValueIsAWrongReply() throws {
        let failure = try failure(
            serve: answering { "VALUE \(key($0)) 0 10\r\nabc\r\nEND\r\nEND\r\nEND\r\n" })
        guard case .wrongReply? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func anEndlessLineIsAWrongReply() throws {
        let failure = try failure(
            serve: answering { _ in String(repeating: "x", count: 100_000) })
        guard case .wrongReply? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func repliesOutOfOrderAreWrong() throws {
        let failure = try failure { peer in
            var lines = LineReader(peer)
            while let one = lines.next(), let two = lines.next() {
                for key in [key(two), key(one)] {
                    send(peer, "VALUE \(key) 0 1\r\nx\r\nEND\r\n")
                }
            }
        }
        guard case .wrongReply? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func aCloseIsNamed() throws {
        let failure = try failure(serve: answering { _ in nil })
        guard case .closed(_, let outstanding, _)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(outstanding == 2)
    }

    @Test(arguments: ["", "VALUE key"])
    func aStallIsNamed(part: String) throws {
        let failure = try failure { peer in
            var lines = LineReader(peer)
            _ = lines.next()
            send(peer, part)
            discard(from: peer)
        }
        guard case .stalled(_, 2, let request, 0.5)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(request.hasPrefix("get key-"))
    }

    @Test func aServerThatNeverSpeaksIsNamed() throws {
        let listener = try SilentServer()
        defer { listener.end() }
        #expect(throws: LoadFailure.self) {
            try LoadRun.perform(LoadPlan(), against: listener.target)
        }
    }

    @Test func unverifiableValuesAreNamed() throws {
        let value = String(repeating: "x", count: 100)
        let failure = try failure(
            verifies: true,
            serve: answering { "VALUE \(key($0)) 0 100\r\n\(value)\r\nEND\r\n" })
        guard case .badValue(_, let key, .foreign)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(key.hasPrefix("key-"))
    }

    /// Remembers the first value of each key for good: gets are stale after the second set.
    @Test func staleValuesAreNamed() throws {
        let failure = try failure("get,set", depth: 8, verifies: true) { peer in
            keepFirst(peer) { $0 }
        }
        guard case .badValue(_, _, .stale)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    /// Mixes bytes into what it returns.
    @Test func tornValuesAreNamed() throws {
        let failure = try failure("get,set", depth: 8, verifies: true) { peer in
            keepFirst(peer) { String($0.dropLast(3)) + "~~~" }
        }
        guard case .badValue(_, _, .torn)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }
}

/// Serves get and set of one connection; a key keeps its first value.
private func keepFirst(_ peer: Int32, _ change: (String) -> String) {
    var lines = LineReader(peer)
    var values: [String: String] = [:]
    while let line = lines.next() {
        if line.hasPrefix("set ") {
            guard let value = lines.next() else { return }
            values[key(line)] = values[key(line)] ?? value
            send(peer, "STORED\r\n")
        } else if let value = values[key(line)] {
            send(peer, "VALUE \(key(line)) 0 \(value.utf8.count)\r\n\(change(value))\r\nEND\r\n")
        } else {
            send(peer, "END\r\n")
        }
    }
}
