// EventTests: the events that the sources declare are those that docs/operating/log.md explains,
// and each is used, at the level that the table says.

import Foundation
import Testing

private let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Every Swift file below Sources.
private func sources() throws -> [String] {
    let root = folder.appending(path: "Sources")
    let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
    return try (files?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "swift" }
        .map { try String(contentsOf: $0, encoding: .utf8) }
}

/// One row of the table.
private struct Row {
    let level: String
    let meaning: String
}

@Suite struct EventTests {
    /// Event names by the names of their constants, as the sources declare them.
    private let declared: [String: String]
    private let text: String
    private let table: [String: Row]

    init() throws {
        text = try sources().joined(separator: "\n")
        var declared: [String: String] = [:]
        for match in text.matches(of: /static let (\w+) = Event\("([^"]+)"\)/) {
            declared[String(match.1)] = String(match.2)
        }
        self.declared = declared
        let page = try String(
            contentsOf: folder.appending(path: "docs/operating/log.md"), encoding: .utf8)
        var table: [String: Row] = [:]
        for match in page.matches(of: /\n\| `([a-z]+\.[a-z_]+)` \| (\w+) \| ([^\n]*)/) {
            table[String(match.1)] = Row(level: String(match.2), meaning: String(match.3))
        }
        self.table = table
    }

    @Test func theTableHasTheEventsThatAreDeclared() {
        #expect(declared.count > 20, "the declarations were not found")
        #expect(Set(declared.values) == Set(table.keys))
        #expect(Set(declared.values).count == declared.count, "a name stands twice")
        // No event is made anywhere but in a declaration.
        #expect(text.matches(of: /\bEvent\("/).count == declared.count)
    }

    @Test func everyEventIsUsedAtItsLevel() {
        var used: Set<String> = []
        for match in text.matches(of: /events\.(\w+)\(\s*\.(\w+)/) {
            let (level, constant) = (String(match.1), String(match.2))
            guard let name = declared[constant] else {
                Issue.record("events.\(level)(.\(constant)) is not declared")
                continue
            }
            used.insert(name)
            #expect(table[name]?.level == level, "\(name)")
        }
        // The log says itself what it could not write.
        for match in text.matches(of: /LogRecord\(\.(\w+), "\\\(Event\.(\w+)\.name\)/) {
            guard let name = declared[String(match.2)] else { continue }
            used.insert(name)
            #expect(table[name]?.level == String(match.1), "\(name)")
        }
        #expect(used == Set(declared.values))
    }

    /// What the code gives an event as fields stands in its row.
    @Test func everyFieldIsInTheTable() {
        var found = 0
        for match in text.matches(
            of: /events\.\w+\(\s*\.(\w+),((?:[^;](?!events\.))*?)\)\n\s*[}\w]/)
        {
            guard let name = declared[String(match.1)], let row = table[name] else { continue }
            for field in String(match.2).matches(of: /[" ]([a-z_]+)=/) {
                found += 1
                #expect(row.meaning.contains("`\(field.1)`"), "\(name) \(field.1)")
            }
        }
        #expect(found > 30, "the fields were not found")
    }
}
