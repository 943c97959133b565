// PacingOptions: the options of an open loop, and how long a run may take.

internal import ArgumentParser
internal import Load

/// Part of `PlanOptions`.
struct PacingOptions: ParsableArguments {
    @Option(
        help: """
            Operations a second over all connections, sent at intended times, from which \
            latency counts; without it each connection waits for its replies.
            """)
    var rate: Double?

    @Option(help: "How intended times are spread: even or poisson.")
    var arrivals = "even"

    @Option(help: "Seconds within which a number of operations must be answered.")
    var deadline = 3600.0

    func apply(to plan: inout LoadPlan) throws(ArgumentFault) {
        guard let arrivals = Arrivals(rawValue: arrivals) else {
            throw ArgumentFault("arrivals '\(arrivals)' is not even or poisson")
        }
        plan.rate = rate
        plan.arrivals = arrivals
        plan.deadlineSeconds = deadline
    }
}
