// Layers: flags over environment over file.
//
// A layer answers with text; an empty text in the environment or the file counts as not given.
// What the text means is Resolution's business.

internal import Server

/// Where a setting was given.
enum Origin: Equatable {
    case flags, environment
    case file(String)
}

/// What was given for a setting, and where.
struct Choice {
    let text: String
    let origin: Origin
    /// Which layer: 0 goes before all others.
    let rank: Int
}

struct Layers {
    private struct Layer {
        let origin: Origin
        let values: [SettingName: FlatMapping.Value]
    }

    private let layers: [Layer]
    private(set) var warnings: [String] = []

    init(flags: GivenFlags, environment: [String: String]) throws(UsageError) {
        let variables = Self.usable(environment)
        warnings = variables.warnings
        var layers = [
            Layer(origin: .flags, values: flags.texts.mapValues { .text($0) }),
            Layer(origin: .environment, values: variables.values),
        ]
        if let path = flags.config ?? variables.config {
            layers.append(Layer(origin: .file(path), values: try ConfigFile.read(path)))
        }
        self.layers = layers
    }

    /// The file, if one is named: the others stay as they are while the process lives.
    var file: String? {
        guard let last = layers.last, case .file(let path) = last.origin else { return nil }
        return path
    }

    /// What the first layer that knows `name` says.
    func choice(_ name: SettingName) throws(UsageError) -> Choice? {
        for (rank, layer) in layers.enumerated() {
            let text: String
            switch layer.values[name] {
            case nil: continue
            case .text(let one): text = one
            case .list(let texts):
                guard name == .listen || name == .adminListen || name == .adminHosts else {
                    throw UsageError(
                        "bad value for \(name.spelling(from: layer.origin)): allowed is one value")
                }
                text = texts.joined(separator: ",")
            }
            guard layer.origin == .flags || !text.isEmpty else { continue }
            return Choice(text: text, origin: layer.origin, rank: rank)
        }
        return nil
    }

    private struct Variables {
        var values: [SettingName: FlatMapping.Value] = [:]
        /// The path of the settings file, if one is named.
        var config: String?
        var warnings: [String] = []
    }

    /// Our variables, without what a container platform adds for a service called "brim".
    private static func usable(_ environment: [String: String]) -> Variables {
        var found = Variables()
        let ours = environment.filter { $0.key.hasPrefix("BRIM_") }
        guard !ours.isEmpty else { return found }
        let names = SettingName.allCases.map { ($0.spelling(from: .environment), $0) }
        let known = Dictionary(names) { first, _ in first }
        for (name, text) in ours.sorted(by: { $0.key < $1.key }) {
            if name.hasPrefix("BRIM_PORT_") || name.hasPrefix("BRIM_SERVICE_") { continue }
            if name == "BRIM_PORT", text.hasPrefix("tcp://") || text.hasPrefix("udp://") {
                found.warnings.append(
                    "BRIM_PORT ignored: '\(text)' is a service link, not a port")
            } else if name == "BRIM_CONFIG" {
                found.config = text.isEmpty ? nil : text
            } else if let setting = known[name] {
                found.values[setting] = .text(text)
            } else {
                found.warnings.append("\(name) ignored: there is no such setting")
            }
        }
        return found
    }
}

extension SettingName {
    /// The name as someone wrote it who gave it there.
    func spelling(from origin: Origin?) -> String {
        switch origin {
        case .flags:
            if self == .verbose { return "-v" }
            if self == .disableCas { return "-C" }
            let switches: [SettingName: String] = [
                .daemon: "-d", .enableShutdown: "-A", .disableFlushAll: "-F",
                .disableDumping: "-X", .enableSasl: "-S",
            ]
            if let name = switches[self] { return name }
            let letter = Arguments.letters.first { $0.1 == self }?.0
            return letter.map { "-\($0)" } ?? "--\(rawValue)"
        case .environment:
            return "BRIM_" + String(rawValue.uppercased().map { $0 == "-" ? "_" : $0 })
        case .file(let path):
            return "\(rawValue) in \(path)"
        case nil:
            return rawValue
        }
    }
}
