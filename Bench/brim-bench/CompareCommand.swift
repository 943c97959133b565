// CompareCommand: `brim-bench compare`: several servers under one load, in turn.

internal import ArgumentParser
internal import Load
internal import Primitives
internal import Report

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Loads several servers in turn and compares them with the first.",
        discussion: """
            --start NAME=COMMAND runs COMMAND of the shell. In it {host}, {port} and {path} are \
            those of the target, and {folder} is an empty folder that is removed in the end; \
            port 0 has a free one chosen.
              brim-bench compare --target brim=127.0.0.1:0 \
            --start "brim=brim -p {port} --store {folder}"
            """)

    @Option(help: "NAME=HOST:PORT or NAME=unix:PATH; repeat it for each server.")
    var target: [String] = []

    @Option(help: "Rounds; each visits every target once and begins with another one.")
    var rounds = 7

    @Option(
        name: [.customLong("server-pid"), .customLong("pid")],
        help: "The servers' processes, in the order of the targets.")
    var serverPid: [Int32] = []

    @Option(help: "NAME=COMMAND: starts that target's server, and stops it in the end.")
    var start: [String] = []

    @Option(help: "Cores for each server that is started: one, or a list such as 0,2.")
    var startCpu = ""

    @Flag(inversion: .prefixedNo, help: "Set every key on every target first.")
    var fill = true

    @OptionGroup(title: "Output") var output: OutputOptions
    @OptionGroup(title: "Load") var options: PlanOptions

    func run() throws {
        let launched = try servers()
        defer { launched.stop() }
        try Self.show([try measured(title: "Comparison", launched)], output)
    }

    /// What starts the servers, and stops them when a signal comes.
    func servers() throws(ArgumentFault) -> LaunchedServers {
        let launched = LaunchedServers(cores: try CoreList.parse(startCpu, "start-cpu"))
        if !start.isEmpty { Interruption.stop(launched) }
        return launched
    }

    /// Measures. A target that fails is given up; the section says so.
    func measured(title: String, _ launched: LaunchedServers) throws -> ReportSection {
        let plan = try options.plan()
        let targets = try targets()
        var rounds = ComparisonRounds(
            plan: plan, targets: targets, launched: launched, isWordy: output.isWordy)
        let commands = try startCommands(targets)
        let processes = try serverPid.map { (id) throws(ArgumentFault) in
            try ServerChoice.process(id)
        }
        for (index, target) in targets.enumerated() {
            if let command = commands[target.name] {
                try rounds.start(index, command)
            } else if !processes.isEmpty {
                rounds.choose(index, processes[index])
            }
        }
        defer { launched.stop() }
        if fill { rounds.fill() }
        try rounds.perform(count: self.rounds)
        return rounds.section(title: title)
    }

    /// Shows what was measured; throws if a target has failed.
    static func show(_ sections: [ReportSection], _ output: OutputOptions) throws {
        let report = Report(
            title: sections.first?.names.joined(separator: " and ") ?? "",
            command: CommandLine.arguments, unixSeconds: Clock.unixSeconds(), machine: .read(),
            sections: sections)
        try output.write(report)
        if output.json {
            Output.show(
                (sections.count == 1
                    ? ComparisonObject.object(sections[0], report)
                    : ComparisonObject.object(report)).text)
        } else if output.csv {
            Output.show(CSVText.lines(report))
        } else {
            for section in sections {
                if sections.count > 1 { Output.show(["", "== \(section.title)"]) }
                Output.show(ComparisonText.lines(section))
            }
            Output.show([""] + ComparisonText.facts(report))
        }
        let failures = sections.flatMap { section in
            section.comparison.targets.compactMap { target in
                target.failure.map { failure in
                    failure.text.hasPrefix(target.name)
                        ? failure.text : "\(target.name): \(failure.text)"
                }
            }
        }
        guard failures.isEmpty else { throw TargetsFailed(texts: failures) }
    }

    private func targets() throws(ArgumentFault) -> [Target] {
        var targets: [Target] = []
        for text in target { targets.append(try Target(parsing: text)) }
        guard !targets.isEmpty else { throw ArgumentFault("target: name at least one") }
        guard Set(targets.map(\.name)).count == targets.count else {
            throw ArgumentFault("target: two have the same name")
        }
        guard rounds >= 1, rounds <= 1000 else { throw ArgumentFault("rounds: 1 to 1000") }
        guard serverPid.isEmpty || serverPid.count == targets.count else {
            throw ArgumentFault("server-pid: one for each target, or none")
        }
        return targets
    }

    private func startCommands(_ targets: [Target]) throws(ArgumentFault) -> [String: String] {
        var commands: [String: String] = [:]
        for text in start {
            let sides = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard sides.count == 2, targets.contains(where: { $0.name == sides[0] }) else {
                throw ArgumentFault("start: '\(text)' is not NAME=COMMAND with a target's name")
            }
            commands[sides[0]] = sides[1]
        }
        return commands
    }
}

/// Some targets were not measured to the end; the others were shown.
struct TargetsFailed: Error, CustomStringConvertible {
    let texts: [String]
    var description: String { texts.joined(separator: "; ") }
}
