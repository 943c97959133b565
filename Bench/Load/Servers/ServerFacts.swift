// ServerFacts: what a server says of itself, asked over a connection of its own.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

/// Version and statistics, as the server words them.
public struct ServerFacts: Equatable, Sendable {
    /// What follows VERSION.
    public var version = ""
    /// Lines of `stats`, by name.
    public var statistics: [String: String] = [:]
    /// Lines of `stats settings`, by name; empty where the server has none.
    public var settings: [String: String] = [:]

    public init() {}

    /// The project's own version, where the server is Brim.
    public var brimVersion: String? { statistics["brim_version"] }

    /// What the server says of the features of the kernel's ring that it uses, where it is Brim.
    public var ringFeatures: String? { statistics["brim_ring_features"] }

    /// Settings that decide what a measurement means, in the order in which to show them. The
    /// names are memcached's (doc/protocol.txt, "Settings statistics") and Brim's own.
    public static let settingNames = [
        "maxbytes", "num_threads", "item_size_max", "maxconns", "cas_enabled", "reqs_per_event",
        "ext_path", "ext_limit_maxbytes", "brim_durability", "brim_flush_interval",
    ]

    /// Those of them that the server tells.
    public var shownSettings: [(name: String, value: String)] {
        Self.settingNames.compactMap { name in settings[name].map { (name, $0) } }
    }

    /// Asks `version`, `stats` and `stats settings`; waits at most a second for each part of the
    /// replies, and so many seconds to be accepted and for all of them. A server that has no
    /// statistics is not asked for its settings.
    public static func ask(_ target: Target, seconds: Double = 5) throws(LoadFailure)
        -> ServerFacts
    {
        let socket: Socket
        do throws(SocketError) {
            socket = try Socket.connected(
                to: target.address, timeoutMilliseconds: max(Int(seconds * 1000), 1))
        } catch {
            throw .unreachable(error)
        }
        defer { socket.close() }
        socket.setReceiveTimeout(milliseconds: 1000)
        guard let memory = try? Region.map(byteCount: 64 << 10) else {
            throw .memory(byteCount: 64 << 10)
        }
        var writer = ByteWriter(memory, at: 0, capacity: 64)
        RequestEncoder.version(to: &writer)
        RequestEncoder.stats(to: &writer)
        guard socket.send(from: memory, at: 0, count: writer.count) == writer.count else {
            throw .closed(connection: 0, outstanding: 2, errno: 0)
        }
        var facts = ServerFacts()
        let deadline = Clock.monotonicNanoseconds() &+ UInt64(seconds * 1e9)
        try facts.read(socket, memory, into: \.statistics, until: deadline)
        guard !facts.statistics.isEmpty else { return facts }
        writer = ByteWriter(memory, at: 0, capacity: 64)
        RequestEncoder.stats("settings", to: &writer)
        guard socket.send(from: memory, at: 0, count: writer.count) == writer.count else {
            return facts
        }
        try facts.read(socket, memory, into: \.settings, until: deadline)
        return facts
    }

    private mutating func read(
        _ socket: Socket, _ memory: Region,
        into lines: WritableKeyPath<ServerFacts, [String: String]>, until deadline: UInt64
    ) throws(LoadFailure) {
        var parser = ReplyParser()
        var filled = 0
        var isComplete = false
        while !isComplete {
            let count = socket.receive(
                into: memory, at: filled, count: memory.byteCount - filled)
            let isLate = Clock.monotonicNanoseconds() > deadline
            guard count > 0, !isLate else {
                if !version.isEmpty { return }
                if isLate || count == -Int(EAGAIN) {
                    throw .stalled(
                        connection: 0, outstanding: 2, request: "version", seconds: 1)
                }
                throw .closed(connection: 0, outstanding: 2, errno: Int32(-count))
            }
            filled += count
            let used = memory.withBytes(0, filled) { bytes in
                take(bytes, &parser, &isComplete, lines)
            }
            memory.copy(from: memory, at: used, to: 0, count: filled - used)
            filled -= used
            guard filled < memory.byteCount else { return }
        }
    }

    private mutating func take(
        _ bytes: Span<UInt8>, _ parser: inout ReplyParser, _ isComplete: inout Bool,
        _ lines: WritableKeyPath<ServerFacts, [String: String]>
    ) -> Int {
        var position = 0
        while position < bytes.count, !isComplete {
            let rest = bytes.extracting(position..<bytes.count)
            guard case .answer(let answer, let consumed) = parser.next(rest) else {
                if case .fault = parser.next(rest) { isComplete = true }
                return position
            }
            switch answer.kind {
            case .version: version = Self.string(rest, answer.text)
            case .stat:
                self[keyPath: lines][Self.string(rest, answer.key)] = Self.string(rest, answer.text)
            default: isComplete = true
            }
            position += consumed
        }
        return position
    }

    private static func string(_ bytes: Span<UInt8>, _ slice: Slice) -> String {
        String(decoding: slice.range.map { bytes[$0] }, as: UTF8.self)
    }
}
