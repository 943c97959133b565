// ConfigFile: reads the file of `--config`, a flat YAML mapping of names to values.

internal import Primitives
internal import Server

enum ConfigFile {
    static let bytesMax = 1 << 20

    /// What it says of each setting that it names; a name that is none is an error.
    static func read(_ path: String) throws(UsageError) -> [SettingName: FlatMapping.Value] {
        guard let text = SystemTree.text(path, bytesMax: bytesMax + 1) else {
            throw UsageError("bad value for --config: '\(path)' (allowed: a file that can be read)")
        }
        guard text.utf8.count <= bytesMax else {
            throw UsageError("\(path): larger than \(bytesMax) bytes")
        }
        let mapping: FlatMapping
        do {
            mapping = try FlatMapping(text)
        } catch {
            throw UsageError("\(path) line \(error.line): \(error.text)")
        }
        var values: [SettingName: FlatMapping.Value] = [:]
        for (name, value, line) in mapping.values {
            guard let setting = SettingName(rawValue: name) else {
                throw UsageError("\(path) line \(line): there is no setting '\(name)'")
            }
            values[setting] = value
        }
        return values
    }
}
