// PageTables: the figures of the page as tables: what plots show, and what they leave out.

internal import Load

enum PageTables {
    /// A table that scrolls sideways where there is no room for it.
    static func table(_ head: [String], _ rows: [[String]]) -> Markup {
        .tag(
            "div", ["class": "scroll"],
            [
                .tag(
                    "table", [:],
                    [
                        .tag("thead", [:], [row("th", head)]),
                        .tag("tbody", [:], rows.map { row("td", $0) }),
                    ])
            ])
    }

    private static func row(_ cell: String, _ texts: [String]) -> Markup {
        .tag("tr", [:], texts.map { .tag(cell, [:], $0) })
    }

    /// Names and values, one below the other.
    static func facts(_ rows: [(name: String, value: String)]) -> Markup {
        .tag(
            "table", ["class": "facts"],
            rows.map { fact in
                let isCode = fact.name == "command"
                return .tag(
                    "tr", [:],
                    [
                        .tag("td", [:], fact.name),
                        .tag(
                            "td", [:],
                            [isCode ? .tag("code", [:], fact.value) : .text(fact.value)]),
                    ])
            })
    }

    // MARK: What was measured

    /// How fast, and what it cost; then what was answered.
    static func comparison(_ section: ReportSection) -> [Markup] {
        let comparison = section.comparison
        return [
            table(
                [
                    "target", "operations/s", "least–most", "ratio", "server µs/op", "least–most",
                    "ratio",
                ], section.names.indices.map { rates(comparison, $0) }),
            table(
                [
                    "target", "rounds", "hits", "errors", "server memory", "server cores",
                    "generator",
                ], comparison.targets.map(answers)),
        ]
    }

    private static func rates(_ comparison: Comparison, _ index: Int) -> [String] {
        var cells = [comparison.targets[index].name]
        cells += spread(comparison.spread(of: index, \.operationsPerSecond)) {
            NumberText.grouped($0)
        }
        cells.append(ComparisonText.ratio(comparison.ratio(of: index, \.operationsPerSecond)))
        cells += spread(comparison.spread(of: index, \.serverMicrosecondsPerOperation)) {
            NumberText.fixed($0, 3)
        }
        let cost = comparison.ratio(of: index, \.serverMicrosecondsPerOperation)
        return cells + [ComparisonText.ratio(cost)]
    }

    private static func answers(_ target: ComparedTarget) -> [String] {
        let outcomes = target.outcomes
        let hits = outcomes.compactMap(\.hitRatio).min()
        let errors: UInt64 = outcomes.reduce(0) { $0 + $1.counters.errors }
        let server = Spread(outcomes.map(\.serverShare))
        let generator = Spread(outcomes.map(\.generatorShare))
        return [
            target.name, "\(outcomes.count)",
            hits.map { NumberText.fixed($0 * 100, 2) + " %" } ?? "–",
            NumberText.grouped(errors), memory(outcomes),
            server.map { NumberText.fixed($0.median, 2) } ?? "–",
            generator.map { NumberText.fixed($0.median, 2) } ?? "–",
        ]
    }

    /// Median and reach.
    private static func spread(_ spread: Spread?, _ text: (Double) -> String) -> [String] {
        guard let spread else { return ["–", "–"] }
        return [text(spread.median), reach(spread, text)]
    }

    private static func reach(_ spread: Spread, _ text: (Double) -> String) -> String {
        "\(text(spread.least))–\(text(spread.most))"
    }

    private static func memory(_ outcomes: [Outcome]) -> String {
        guard let before = outcomes.first?.residentBytesBefore,
            let after = outcomes.last?.residentBytesAfter
        else { return "–" }
        return "\(NumberText.mebibytes(before)) → \(NumberText.mebibytes(after))"
    }

    static func percentiles(_ section: ReportSection, _ command: LoadCommand) -> Markup {
        let rows = section.comparison.targets.map { target in
            let summary = Report.latencies(target.outcomes).summary(of: command)
            return [target.name, NumberText.grouped(summary.count)]
                + [NumberText.latency(summary.mean)]
                + summary.points.map { NumberText.latency($0.microseconds) }
                + [NumberText.latency(summary.maximum)]
        }
        return table(
            ["µs", "requests", "mean"]
                + LatencySummary.percentiles.map { "p\(OutcomeText.trimmed($0))" } + ["max"], rows)
    }

    /// A row for each stretch, a column for each target.
    static func throughput(_ plot: ThroughputPlot) -> Markup {
        let columns = plot.curves.map { $0.stretches.flatMap(\.self) }
        let rows = (0..<(columns.map(\.count).max() ?? 0)).map { number in
            let point = columns.compactMap { number < $0.count ? $0[number] : nil }.first
            return [
                point.map { "\($0.round + 1)" } ?? "",
                point.map { NumberText.fixed($0.at, 1) } ?? "",
            ] + columns.map { number < $0.count ? NumberText.grouped($0[number].rate) : "–" }
        }
        return .tag(
            "details", [:],
            [
                .tag("summary", [:], "Operations a second, figure by figure"),
                table(["round", "second"] + plot.curves.map(\.name), rows),
            ])
    }

    static func plan(_ plan: LoadPlan) -> Markup {
        guard case .object(let members) = OutcomeObject.plan(plan) else { return .text("") }
        return .tag(
            "details", [:],
            [
                .tag("summary", [:], "The whole load"),
                facts(
                    members.map { ($0.0.replacing("_", with: " "), $0.1.plain) }),
            ])
    }
}
