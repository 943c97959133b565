// SuiteCommand: `brim-bench suite`: one comparison after another, each under a load of a file,
// and one page for all of them.

internal import ArgumentParser
internal import Load
internal import Primitives
internal import Report

struct SuiteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suite",
        abstract: "Makes a comparison for each load of a file.",
        discussion: """
            FILE has a [TITLE] for each load, and options of `compare` below it, one a line. All \
            further arguments are those of `compare`, for every load, and override the file. \
            Servers that are started are started anew for each load.
            """)

    @Argument(help: "A file such as Bench/suites/short.txt")
    var file: String

    @Argument(parsing: .captureForPassthrough, help: "Arguments of compare.")
    var arguments: [String] = []

    func run() throws {
        let loads = try SuiteFile.loads(in: file)
        let commands = try loads.map { load in
            let all = try WorkloadFile.expand(["compare"] + load.options + arguments)
            return (load.title, try CompareCommand.parse(Array(all.dropFirst())))
        }
        // What makes no sense is said before the first server is started.
        for (_, command) in commands { _ = try command.options.plan() }
        guard let first = commands.first?.1 else { return }
        let launched = try first.servers()
        defer { launched.stop() }
        var sections: [ReportSection] = []
        for (number, (title, command)) in commands.enumerated() {
            if first.output.isWordy {
                Output.show(["", "load \(number + 1)/\(commands.count): \(title)"])
            }
            sections.append(try command.measured(title: title, launched))
        }
        try CompareCommand.show(sections, first.output)
    }
}

/// Files that `suite` reads: `[TITLE]`, and below it options as in a workload file.
enum SuiteFile {
    static let loadsMax = 100

    static func loads(in path: String) throws(ArgumentFault)
        -> [(title: String, options: [String])]
    {
        guard let text = SystemTree.text(path, bytesMax: 64 << 10) else {
            throw ArgumentFault("suite: '\(path)' cannot be read")
        }
        var loads: [(title: String, options: [String])] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.hasPrefix("["), line.hasSuffix("]"), line.count > 2 {
                loads.append((String(line.dropFirst().dropLast()), []))
                continue
            }
            let options = try WorkloadFile.option(on: line, "suite: \(path):\(number + 1)")
            guard !options.isEmpty else { continue }
            guard !loads.isEmpty else {
                throw ArgumentFault("suite: \(path):\(number + 1) stands before the first [TITLE]")
            }
            loads[loads.count - 1].options += options
        }
        guard !loads.isEmpty, loads.count <= loadsMax else {
            throw ArgumentFault("suite: \(path) has no [TITLE], or more than \(loadsMax)")
        }
        return loads
    }
}
