// ConfigFile: reads the file of `--config`, a flat YAML mapping of names to values.
//
// The configuration library answers only what it is asked for, so a misspelt name would go
// unnoticed; the lines are therefore looked at once before the library reads them.

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
        // Some editors begin a file with a byte order mark; it is no part of the first name.
        if data.starts(with: [0xEF, 0xBB, 0xBF]) { data = Data(data.dropFirst(3)) }
        let text = String(decoding: data, as: UTF8.self)
        let names = try names(in: text, of: path)
        // A file of nothing but comments is no mapping for the library, and no mistake.
        guard !names.isEmpty else { return InMemoryProvider(values: [:]).snapshot() }
        do {
            return try YAMLSnapshot(data: data.bytes, providerName: path, parsingOptions: .default)
        } catch {
            throw UsageError("\(path): \(error)")
        }
    }

    /// The names that the lines give, each one a setting and given once.
    private static func names(in text: String, of path: String) throws(UsageError) -> Set<String> {
        var names: Set<String> = []
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        ).enumerated() {
            let place = "\(path) line \(index + 1)"
            let bare = line.drop { $0 == " " }
            if bare.isEmpty || bare.hasPrefix("#") || line == "---" { continue }
            if bare.hasPrefix("- "), !names.isEmpty { continue }
            guard bare.count == line.count, let colon = line.firstIndex(of: ":") else {
                throw UsageError("\(place): allowed is `name: value`, without indentation")
            }
            let name = String(line[..<colon])
            guard SettingName(rawValue: name) != nil else {
                throw UsageError("\(place): there is no setting '\(name)'")
            }
            guard names.insert(name).inserted else {
                throw UsageError("\(place): '\(name)' is given twice")
            }
            guard !line[colon...].dropFirst().drop(while: { $0 == " " }).hasPrefix("{") else {
                throw UsageError("\(place): '\(name)' takes one value, not a mapping")
            }
        }
        return names
    }
}
