// ComparisonText: several targets side by side, and each beside the first.

internal import Load

enum ComparisonText {
    /// One run in a few words.
    static func progress(_ name: String, _ outcome: Outcome) -> String {
        let cpu = outcome.serverMicrosecondsPerOperation.map { NumberText.fixed($0, 3) + " us" }
        let bound = outcome.isGeneratorBound ? ", generator-bound" : ""
        return "\(name): \(NumberText.grouped(UInt64(outcome.operationsPerSecond))) a second, "
            + "server \(cpu ?? "-") an operation, generator "
            + "\(NumberText.fixed(outcome.generatorShare * 100, 0)) %\(bound)"
    }

    static func lines(_ comparison: Comparison, _ plan: LoadPlan) -> [String] {
        let targets = comparison.targets
        let rounds = targets[0].outcomes.count
        var lines = PlanText.lines(plan, label: "load: ")
        lines += [
            "medians of \(rounds) rounds (least-most); ratios to \(targets[0].name) are medians "
                + "of the rounds' own",
        ]
        let names = targets.map(\.name)
        lines += TableText.lines(
            [["", "thousand/s", "range", "ratio", "us/op", "range", "ratio", "p50", "p99", "gen"]]
                + names.indices.map { row(comparison, $0) })
        let bound = targets.filter { $0.outcomes.contains(where: \.isGeneratorBound) }
        if !bound.isEmpty {
            lines.append(
                "BOTTLENECK the generator was above 90 % of a core with "
                    + bound.map(\.name).joined(separator: ", "))
        }
        for target in targets {
            let errors = target.outcomes.reduce(0) { $0 + $1.counters.errors }
            let hits = target.outcomes.compactMap(\.hitRatio)
            let least = hits.min().map { ", hits at least \(NumberText.fixed($0 * 100, 2)) %" }
            let name = target.outcomes.first.map(OutcomeText.serverName) ?? ""
            lines.append("\(target.name): \(name), \(errors) errors\(least ?? "")")
        }
        return lines
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
            share.map { NumberText.fixed($0.median, 0) + " %" } ?? "-",
        ]
    }

    private static func median(_ spread: Spread?) -> String {
        spread.map { NumberText.short($0.median) } ?? "-"
    }
    private static func range(_ spread: Spread?) -> String {
        spread.map { "(\(NumberText.short($0.least))-\(NumberText.short($0.most)))" } ?? "-"
    }
    private static func ratio(_ spread: Spread?) -> String {
        spread.map { NumberText.fixed($0.median, 2) } ?? "-"
    }
}
