// ComparisonText: several targets side by side, and each beside the first, in 100 columns.

public import Load

public enum ComparisonText {
    /// One run in a few words; no outcome means that the target has failed.
    public static func progress(_ name: String, _ outcome: Outcome?) -> String {
        guard let outcome else { return "\(name): failed" }
        let cpu = outcome.serverMicrosecondsPerOperation.map { NumberText.fixed($0, 3) + " us" }
        let bound = outcome.isGeneratorBound ? ", generator-bound" : ""
        return "\(name): \(NumberText.grouped(outcome.operationsPerSecond)) a second, "
            + "server \(cpu ?? "-") an operation, generator "
            + "\(NumberText.fixed(outcome.generatorShare * 100, 0)) %\(bound)"
    }

    /// The table of a load, with what must be known to read it.
    public static func lines(_ section: ReportSection) -> [String] {
        let comparison = section.comparison
        var lines = PlanText.lines(section.plan, label: "load: ")
        lines += PlainText.wrapped(
            "medians of \(section.roundCount) rounds (least-most); ratios to "
                + "\(section.names[0]) are medians of the rounds' own", label: "")
        lines += TableText.lines(
            [["", "thousand/s", "range", "ratio", "us/op", "range", "ratio", "p50", "p99", "gen"]]
                + section.names.indices.map { row(comparison, $0) })
        let bound = comparison.targets.filter { $0.outcomes.contains(where: \.isGeneratorBound) }
        if !bound.isEmpty {
            lines += PlainText.wrapped(
                "the generator was above 90 % of a core with "
                    + bound.map(\.name).joined(separator: ", "), label: "BOTTLENECK ")
        }
        for target in comparison.targets { lines += PlainText.wrapped(summary(target), label: "") }
        return lines
    }

    /// What the servers are and what all of this ran on: once for all loads.
    public static func facts(_ report: Report) -> [String] {
        var lines = OutcomeText.labelled("machine", ServerLines.machine(report.machine))
        if let plan = report.sections.first?.plan {
            lines += OutcomeText.labelled("tool", ServerLines.generator(plan))
        }
        for (name, outcome) in servers(report) {
            lines += PlainText.wrapped("server \(name)", label: "")
            for fact in ServerLines.facts(outcome) {
                lines += PlainText.wrapped(
                    fact.value, label: NumberText.padded("  \(fact.name)", 11, isLeading: false))
            }
        }
        return lines
    }

    /// Each target with its first result.
    static func servers(_ report: Report) -> [(name: String, outcome: Outcome)] {
        var found: [(name: String, outcome: Outcome)] = []
        for target in report.sections.flatMap(\.comparison.targets) {
            guard let outcome = target.outcomes.first,
                !found.contains(where: { $0.name == target.name })
            else { continue }
            found.append((target.name, outcome))
        }
        return found
    }

    /// When a target was given up.
    static func place(_ round: Int?) -> String {
        round.map { "in round \($0 + 1)" } ?? "before the first round"
    }

    private static func summary(_ target: ComparedTarget) -> String {
        let outcomes = target.outcomes
        var parts: [String] = []
        if let first = outcomes.first {
            let errors = outcomes.reduce(0) { $0 + $1.counters.errors }
            parts += [ServerLines.name(first), "\(NumberText.grouped(errors)) errors"]
            if let least = outcomes.compactMap(\.hitRatio).min() {
                parts.append("hits at least \(NumberText.fixed(least * 100, 2)) %")
            }
            if let before = first.residentBytesBefore,
                let after = outcomes.last?.residentBytesAfter
            {
                parts.append(
                    "memory \(NumberText.mebibytes(before)) to \(NumberText.mebibytes(after))")
            }
        }
        if let failure = target.failure {
            parts.append("FAILED \(place(failure.round)): \(failure.text)")
        }
        return "\(target.name): " + parts.joined(separator: ", ")
    }

    private static func row(_ comparison: Comparison, _ index: Int) -> [String] {
        let rate = comparison.spread(of: index) { $0.operationsPerSecond / 1000 }
        let cost = comparison.spread(of: index, \.serverMicrosecondsPerOperation)
        let p50 = comparison.spread(of: index) { $0.latencies.all.microseconds(at: 50) }
        let p99 = comparison.spread(of: index) { $0.latencies.all.microseconds(at: 99) }
        let share = comparison.spread(of: index) { $0.generatorShare * 100 }
        return [
            comparison.targets[index].name,
            median(rate), range(rate),
            ratio(comparison.ratio(of: index, \.operationsPerSecond)),
            median(cost), range(cost),
            ratio(comparison.ratio(of: index, \.serverMicrosecondsPerOperation)),
            median(p50), median(p99),
            share.map { NumberText.fixed($0.median, 0) + "%" } ?? "-",
        ]
    }

    private static func median(_ spread: Spread?) -> String {
        spread.map { NumberText.short($0.median) } ?? "-"
    }
    private static func range(_ spread: Spread?) -> String {
        spread.map { "(\(NumberText.short($0.least))-\(NumberText.short($0.most)))" } ?? "-"
    }
    static func ratio(_ spread: Spread?) -> String {
        guard let median = spread?.median else { return "-" }
        return median < 100 ? NumberText.fixed(median, 2) : NumberText.scaled(median)
    }
}
