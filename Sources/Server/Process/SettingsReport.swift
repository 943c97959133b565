// SettingsReport: the settings in effect, as `brim --check-config` prints them.
//
// One `name value` a line, names as in the file, sizes in bytes, `-` for what is not set; an
// address has a line of its own. Scripts and tests read this: names and order stay.

extension Settings {
    public var lines: [String] {
        var lines = listenAddresses.map { "listen \($0)" }
        if lines.isEmpty { lines = ["listen -"] }
        lines += [
            "unix-socket \(unixSocketPath ?? "-")",
            "unix-mask \(String(unixSocketMask, radix: 8))",
            "memory-limit \(memoryBytes)",
            "conn-limit \(connectionsMax)",
            "threads \(workers)",
            "max-item-size \(itemBytesMax)",
            "listen-backlog \(backlog)",
            "max-reqs-per-event \(requestsPerTurnMax)",
            "user \(user ?? "-")",
            "pidfile \(pidFile ?? "-")",
            "verbose \(verbosity)",
            "stat-prefix \(statPrefix.map { String(UnicodeScalar($0)) } ?? "-")",
            "disable-cas \(isCasDisabled)",
            "daemon \(host.isDaemon)",
            "enable-shutdown \(allowed.contains(.shutdown))",
            "disable-flush-all \(refused.contains(.flushing))",
            "disable-dumping \(refused.contains(.dumping))",
            "disable-evictions \(refused.contains(.evicting))",
            "disable-watch \(refused.contains(.watching))",
            "protocol \(protocols.rawValue)",
            "auth-file \(authFile ?? "-")",
            "enable-sasl \(sasl.isEnabled)",
            "store \(store?.directory ?? "-")",
        ]
        if let store {
            lines += [
                "store-size \(store.sizeBytes)",
                "durability \(store.durability.rawValue)",
                "flush-interval \(store.flushIntervalMilliseconds)",
            ]
        }
        let listeners =
            admin.addresses.map { "\($0)" } + admin.unixSocketPaths.map { "unix:\($0)" }
        return lines + [
            "idle-timeout \(idleTimeoutSeconds)",
            "win-timeout \(winTimeoutSeconds)",
            "engine \(engine.rawValue)",
            "admin-listen \(listeners.isEmpty ? "-" : listeners.joined(separator: ","))",
            "admin-token-file \(admin.tokenFile ?? "-")",
            "admin-hosts \(admin.hosts.isEmpty ? "-" : admin.hosts.joined(separator: ","))",
            "admin-metrics-auth \(admin.isMetricsAuthenticated)",
            "drain-delay \(host.drainDelaySeconds)",
            "drain-timeout \(Self.seconds(host.drainTimeoutMilliseconds))",
            "log-format \(host.logFormat.rawValue)",
        ]
    }

    /// The same as names and values, each name once: what has several values joins them by commas.
    var values: [(name: String, value: String)] {
        var values: [(name: String, value: String)] = []
        for line in lines {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { continue }
            if let last = values.last, last.name == parts[0] {
                values[values.count - 1].value += ",\(parts[1])"
            } else {
                values.append((parts[0], parts[1]))
            }
        }
        return values
    }

    /// As it may be given: `2`, `0.3`.
    private static func seconds(_ milliseconds: Int) -> String {
        var digits = String(milliseconds % 1000 + 1000).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(milliseconds / 1000)" + (digits.isEmpty ? "" : ".\(digits)")
    }
}
