// RunCommand: `brim-bench run`: one load against one server.

internal import ArgumentParser
internal import Load
internal import Primitives

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Loads one server and says how it did.")

    @Argument(help: "HOST:PORT or unix:PATH")
    var target: String

    @OptionGroup var options: PlanOptions

    @Option(help: "The server's process; otherwise whoever listens on the target's port.")
    var serverPid: Int32?

    @Option(help: "A file for the percentiles, in HdrHistogram's format; .COMMAND is added.")
    var hdr: String?

    @Flag(help: "One object of JSON on standard output.")
    var json = false

    @Flag(help: LiveDisplay.quietHelp)
    var quiet = false

    func run() throws {
        let target = try Target(parsing: target)
        let plan = try options.plan()
        let outcome = try LiveDisplay.during(isQuiet: quiet) { watch in
            try LoadRun.perform(
                plan, against: target, server: try ServerChoice.process(serverPid), watch: watch)
        }
        if let hdr { try writePercentiles(outcome, plan, hdr) }
        Output.show(
            json
                ? [OutcomeObject.object(outcome, plan, target).text]
                : OutcomeText.lines(outcome, plan, target))
    }

    private func writePercentiles(_ outcome: Outcome, _ plan: LoadPlan, _ path: String)
        throws(ArgumentFault)
    {
        for command in LoadCommand.allCases where plan.mix.contains(command) {
            let file = "\(path).\(command.name)"
            let code = TextFile.replace(file, with: outcome.latencies.percentileFile(of: command))
            guard code == 0 else { throw ArgumentFault("hdr: \(file): \(errorText(code))") }
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
