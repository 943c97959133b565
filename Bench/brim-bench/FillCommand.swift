// FillCommand: `brim-bench fill`: every key set once, in order.

internal import ArgumentParser
internal import Load

struct FillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fill", abstract: "Sets every key once; the mix and the length are ignored.")

    @Argument(help: "HOST:PORT or unix:PATH")
    var target: String

    @OptionGroup var options: PlanOptions

    @Option(help: "The server's process; otherwise whoever listens on the target's port.")
    var serverPid: Int32?

    @Flag(help: "One object of JSON on standard output.")
    var json = false

    @Flag(help: LiveDisplay.quietHelp)
    var quiet = false

    func run() throws {
        let target = try Target(parsing: target)
        let plan = try options.plan().filling()
        try plan.check()
        let outcome = try LiveDisplay.during(isQuiet: quiet) { watch in
            try LoadRun.perform(
                plan, against: target, server: try ServerChoice.process(serverPid), watch: watch)
        }
        Output.show(
            json
                ? [OutcomeObject.object(outcome, plan, target).text]
                : OutcomeText.lines(outcome, plan, target))
    }
}
