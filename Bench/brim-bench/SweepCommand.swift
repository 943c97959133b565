// SweepCommand: `brim-bench sweep`: the highest rate at which latency stays under a limit.

internal import ArgumentParser
internal import Load
internal import Report

struct SweepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Finds the highest rate at which p99 stays under a limit.",
        discussion: """
            Runs the load at a rate (an open loop), doubles the rate until p99 is above the \
            limit or the schedule is not kept, then halves the gap until it is below 5 %. A \
            rate that fails is tried once more. --seconds is the length of one step.
            """)

    @Argument(help: "HOST:PORT or unix:PATH")
    var target: String

    @Option(name: .customLong("p99-limit"), help: "Microseconds that p99 may reach.")
    var limit: Double

    @Option(help: "Operations a second of the first step.")
    var from = 1000.0

    @Option(help: "Operations a second that no step exceeds.")
    var to = 10_000_000.0

    @OptionGroup var options: PlanOptions

    @Option(help: "The server's process; otherwise whoever listens on the target's port.")
    var serverPid: Int32?

    @Flag(help: "One object of JSON on standard output.")
    var json = false

    @Flag(help: LiveDisplay.quietHelp)
    var quiet = false

    func run() throws {
        let target = try Target(parsing: target)
        let plan = try checkedPlan()
        let server = try ServerChoice.process(serverPid)
        var sweep = RateSweep(from: from, to: to, limit: limit)
        if !json { Output.show(SweepText.head(plan, target, sweep)) }
        while let rate = sweep.next {
            var step = plan
            step.rate = rate
            let outcome = try LiveDisplay.during(isQuiet: quiet) { watch in
                try LoadRun.perform(step, against: target, server: server, watch: watch)
            }
            sweep.take(outcome)
            if !json, let last = sweep.steps.last { Output.show(SweepText.line(last, outcome)) }
        }
        Output.show(
            json ? [SweepText.object(sweep, plan, target).text] : SweepText.answer(sweep))
        guard sweep.answer != nil else {
            let best = sweep.steps.compactMap(\.p99).min()
            throw LoadFailure.noRate(lowest: from, p99: best, limit: limit)
        }
    }

    private func checkedPlan() throws(ArgumentFault) -> LoadPlan {
        guard limit > 0, limit <= 60_000_000 else {
            throw ArgumentFault("p99-limit: above 0, at most 60000000 microseconds")
        }
        guard from >= 0.1, from <= LoadPlan.rateMax, to >= from, to <= LoadPlan.rateMax else {
            throw ArgumentFault("from and to: 0.1 to \(LoadPlan.rateMax), from not above to")
        }
        let plan = try options.plan()
        guard plan.rate == nil else {
            throw ArgumentFault("rate: a sweep finds it; --from and --to say where")
        }
        return plan
    }
}
