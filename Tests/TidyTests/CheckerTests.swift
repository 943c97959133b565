// CheckerTests: the checker finds what is wrong in bad samples, and nothing in good ones.

import Testing

/// A text, the path it pretends to have, and what must be found in it.
struct Sample: CustomTestStringConvertible, Sendable {
    let path: String
    let text: String
    let rule: Rule?
    init(_ rule: Rule?, _ path: String, _ text: String) {
        self.path = path
        self.text = text
        self.rule = rule
    }
    var testDescription: String { "\(rule?.rawValue ?? "tidy") \(path) \(text.prefix(40))" }
}

private let task = "TO" + "DO"
private let home = "/ho" + "me/someone/x"
private let long = String(repeating: "x", count: 101)

private func function(lines: Int, _ declaration: String = "func f()") -> String {
    "// A.\n\(declaration) {\n" + String(repeating: "    g()\n", count: lines - 2) + "}\n"
}

private let samples: [Sample] = [
    Sample(.lineLength, "Sources/Store/A.swift", "// A.\nlet x = \"\(long)\"\n"),
    Sample(.lineLength, "Makefile", long),
    Sample(.lineLength, "Sources/CUring/A.c", "/* \(long) */"),
    Sample(nil, "Tests/T/A.swift", "// A.\n" + String(repeating: "é", count: 100)),
    Sample(nil, "docs/a.md", long),
    Sample(.fileLength, "Sources/CUring/A.c", String(repeating: "\n", count: 501)),
    Sample(.fileLength, "Tests/T/A.swift", "// A.\n" + String(repeating: "\n", count: 500)),
    Sample(nil, "Tests/T/A.swift", "// A.\n" + String(repeating: "\n", count: 499)),
    Sample(.functionLength, "Sources/Store/A.swift", function(lines: 71)),
    Sample(.functionLength, "Tests/T/A.swift", function(lines: 71, "  @Test(x) func f(a: [Int])")),
    Sample(
        .functionLength, "Bench/Load/A.swift",
        function(
            lines: 71, "public static func f<T>(\n  _ x: T = (1)\n) throws(E) -> T\nwhere T: P")),
    Sample(.functionLength, "Sources/Store/A.swift", function(lines: 71, "public init?(x: Int)")),
    Sample(.functionLength, "Sources/Store/A.swift", function(lines: 71, "deinit")),
    Sample(nil, "Sources/Store/A.swift", function(lines: 70)),
    Sample(nil, "Sources/Store/A.swift", function(lines: 200, "enum E")),
    Sample(
        nil, "Sources/Store/A.swift",
        "// A.\nprotocol P {\n  func f()\n  func g() -> Int\n}\n" + function(lines: 60, "enum E")),
    Sample(.header, "Sources/Store/A.swift", "import Primitives\n"),
    Sample(.header, "Tests/T/A.swift", "/// A type.\nstruct A {}\n"),
    Sample(.header, "Tests/T/A.swift", String(repeating: "// A.\n", count: 9)),
    Sample(.imports, "Sources/Store/A.swift", "// A.\nimport Memcache\n"),
    Sample(.imports, "Sources/Memcache/A.swift", "// A.\npublic import Glibc\n"),
    Sample(.imports, "Sources/Server/A.swift", "// A.\ninternal import Foundation\n"),
    Sample(.imports, "Sources/Server/A.swift", "// A.\nimport struct Foundation.Data\n"),
    Sample(.imports, "Sources/Server/A.swift", "// A.\nimport Logging\n"),
    Sample(.imports, "Sources/Primitives/A.swift", "// A.\nimport SegmentLog\n"),
    Sample(.imports, "Sources/Fresh/A.swift", "// A.\nlet x = 1\n"),
    Sample(.imports, "Bench/Load/A.swift", "// A.\nimport Server\n"),
    Sample(nil, "Sources/Server/A.swift", "// A.\npublic import Store\n"),
    Sample(.imports, "Sources/brim/A.swift", "// A.\nimport FoundationEssentials\n"),
    Sample(nil, "Tests/T/A.swift", "// A.\nimport Foundation\n"),
    Sample(nil, "Sources/Store/A.swift", "// A.\n// import Foundation\n/* import Logging */\n"),
    Sample(.fence, "Sources/Store/A.swift", "// A.\nlet x = unsafe y\n"),
    Sample(.fence, "Sources/Server/A.swift", "// A.\nvar p: UnsafeRawPointer\n"),
    Sample(.fence, "Sources/Memcache/A.swift", "// A.\nx.withUnsafeBytes { _ in }\n"),
    Sample(.fence, "Sources/brim/A.swift", "// A.\nlet x = \"\\(unsafeBitCast(y))\"\n"),
    Sample(.fence, "Bench/Load/A.swift", "// A.\nextension A: @unchecked Sendable {}\n"),
    Sample(.fence, "Sources/Store/A.swift", "// A.\nnonisolated(unsafe) var x = 1\n"),
    Sample(nil, "Sources/Uring/A.swift", "// A.\nlet x = unsafe y\n"),
    Sample(nil, "Sources/Store/A.swift", "// A.\n// unsafe\nlet x = \"unsafe \\(y) unsafe\"\n"),
    Sample(
        nil, "Sources/Store/A.swift",
        "// A.\nlet x = #\"unsafe \\(unsafe\"# + \"\"\"\n unsafe\n\"\"\""),
    Sample(nil, "Tests/T/A.swift", "// A.\nlet x = unsafe y\n"),
    Sample(.trap, "Sources/Server/A.swift", "// A.\nfatalError(\"no\")\n"),
    Sample(.trap, "Sources/Uring/A.swift", "// A.\nlet x = try! f()\n"),
    Sample(.trap, "Bench/Load/A.swift", "// A.\nlet x = y as! Z\n"),
    Sample(nil, "Sources/Server/A.swift", "// A.\nlet x = try? f() as? Int\n"),
    Sample(.openTask, "Sources/Store/A.swift", "// A.\n// \(task): later\n"),
    Sample(.openTask, "docs/a.md", "FIX" + "ME"),
    Sample(.openTask, "Makefile", "# \(task) (someone)"),
    Sample(nil, "Sources/Store/A.swift", "// A.\n// \(task) (#12): later\n"),
    Sample(nil, "docs/a.md", "a \(task.lowercased()) list"),
    Sample(.machinePath, "docs/a.md", "cd \(home)"),
    Sample(.machinePath, "Package.swift", "path: \"\(home)\""),
    Sample(.machinePath, ".ci/run", "PATH=/ro" + "ot/bin"),
    Sample(nil, "docs/a.md", "~/.local/state, /var/lib/brim, https://example.org/home/x"),
    Sample(.link, "docs/a.md", "see [b](b.md)"),
    Sample(.link, "README.md", "see [b](docs/b.md#part) and [a](docs/a.md)"),
    Sample(.link, "docs/a.md", "[out](../../a.md)"),
    Sample(nil, "docs/a.md", "[a](a.md#x) [r](../README.md) [w](https://example.org) [s](#s)"),
    Sample(nil, "docs/a.md", "```\n[b](b.md)\n```"),
]

@Suite struct CheckerTests {
    private let checker = Checker { ["docs/a.md", "README.md"].contains($0) }

    @Test(arguments: samples) func aSampleIsJudged(_ sample: Sample) {
        let findings = checker.findings(in: sample.path, sample.text)
        #expect(Set(findings.map(\.rule)) == (sample.rule.map { [$0] } ?? []))
    }

    @Test func everyRuleHasABadSample() {
        let found = samples.compactMap(\.rule) + packageSamples.compactMap(\.rule)
        #expect(Set(found) == Set(Rule.allCases))
    }

    @Test func aFindingNamesItsLine() {
        let finding = checker.findings(in: "docs/a.md", "one\nsee [b](b.md)\n").first
        #expect(finding?.description == "docs/a.md:2: link: b.md")
    }

    @Test func linesStayLinesWithoutCommentsAndStrings() {
        let source = SwiftSource(
            "a /* b\n /* c */ d */ e \"f \\(g(\"h\")) i\" j // k\n\"\"\"\nl\n\"\"\" m")
        let words = source.lines.map { $0.split(separator: " ").joined(separator: " ") }
        #expect(words == ["a", "e g( ) j", "", "", "m"])
    }
}
