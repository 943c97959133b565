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
        /// Supported with these values only, which is what holds anyway.
        case only([String], String)
        /// Read, warned about, without effect; the words say why.
        case idle(String, hasValue: Bool)
        /// A list of further options.
        case extended
    }

    /// Spells `arguments` out: every short flag by its long name, every value behind `=`.
    static func expand(_ arguments: [String]) throws(UsageError) -> Expansion {
        var expansion = Expansion()
        var extended = ExtendedOptions()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument.hasPrefix("--") {
                try long(argument, &rest, &expansion, &extended)
            } else if argument.hasPrefix("-"), argument.count > 1 {
                try cluster(argument.dropFirst(), &rest, &expansion, &extended)
            } else {
                throw UsageError("'\(argument)' is not a flag (brim -h lists what there is)")
            }
        }
        expansion.arguments += extended.arguments
        expansion.warnings += extended.warnings
        return expansion
    }

    /// One argument of short flags; the first that takes a value ends it.
    private static func cluster(
        _ letters: Substring, _ rest: inout ArraySlice<String>, _ expansion: inout Expansion,
        _ extended: inout ExtendedOptions
    ) throws(UsageError) {
        var letters = letters
        while let letter = letters.popFirst() {
            guard let meaning = shorts[letter] else {
                throw UsageError("-\(letter) is not a flag (brim -h lists what there is)")
            }
            // A blank may follow the letter within one argument ("-m 64", as container set-ups
            // write it).
            let value = letters.drop { $0 == " " }
            let joined = letters.isEmpty ? nil : String(value)
            if try apply(meaning, as: "-\(letter)", joined, &rest, &expansion, &extended) {
                return
            }
        }
    }

    private static func long(
        _ argument: String, _ rest: inout ArraySlice<String>, _ expansion: inout Expansion,
        _ extended: inout ExtendedOptions
    ) throws(UsageError) {
        let parts = argument.dropFirst(2)
            .split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = parts.first.map(String.init) ?? ""
        guard let meaning = longs[name] else {
            throw UsageError("--\(name) is not a flag (brim -h lists what there is)")
        }
        let joined = parts.count == 2 ? String(parts[1]) : nil
        let spelling = "--\(name)"
        if try !apply(meaning, as: spelling, joined, &rest, &expansion, &extended), joined != nil {
            throw UsageError("\(spelling) takes no value")
        }
    }

    /// Adds what the flag means; says whether it took `joined` or the next argument.
    private static func apply(
        _ meaning: Meaning, as spelling: String, _ joined: String?,
        _ rest: inout ArraySlice<String>, _ expansion: inout Expansion,
        _ extended: inout ExtendedOptions
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
            guard allowed.contains(try value(of: spelling, joined, &rest)) else {
                throw UsageError(
                    "\(spelling) (\(purpose)) other than \(allowed.joined(separator: " or "))"
                        + " is not supported yet")
            }
            return true
        case .idle(let purpose, let hasValue):
            if hasValue { _ = try value(of: spelling, joined, &rest) }
            expansion.warnings.append("\(spelling) has no effect: \(purpose)")
            return hasValue
        case .extended:
            try extended.read(try value(of: spelling, joined, &rest))
            return true
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
        ("R", .maxReqsPerEvent), ("u", .user), ("P", .pidfile), ("U", .udpPort), ("B", .protocol),
        ("Y", .authFile), ("D", .statPrefix),
    ]

    private static let shorts: [Character: Meaning] = {
        var table: [Character: Meaning] = [
            "v": .plain("verbose"), "C": .plain("disable-cas"), "V": .plain("version"),
            "h": .plain("help"), "d": .plain("daemon"), "A": .plain("enable-shutdown"),
            "F": .plain("disable-flush-all"), "X": .plain("disable-dumping"),
            "S": .plain("enable-sasl"), "M": .plain("disable-evictions"),
            "W": .plain("disable-watch"),
        ]
        for (letter, name) in letters { table[letter] = .value(name.rawValue) }
        for flag in foreign { table[flag.letter] = flag.meaning }
        return table
    }()

    private static let longs: [String: Meaning] = {
        var table: [String: Meaning] = [
            "config": .value("config"), "check-config": .plain("check-config"),
            "probe": .plain("probe"),
            "version": .plain("version"), "help": .plain("help"),
        ]
        for name in SettingName.allCases {
            table[name.rawValue] =
                switch name {
                case .verbose, .disableCas, .noStore, .daemon, .enableShutdown, .disableFlushAll,
                    .disableDumping, .debugClock, .disableEvictions, .disableWatch, .enableSasl,
                    .adminMetricsAuth:
                    .plain(name.rawValue)
                default: .value(name.rawValue)
                }
        }
        for flag in foreign { table[flag.name] = flag.meaning }
        return table
    }()

    /// What memcached has and Brim has not.
    private static let foreign: [(letter: Character, name: String, meaning: Meaning)] = [
        ("L", "enable-largepages", .idle("it is for slabs, and there are none", hasValue: false)),
        ("N", "napi_ids", .later("NAPI ids")),
        ("Z", "enable-ssl", .later("TLS")),
        ("e", "memory-file", .idle("the store keeps items over a restart", hasValue: true)),
        ("f", "slab-growth-factor", .idle("it is for slabs, and there are none", hasValue: true)),
        ("i", "license", .later("printing the licence")),
        (
            "k", "lock-memory",
            .idle("what -m bounds is touched as it is needed; switch swap off", hasValue: false)
        ),
        ("n", "slab-min-size", .idle("it is for slabs, and there are none", hasValue: true)),
        ("o", "extended", .extended),
        (
            "r", "enable-coredumps",
            .idle("the limit of the system (ulimit -c) holds", hasValue: false)
        ),
    ]
}
