// OutcomeText: one result as lines of text, at most 100 columns wide.

internal import Load

enum OutcomeText {
    static func lines(_ outcome: Outcome, _ plan: LoadPlan, _ target: Target) -> [String] {
        let counters = outcome.counters
        var lines = ["target     \(target.name), \(serverName(outcome)), Linux \(outcome.kernel)"]
        lines += PlanText.lines(plan, label: "load       ")
        lines += PacingText.lines(outcome)
        lines += [
            "operations \(NumberText.grouped(counters.operations)) in "
                + "\(NumberText.fixed(outcome.seconds, 2)) s: "
                + "\(NumberText.grouped(UInt64(outcome.operationsPerSecond))) a second"
                + (counters.operations == counters.requestCount
                    ? "" : " (\(NumberText.grouped(UInt64(outcome.requestsPerSecond))) requests)"),
            "answers    \(answers(outcome))",
            "bytes      \(NumberText.mebibytes(counters.receivedBytes)) received, "
                + "\(NumberText.mebibytes(counters.sentBytes)) sent",
            "server     \(server(outcome))",
            "generator  \(generator(outcome))",
        ]
        if let before = outcome.residentBytesBefore, let after = outcome.residentBytesAfter {
            lines.append(
                "memory     \(NumberText.mebibytes(before)) before, "
                    + "\(NumberText.mebibytes(after)) after (the server's RssAnon)")
        }
        if counters.setsOnMiss > 0 {
            lines.append("look-aside \(NumberText.grouped(counters.setsOnMiss)) set after a miss")
        }
        if counters.reconnections > 0 {
            lines.append("churn      \(NumberText.grouped(counters.reconnections)) reconnections")
        }
        if let error = outcome.firstError { lines.append("error      the first was \(error)") }
        if outcome.isGeneratorBound {
            lines.append(
                "BOTTLENECK the generator used "
                    + "\(NumberText.fixed(outcome.generatorShare * 100, 0)) % of a core: "
                    + (outcome.pacing == nil
                        ? "the server may be faster than this"
                        : "see the pacing before you trust the latencies"))
        }
        return lines + latencies(outcome, plan)
    }

    static func serverName(_ outcome: Outcome) -> String {
        let version = outcome.facts.version.isEmpty ? "of no version" : outcome.facts.version
        return outcome.facts.brimVersion.map { "brim \($0) (as \(version))" } ?? version
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
        let perEnter = counters.enters > 0
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
                [command.name, NumberText.fixed(summary.mean, 1)]
                    + summary.points.map { NumberText.fixed($0.microseconds, 1) }
                    + [NumberText.fixed(summary.maximum, 1)])
        }
        return TableText.lines(rows)
    }

    static func trimmed(_ percentile: Double) -> String {
        let text = "\(percentile)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
