// Settings: everything an operator may choose, typed, with its range and its default.
//
// A plain value: where a setting came from (flag, environment, file) and how it was spelt is the
// command's business; here only the meaning counts. `checked` is the one gate: it refuses what is
// out of range, raises a memory budget that is too small, and says so.

internal import Store

/// One address to accept TCP connections on.
public struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    public var host: String
    /// 0 lets the kernel choose; the log says what it chose.
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// When a write is answered.
public enum Durability: String, Sendable, CaseIterable {
    /// At once; a synced commit follows within the flush interval.
    case interval
    /// After the synced commit that holds it.
    case ack
}

/// How the server talks to its sockets.
public enum EngineChoice: String, Sendable, CaseIterable {
    /// io_uring, or epoll where that is refused.
    case auto
    case uring = "io_uring"
    case epoll
}

/// The store on disk.
public struct StoreSettings: Sendable, Equatable {
    public var directory: String
    /// The budget of the file, in bytes.
    public var sizeBytes: Int
    public var durability: Durability
    public var flushIntervalMilliseconds: Int
    /// Whether somebody has asked for a store, or said where. If nobody has and there is no place
    /// for one, memory alone serves.
    public var isAskedFor = true

    public init(
        directory: String, sizeBytes: Int = 4 << 30, durability: Durability = .interval,
        flushIntervalMilliseconds: Int = 100
    ) {
        self.directory = directory
        self.sizeBytes = sizeBytes
        self.durability = durability
        self.flushIntervalMilliseconds = flushIntervalMilliseconds
    }
}

/// The protocols that are served.
public enum ServedProtocols: String, Sendable, CaseIterable {
    /// The first byte of a connection decides.
    case auto
    case ascii, binary
}

/// What is obeyed only if an operator says so.
public struct Allowed: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// `-A`: shutdown.
    public static let shutdown = Allowed(rawValue: 1)
    /// debugtime; a flag that is not in the help.
    public static let debugTime = Allowed(rawValue: 2)
}

/// How clients of the binary protocol sign in.
public struct SASLSettings: Sendable, Equatable {
    /// `-S`: by SASL.
    public var isEnabled = false
    /// Who may, if there is no file for all protocols.
    public var file: String?
}

/// What an operator may refuse.
public struct Refused: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// `-F`: flush_all.
    public static let flushing = Refused(rawValue: 1)
    /// `-X`: commands that list keys.
    public static let dumping = Refused(rawValue: 2)
    /// `-W`: watch.
    public static let watching = Refused(rawValue: 4)
    /// `-M`: evictions; what has no room is refused instead. Without a store only.
    public static let evicting = Refused(rawValue: 8)
}

public struct Settings: Sendable, Equatable {
    /// Where to accept TCP connections; may be empty if there is a unix socket.
    public var listenAddresses = [ListenAddress(host: "127.0.0.1", port: 11211)]
    public var unixSocketPath: String?
    /// Permission bits of the unix socket, as chmod takes them.
    public var unixSocketMask: UInt32 = 0o700
    /// What the process may use, in bytes, besides the stated fixed part.
    public var memoryBytes = 256 << 20
    public var connectionsMax = 1024
    public var workers = 1
    /// The largest item: key, value and what is kept with them, in bytes.
    public var itemBytesMax = 1 << 20
    /// Connections the kernel holds until they are accepted, for each listener.
    public var backlog = 1024
    /// Requests of one connection before the others have their turn.
    public var requestsPerTurnMax = 20
    /// Whom to become once the ports are bound.
    public var user: String?
    public var pidFile: String?
    /// 0: lifecycle only; 1: debug; 2 and more: trace.
    public var verbosity = 0
    /// `-D`: where prefixes of keys end, which are counted from the start, then; nil: at colons,
    /// and counted when somebody asks for it.
    public var statPrefix: UInt8?
    /// `-C`: no CAS is kept for anyone.
    public var isCasDisabled = false
    /// What else is obeyed.
    public var allowed: Allowed = []
    /// What is refused.
    public var refused: Refused = []
    /// `-B`: the protocols that are served; a choice of one leaves nothing to the first byte.
    public var protocols = ServedProtocols.auto
    /// `-Y`: who may sign in. With it, or with `-S`, nothing is served before.
    public var authFile: String?
    public var sasl = SASLSettings()
    /// Nil serves from memory alone.
    public var store: StoreSettings?
    /// Seconds without a request after which a connection is closed; 0: never.
    public var idleTimeoutSeconds = 0
    /// Seconds after which somebody else may win what was won with a meta get; 0: never.
    public var winTimeoutSeconds = 0
    public var engine = EngineChoice.auto
    public var admin = AdminSettings()
    public var host = HostSettings()

    /// The defaults, with no store: where it lies depends on the environment.
    public init() {}
}

/// The names of the settings: long flags, keys of the file, and, with `BRIM_` before them and in
/// capitals, of the environment.
public enum SettingName: String, Sendable, CaseIterable {
    case listen, port
    case unixSocket = "unix-socket"
    case unixMask = "unix-mask"
    case memoryLimit = "memory-limit"
    case connLimit = "conn-limit"
    case threads
    case maxItemSize = "max-item-size"
    case listenBacklog = "listen-backlog"
    case maxReqsPerEvent = "max-reqs-per-event"
    case user, pidfile, verbose
    case statPrefix = "stat-prefix"
    case disableCas = "disable-cas"
    case daemon
    case enableShutdown = "enable-shutdown"
    case debugClock = "debug-clock"
    case disableFlushAll = "disable-flush-all"
    case disableDumping = "disable-dumping"
    case disableEvictions = "disable-evictions"
    case disableWatch = "disable-watch"
    case udpPort = "udp-port"
    case `protocol`
    case authFile = "auth-file"
    case enableSasl = "enable-sasl"
    case store
    case noStore = "no-store"
    case storeSize = "store-size"
    case durability
    case flushInterval = "flush-interval"
    case idleTimeout = "idle-timeout"
    case winTimeout = "win-timeout"
    case engine
    case adminListen = "admin-listen"
    case adminTokenFile = "admin-token-file"
    case adminHosts = "admin-hosts"
    case adminMetricsAuth = "admin-metrics-auth"
    case drainDelay = "drain-delay"
    case drainTimeout = "drain-timeout"
    case logFormat = "log-format"
}

/// A setting that cannot be: which, and what would be allowed ("1 to 128").
public struct SettingsError: Error, Equatable, Sendable {
    public let setting: SettingName
    public let allowed: String

    public init(_ setting: SettingName, allowed: String) {
        self.setting = setting
        self.allowed = allowed
    }
}

extension Settings {
    public static let listenAddressesMax = 64
    public static let workersRange = 1...128
    public static let connectionsRange = 1...1_000_000
    public static let backlogRange = 1...65_535
    public static let requestsPerTurnRange = 1...1_000_000
    public static let idleTimeoutSecondsRange = 0...2_592_000
    /// A record keeps 13 bits of the second of its win.
    public static let winTimeoutSecondsRange = 0...3600
    public static let verbosityRange = 0...3
    public static let unixSocketMaskRange: ClosedRange<UInt32> = 0...0o777
    /// sun_path holds 108 bytes with the zero byte that ends it.
    public static let unixSocketPathBytesMax = 107
    public static let itemBytesRange = 1 << 10...512 << 20
    public static let memoryBytesMax = 16 << 40
    public static let storeBytesRange = 64 << 20...16 << 40
    public static let flushIntervalMillisecondsRange = 1...60_000

    /// The least memory these settings can work with: index and frames, one transaction of the
    /// store, rings and buffers of every worker, a place for every connection, and as much again
    /// as these places take: they must not be what most of the memory is for.
    public var memoryBytesMin: Int {
        8 << 20
            + (store == nil ? 0 : 8 << 20)
            + workers * (4 << 20)
            + 2 * ServerMemory.connectionsBytes(connectionsMax: connectionsMax, workers: workers)
    }

    /// These settings if they can be, with what was changed in them, in sentences for the log.
    public func checked() throws(SettingsError) -> (settings: Settings, warnings: [String]) {
        try checkNetwork()
        try checkAccess()
        try Self.check(.threads, workers, Self.workersRange)
        try Self.check(.connLimit, connectionsMax, Self.connectionsRange)
        try Self.check(.listenBacklog, backlog, Self.backlogRange)
        try Self.check(.maxReqsPerEvent, requestsPerTurnMax, Self.requestsPerTurnRange)
        try Self.check(.idleTimeout, idleTimeoutSeconds, Self.idleTimeoutSecondsRange)
        try Self.check(.winTimeout, winTimeoutSeconds, Self.winTimeoutSecondsRange)
        try Self.check(
            .drainDelay, host.drainDelaySeconds, HostSettings.drainDelaySecondsRange)
        guard HostSettings.drainTimeoutMillisecondsRange.contains(host.drainTimeoutMilliseconds)
        else { throw SettingsError(.drainTimeout, allowed: "0 to 3600") }
        try Self.check(.verbose, verbosity, Self.verbosityRange)
        guard memoryBytes >= 0, memoryBytes <= Self.memoryBytesMax else {
            throw SettingsError(.memoryLimit, allowed: "at most \(Self.memoryBytesMax >> 30)g")
        }
        guard Self.itemBytesRange.contains(itemBytesMax) else {
            throw SettingsError(.maxItemSize, allowed: "1k to 512m")
        }
        try checkStore()
        var settings = self
        var warnings: [String] = []
        if memoryBytes < memoryBytesMin {
            settings.memoryBytes = ((memoryBytesMin + (1 << 20) - 1) >> 20) << 20
            warnings.append(
                "memory-limit raised from \(memoryBytes >> 20) to"
                    + " \(settings.memoryBytes >> 20) MiB, the least for \(workers) threads and"
                    + " \(connectionsMax) connections")
        }
        if let store, itemBytesMax > store.sizeBytes / 8 {
            throw SettingsError(
                .maxItemSize,
                allowed: "at most an eighth of store-size, \(store.sizeBytes / 8) bytes")
        }
        guard itemBytesMax <= settings.memoryBytes / 2 else {
            throw SettingsError(
                .maxItemSize,
                allowed: "at most half of memory-limit, \(settings.memoryBytes / 2) bytes")
        }
        let possible = settings.itemBytesPossible
        guard itemBytesMax <= possible else {
            throw SettingsError(
                .maxItemSize,
                allowed: "at most what memory can take at once, \(possible) bytes with this"
                    + " memory-limit and \(workers) threads")
        }
        return (settings, warnings)
    }

    /// The largest value that the store's share of the memory can take.
    private var itemBytesPossible: Int {
        let memory = ServerMemory(
            memoryBytes: memoryBytes, connectionsMax: connectionsMax, workers: workers)
        let disk = store.map { DiskConfiguration(directory: "", sizeBytes: $0.sizeBytes) }
        return StoreConfiguration(
            memoryBytes: memory.storeBytes, workers: workers, itemBytesMax: 0, disk: disk
        ).itemBytesPossible
    }

    private func checkNetwork() throws(SettingsError) {
        let isGivenSome = host.inherited.contains { !$0.isAdmin }
        guard unixSocketPath != nil || !listenAddresses.isEmpty || isGivenSome else {
            throw SettingsError(.port, allowed: "1 to 65535, or 0 together with a unix socket")
        }
        guard listenAddresses.count <= Self.listenAddressesMax else {
            throw SettingsError(.listen, allowed: "at most \(Self.listenAddressesMax) addresses")
        }
        if let path = unixSocketPath {
            let count = path.utf8.count
            guard count >= 1, count <= Self.unixSocketPathBytesMax else {
                throw SettingsError(
                    .unixSocket, allowed: "a path of 1 to \(Self.unixSocketPathBytesMax) bytes")
            }
        }
        guard Self.unixSocketMaskRange.contains(unixSocketMask) else {
            throw SettingsError(.unixMask, allowed: "0 to 777, octal")
        }
    }

    private func checkStore() throws(SettingsError) {
        guard let store else { return }
        guard !refused.contains(.evicting) else {
            throw SettingsError(
                .disableEvictions,
                allowed: "true with no-store only: a full store lets its oldest items go")
        }
        guard !store.directory.isEmpty else {
            throw SettingsError(.store, allowed: "a directory")
        }
        guard Self.storeBytesRange.contains(store.sizeBytes) else {
            throw SettingsError(
                .storeSize,
                allowed: "\(Self.storeBytesRange.lowerBound >> 20)m to"
                    + " \(Self.storeBytesRange.upperBound >> 30)g")
        }
        try Self.check(
            .flushInterval, store.flushIntervalMilliseconds, Self.flushIntervalMillisecondsRange)
    }

    private static func check(
        _ setting: SettingName, _ value: Int, _ range: ClosedRange<Int>
    ) throws(SettingsError) {
        guard range.contains(value) else {
            throw SettingsError(setting, allowed: "\(range.lowerBound) to \(range.upperBound)")
        }
    }
}
