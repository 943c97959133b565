// PackageRuleTests: the rules that need all files find what is wrong in bad samples, and nothing
// in good ones.

import Testing

/// Files by path, and what must be found in them.
struct PackageSample: CustomTestStringConvertible, Sendable {
    let rule: Rule?
    let why: String
    let files: [String: String]
    init(_ rule: Rule?, _ why: String, _ files: [String: String]) {
        self.rule = rule
        self.why = why
        self.files = files
    }
    var testDescription: String { "\(rule?.rawValue ?? "tidy"): \(why)" }
}

private let store = "Sources/Store/A.swift"

/// A type with so many stored fields, whose names are used.
private func type(fields count: Int, _ name: String = "Big", more: String = "") -> String {
    let fields = (0..<count).map { "    var f\($0): [Int: Int] = [1: f\($0)]\n" }.joined()
    return "struct \(name) {\n\(fields)\(more)\n}\nextension \(name) {}\n"
}

private func suite(_ name: String, inside type: String? = nil) -> String {
    let own = "@Suite(.serialized)\nstruct \(name) {\n    @Test func test() {}\n}\n"
    return type.map { "extension \($0) {\n\(own)}\n" } ?? own
}

let packageSamples: [PackageSample] = [
    // Names that nothing uses.
    PackageSample(.deadName, "a function", [store: "func lost() {}"]),
    PackageSample(
        .deadName, "a computed variable", [store: "extension Int { var lost: Int { 1 } }"]),
    PackageSample(
        .deadName, "a constant of a type", [store: "extension Int { static let lost = 1 }"]),
    PackageSample(.deadName, "a type", ["Bench/Load/A.swift": "struct Lost {}"]),
    PackageSample(.deadName, "a case", [store: "enum E { case lost, kept }\nlet _ = E.kept"]),
    PackageSample(.deadName, "a test double", ["Tests/Simulation/A.swift": "func lost() {}"]),
    PackageSample(
        .deadName, "named only in a comment and in a text",
        [store: "func lost() {}  // `lost()`\nprint(\"lost\")"]),
    PackageSample(
        .deadName, "required and provided, called by nobody",
        [store: "protocol P { func lost() }\nextension P { func lost() {} }"]),
    PackageSample(
        nil, "used in another file, in a test, in a text",
        [
            store: "func a() {}\nfunc b() {}\nfunc c() {}",
            "Sources/Server/A.swift": "a()",
            "Tests/StoreTests/A.swift": "// A.\nb()\nprint(\"\\(c())\")",
        ]),
    PackageSample(nil, "called from C", [store: "func a() {}", "Sources/CUring/a.c": "a();"]),
    PackageSample(nil, "a test's own", ["Tests/StoreTests/A.swift": "func lost() {}"]),
    PackageSample(nil, "overrides", [store: "extension C { override func lost() {} }"]),
    PackageSample(nil, "asked for from outside", [store: "func demanded() {}"]),
    PackageSample(
        nil, "cases that are iterated",
        [store: "enum E: Int, CaseIterable {\n    case one\n    case two\n}\nlet _ = E.allCases"]),
    PackageSample(nil, "a pattern is no case", [store: "switch 1 {\ncase limit: break\n}"]),
    // Names in comments.
    PackageSample(.staleName, "nobody's name", [store: "// The `isRefused` of it."]),
    PackageSample(.staleName, "nobody's type", [store: "/// A `Refusal`.\nlet _ = 1"]),
    PackageSample(.staleName, "a member that went", [store: "// See `Int.refused`."]),
    PackageSample(.staleName, "a label that went", [store: "/* `print(refused:)` */ print(1)"]),
    PackageSample(.staleName, "in a test", ["Tests/StoreTests/A.swift": "// `isRefused`"]),
    PackageSample(
        nil, "names of the code, words of the protocol, of others",
        [
            store:
                "// `isKept`, `E.kept`, `print(isKept)`, `flush_all`, `-m 64`, `OUTSIDE`, `1.5k`",
            "Sources/Server/A.swift": "enum E { case kept }\nlet isKept = E.kept\nprint(isKept)",
        ]),
    // Types with too many fields.
    PackageSample(.storedFields, "one too many", [store: type(fields: 26)]),
    PackageSample(.storedFields, "an exception that grew", [store: type(fields: 31, "Known")]),
    PackageSample(.storedFields, "one that shrank", [store: type(fields: 29, "Known")]),
    PackageSample(.storedFields, "one that is not needed", [store: type(fields: 25, "Known")]),
    PackageSample(
        .storedFields, "one in another module", ["Bench/Load/A.swift": type(fields: 30, "Known")]),
    PackageSample(
        .storedFields, "two in a line, and one that is observed",
        [store: type(fields: 23, more: "let f0, f1: Int\nvar f2 = 1 {\ndidSet {}\n}")]),
    PackageSample(nil, "as many as allowed", [store: type(fields: 25)]),
    PackageSample(nil, "an exception", [store: type(fields: 30, "Known")]),
    PackageSample(nil, "of a test", ["Tests/StoreTests/A.swift": type(fields: 40)]),
    PackageSample(
        nil, "computed, static, local, or of another type",
        [
            store: type(
                fields: 25,
                more: """
                    var f0: Int { f1 }
                    var f2: Int {
                        get { let f3 = 1; return f3 }
                    }
                    static let f4 = 1
                    struct Inner {
                        let f5 = Inner.self
                    }
                    """)
        ]),
    // Suites that a filter cannot tell apart.
    PackageSample(
        .suiteName, "two of one name",
        ["Tests/A/One.swift": suite("FooTests"), "Tests/B/Two.swift": suite("FooTests")]),
    PackageSample(
        .suiteName, "a name in a longer one",
        ["Tests/A/One.swift": suite("FooTests") + suite("BigFooTests")]),
    PackageSample(
        .suiteName, "inside another suite",
        [
            "Tests/A/One.swift": suite("FooTests"),
            "Tests/B/Two.swift": suite("FooTests", inside: "X"),
        ]),
    PackageSample(
        .suiteName, "a name of another target",
        ["Tests/A/One.swift": suite("FooTests"), "Tests/FooTests/Two.swift": suite("BarTests")]),
    PackageSample(
        .suiteName, "a name of another file",
        ["Tests/A/One.swift": suite("FooTests"), "Tests/B/FooTests.swift": "@Test func test() {}"]),
    PackageSample(
        nil, "all different",
        [
            "Tests/FooTests/FooTests.swift": suite("FooTests") + suite("BarTests"),
            "Tests/FooTests/Other.swift": "extension FooTests {\n    @Test func test() {}\n}",
        ]),
]

@Suite struct PackageRuleTests {
    private let checker = PackageChecker(
        manyFields: ["Store.Known": 30], outsideNames: ["OUTSIDE"], demandedNames: ["demanded"])

    @Test(arguments: packageSamples) func aPackageIsJudged(_ sample: PackageSample) {
        // A type that has its exception stands in every sample, unless the sample is about it.
        var files = sample.files
        if !files.values.contains(where: { $0.contains("Known") }) || files[store] == nil {
            files["Sources/Store/Known.swift"] = type(fields: 30, "Known")
        }
        let findings = checker.findings(in: files.map { ($0.key, $0.value) })
        #expect(Set(findings.map(\.rule)) == (sample.rule.map { [$0] } ?? []), "\(findings)")
    }

    @Test func anExceptionWithoutItsTypeIsFound() {
        let findings = checker.findings(in: [])
        #expect(findings.map(\.detail) == ["Store.Known is no type any more"])
    }

    @Test func aFindingNamesItsPlace() {
        let findings = PackageChecker().findings(in: [(store, "// A.\n\nfunc lost() {}\n")])
        #expect(findings.map(\.description) == ["\(store):3: deadName: lost"])
    }
}
