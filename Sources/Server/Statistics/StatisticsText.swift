// StatisticsText: the answers to `stats` and its kin, in the forms that exporters parse.
//
// Off the hot road: texts are built with ordinary strings and arrays, by the worker that was
// asked. Every line is `STAT <name> <value>`; every answer ends with END, RESET or an error line.
// The general statistics are here and in StatisticsStore.swift, the settings in
// StatisticsSettings.swift.

internal import Memcache
internal import Primitives
internal import Store

/// Which statistics were asked for.
enum StatisticsRequest: Equatable {
    case general, own, latency, settings, items, slabs, sizes, connections, reset, store
    case detail(StatisticsDetail)
    case dump(DumpRequest)
    case hotKeys(HotKeyRequest)
    case unknown

    /// From what follows the word `stats`.
    init(_ argument: Span<UInt8>) {
        var bytes: [UInt8] = []
        for index in 0..<min(argument.count, 64) { bytes.append(argument[index]) }
        let words = String(decoding: bytes, as: UTF8.self)
            .split(separator: " ").map(String.init)
        switch words.first {
        case nil: self = .general
        case "brim": self = .own
        case "latency": self = .latency
        case "settings": self = .settings
        case "items": self = .items
        case "slabs": self = .slabs
        case "sizes", "sizes_enable", "sizes_disable": self = .sizes
        case "conns": self = .connections
        case "reset": self = .reset
        case "extstore": self = .store
        case "detail": self = .detail(StatisticsDetail(words.dropFirst().first))
        case "cachedump": self = .dump(DumpRequest(words))
        case "hotkeys":
            self = HotKeyRequest(words.dropFirst().first).map { .hotKeys($0) } ?? .unknown
        default: self = .unknown
        }
    }
}

/// What `stats cachedump <class> <limit>` is to do.
enum DumpRequest: Equatable {
    /// At most so many items.
    case list(Int)
    /// A class that is empty: there is only one that is not.
    case nothing
    case illegal, wrong
    /// What should be a number is none.
    case unreadable

    /// From all words, `cachedump` included; a limit of 0 is none.
    init(_ words: [String]) {
        guard words.count >= 3 else {
            self = .wrong
            return
        }
        guard let number = UInt32(words[1]), let limit = UInt32(words[2]) else {
            self = .unreadable
            return
        }
        switch number {
        case 1: self = .list(limit == 0 ? .max : Int(limit))
        case ..<64: self = .nothing
        default: self = .illegal
        }
    }

    /// The line that answers what lists nothing.
    var line: String {
        switch self {
        case .list, .nothing: "END"
        case .illegal: "CLIENT_ERROR Illegal slab id"
        case .wrong: "CLIENT_ERROR bad command line"
        case .unreadable: "CLIENT_ERROR bad command line format"
        }
    }
}

/// What `stats detail` is to do.
enum StatisticsDetail: Equatable {
    case on, off, dump, wrong

    init(_ word: String?) {
        switch word {
        case "on": self = .on
        case "off": self = .off
        case "dump": self = .dump
        default: self = .wrong
        }
    }
}

/// Lines of statistics.
struct StatisticsLines {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(8 << 10) }

    mutating func add(_ name: String, _ value: String) {
        bytes.append(contentsOf: "STAT ".utf8)
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: value.utf8)
        bytes.append(contentsOf: "\r\n".utf8)
    }

    mutating func add(_ name: String, _ value: some FixedWidthInteger) {
        add(name, String(value))
    }

    mutating func add(_ name: String, _ value: Bool) { add(name, value ? "yes" : "no") }

    /// Names that have no meaning here and are asked for all the same.
    mutating func addZeros(_ names: String) {
        for name in names.split(separator: " ") { add(String(name), 0) }
    }

    /// A line that is no STAT.
    mutating func add(line: [UInt8]) {
        bytes.append(contentsOf: line)
        bytes.append(contentsOf: "\r\n".utf8)
    }

    mutating func end(_ line: String) {
        bytes.append(contentsOf: line.utf8)
        bytes.append(contentsOf: "\r\n".utf8)
    }
}

extension SharedState {
    /// The whole answer to a request for statistics, `connections` excepted.
    func text(_ request: StatisticsRequest, at now: Moment) -> [UInt8] {
        var lines = StatisticsLines()
        switch request {
        case .general:
            addGeneral(to: &lines, at: now)
            lines.end("END")
        case .own:
            addOwn(storeStatistics(), to: &lines)
            lines.end("END")
        case .latency:
            addLatency(to: &lines)
            lines.end("END")
        case .settings:
            addSettings(to: &lines)
            lines.end("END")
        case .items:
            addItems(to: &lines)
            lines.end("END")
        case .slabs:
            addSlabs(to: &lines)
            lines.end("END")
        case .sizes:
            lines.add("sizes_status", "disabled")
            lines.end("END")
        case .store:
            if settings.store != nil { addExtstore(storeStatistics(), to: &lines) }
            lines.end("END")
        case .reset:
            resetCounters()
            lines.end("RESET")
        case .detail where settings.refused.contains(.dumping):
            lines.end("CLIENT_ERROR stats detail not allowed")
        case .detail(.on), .detail(.off):
            observers.counts(prefixes: request == .detail(.on))
            lines.end("OK")
        case .detail(.dump):
            // As one packet; as text they are listed in stretches.
            _ = observers.addPrefixes(
                from: 0, bytesMax: ServerLimits.binaryDumpBytesMax, to: &lines)
            lines.end("END")
        case .hotKeys(.on), .hotKeys(.off):
            observers.counts(keys: request == .hotKeys(.on))
            lines.end("OK")
        case .hotKeys(.list(let count)):
            observers.addHotKeys(count, to: &lines)
            lines.end("END")
        case .connections: lines.end("END")
        case .detail(.wrong): lines.end("CLIENT_ERROR usage: stats detail on|off|dump")
        case .dump(let dump):
            lines.end(
                settings.refused.contains(.dumping)
                    ? "CLIENT_ERROR stats cachedump not allowed" : dump.line)
        case .unknown: lines.end("ERROR")
        }
        return lines.bytes
    }

    /// What agents and exporters read. Readers with one buffer of 4,096 bytes fail on a longer text
    /// (collectd, nginx's memcached module), so it has to stay below 3,900 whatever the numbers
    /// are; a test counts. What is not asked for by any of them is in `stats brim`.
    private func addGeneral(to lines: inout StatisticsLines, at now: Moment) {
        let store = storeStatistics()
        addProcess(to: &lines, at: now)
        addConnections(to: &lines)
        addCommands(store, to: &lines)
        addNetwork(to: &lines)
        addMemory(store, to: &lines)
        if settings.store != nil {
            addExtstore(store, to: &lines)
            lines.add("brim_disk_reads", total(.diskReads))
            // Whoever waits for a start, or watches the disk, asks for these.
            lines.add("brim_recovering", store.isRecovering == 1)
            lines.add("brim_disk_failing", store.isDiskFailing == 1)
        }
        lines.add("brim_version", Version.number)
    }

    private func addProcess(to lines: inout StatisticsLines, at now: Moment) {
        let usage = ProcessUsage.coreMicroseconds()
        lines.add("pid", ProcessUsage.processId)
        lines.add(
            "uptime", (now.nanoseconds &- startedAt.nanoseconds) / 1_000_000_000)
        lines.add("time", now.systemSeconds)
        lines.add("version", ProtocolLevel.versionText)
        lines.add("libevent", "none")
        lines.add("pointer_size", Int.bitWidth)
        lines.add("rusage_user", Self.seconds(usage.user))
        lines.add("rusage_system", Self.seconds(usage.system))
    }

    /// Seconds with exactly six digits behind the point, as exporters split them.
    static func seconds(_ microseconds: UInt64) -> String {
        let rest = String(microseconds % 1_000_000)
        let zeros = String(repeating: "0", count: 6 - rest.count)
        return "\(microseconds / 1_000_000).\(zeros)\(rest)"
    }

    private func addConnections(to lines: inout StatisticsLines) {
        let open = connectionCount
        lines.add("max_connections", connectionsMax)
        lines.add("curr_connections", open)
        lines.add("total_connections", total(.totalConnections))
        lines.add("rejected_connections", total(.rejectedConnections))
        lines.add("connection_structures", open)
    }

    private func addCommands(_ store: StoreStatistics, to lines: inout StatisticsLines) {
        lines.add("cmd_get", total(.getCommands))
        lines.add("cmd_set", total(.setCommands))
        lines.add("cmd_flush", total(.flushCommands))
        lines.add("cmd_touch", total(.touchCommands))
        lines.add("cmd_meta", total(.metaCommands))
        lines.add("get_hits", total(.getHits))
        lines.add("get_misses", total(.getMisses))
        lines.add("get_expired", total(.getExpired))
        lines.add("get_flushed", total(.getFlushed))
        if settings.store != nil {
            lines.add("get_extstore", total(.diskHits))
            lines.add("recache_from_extstore", store.promotions)
            lines.add("miss_from_extstore", total(.diskMisses))
            lines.add("badcrc_from_extstore", total(.diskDamaged))
        }
        lines.add("delete_misses", total(.deleteMisses))
        lines.add("delete_hits", total(.deleteHits))
        lines.add("incr_misses", total(.incrMisses))
        lines.add("incr_hits", total(.incrHits))
        lines.add("decr_misses", total(.decrMisses))
        lines.add("decr_hits", total(.decrHits))
        lines.add("cas_misses", total(.casMisses))
        lines.add("cas_hits", total(.casHits))
        lines.add("cas_badval", total(.casBadValues))
        lines.add("touch_hits", total(.touchHits))
        lines.add("touch_misses", total(.touchMisses))
        lines.add("store_too_large", total(.storeTooLarge))
        lines.add("store_no_memory", total(.storeNoMemory))
        lines.add("auth_cmds", total(.signIns))
        lines.add("auth_errors", total(.signInErrors))
        if idleTimeoutSeconds > 0 { lines.add("idle_kicks", total(.idleKicks)) }
    }

    private func addNetwork(to lines: inout StatisticsLines) {
        lines.add("bytes_read", total(.bytesRead))
        lines.add("bytes_written", total(.bytesWritten))
        lines.add("limit_maxbytes", memoryLimit)
        lines.add("accepting_conns", isAccepting ? 1 : 0)
        lines.add("listen_disabled_num", total(.listenDisabled))
        lines.add("time_in_listen_disabled_us", total(.listenDisabledMicroseconds))
        lines.add("threads", workerCount)
        lines.add("conn_yields", total(.connectionYields))
        lines.add("log_watchers", observers.watchers.count)
    }

    private func addMemory(_ store: StoreStatistics, to lines: inout StatisticsLines) {
        lines.add("hash_bytes", store.indexBytes)
        lines.addZeros("lru_crawler_starts malloc_fails")
        lines.add("bytes", store.bytes)
        lines.add("curr_items", store.items)
        lines.add("total_items", total(.setCommands))
        lines.add("expired_unfetched", store.expiredUnfetched)
        lines.add("evicted_unfetched", store.evictedUnfetched)
        lines.add("evicted_active", 0)
        lines.add("evictions", store.evictions)
        lines.add("reclaimed", store.expired)
        lines.addZeros("crawler_reclaimed crawler_items_checked lrutail_reflocked")
        lines.addZeros("moves_to_cold")
        lines.add("moves_to_warm", store.promotions)
        lines.add("moves_within_lru", store.recirculations)
        lines.addZeros("direct_reclaims")
    }

    // MARK: Connections

    /// Lines about connections from `cursor` on, about `bytesMax` bytes of them, and where to go
    /// on; nil when that was all.
    func rollText(from cursor: Int, bytesMax: Int, at now: Moment) -> (
        text: [UInt8], next: Int?
    ) {
        var lines = StatisticsLines()
        var position = 0
        for roll in rolls {
            for slot in 0..<roll.slots {
                defer { position += 1 }
                guard position >= cursor, let entry = roll.entry(slot) else { continue }
                guard lines.bytes.count < bytesMax - 512 else { return (lines.bytes, position) }
                addConnection(entry, to: &lines, at: now)
            }
        }
        return (lines.bytes, nil)
    }

    private func addConnection(
        _ entry: (descriptor: Int32, active: UInt32), to lines: inout StatisticsLines,
        at now: Moment
    ) {
        let name = String(entry.descriptor)
        let addresses = PeerAddresses(descriptor: entry.descriptor)
        lines.add("\(name):addr", addresses.peer)
        lines.add("\(name):listen_addr", addresses.local)
        lines.add("\(name):state", "conn_read")
        let idle = now.seconds > entry.active ? now.seconds - entry.active : 0
        lines.add("\(name):secs_since_last_cmd", idle)
    }
}
