// Layers: flags over environment over file, each asked through the configuration library.
//
// A layer answers with text; an empty text in the environment or the file counts as not given.
// What the text means is Resolution's business.

internal import Configuration
internal import FoundationEssentials
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
    private let layers: [(origin: Origin, snapshot: any ConfigSnapshot)]
    private(set) var warnings: [String] = []

    init(flags: GivenFlags, environment: [String: String]) throws(UsageError) {
        let (variables, warnings) = Self.usable(environment)
        self.warnings = warnings
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, text) in flags.texts {
            values[AbsoluteConfigKey([name.rawValue])] = ConfigValue(.string(text), isSecret: false)
        }
        var layers: [(Origin, any ConfigSnapshot)] = [
            (.flags, InMemoryProvider(values: values).snapshot()),
            (
                .environment,
                EnvironmentVariablesProvider(environmentVariables: variables).snapshot()
            ),
        ]
        let fromEnvironment = variables["BRIM_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        if let path = flags.config ?? fromEnvironment {
            layers.append((.file(path), try ConfigFile.read(path)))
        }
        self.layers = layers
    }

    /// Whether a file is one of them: the others stay as they are while the process lives.
    var hasFile: Bool { layers.count > 2 }

    /// What the first layer that knows `name` says.
    func choice(_ name: SettingName) throws(UsageError) -> Choice? {
        for (rank, layer) in layers.enumerated() {
            let text = try text(of: name, in: layer)
            guard let text, layer.origin == .flags || !text.isEmpty else { continue }
            return Choice(text: text, origin: layer.origin, rank: rank)
        }
        return nil
    }

    private func text(
        of name: SettingName, in layer: (origin: Origin, snapshot: any ConfigSnapshot)
    ) throws(UsageError) -> String? {
        let isEnvironment = layer.origin == .environment
        let key = AbsoluteConfigKey(isEnvironment ? ["brim", name.rawValue] : [name.rawValue])
        do {
            guard
                case .string(let text)? = try layer.snapshot
                    .value(forKey: key, type: .string).value?.content
            else { return nil }
            return text
        } catch {
            let list = try? layer.snapshot.value(forKey: key, type: .stringArray).value?.content
            guard name == .listen || name == .adminListen || name == .adminHosts,
                case .stringArray(let texts)? = list
            else {
                throw UsageError(
                    "bad value for \(name.spelling(from: layer.origin)): allowed is one value")
            }
            return texts.joined(separator: ",")
        }
    }

    /// Our variables, without what a container platform adds for a service called "brim".
    private static func usable(
        _ environment: [String: String]
    ) -> (variables: [String: String], warnings: [String]) {
        let known = Set(SettingName.allCases.map { $0.spelling(from: .environment) })
            .union(["BRIM_CONFIG"])
        var variables: [String: String] = [:]
        var warnings: [String] = []
        for (name, text) in environment.sorted(by: { $0.key < $1.key })
        where name.hasPrefix("BRIM_") {
            if name.hasPrefix("BRIM_PORT_") || name.hasPrefix("BRIM_SERVICE_") { continue }
            if name == "BRIM_PORT", text.hasPrefix("tcp://") || text.hasPrefix("udp://") {
                warnings.append("BRIM_PORT ignored: '\(text)' is a service link, not a port")
            } else if known.contains(name) {
                variables[name] = text
            } else {
                warnings.append("\(name) ignored: there is no such setting")
            }
        }
        return (variables, warnings)
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
            return "BRIM_" + rawValue.uppercased().replacing("-", with: "_")
        case .file(let path):
            return "\(rawValue) in \(path)"
        case nil:
            return rawValue
        }
    }
}
