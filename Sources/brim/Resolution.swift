// Resolution: makes typed settings of what the layers say, or one line of why not.

internal import Primitives
internal import Server

/// Settings that can be served, and what is to be said about them.
struct Plan {
    var settings: Settings
    var warnings: [String]
    /// The file that some of them stand in, if there is one.
    var file: String?
}

struct Resolution {
    let layers: Layers
    let environment: [String: String]
    /// Whether the process was started by root.
    let isRoot: Bool
    let inherited: [InheritedSocket]
    private let system = SystemMemory()

    init(
        layers: Layers, environment: [String: String], isRoot: Bool, inherited: [InheritedSocket]
    ) {
        self.layers = layers
        self.environment = environment
        self.isRoot = isRoot
        self.inherited = inherited
    }

    func plan() throws(UsageError) -> Plan {
        var settings = Settings()
        settings.host = try readHost()
        try readNetwork(&settings)
        try readLimits(&settings)
        var warnings = try readUser(&settings)
        warnings += try readStore(&settings)
        settings.admin = try readAdmin()
        do {
            let checked = try settings.checked()
            warnings += checked.warnings
            let chosen = checked.settings
            if let warning = system.warning(
                memoryBytes: chosen.memoryBytes, workers: chosen.workers)
            {
                warnings.append(warning)
            }
            if let store = chosen.store, store.sizeBytes < chosen.memoryBytes {
                warnings.append(
                    "store-size \(store.sizeBytes >> 20)m is less than memory-limit"
                        + " \(chosen.memoryBytes >> 20): a stop cannot keep all that memory holds,"
                        + " and takes the longer")
            }
            return Plan(settings: checked.settings, warnings: warnings)
        } catch {
            throw fault(error.setting, try layers.choice(error.setting), error.allowed)
        }
    }

    // MARK: Groups of settings

    private func readNetwork(_ settings: inout Settings) throws(UsageError) {
        settings.unixSocketPath = try layers.choice(.unixSocket)?.text
        if let mask = try value(.unixMask, "0 to 777, octal", Values.octal) {
            settings.unixSocketMask = mask
        }
        _ = try value(.udpPort, "0, there is no UDP") { $0 == "0" ? 0 : nil }
        let port = try value(.port, "0 to 65535", Values.port) ?? 11211
        settings.listenAddresses = try listenAddresses(
            port: port, hasSocket: settings.unixSocketPath != nil)
    }

    /// As memcached: a unix socket alone means no TCP, and port 0 means none on that address.
    private func listenAddresses(
        port: UInt16, hasSocket: Bool
    ) throws(UsageError) -> [ListenAddress] {
        guard let choice = try layers.choice(.listen) else {
            if inherited.contains(where: { !$0.isAdmin }) { return [] }
            return hasSocket || port == 0 ? [] : [ListenAddress(host: "127.0.0.1", port: port)]
        }
        var addresses: [ListenAddress] = []
        for part in choice.text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let (host, ownPort) = Values.address(String(part)) else {
                throw fault(.listen, choice, "host, host:port, [v6]:port, joined by commas")
            }
            if let ownPort {
                addresses.append(ListenAddress(host: host, port: ownPort))
            } else if port != 0 {
                addresses.append(ListenAddress(host: host, port: port))
            }
        }
        return addresses
    }

    private func readLimits(_ settings: inout Settings) throws(UsageError) {
        let memory = "a size in MiB, or with k, m, g, or 1% to 100%"
        let bytes = try value(.memoryLimit, memory) {
            system.share($0) ?? Values.size($0, unit: 1 << 20)
        }
        settings.memoryBytes = bytes ?? settings.memoryBytes
        if let bytes = try value(.maxItemSize, "1k to 512m", { Values.size($0, unit: 1) }) {
            settings.itemBytesMax = bytes
        }
        settings.workers =
            try count(.threads, Settings.workersRange) ?? min(Cores.available, 4)
        settings.connectionsMax =
            try count(.connLimit, Settings.connectionsRange) ?? settings.connectionsMax
        settings.backlog = try count(.listenBacklog, Settings.backlogRange) ?? settings.backlog
        settings.requestsPerTurnMax =
            try count(.maxReqsPerEvent, Settings.requestsPerTurnRange)
            ?? settings.requestsPerTurnMax
        settings.idleTimeoutSeconds =
            try count(.idleTimeout, Settings.idleTimeoutSecondsRange) ?? 0
        settings.winTimeoutSeconds =
            try count(.winTimeout, Settings.winTimeoutSecondsRange) ?? 0
        settings.verbosity = try count(.verbose, Settings.verbosityRange) ?? 0
        settings.statPrefix =
            try value(.statPrefix, "one character") {
                $0.utf8.count == 1 ? $0.utf8.first : nil
            }
        settings.isCasDisabled = try value(.disableCas, "true or false", Values.flag) ?? false
        if try value(.enableShutdown, "true or false", Values.flag) ?? false {
            settings.allowed.insert(.shutdown)
        }
        if try value(.debugClock, "true or false", Values.flag) ?? false {
            settings.allowed.insert(.debugTime)
        }
        settings.refused = try readRefused()
        settings.protocols =
            try value(.protocol, "auto, ascii, binary") { ServedProtocols(rawValue: $0) } ?? .auto
        settings.authFile = try value(.authFile, "a path") { $0.isEmpty ? nil : $0 }
        settings.sasl.isEnabled = try value(.enableSasl, "true or false", Values.flag) ?? false
        // Where Debian's memcached looks.
        settings.sasl.file = environment["MEMCACHED_SASL_PWDB"]
        settings.engine =
            try value(.engine, "auto, io_uring, epoll") { EngineChoice(rawValue: $0) } ?? .auto
        settings.pidFile = try value(.pidfile, "a path") { $0.isEmpty ? nil : $0 }
    }

    private func readRefused() throws(UsageError) -> Refused {
        let names: [(SettingName, Refused)] = [
            (.disableFlushAll, .flushing), (.disableDumping, .dumping), (.disableWatch, .watching),
            (.disableEvictions, .evicting),
        ]
        var refused: Refused = []
        for (name, kind) in names where try value(name, "true or false", Values.flag) ?? false {
            refused.insert(kind)
        }
        return refused
    }

    private func readAdmin() throws(UsageError) -> AdminSettings {
        var admin = AdminSettings()
        if let choice = try layers.choice(.adminListen) {
            for part in choice.text.split(separator: ",", omittingEmptySubsequences: false) {
                if part.hasPrefix("unix:/"),
                    part.utf8.count - 5 <= Settings.unixSocketPathBytesMax
                {
                    admin.unixSocketPaths.append(String(part.dropFirst(5)))
                } else if let (host, port) = Values.address(String(part)), let port {
                    admin.addresses.append(ListenAddress(host: host, port: port))
                } else {
                    throw fault(
                        .adminListen, choice, "host:port, [v6]:port, unix:/path, joined by commas")
                }
            }
        }
        admin.tokenFile = try value(.adminTokenFile, "a path") { $0.isEmpty ? nil : $0 }
        if let names = try layers.choice(.adminHosts) {
            admin.hosts = names.text.split(separator: ",").map {
                String($0.drop { $0 == " " }).lowercased()
            }
        }
        admin.isMetricsAuthenticated =
            try value(.adminMetricsAuth, "true or false", Values.flag) ?? false
        return admin
    }

    private func readHost() throws(UsageError) -> HostSettings {
        var host = HostSettings()
        host.inherited = inherited
        // Sockets that are given take the place of those that are named; both would be a mistake.
        for socket in inherited {
            let names: [SettingName] = socket.isAdmin ? [.adminListen] : [.listen, .unixSocket]
            for name in names {
                guard let choice = try layers.choice(name) else { continue }
                throw fault(name, choice, "none: the service manager gives the sockets")
            }
        }
        host.isDaemon = try value(.daemon, "true or false", Values.flag) ?? false
        host.drainDelaySeconds =
            try count(.drainDelay, HostSettings.drainDelaySecondsRange) ?? host.drainDelaySeconds
        host.drainTimeoutMilliseconds =
            try value(.drainTimeout, "0 to 3600 seconds, as 2 or 0.3", Values.milliseconds)
            ?? host.drainTimeoutMilliseconds
        host.logFormat =
            try value(.logFormat, "text, json, logfmt") { LogFormat(rawValue: $0) }
            ?? host.logFormat
        return host
    }

    private func readUser(_ settings: inout Settings) throws(UsageError) -> [String] {
        guard let choice = try layers.choice(.user) else {
            return isRoot
                ? ["running as root: name another user with -u to give that up after binding"]
                : []
        }
        let number = Values.count(choice.text).flatMap { UInt32(exactly: $0) }
        let found = Account(named: choice.text) ?? number.flatMap { Account(userID: $0) }
        guard let account = found else {
            // Container set-ups name users that exist in the image, and start as somebody else.
            guard isRoot else {
                return ["user \(choice.text) ignored: not started as root"]
            }
            throw fault(.user, choice, "a user of this system")
        }
        settings.user = account.name
        guard !isRoot, account != Account.current() else { return [] }
        return ["user \(account.name) ignored: not started as root"]
    }

    private func readStore(_ settings: inout Settings) throws(UsageError) -> [String] {
        let size =
            try value(.storeSize, "a size in bytes, or with k, m, g") { Values.size($0, unit: 1) }
        let durability =
            try value(.durability, "interval, ack") { Durability(rawValue: $0) }
        let interval = try count(.flushInterval, Settings.flushIntervalMillisecondsRange)
        let isOff = try value(.noStore, "true or false", Values.flag) ?? false
        let directory = try layers.choice(.store)
        if isOff, let off = try layers.choice(.noStore) {
            guard let directory, directory.rank <= off.rank else { return [] }
            guard directory.rank < off.rank else {
                throw fault(.store, directory, "either a directory or no store at all")
            }
        }
        // systemd gives a list when a unit names several directories.
        let state = environment["STATE_DIRECTORY"]?.split(separator: ":").first.map(String.init)
        let isAskedFor = size != nil || durability != nil || interval != nil
        let named = directory?.text ?? state
        guard let place = named ?? defaultDirectory(user: settings.user) else {
            guard isAskedFor else {
                return ["no store, there is no home directory for it: --store names a place"]
            }
            throw UsageError("no home directory: name a place with --store, or use --no-store")
        }
        var store = StoreSettings(directory: place)
        store.isAskedFor = isAskedFor || named != nil
        store.sizeBytes = size ?? store.sizeBytes
        store.durability = durability ?? store.durability
        store.flushIntervalMilliseconds = interval ?? store.flushIntervalMilliseconds
        settings.store = store
        return []
    }

    /// $XDG_STATE_HOME/brim, else ~/.local/state/brim, where ~ belongs to the user the server will
    /// run as; nil if that user has no home.
    private func defaultDirectory(user: String?) -> String? {
        let switched = isRoot ? user.flatMap { Account(named: $0) } : nil
        if let switched, switched.userID != 0 { return below(home: switched.home) }
        if let base = environment["XDG_STATE_HOME"], base.hasPrefix("/") { return base + "/brim" }
        return below(home: environment["HOME"] ?? Account.current()?.home ?? "")
    }

    private func below(home: String) -> String? {
        guard home.hasPrefix("/") else { return nil }
        return (home == "/" ? "" : home) + "/.local/state/brim"
    }

    // MARK: One setting

    private func count(
        _ name: SettingName, _ range: ClosedRange<Int>
    ) throws(UsageError) -> Int? {
        try value(name, "\(range.lowerBound) to \(range.upperBound)") { text in
            Values.count(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    private func value<Value>(
        _ name: SettingName, _ allowed: String, _ parse: (String) -> Value?
    ) throws(UsageError) -> Value? {
        guard let choice = try layers.choice(name) else { return nil }
        guard let value = parse(choice.text) else { throw fault(name, choice, allowed) }
        return value
    }

    private func fault(_ name: SettingName, _ choice: Choice?, _ allowed: String) -> UsageError {
        let text = choice.map { ": '\($0.text)'" } ?? ""
        return UsageError(
            "bad value for \(name.spelling(from: choice?.origin))\(text) (allowed: \(allowed))")
    }
}
