// Watchers: connections that are told what happens (`watch`), in the log lines of memcached.
//
// Whoever makes a line puts it into the buffer of each watcher that wants it; the watcher's worker
// sends it on. What does not fit is left out, and told as a number once there is room, so a watcher
// that does not read keeps nobody. Everything is under one lock, which nobody takes while nobody
// watches.

internal import Primitives
internal import Synchronization
internal import Uring

/// What may be watched.
struct WatchKinds: OptionSet, Sendable {
    let rawValue: UInt8
    static let fetchers = WatchKinds(rawValue: 1)
    static let mutations = WatchKinds(rawValue: 2)
    static let evictions = WatchKinds(rawValue: 4)
    static let connections = WatchKinds(rawValue: 8)
    static let deletions = WatchKinds(rawValue: 16)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Memcached's words, in the order in which it looks for them; of some nothing is told here.
    private static let names: [(name: String, kinds: WatchKinds)] = [
        ("rawcmds", []), ("evictions", .evictions), ("fetchers", .fetchers),
        ("mutations", .mutations), ("sysevents", []), ("connevents", .connections),
        ("proxyreqs", []), ("proxyevents", []), ("proxyuser", []), ("deletions", .deletions),
    ]

    /// As memcached, a word may be the beginning of a name, and none means fetchers.
    init?(words: [String]) {
        var kinds: WatchKinds = words.isEmpty ? .fetchers : []
        for word in words {
            guard let found = Self.names.first(where: { $0.name.hasPrefix(word) }) else {
                return nil
            }
            kinds.formUnion(found.kinds)
        }
        self = kinds
    }
}

final class Watchers: Sendable {
    static let watchersMax = 20
    /// What a watcher has not been sent yet, at most.
    static let bufferBytes = 256 << 10
    /// Room for the line that tells how many were left out.
    private static let skippedBytesMax = 32
    /// No line is longer: a key of which each byte takes three, and the words around it.
    private static let lineBytesMax = 1024

    private struct Watcher {
        let id: Int
        let kinds: WatchKinds
        /// Tells the worker that there is something to send.
        let tell: @Sendable () -> Void
        var bytes: [UInt8] = []
        var skipped = 0
        var isTold = false

        func hasRoom(_ bytes: Int) -> Bool {
            self.bytes.count + bytes + Watchers.skippedBytesMax <= Watchers.bufferBytes
        }
    }

    private struct State {
        var watchers: [Watcher] = []
        var nextID = 0
        /// Numbers the lines of all watchers.
        var lines: UInt64 = 0
        var sent: UInt64 = 0
        var skipped: UInt64 = 0

        func index(_ id: Int) -> Int? { watchers.firstIndex { $0.id == id } }
    }

    private let state = Mutex(State())
    private let watched = Atomic<UInt8>(0)

    /// What somebody watches.
    @inline(__always) var kinds: WatchKinds {
        WatchKinds(rawValue: watched.load(ordering: .relaxed))
    }
    var isActive: Bool { count > 0 }
    var count: Int { state.withLock { $0.watchers.count } }
    /// Lines that were put into buffers, and that found no room in one.
    var totals: (sent: UInt64, skipped: UInt64) { state.withLock { ($0.sent, $0.skipped) } }

    /// Nil: there are too many. The first line is the answer to the command.
    func add(_ kinds: WatchKinds, tell: @escaping @Sendable () -> Void) -> Int? {
        state.withLock { state in
            guard state.watchers.count < Self.watchersMax else { return nil }
            state.nextID += 1
            state.watchers.append(Watcher(id: state.nextID, kinds: kinds, tell: tell))
            update(state)
            return state.nextID
        }
    }

    func remove(_ id: Int) {
        state.withLock { state in
            state.watchers.removeAll { $0.id == id }
            update(state)
        }
    }

    private func update(_ state: State) {
        let kinds = state.watchers.reduce(into: WatchKinds()) { $0.formUnion($1.kinds) }
        watched.store(kinds.rawValue, ordering: .relaxed)
    }

    /// Whether nothing is to be sent; if so, the worker is told when there is.
    func isEmpty(_ id: Int) -> Bool {
        state.withLock { state in
            guard let index = state.index(id) else { return true }
            let isEmpty = state.watchers[index].bytes.isEmpty
            if isEmpty { state.watchers[index].isTold = false }
            return isEmpty
        }
    }

    /// Takes what is to be sent next.
    func take(_ id: Int, bytesMax: Int) -> [UInt8] {
        state.withLock { state in
            guard let index = state.index(id) else { return [] }
            let part = Array(state.watchers[index].bytes.prefix(bytesMax))
            state.watchers[index].bytes.removeFirst(part.count)
            return part
        }
    }

    /// Whether a line of this kind is to be made: somebody watches it, and has room. Who has none
    /// is told later of one line more that was left out; so a watcher that does not read costs no
    /// more than this.
    func wants(_ kind: WatchKinds) -> Bool {
        guard kinds.contains(kind) else { return false }
        return state.withLock { state in
            var isWanted = false
            for watcher in state.watchers where watcher.kinds.contains(kind) {
                isWanted = isWanted || watcher.hasRoom(Self.lineBytesMax)
            }
            if isWanted { return true }
            state.lines += 1
            for index in state.watchers.indices where state.watchers[index].kinds.contains(kind) {
                state.watchers[index].skipped += 1
                state.skipped += 1
            }
            return false
        }
    }

    /// Adds a line of this kind; `text` is what follows time and number. Lines are made by many
    /// threads, each in the middle of something: when it was is read here, to the microsecond, and
    /// nothing depends on it.
    func add(_ kind: WatchKinds, _ text: [UInt8]) {
        let now = Clock.unixNanoseconds() / 1000
        state.withLock { state in
            state.lines += 1
            let head = "ts=\(now / 1_000_000).\(now % 1_000_000) gid=\(state.lines) "
            let line = Array(head.utf8) + text + [UInt8(ascii: "\n")]
            for index in state.watchers.indices { Self.add(line, kind, to: index, &state) }
        }
    }

    private static func add(
        _ line: [UInt8], _ kind: WatchKinds, to index: Int, _ state: inout State
    ) {
        guard state.watchers[index].kinds.contains(kind) else { return }
        guard state.watchers[index].hasRoom(line.count) else {
            state.watchers[index].skipped += 1
            state.skipped += 1
            return
        }
        let skipped = state.watchers[index].skipped
        if skipped > 0 {
            state.watchers[index].bytes += Array("skipped=\(skipped)\n".utf8)
            state.watchers[index].skipped = 0
        }
        state.watchers[index].bytes += line
        state.sent += 1
        guard !state.watchers[index].isTold else { return }
        state.watchers[index].isTold = true
        state.watchers[index].tell()
    }
}

/// The texts of the lines.
enum WatchLine {
    enum Fetch: String {
        case notFound = "not_found"
        case found, flushed, expired
    }

    enum Store: String {
        case notStored = "not_stored"
        case stored, exists
        case notFound = "not_found"
        case tooLarge = "too_large"
        case noMemory = "no_memory"
    }

    static func fetch(_ key: [UInt8], _ status: Fetch, bytes: Int, descriptor: Int32) -> [UInt8] {
        let item = " status=\(status.rawValue) clsid=\(status == .found ? 1 : 0)"
        return text("type=item_get key=", key)
            + Array("\(item) cfd=\(descriptor) size=\(bytes)".utf8)
    }

    static func store(
        _ key: [UInt8], _ status: Store, command: String, ttl: UInt32, bytes: Int,
        descriptor: Int32
    ) -> [UInt8] {
        let item = " status=\(status.rawValue) cmd=\(command) ttl=\(ttl) clsid=1"
        return text("type=item_store key=", key)
            + Array("\(item) cfd=\(descriptor) size=\(bytes)".utf8)
    }

    static func deletion(_ key: [UInt8], command: String, bytes: Int) -> [UInt8] {
        text("type=deleted key=", key) + Array(" cmd=\(command) clsid=1 size=\(bytes)".utf8)
    }

    static func eviction(
        _ key: [UInt8], wasFetched: Bool, ttl: Int64, age: UInt32, bytes: Int
    ) -> [UInt8] {
        let item = " fetch=\(wasFetched ? "yes" : "no") ttl=\(ttl) la=\(age) clsid=1"
        return text("type=eviction key=", key) + Array("\(item) size=\(bytes)".utf8)
    }

    /// `reason`: nil for a new connection.
    static func connection(_ peer: SocketAddress?, descriptor: Int32, reason: String?) -> [UInt8] {
        var rip = "unix"
        var transport = "local"
        if let peer, peer.port != nil { (rip, transport) = (peer.hostText, "tcp") }
        let type = reason == nil ? "conn_new" : "conn_close"
        let why = reason.map { " reason=\($0)" } ?? ""
        let address = "rip=\(rip) rport=\(peer?.port ?? 0) transport=\(transport)"
        return Array("type=\(type) \(address)\(why) cfd=\(descriptor)".utf8)
    }

    private static func text(_ head: String, _ key: [UInt8]) -> [UInt8] {
        var bytes = Array(head.utf8)
        for byte in key {
            if isPlain(byte) {
                bytes.append(byte)
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                bytes += Array((digits.utf8.count < 2 ? "%0" : "%").utf8) + Array(digits.utf8)
            }
        }
        return bytes
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "."), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
