// FlatMappingTests: the reader of the settings file beside a library for the whole of YAML. It may
// refuse what YAML allows, and must never read something else.

import Support
import Testing
import Yams
import brim

@Suite struct FlatMappingTests {
    /// Pieces of which lines are made, so that many of them mean something.
    private static let names = ["listen", "user", "threads", "a-b", "store"]
    private static let pieces = [
        "", " ", "  ", "a", "b c", "1", "1.5", "yes", "~", "null", "Null", "'", "''", "\"", "\\",
        "\\\\", "\\\"", "\\t", "#", " #", " # c", ":", ": ", "[", "]", ", ", ",", "{", "}", "-",
        "- ",
        "*", "&a", "!t", "|", ">", "@", "%", "`", "?", "? ", "/x/y", "[::1]:7", "10.0.0.1:12",
        "'it''s'", "\"q\"", "é", "\t", "---", "=", "<<",
    ]

    private static func line(_ chance: inout Chance) -> String {
        var line = ""
        switch chance.below(8) {
        case 0: line = ["# c", "", "---", "  # c", "  ", "..."][chance.below(6)]
        case 1: line = ["- ", "  - ", "-"][chance.below(3)]
        default:
            line = names[chance.below(names.count)] + [": ", ":", ":  ", " : "][chance.below(4)]
        }
        for _ in 0..<chance.below(4) { line += pieces[chance.below(pieces.count)] }
        return line
    }

    /// What the library makes of the text: names with texts or lists of texts, as they stand.
    private static func whole(_ text: String) -> [String: FlatMapping.Value]? {
        let found: Node?
        do { found = try Yams.compose(yaml: text) } catch { return nil }
        guard let node = found else { return [:] }
        guard let mapping = node.mapping else { return node.null == nil ? nil : [:] }
        var values: [String: FlatMapping.Value] = [:]
        for (key, value) in mapping {
            guard let name = key.scalar?.string else { return nil }
            if let scalar = value.scalar {
                values[name] = .text(value.null == nil ? scalar.string : "")
            } else if let sequence = value.sequence {
                var items: [String] = []
                for item in sequence {
                    guard let scalar = item.scalar else { return nil }
                    items.append(item.null == nil ? scalar.string : "")
                }
                values[name] = .list(items)
            } else {
                return nil
            }
        }
        return values
    }

    @Test(arguments: [1, 2, 3, 4]) func whatIsReadIsWhatYAMLSays(seed: UInt64) throws {
        var chance = Chance(seed: seed)
        var read = 0
        var refused = 0
        for _ in 0..<20_000 {
            let lines = (0...chance.below(4)).map { _ in Self.line(&chance) }
            let text = lines.joined(separator: "\n") + "\n"
            guard let mapping = try? FlatMapping(text) else {
                refused += 1
                continue
            }
            read += 1
            var values: [String: FlatMapping.Value] = [:]
            for (name, value, _) in mapping.values { values[name] = value }
            #expect(Self.whole(text) == values, "\(text.debugDescription)")
        }
        #expect(read > 1000)
        #expect(refused > 1000)
    }
}
