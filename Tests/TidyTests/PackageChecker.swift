// PackageChecker: the rules that need all files at once: names that nothing uses, names in comments
// that nothing has, types with too many fields, suites that a filter cannot tell apart.
//
// A name is a word here, whatever type it belongs to: a dead function is missed as long as another
// of its name lives. What the rules pass over, and why, is in Exceptions.swift.

struct PackageChecker {
    static let storedFieldsMax = 25

    /// A file of the package, by its path relative to the package's folder.
    typealias File = (path: String, text: String)

    /// Types that may have more stored fields, by module and name, and how many they have.
    var manyFields: [String: Int] = [:]
    /// Words of others that comments may name.
    var outsideNames: Set<String> = []
    /// Names that something outside asks for: protocols of libraries, the runtime.
    var demandedNames: Set<String> = []

    private struct Parsed {
        var path: String
        var source: SwiftSource
        var declarations: Declarations
        var isLayered: Bool { Layers.isLayered(path) }
        /// The folder of the target.
        var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
        var fileName: String { path.split(separator: "/").last.map(String.init) ?? "" }
    }

    func findings(in files: [File]) -> [Finding] {
        let parsed = files.filter { $0.path.hasSuffix(".swift") }.map { file in
            let source = SwiftSource(file.text)
            return Parsed(
                path: file.path, source: source, declarations: Declarations(source))
        }
        let foreign = files.filter { file in
            [".c", ".h", ".py"].contains(where: file.path.hasSuffix)
        }
        return deadNames(parsed, foreign) + staleNames(parsed, foreign)
            + storedFields(parsed) + suiteNames(parsed)
    }

    // MARK: Names

    /// Names that only their own declarations say.
    private func deadNames(_ files: [Parsed], _ foreign: [File]) -> [Finding] {
        var uses: [String: Int] = [:]
        for file in files {
            uses.merge(file.declarations.wordCounts, uniquingKeysWith: +)
            for name in file.declarations.names { uses[name.text, default: 0] -= 1 }
        }
        for file in foreign where file.path.hasSuffix(".c") || file.path.hasSuffix(".h") {
            for word in Self.words(of: file.text) { uses[String(word), default: 0] += 1 }
        }
        return files.filter(\.isLayered).flatMap { file in
            file.declarations.names
                .filter { uses[$0.text] == 0 && !demandedNames.contains($0.text) }
                .map { Finding(path: file.path, line: $0.line, rule: .deadName, detail: $0.text) }
        }
    }

    /// Names in backticks, in comments, of which a word is no word of the code.
    private func staleNames(_ files: [Parsed], _ foreign: [File]) -> [Finding] {
        var known = outsideNames
        for file in files { known.formUnion(file.declarations.wordCounts.keys) }
        for file in foreign { known.formUnion(Self.words(of: file.text).map(String.init)) }
        return files.flatMap { file in
            file.source.comments.enumerated().flatMap { index, comment in
                Self.namesInBackticks(comment)
                    .filter { !Self.words(of: $0).map(String.init).allSatisfy(known.contains) }
                    .map {
                        Finding(path: file.path, line: index + 1, rule: .staleName, detail: $0)
                    }
            }
        }
    }

    /// What stands in backticks and looks like a name of the code: a word with a capital in it, or
    /// several with dots or parentheses. Words of the protocol and of the shell are lower case.
    private static func namesInBackticks(_ comment: String) -> [String] {
        guard comment.contains("`") else { return [] }
        return comment.matches(of: /`([^`]+)`/).map { String($0.output.1) }.filter { name in
            name.wholeMatch(of: /\.?[A-Za-z_]\w*([.<(][\w.:,<> ()]*)?/) != nil
                && name.contains(/[A-Z.(]/)
        }
    }

    private static func words(of text: String) -> [Substring] {
        text.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
    }

    // MARK: Types

    private func storedFields(_ files: [Parsed]) -> [Finding] {
        var known = manyFields
        var findings: [Finding] = []
        for file in files where file.isLayered {
            for type in file.declarations.types {
                let name = "\(file.target).\(type.type)"
                let allowed = known.removeValue(forKey: name)
                guard let fault = fault(of: name, type.count, allowed) else { continue }
                findings.append(
                    Finding(path: file.path, line: type.line, rule: .storedFields, detail: fault))
            }
        }
        return findings
            + known.keys.sorted().map {
                Finding(path: "", line: 0, rule: .storedFields, detail: "\($0) is no type any more")
            }
    }

    private func fault(of name: String, _ count: Int, _ allowed: Int?) -> String? {
        guard let allowed else {
            return count > Self.storedFieldsMax ? "\(name) has \(count) stored fields" : nil
        }
        if count > allowed { return "\(name) has grown from \(allowed) stored fields to \(count)" }
        if count <= Self.storedFieldsMax { return "\(name) needs no exception any more" }
        return count < allowed ? "\(name) has \(count) stored fields: lower its exception" : nil
    }

    // MARK: Suites

    private struct Suite {
        var target: String
        var name: String
        var file: Parsed
        var line: Int
    }

    /// `swift test --filter NAME` runs every test whose path, `Target.Suite/test()/File.swift:1:1`,
    /// has the name in it: it must be that suite alone, or the rest of its file.
    private func suiteNames(_ files: [Parsed]) -> [Finding] {
        let suites = files.filter { $0.path.hasPrefix("Tests/") }.flatMap { file in
            var names = file.declarations.suites
            if file.declarations.hasLooseTests {
                let name = String(file.fileName.dropLast(".swift".count))
                names.append(Declarations.Name(text: name, line: 1))
            }
            return names.map {
                Suite(target: file.target, name: $0.text, file: file, line: $0.line)
            }
        }
        return suites.compactMap { suite in
            guard let other = suites.first(where: { isHit($0, by: suite) }) else { return nil }
            return Finding(
                path: suite.file.path, line: suite.line, rule: .suiteName,
                detail: "\(suite.name) hits \(other.target).\(other.name) of \(other.file.fileName)"
            )
        }
    }

    private func isHit(_ other: Suite, by suite: Suite) -> Bool {
        guard other.target != suite.target || other.name != suite.name else { return false }
        return other.name.contains(suite.name)
            || other.target != suite.target && other.target.contains(suite.name)
            || other.file.path != suite.file.path && other.file.fileName.contains(suite.name)
                && !other.file.declarations.suites.contains { $0.text == suite.name }
    }
}
