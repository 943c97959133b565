// WorkloadErrorTests: servers that are wrong in what the wider loads look at: counters, keys that
// nobody sets, quit, and the binary protocol.

import Glibc
import Load
import Primitives
import Testing

/// Runs a short load against a server and returns how it failed.
private func failure(
    _ mix: String, _ change: (inout LoadPlan) -> Void = { _ in },
    serve: @escaping @Sendable (Int32) -> Void
) throws -> LoadFailure? {
    let server = try BadServer(serve: serve)
    defer { server.end() }
    var plan = LoadPlan()
    plan.clientCount = 2
    plan.depth = 2
    plan.keyCount = 100
    plan.mix = try CommandMix(parsing: mix)
    plan.warmupSeconds = 0
    plan.length = .operations(5000)
    plan.stallSeconds = 0.5
    change(&plan)
    let start = Clock.monotonicNanoseconds()
    defer { #expect(Clock.monotonicNanoseconds() - start < hangNanoseconds) }
    do throws(LoadFailure) {
        _ = try LoadRun.perform(plan, against: server.target)
        return nil
    } catch {
        return error
    }
}

/// Counts, wrongly now and then; answers the lines of values, too.
private func counting(wrongEvery: Int) -> @Sendable (Int32) -> Void {
    { peer in
        var lines = LineReader(peer)
        var (numbers, requests): ([Substring: Int], Int) = ([:], 0)
        while let line = lines.next() {
            let words = line.split(separator: " ")
            if words[0] == "add" {
                guard lines.next() == "0" else { return }
                numbers[words[1]] = numbers[words[1]] ?? 0
                send(peer, "STORED\r\n")
            } else if let number = numbers[words[1]] {
                requests += 1
                let next = words[0] == "incr" ? number + 1 : max(number - 1, 0)
                numbers[words[1]] = next
                send(peer, "\(requests % wrongEvery == 0 ? next + 1 : next)\r\n")
            } else {
                send(peer, "NOT_FOUND\r\n")
            }
        }
    }
}

/// Answers requests of the binary protocol: what `reply` makes of opcode and opaque.
private func binary(_ reply: @escaping @Sendable (UInt8, [UInt8]) -> [UInt8]?)
    -> @Sendable (Int32) -> Void
{
    { peer in
        while let head = receive(24, from: peer) {
            let body = Int(head[10]) << 8 | Int(head[11])
            guard body == 0 || receive(body, from: peer) != nil,
                let bytes = reply(head[1], Array(head[12..<16]))
            else { return }
            sendBytes(peer, bytes)
        }
    }
}

private func head(
    _ opcode: UInt8, _ opaque: [UInt8], status: UInt8 = 0, extras: UInt8 = 0, body: UInt8 = 0
) -> [UInt8] {
    [0x81, opcode, 0, 0, extras, 0, 0, status, 0, 0, 0, body] + opaque
        + [0, 0, 0, 0, 0, 0, 0, 0]
}

@Suite(.serialized) struct WorkloadErrorTests {
    @Test func countersThatCountRightPass() throws {
        let change: (inout LoadPlan) -> Void = { $0.verifies = true }
        #expect(try failure("incr=3,decr=2", change, serve: counting(wrongEvery: .max)) == nil)
    }

    @Test func aCounterThatCountsWronglyIsNamed() throws {
        let failure = try failure(
            "incr=3,decr=2", { $0.verifies = true }, serve: counting(wrongEvery: 200))
        guard case .badValue(_, let key, .number(let number, let wanted))? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(key.hasPrefix("key-"))
        #expect(number == wanted + 1)
    }

    @Test func aHitForAKeyThatNobodySetsIsNamed() throws {
        let value = String(repeating: "x", count: 100)
        let failure = try failure(
            "get",
            {
                $0.verifies = true
                $0.missRatio = 1
            },
            serve: answering {
                "VALUE \($0.split(separator: " ")[1]) 0 100\r\n\(value)\r\nEND\r\n"
            })
        guard case .badValue(_, _, .absent)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func valuesOfTheWrongSizeAreNamed() throws {
        let value = String(repeating: "x", count: 20)
        let failure = try failure(
            "get",
            {
                $0.verifies = true
                $0.valueBytes = .range(least: 100, most: 200)
            },
            serve: answering {
                "VALUE \($0.split(separator: " ")[1]) 0 20\r\n\(value)\r\nEND\r\n"
            })
        guard case .badValue(_, _, .size(20, let wanted))? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(wanted >= 100 && wanted <= 200)
    }

    /// Misses everything, and looks at what follows a miss.
    @Test func aMissIsFollowedByASetOfItsKeyOnTheSameConnection() throws {
        let failure = try failure(
            "get",
            {
                $0.setsOnMiss = true
                $0.depth = 1
            },
            serve: { peer in
                var lines = LineReader(peer)
                var missed: String?
                while let line = lines.next() {
                    let words = line.split(separator: " ")
                    switch (words[0], missed) {
                    case ("get", nil):
                        missed = String(words[1])
                        send(peer, "END\r\n")
                    case ("set", .some(String(words[1]))):
                        guard lines.next() != nil else { return }
                        missed = nil
                        send(peer, "STORED\r\n")
                    default: return
                    }
                }
            })
        #expect(failure == nil)
    }

    @Test func aConnectionThatIsNotClosedAfterQuitIsAStall() throws {
        let failure = try failure(
            "get", { $0.requestsPerConnection = 3 },
            serve: answering {
                $0 == "quit" ? "" : "END\r\n"
            })
        guard case .stalled(_, 0, let request, 0.5)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect(request.hasPrefix("quit"))
    }

    @Test func aCloseBeforeQuitIsNamed() throws {
        let failure = try failure(
            "get", { $0.requestsPerConnection = 100 },
            serve: { peer in
                var lines = LineReader(peer)
                for _ in 0..<50 where lines.next() != nil { send(peer, "END\r\n") }
            })
        guard case .closed? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    // MARK: Binary

    @Test(arguments: [nil, "ERROR\r\n", "", "ERROR\r\nERROR\r\nERROR\r\nERROR\r\n"])
    func aServerThatDoesNotSpeakBinaryIsNamed(answer: String?) throws {
        let failure = try failure(
            "get", { $0.wireProtocol = .binary },
            serve: { peer in
                _ = receive(24, from: peer)
                guard let answer else { return }
                send(peer, answer)
                discard(from: peer)
            })
        guard case .notSpoken(.binary, _)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
        #expect("\(failure!)".hasPrefix("the server does not speak the binary protocol: it "))
    }

    @Test(arguments: [nil, "ERROR\r\n", "", "MN\r\n"])
    func aServerThatDoesNotSpeakMetaIsNamed(answer: String?) throws {
        let failure = try failure(
            "get", { $0.wireProtocol = .meta },
            serve: { peer in
                var lines = LineReader(peer)
                _ = lines.next()
                guard let answer else { return }
                send(peer, answer)
                discard(from: peer)
            })
        guard case .notSpoken(.meta, _)? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func anHonestBinaryServerPasses() throws {
        let failure = try failure(
            "get=3,set=1", { $0.wireProtocol = .binary },
            serve: binary {
                opcode, opaque in
                opcode == 0
                    ? head(0, opaque, extras: 4, body: 6) + [0, 0, 0, 0, 0x61, 0x62]
                    : head(opcode, opaque)
            })
        #expect(failure == nil)
    }

    /// Replies with another opaque, another opcode, to nothing, and no reply at all.
    @Test(arguments: ["opaque", "opcode", "twice", "text"])
    func wrongBinaryRepliesAreNamed(what: String) throws {
        let failure = try failure(
            "get",
            {
                $0.wireProtocol = .binary
                $0.depth = 1
            },
            serve: binary { opcode, opaque in
                guard opcode == 0 else { return head(opcode, opaque) }
                switch what {
                case "opaque": return head(0, [9, 9, 9, 9], status: 1)
                case "opcode": return head(1, opaque, status: 1)
                case "twice": return head(0, opaque, status: 1) + head(0, opaque, status: 1)
                default: return Array("END\r\n".utf8)
                }
            })
        guard case .wrongReply? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func binaryRepliesOutOfOrderAreWrong() throws {
        let failure = try failure(
            "get", { $0.wireProtocol = .binary },
            serve: { peer in
                while let one = receive(24, from: peer) {
                    let size = Int(one[11])
                    guard size > 0, receive(size, from: peer) != nil else {
                        sendBytes(peer, head(one[1], Array(one[12..<16])))
                        continue
                    }
                    guard let two = receive(24 + size, from: peer) else { return }
                    for request in [two, one] {
                        sendBytes(peer, head(0, Array(request[12..<16]), status: 1))
                    }
                }
            })
        guard case .wrongReply? = failure else {
            return #expect(Bool(false), "\(String(describing: failure))")
        }
    }

    @Test func binaryErrorsAreCountedAndShown() throws {
        let server = try BadServer(
            serve: binary { opcode, opaque in
                opcode == 0
                    ? head(0, opaque, status: 0x85, body: 4) + Array("Busy".utf8)
                    : head(opcode, opaque)
            })
        defer { server.end() }
        var plan = LoadPlan()
        plan.clientCount = 2
        plan.warmupSeconds = 0
        plan.wireProtocol = .binary
        plan.length = .operations(100)
        let outcome = try LoadRun.perform(plan, against: server.target)
        #expect(outcome.counters.errors == 100)
        #expect(outcome.firstError == "\"Busy\"")
    }
}
