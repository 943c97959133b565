// SingleTarget: what `run` and `fill` share: one target, its server, one run and its result.

internal import ArgumentParser
internal import Load
internal import Primitives
internal import Report

struct SingleTarget: ParsableArguments {
    @Argument(help: "HOST:PORT or unix:PATH")
    var target: String

    @Option(
        name: [.customLong("server-pid"), .customLong("pid")],
        help: "The server's process; otherwise whoever listens on the target's port.")
    var serverPid: Int32?

    @Flag(help: LiveDisplay.quietHelp)
    var quiet = false

    @OptionGroup(title: "Output") var output: OutputOptions

    /// Runs a plan and shows what came of it.
    func perform(_ plan: LoadPlan, title: String) throws {
        let target = try Target(parsing: target)
        let server = try ServerChoice.process(serverPid)
        let outcome = try LiveDisplay.during(isQuiet: quiet) { watch in
            try LoadRun.perform(plan, against: target, server: server, watch: watch)
        }
        try show(outcome, plan, target, title: title)
    }

    /// Shows the outcome of a run of this target.
    func show(_ outcome: Outcome, _ plan: LoadPlan, _ target: Target, title: String) throws {
        let report = Report(
            title: title, command: CommandLine.arguments, unixSeconds: Clock.unixSeconds(),
            machine: .read(),
            sections: [
                ReportSection(
                    title: title, plan: plan,
                    comparison: Comparison(name: target.name, outcome: outcome),
                    addresses: ["\(target.address)"])
            ])
        try output.write(report)
        if output.json {
            Output.show(OutcomeObject.object(outcome, plan, target, report.machine).text)
        } else if output.csv {
            Output.show(CSVText.lines(report))
        } else {
            Output.show(OutcomeText.lines(outcome, plan, target, report.machine))
        }
    }
}

/// A server's process by the number that the user gave.
enum ServerChoice {
    static func process(_ id: Int32?) throws(ArgumentFault) -> ServerProcess? {
        guard let id else { return nil }
        guard let process = ServerProcess(id: id) else {
            throw ArgumentFault("server-pid: there is no process \(id)")
        }
        return process
    }
}
