// ConfigFile: reads the file of `--config`, a flat YAML mapping of names to values.
//
// The configuration library answers only what it is asked for, so a misspelt name would go
// unnoticed; the names are therefore looked at once before the library is given the values.

internal import Configuration
internal import FoundationEssentials
internal import Server

enum ConfigFile {
    static let bytesMax = 1 << 20

    static func read(_ path: String) throws(UsageError) -> any ConfigSnapshot {
        var data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw UsageError("bad value for --config: '\(path)' (allowed: a file that can be read)")
        }
        guard data.count <= bytesMax else {
            throw UsageError("\(path): larger than \(bytesMax) bytes")
        }
        let mapping: FlatMapping
        do {
            mapping = try FlatMapping(String(decoding: data, as: UTF8.self))
        } catch {
            throw UsageError("\(path) line \(error.line): \(error.text)")
        }
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, value, line) in mapping.values {
            guard SettingName(rawValue: name) != nil else {
                throw UsageError("\(path) line \(line): there is no setting '\(name)'")
            }
            let content: ConfigContent =
                switch value {
                case .text(let text): .string(text)
                case .list(let texts): .stringArray(texts)
                }
            values[AbsoluteConfigKey([name])] = ConfigValue(content, isSecret: false)
        }
        return InMemoryProvider(values: values).snapshot()
    }
}
