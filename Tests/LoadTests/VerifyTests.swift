// VerifyTests: stale, torn and wrong values are found in each protocol, named by their key, and
// end brim-bench with exit code 1.

import Glibc
import Load
import Primitives
import Testing

/// What a server does to the values that it keeps.
enum Harm: String, CaseIterable {
    case none
    /// Keeps the first value of each key for good.
    case stale
    /// Ends each value with three other bytes.
    case torn
    /// Answers with the value of whatever key was set last.
    case swapped
}

/// A server for get and set in one of the three protocols; its values are shared by all.
private final class HarmfulServer {
    let server: BadServer

    init(_ wireProtocol: WireProtocol, _ harm: Harm) throws {
        let store = SharedValues(harm)
        server = try BadServer { peer in
            switch wireProtocol {
            case .classic: serveClassic(peer, store)
            case .meta: serveMeta(peer, store)
            case .binary: serveBinary(peer, store)
            }
        }
    }
    deinit { server.end() }
}

private func serveClassic(_ peer: Int32, _ store: SharedValues) {
    var lines = LineReader(peer)
    while let line = lines.next() {
        let words = line.split(separator: " ").map(String.init)
        if words[0] == "set" {
            guard let value = lines.next() else { return }
            store.set(words[1], value)
            send(peer, "STORED\r\n")
        } else {
            let value = store.get(words[1])
            send(peer, value.map { "VALUE \(words[1]) 0 \($0.utf8.count)\r\n\($0)\r\n" } ?? "")
            send(peer, "END\r\n")
        }
    }
}

private func serveMeta(_ peer: Int32, _ store: SharedValues) {
    var lines = LineReader(peer)
    while let line = lines.next() {
        let words = line.split(separator: " ").map(String.init)
        if words[0] == "ms" {
            guard let value = lines.next() else { return }
            store.set(words[1], value)
            send(peer, "HD\r\n")
        } else {
            let value = store.get(words[1])
            send(peer, value.map { "VA \($0.utf8.count) k\(words[1])\r\n\($0)\r\n" } ?? "EN\r\n")
        }
    }
}

private func serveBinary(_ peer: Int32, _ store: SharedValues) {
    while let head = receive(24, from: peer) {
        let body = receive(Int(head[10]) << 8 | Int(head[11]), from: peer) ?? []
        let (extras, keyEnd) = (Int(head[4]), Int(head[4]) + Int(head[3]))
        let key = String(decoding: body[extras..<max(keyEnd, extras)], as: UTF8.self)
        var (status, answer): (UInt8, [UInt8]) = (0, [])
        if head[1] == 1 {
            store.set(key, String(decoding: body[keyEnd...], as: UTF8.self))
        } else if head[1] == 0 {
            if let value = store.get(key) { answer = [0, 0, 0, 0] + Array(value.utf8) }
            if answer.isEmpty { status = 1 }
        }
        sendBytes(
            peer,
            [
                0x81, head[1], 0, 0, answer.isEmpty ? 0 : 4, 0, 0, status,
                0, 0, UInt8(answer.count >> 8), UInt8(answer.count & 0xFF),
            ] + head[12..<16] + [UInt8](repeating: 0, count: 8) + answer)
    }
}

@Suite(.serialized) struct VerifyTests {
    @Test(arguments: WireProtocol.allCases, Harm.allCases)
    func whatAServerDoesToValuesIsFound(wireProtocol: WireProtocol, harm: Harm) throws {
        let harmful = try HarmfulServer(wireProtocol, harm)
        let result = try bench(
            "run \(harmful.server.target.address) --verify --mix get,set --keys 40 --clients 2 "
                + "--depth 4 --operations 4000 --value-bytes 40-300 --stall 2 "
                + "--protocol \(wireProtocol.rawValue)"
                + (harm == .none ? " --set-on-miss" : ""))
        let word =
            switch harm {
            case .none: "0 errors"
            case .stale: "stale: version "
            case .torn: "torn: "
            case .swapped: "wrong: it is the value of key number "
            }
        #expect(result.output.contains(word), "\(result.output)")
        guard harm != .none else { return #expect(result.exitCode == 0) }
        #expect(result.exitCode == 1)
        #expect(result.output.hasPrefix("brim-bench: bad value of key-"), "\(result.output)")
        #expect(result.output.split(separator: "\n").count == 1)
    }
}
