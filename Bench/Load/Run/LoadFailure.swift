// LoadFailure: what ends a run before its time, in words.

public import Uring

/// Why a run gave no result. `description` is one line for the user.
public enum LoadFailure: Error, Equatable, Sendable, CustomStringConvertible {
    case unreachable(SocketError)
    case ring(RingError)
    /// A trace that cannot be read to its end, where, and why.
    case trace(TraceFault)
    /// The memory for connections and buffers was refused.
    case memory(byteCount: Int)
    case thread(errno: Int32)
    case pinning(core: Int, errno: Int32)
    /// The server ended a connection (errno 0) or it broke.
    case closed(connection: Int, outstanding: Int, errno: Int32)
    /// The same in the middle of a reply.
    case cutOff(connection: Int, request: String, errno: Int32)
    /// A reply that does not belong to the request that it answers.
    case wrongReply(connection: Int, request: String, reply: String, reason: String)
    /// A value that is not what was stored.
    case badValue(connection: Int, key: String, BadValue)
    /// No byte came for so many seconds while replies were due.
    case stalled(connection: Int, outstanding: Int, request: String, seconds: Double)
    /// The server does not speak the protocol of the run; how it showed.
    case notSpoken(WireProtocol, String)
    /// A server that was to be started: its name, and why it does not serve.
    case notStarted(String, String)
    /// Something answers on the address of a server before it was started; its process, if known.
    case occupied(String, Int32?)
    /// Another process than the one that was started for this target serves in its place.
    case impostor(String, Int32)
    /// Not all operations were answered within the deadline of the run.
    case unfinished(seconds: Double)
    /// Even the lowest rate of a sweep is above the limit. Microseconds; nil if nothing was
    /// answered.
    case noRate(lowest: Double, p99: Double?, limit: Double)
    /// The generator's own threads did not begin or end in time.
    case late(String)

    public var description: String {
        switch self {
        case .unreachable(let error): return "\(error)"
        case .ring(let error): return error.explanation
        case .trace(let fault): return "\(fault)"
        case .memory(let bytes): return "\(bytes >> 20) MiB of memory were refused"
        case .thread(let code): return "a thread could not be started: \(SystemError.text(code))"
        case .pinning(let core, let code):
            return "cannot run on core \(core): \(SystemError.text(code))"
        case .closed(let connection, let outstanding, 0):
            return "the server closed connection \(connection), "
                + "which was waiting for \(outstanding) replies"
        case .closed(let connection, let outstanding, let code):
            return "connection \(connection), which was waiting for \(outstanding) replies, "
                + "broke: \(SystemError.text(code))"
        case .cutOff(let connection, let request, let code):
            let end = code == 0 ? "was closed" : "broke (\(SystemError.text(code)))"
            return "connection \(connection) \(end) in the middle of the reply to: \(request)"
        case .wrongReply(let connection, let request, let reply, let reason):
            return "wrong reply on connection \(connection): \(reason); asked: \(request); "
                + "came: \(reply)"
        case .badValue(let connection, let key, let what):
            return "bad value of \(key) on connection \(connection): \(what)"
        case .stalled(let connection, let outstanding, let request, let seconds):
            return "the server stalled: connection \(connection) got nothing for \(seconds) s "
                + "while waiting for \(outstanding) replies, the first to: \(request)"
        case .notSpoken(let wire, let reason):
            return "the server does not speak the \(wire.rawValue) protocol: \(reason)"
        case .notStarted(let name, let reason): return "\(name) was not started: \(reason)"
        case .occupied(let name, let process):
            let who = process.map { "process \($0)" } ?? "another server"
            return "\(name) was not started: \(who) answers on its address already"
        case .impostor(let name, let process):
            return "\(name): process \(process) listens on its address, which is not the server "
                + "that was started for it"
        case .unfinished(let seconds):
            return "not all operations were answered within \(seconds) s (--deadline)"
        case .noRate(let lowest, let p99, let limit):
            let seen = p99.map { "p99 is \($0) us" } ?? "nothing was answered in time"
            return "even at the lowest rate, \(lowest) operations a second, \(seen): the limit "
                + "is \(limit) us, or the schedule was not kept"
        case .late(let what): return what
        }
    }
}
