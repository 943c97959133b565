// CompareCommand: `brim-bench compare`: several servers under one load, in turn.

internal import ArgumentParser
internal import Load

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Loads several servers in turn and compares them with the first.")

    @Option(help: "NAME=HOST:PORT or NAME=unix:PATH; repeat it for each server.")
    var target: [String] = []

    @Option(help: "Rounds; each visits every target once and begins with another one.")
    var rounds = 7

    @Option(help: "The servers' processes, in the order of the targets.")
    var serverPid: [Int32] = []

    @Option(help: "NAME=COMMAND: starts that target's server, and stops it in the end.")
    var start: [String] = []

    @Flag(inversion: .prefixedNo, help: "Set every key on every target first.")
    var fill = true

    @Flag(help: "One object of JSON on standard output.")
    var json = false

    @OptionGroup var options: PlanOptions

    func run() throws {
        let plan = try options.plan()
        let targets = try target.map { (text) throws(ArgumentFault) in
            try Target(parsing: text)
        }
        guard !targets.isEmpty else { throw ArgumentFault("target: name at least one") }
        guard Set(targets.map(\.name)).count == targets.count else {
            throw ArgumentFault("target: two have the same name")
        }
        guard rounds >= 1, rounds <= 1000 else { throw ArgumentFault("rounds: 1 to 1000") }
        guard serverPid.isEmpty || serverPid.count == targets.count else {
            throw ArgumentFault("server-pid: one for each target, or none")
        }
        let commands = try startCommands(targets)
        let launched = LaunchedServers()
        defer { launched.stop() }
        let servers = try targets.indices.map { index in
            guard let command = commands[targets[index].name] else {
                return try ServerChoice.process(serverPid.isEmpty ? nil : serverPid[index])
            }
            return try launched.start(command, for: targets[index])
        }
        if fill { try fillAll(plan, targets, servers) }
        var comparison = Comparison(names: targets.map(\.name))
        try comparison.perform(
            rounds: rounds,
            run: { (index) throws(LoadFailure) in
                try LoadRun.perform(plan, against: targets[index], server: servers[index])
            },
            progress: { round, index, outcome in
                guard !json else { return }
                Output.show(
                    "round \(round + 1)/\(rounds) "
                        + ComparisonText.progress(targets[index].name, outcome))
            })
        Output.show(
            json
                ? [ComparisonObject.object(comparison, plan, targets).text]
                : ComparisonText.lines(comparison, plan))
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

    private func fillAll(_ plan: LoadPlan, _ targets: [Target], _ servers: [ServerProcess?])
        throws
    {
        for (index, target) in targets.enumerated() {
            let outcome = try LoadRun.perform(
                plan.filling(), against: target, server: servers[index])
            guard !json else { continue }
            Output.show("fill " + ComparisonText.progress(target.name, outcome))
        }
    }
}
