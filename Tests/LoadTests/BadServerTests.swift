// BadServerTests: servers that answer wrongly, close or stall are named, in bounded time.

import Glibc
import Load
import Primitives
import Testing
import Uring

/// Only a load that hangs takes as long as this: a server that is wrong is named at once, one that
/// stalls after half a second.
let hangNanoseconds: UInt64 = 120_000_000_000

/// Runs a short load against a server and returns how it failed.
private func failure(
    _ mix: String = "get", depth: Int = 2, verifies: Bool = false, rate: Double? = nil,
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
    // Who does not notice goes on for longer than any machine takes to notice.
    plan.length = .seconds(600)
    plan.stallSeconds = 0.5
    plan.verifies = verifies
    plan.rate = rate
    let start = Clock.monotonicNanoseconds()
    defer { #expect(Clock.monotonicNanoseconds() - start < hangNanoseconds) }
    do throws(LoadFailure) {
        _ = try LoadRun.perform(plan, against: server.target)
        return nil
    } catch {
        return error
    }
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

    @Test(arguments: [nil, 500]) func aValueOfAnotherKeyIsAWrongReply(rate: Double?) throws {
        let failure = try failure(
            rate: rate, serve: answering { _ in "VALUE other 0 3\r\nabc\r\nEND\r\n" })
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

    @Test(arguments: ["END\r\nEND\r\n", "END\r\nx", "END\r\n\r\n", "END\r\n\0"])
    func bytesBehindAReplyAreAWrongReply(reply: String) throws {
        let failure = try failure(depth: 1, serve: answering { _ in reply })
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

    @Test(arguments: [nil, 500]) func aCloseIsNamed(rate: Double?) throws {
        let failure = try failure(rate: rate, serve: answering { _ in nil })
        guard case .closed(_, let outstanding, _)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(outstanding >= 1)
    }

    @Test(arguments: ["VALUE key", "VALUE # 0 10\r\nabc", "VALUE # 0 3\r\nabc\r\n"])
    func aCloseInTheMiddleOfAReplyIsNamed(part: String) throws {
        let failure = try failure { peer in
            var lines = LineReader(peer)
            let key = key(lines.next() ?? "")
            _ = lines.next()
            send(peer, part.split(separator: "#").joined(separator: key))
        }
        guard case .cutOff(_, let request, 0)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(request.hasPrefix("get key-"))
    }

    @Test(arguments: [nil, 500]) func aResetIsNamed(rate: Double?) throws {
        let failure = try failure(rate: rate) { peer in
            var lines = LineReader(peer)
            _ = lines.next()
            Socket(descriptor: peer).resetOnClose()
        }
        guard case .closed(_, _, let code)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect([ECONNRESET, EPIPE].contains(code))
    }

    @Test(arguments: ["", "VALUE key", "VALUE # 0 10\r\nabc"], [nil, 500])
    func aStallIsNamed(part: String, rate: Double?) throws {
        let failure = try failure(rate: rate) { peer in
            var lines = LineReader(peer)
            let key = key(lines.next() ?? "")
            send(peer, part.split(separator: "#").joined(separator: key))
            discard(from: peer)
        }
        guard case .stalled(_, 1...2, let request, 0.5)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(request.hasPrefix("get key-"))
    }

    /// Each byte is progress, so that it is no stall; the deadline ends it.
    @Test func aTrickleEndsWithTheDeadline() throws {
        let server = try BadServer { peer in
            var lines = LineReader(peer)
            while lines.next() != nil {
                for byte in ["E", "N", "D", "\r", "\n"] {
                    usleep(200_000)
                    send(peer, byte)
                }
            }
        }
        defer { server.end() }
        var plan = LoadPlan()
        plan.clientCount = 2
        plan.warmupSeconds = 0
        plan.length = .operations(100)
        plan.deadlineSeconds = 0.7
        plan.stallSeconds = 5
        #expect(throws: LoadFailure.unfinished(seconds: 0.7)) {
            try LoadRun.perform(plan, against: server.target)
        }
    }

    /// Whether in the warm-up or while its last replies are waited for.
    @Test(arguments: [nil, 500]) func aStallInTheWarmUpIsNamed(rate: Double?) throws {
        let server = try BadServer { peer in
            var lines = LineReader(peer)
            for _ in 0..<10 where lines.next() != nil { send(peer, "END\r\n") }
            discard(from: peer)
        }
        defer { server.end() }
        var plan = LoadPlan()
        plan.clientCount = 2
        plan.warmupSeconds = 0.3
        plan.length = .operations(100)
        plan.rate = rate
        plan.stallSeconds = 0.5
        do throws(LoadFailure) {
            _ = try LoadRun.perform(plan, against: server.target)
            #expect(Bool(false), "it passed")
        } catch {
            guard case .stalled = error else { return #expect(Bool(false), "\(error)") }
        }
    }

    @Test func aServerThatNeverSpeaksIsNamed() throws {
        let listener = try SilentServer()
        defer { listener.end() }
        #expect(throws: LoadFailure.self) {
            try LoadRun.perform(LoadPlan(), against: listener.target)
        }
    }

    /// A binary server whose gets answer another request than was asked.
    @Test(arguments: [nil, 500] as [Double?], [0, 1] as [UInt8])
    func aWrongOpaqueIsAWrongReply(rate: Double?, error: UInt8) throws {
        let server = try BadServer { serveBinary($0, opaqueError: error) }
        defer { server.end() }
        var plan = LoadPlan()
        plan.clientCount = 2
        plan.keyCount = 100
        plan.warmupSeconds = 0
        plan.wireProtocol = .binary
        plan.rate = rate
        plan.length = .operations(50)
        plan.stallSeconds = 2
        do throws(LoadFailure) {
            let outcome = try LoadRun.perform(plan, against: server.target)
            #expect(error == 0)
            #expect(outcome.counters.hits == 50)
        } catch {
            guard case .wrongReply(_, _, _, let reason) = error else {
                return #expect(Bool(false), "\(error)")
            }
            #expect(reason.contains("opaque"))
        }
    }

    /// Nor may the questions before a run take for ever.
    @Test func endlessFactsAreCutShort() throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        let target = try Target(parsing: "endless=\(listener.address)")
        let thread = try Thread(name: "endless") {
            let peer = accept(listener.socket.descriptor, nil, nil)
            var byte: UInt8 = 0
            // Until the other side has closed; MSG_DONTWAIT only looks.
            while recv(peer, &byte, 1, Int32(MSG_DONTWAIT)) != 0, errno != ECONNRESET {
                send(peer, "STAT a b\r\n")
                usleep(50_000)
            }
            close(peer)
        }
        #expect(throws: LoadFailure.self) { try ServerFacts.ask(target, seconds: 0.5) }
        thread.join()
        listener.socket.close()
    }

    /// The system holds back whoever connects once the queue of those that wait is full.
    @Test func aServerThatNeverAcceptsIsNamed() throws {
        let server = try FullServer()
        defer { server.end() }
        var plan = LoadPlan()
        plan.stallSeconds = 0.5
        do throws(LoadFailure) {
            _ = try LoadRun.perform(plan, against: server.target)
            #expect(Bool(false), "it passed")
        } catch {
            guard case .unreachable = error else { return #expect(Bool(false), "\(error)") }
            #expect("\(error)".contains("ETIMEDOUT"), "\(error)")
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
