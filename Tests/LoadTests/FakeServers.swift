// FakeServers: small servers in the tests' own process, for what no real server does on demand.

import Glibc
import Load
import Primitives
import Synchronization

/// Answers each line of a connection by what `reply` makes of it, until it returns nil, and the
/// questions that open a run.
func answering(_ reply: @escaping @Sendable (String) -> String?) -> @Sendable (Int32) -> Void {
    { peer in
        var lines = LineReader(peer)
        while let line = lines.next() {
            switch line {
            case "version": send(peer, "VERSION fake\r\n")
            case "stats": send(peer, "END\r\n")
            default:
                guard let text = reply(line) else { return }
                send(peer, text)
            }
        }
    }
}

/// The first key of a request.
func key(_ line: String) -> String {
    String(line.split(separator: " ").dropFirst().first ?? "")
}

/// A hit for every key of a classic get.
func hit(_ line: String) -> String {
    line.split(separator: " ").dropFirst().map { "VALUE \($0) 0 3\r\nabc\r\n" }.joined()
        + "END\r\n"
}

/// Holds up all connections at once, for a while, when so many requests have come.
final class StallGate: Sendable {
    private let state = Mutex<(count: Int, until: UInt64)>((0, 0))
    private let trigger: Int
    private let nanoseconds: UInt64

    init(afterRequests trigger: Int, milliseconds: UInt64) {
        self.trigger = trigger
        nanoseconds = milliseconds * 1_000_000
    }

    func pass() {
        let now = Clock.monotonicNanoseconds()
        let until = state.withLock { state in
            state.count += 1
            if state.count == trigger { state.until = now + nanoseconds }
            return state.until
        }
        if until > now { Pause.sleep(nanoseconds: Int(until - now)) }
    }
}

/// Answers requests of the binary protocol (24 bytes of head, then the body, whose length stands at
/// 8): every get hits "abc", everything else succeeds. The last byte of a get's opaque is off by
/// `opaqueError`.
func serveBinary(_ peer: Int32, opaqueError: UInt8) {
    while let head = receive(24, from: peer) {
        let bodyBytes = head[8..<12].reduce(0) { $0 << 8 | Int($1) }
        guard bodyBytes == 0 || receive(bodyBytes, from: peer) != nil else { return }
        let isGet = head[1] == 0
        var reply = [UInt8](repeating: 0, count: 24)
        reply[0] = 0x81
        reply[1] = head[1]
        reply.replaceSubrange(12..<16, with: head[12..<16])
        if isGet {
            // Four bytes of flags, and the value.
            reply[4] = 4
            reply[11] = 7
            reply[15] &+= opaqueError
            reply += [0, 0, 0, 0] + Array("abc".utf8)
        }
        guard Glibc.send(peer, reply, reply.count, Int32(MSG_NOSIGNAL)) == reply.count else {
            return
        }
    }
}

/// Remembers which keys each connection asked for, in order.
final class KeyRecorder: Sendable {
    private let keys = Mutex<[Int32: [String]]>([:])

    func note(_ peer: Int32, _ key: String) { keys.withLock { $0[peer, default: []].append(key) } }

    /// By connection, in an order that does not depend on their descriptors.
    var sequences: [[String]] {
        keys.withLock { keys in
            keys.values.sorted { $0.joined(separator: ",") < $1.joined(separator: ",") }
        }
    }
}

/// Listens, has as many waiting as the system lets wait, and accepts none.
final class FullServer: Sendable {
    let target: Target
    private let descriptors: [Int32]

    init() throws {
        let port = try freePort()
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let all =
            [listener]
            + (0..<8).map { _ in
                socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            }
        descriptors = all
        target = try Target(parsing: "full=127.0.0.1:\(port)")
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                guard bind(listener, $0, size) == 0, listen(listener, 0) == 0 else {
                    throw ChildError(code: errno)
                }
                for descriptor in all.dropFirst() { _ = connect(descriptor, $0, size) }
            }
        }
    }

    func end() { for descriptor in descriptors { close(descriptor) } }
}
