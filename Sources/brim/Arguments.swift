// Arguments: memcached's way of writing flags, turned into the plain long form.
//
// memcached reads its command line with getopt: `-m64`, `-vv`, `-Cvm 64`. The argument parser
// does not, so short flags are spelt out before it sees them. Here too, flags of memcached that
// Brim does not have are refused or passed over, each in one line.

internal import Server

/// The command line in the form that the argument parser takes.
struct Expansion: Equatable {
    var arguments: [String] = []
    var warnings: [String] = []
}

enum Arguments {
    /// What becomes of a flag.
    enum Meaning {
        case plain(String)
        case value(String)
        /// Not supported yet; the words say what it is for.
        case later(String)
        /// Supported with this value only, which is what holds anyway.
        case only(String, String)
        /// Tuning of something Brim does not have: read, warned about, without effect.
        case idle(String, hasValue: Bool)
    }

    /// Spells `arguments` out: every short flag by its long name, every value behind `=`.
    static func expand(_ arguments: [String]) throws(UsageError) -> Expansion {
        var expansion = Expansion()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument.hasPrefix("--") {
                try long(argument, &rest, &expansion)
            } else if argument.hasPrefix("-"), argument.count > 1 {
                try cluster(argument.dropFirst(), &rest, &expansion)
            } else {
                throw UsageError("'\(argument)' is not a flag (brim -h lists what there is)")
            }
        }
        return expansion
    }

    /// One argument of short flags; the first that takes a value ends it.
    private static func cluster(
        _ letters: Substring, _ rest: inout ArraySlice<String>, _ expansion: inout Expansion
    ) throws(UsageError) {
        var letters = letters
        while let letter = letters.popFirst() {
            guard let meaning = shorts[letter] else {
                throw UsageError("-\(letter) is not a flag (brim -h lists what there is)")
            }
            let joined = letters.isEmpty ? nil : String(letters)
            if try apply(meaning, as: "-\(letter)", joined, &rest, &expansion) { return }
        }
    }

    private static func long(
        _ argument: String, _ rest: inout ArraySlice<String>, _ expansion: inout Expansion
    ) throws(UsageError) {
        let parts = argument.dropFirst(2)
            .split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = parts.first.map(String.init) ?? ""
        guard let meaning = longs[name] else {
            throw UsageError("--\(name) is not a flag (brim -h lists what there is)")
        }
        let joined = parts.count == 2 ? String(parts[1]) : nil
        let spelling = "--\(name)"
        if try !apply(meaning, as: spelling, joined, &rest, &expansion), joined != nil {
            throw UsageError("\(spelling) takes no value")
        }
    }

    /// Adds what the flag means; says whether it took `joined` or the next argument.
    private static func apply(
        _ meaning: Meaning, as spelling: String, _ joined: String?,
        _ rest: inout ArraySlice<String>, _ expansion: inout Expansion
    ) throws(UsageError) -> Bool {
        switch meaning {
        case .plain(let name):
            expansion.arguments.append("--\(name)")
            return false
        case .value(let name):
            let value = try value(of: spelling, joined, &rest)
            expansion.arguments.append("--\(name)=\(value)")
            return true
        case .later(let purpose):
            throw UsageError("\(spelling) (\(purpose)) is not supported yet")
        case .only(let allowed, let purpose):
            guard try value(of: spelling, joined, &rest) == allowed else {
                throw UsageError(
                    "\(spelling) (\(purpose)) other than \(allowed) is not supported yet")
            }
            return true
        case .idle(let purpose, let hasValue):
            if hasValue { _ = try value(of: spelling, joined, &rest) }
            expansion.warnings.append("\(spelling) (\(purpose)) has no effect: there are no slabs")
            return hasValue
        }
    }

    private static func value(
        of spelling: String, _ joined: String?, _ rest: inout ArraySlice<String>
    ) throws(UsageError) -> String {
        guard let value = joined ?? rest.popFirst(), !value.isEmpty else {
            throw UsageError("\(spelling) needs a value")
        }
        return value
    }

    /// Our own short flags; `SettingName` and `Flags` know what they mean.
    static let letters: [(Character, SettingName)] = [
        ("l", .listen), ("p", .port), ("s", .unixSocket), ("a", .unixMask), ("m", .memoryLimit),
        ("c", .connLimit), ("t", .threads), ("I", .maxItemSize), ("b", .listenBacklog),
        ("R", .maxReqsPerEvent), ("u", .user), ("P", .pidfile), ("U", .udpPort),
    ]

    private static let shorts: [Character: Meaning] = {
        var table: [Character: Meaning] = [
            "v": .plain("verbose"), "C": .plain("disable-cas"), "V": .plain("version"),
            "h": .plain("help"),
        ]
        for (letter, name) in letters { table[letter] = .value(name.rawValue) }
        for flag in foreign { table[flag.letter] = flag.meaning }
        return table
    }()

    private static let longs: [String: Meaning] = {
        var table: [String: Meaning] = [
            "config": .value("config"), "check-config": .plain("check-config"),
            "version": .plain("version"), "help": .plain("help"),
        ]
        for name in SettingName.allCases {
            table[name.rawValue] =
                switch name {
                case .verbose, .disableCas, .noStore: .plain(name.rawValue)
                default: .value(name.rawValue)
                }
        }
        for flag in foreign { table[flag.name] = flag.meaning }
        return table
    }()

    /// What memcached has and Brim has not.
    private static let foreign: [(letter: Character, name: String, meaning: Meaning)] = [
        ("A", "enable-shutdown", .later("the shutdown command")),
        ("B", "protocol", .only("ascii", "protocol")),
        ("D", "stat-prefix", .later("statistics by key prefix")),
        ("F", "disable-flush-all", .later("disabling flush_all")),
        ("L", "enable-largepages", .idle("large pages for slabs", hasValue: false)),
        ("M", "disable-evictions", .later("errors instead of eviction")),
        ("N", "napi_ids", .later("NAPI ids")),
        ("S", "enable-sasl", .later("SASL authentication")),
        ("W", "disable-watch", .later("disabling watch")),
        ("X", "disable-dumping", .later("disabling key dumps")),
        ("Y", "auth-file", .later("authentication")),
        ("Z", "enable-ssl", .later("TLS")),
        ("d", "daemon", .later("going to the background")),
        ("e", "memory-file", .later("a memory file; the store keeps items over a restart")),
        ("f", "slab-growth-factor", .idle("slab growth factor", hasValue: true)),
        ("i", "license", .later("printing the licence")),
        ("k", "lock-memory", .later("locking memory")),
        ("n", "slab-min-size", .idle("least slab chunk", hasValue: true)),
        ("o", "extended", .later("extended options")),
        ("r", "enable-coredumps", .later("core dumps")),
    ]
}
