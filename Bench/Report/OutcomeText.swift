// OutcomeText: one result as lines of text, at most 100 columns wide.

public import Load

public enum OutcomeText {
    private static let labelColumns = 11

    /// Everything about a run that a person wants to know.
    public static func lines(
        _ outcome: Outcome, _ plan: LoadPlan, _ target: Target,
        _ machine: MachineFacts = .read()
    ) -> [String] {
        let counters = outcome.counters
        var lines = labelled("target", "\(target.name), \(ServerLines.name(outcome))")
        lines += labelled("machine", ServerLines.machine(machine))
        for fact in ServerLines.facts(outcome) where fact.name != "version" {
            lines += labelled(fact.name, fact.value)
        }
        lines += labelled("tool", ServerLines.generator(plan))
        lines += PlanText.lines(plan, label: NumberText.padded("load", 11, isLeading: false))
        lines += PacingText.lines(outcome)
        lines += labelled(
            "operations",
            "\(NumberText.grouped(counters.operations)) in "
                + "\(NumberText.fixed(outcome.seconds, 2)) s: "
                + "\(NumberText.grouped(outcome.operationsPerSecond)) a second"
                + (counters.operations == counters.requestCount
                    ? "" : " (\(NumberText.grouped(outcome.requestsPerSecond)) requests)"))
        lines += labelled("answers", answers(outcome))
        lines += labelled(
            "bytes",
            "\(NumberText.mebibytes(counters.receivedBytes)) received, "
                + "\(NumberText.mebibytes(counters.sentBytes)) sent")
        lines += labelled("server", server(outcome))
        lines += labelled("generator", generator(outcome))
        if let before = outcome.residentBytesBefore, let after = outcome.residentBytesAfter {
            lines += labelled(
                "memory",
                "\(NumberText.mebibytes(before)) before, \(NumberText.mebibytes(after)) after "
                    + "(the server's RssAnon)")
        }
        if counters.setsOnMiss > 0 {
            lines += labelled(
                "look-aside", "\(NumberText.grouped(counters.setsOnMiss)) set after a miss")
        }
        if counters.reconnections > 0 {
            lines += labelled(
                "churn", "\(NumberText.grouped(counters.reconnections)) reconnections")
        }
        if let error = outcome.firstError { lines += labelled("error", "the first was \(error)") }
        if outcome.isGeneratorBound { lines += labelled("BOTTLENECK", bottleneck(outcome)) }
        return lines + latencies(outcome, plan)
    }

    static func labelled(_ label: String, _ text: String) -> [String] {
        PlainText.wrapped(
            text, label: NumberText.padded(label, labelColumns, isLeading: false))
    }

    private static func bottleneck(_ outcome: Outcome) -> String {
        "the generator used \(NumberText.fixed(outcome.generatorShare * 100, 0)) % of a core: "
            + (outcome.pacing == nil
                ? "the server may be faster than this"
                : "see the pacing before you trust the latencies")
    }

    private static func answers(_ outcome: Outcome) -> String {
        let counters = outcome.counters
        let ratio = outcome.hitRatio.map { " (\(NumberText.fixed($0 * 100, 2)) % hits)" } ?? ""
        return "\(NumberText.grouped(counters.hits)) hits, "
            + "\(NumberText.grouped(counters.misses)) misses\(ratio), "
            + "\(NumberText.grouped(counters.errors)) errors"
    }

    private static func server(_ outcome: Outcome) -> String {
        guard let process = outcome.serverProcess,
            let each = outcome.serverMicrosecondsPerOperation, let share = outcome.serverShare
        else { return "its process is not known here: no processor time, no memory" }
        return "\(NumberText.fixed(each, 3)) us of processor an operation, "
            + "\(NumberText.fixed(share * 100, 0)) % of a core, process \(process)"
    }

    private static func generator(_ outcome: Outcome) -> String {
        let counters = outcome.counters
        let perEnter =
            counters.enters > 0
            ? Double(counters.requestCount) / Double(counters.enters) : 0
        return "\(NumberText.fixed(outcome.generatorMicrosecondsPerOperation, 3)) us an "
            + "operation, \(NumberText.fixed(outcome.generatorShare * 100, 0)) % of a core, "
            + "\(NumberText.fixed(perEnter, 1)) requests a system call"
    }

    private static func latencies(_ outcome: Outcome, _ plan: LoadPlan) -> [String] {
        var rows = [
            ["latency us", "mean"] + LatencySummary.percentiles.map { "p\(trimmed($0))" } + ["max"]
        ]
        for command in LoadCommand.allCases where plan.mix.contains(command) {
            let summary = outcome.latencies.summary(of: command)
            rows.append(
                [command.name, NumberText.latency(summary.mean)]
                    + summary.points.map { NumberText.latency($0.microseconds) }
                    + [NumberText.latency(summary.maximum)])
        }
        return TableText.lines(rows)
    }

    static func trimmed(_ percentile: Double) -> String {
        let text = "\(percentile)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
