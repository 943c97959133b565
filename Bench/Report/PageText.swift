// PageText: a report as one page that needs nothing else: no script, no network, no other file.
//
// The page forbids itself to load anything (Content-Security-Policy), so that what a server says
// could not do so either, were it not escaped.

internal import Load
internal import Primitives

public enum PageText {
    /// HTML, whole.
    public static func page(_ report: Report) -> String {
        let policy = "default-src 'none'; style-src 'unsafe-inline'"
        let head: [Markup] = [
            .tag("meta", ["charset": "utf-8"]),
            .tag("meta", ["http-equiv": "Content-Security-Policy", "content": policy]),
            .tag(
                "meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
            .tag("title", [:], "brim-bench: \(report.title)"),
            .style(PageStyle.page),
        ]
        let body: [Markup] =
            [top(report)] + overview(report)
            + report.sections.map { section($0, of: report) } + [facts(report)]
        let page = Markup.tag(
            "html", ["lang": "en"],
            [.tag("head", [:], head), .tag("body", [:], [.tag("main", [:], body)])])
        return "<!doctype html>\n" + page.rendered
    }

    /// The first plot of the page as a picture of its own: the comparison, or the percentiles of
    /// a single run.
    public static func firstPlot(_ report: Report) -> String {
        let isComparison = report.sections.contains { $0.names.count > 1 }
        var plot: Markup?
        if isComparison {
            plot = comparisonPlot(report.sections, .wide)
        } else if let section = report.sections.first {
            plot = percentilePlot(section, byCommand: true)?.svg(.wide)
        }
        guard case .element(let name, let attributes, let children)? = plot else {
            return Markup.tag("svg", ["xmlns": "http://www.w3.org/2000/svg"]).rendered
        }
        return Markup.element(name, attributes, [.style(PageStyle.picture)] + children).rendered
    }

    // MARK: Parts

    private static func top(_ report: Report) -> Markup {
        var lines: [Markup] = [
            .tag("h1", [:], report.title),
            .tag(
                "p", ["class": "soft"],
                "Measured by brim-bench \(GeneratorVersion.number), "
                    + "\(UniversalTime(unixSeconds: report.unixSeconds).minutes), on "
                    + ServerLines.machine(report.machine) + "."),
        ]
        if report.sections.contains(where: { $0.names.count > 1 }) {
            let first = report.sections[0].names[0]
            let rounds = report.sections.map(\.roundCount).max() ?? 0
            lines.append(
                .tag(
                    "p", ["class": "soft"],
                    "Medians of \(rounds) rounds, with the least and the most. "
                        + "× is the ratio to \(first), taken round by round, then the median of "
                        + "these. Server µs are microseconds of processor time that all threads "
                        + "of the server took."))
        }
        return .tag("header", [:], lines)
    }

    private static func overview(_ report: Report) -> [Markup] {
        guard report.sections.count > 1 else { return [] }
        return [
            figure(
                { comparisonPlot(report.sections, $0) },
                "Bars are to scale within a load, not between loads.")
        ]
    }

    private static func section(_ section: ReportSection, of report: Report) -> Markup {
        var parts: [Markup] = [
            .tag("h2", [:], section.title),
            .tag("p", ["class": "soft"], PlanText.lines(section.plan, label: "").joined()),
        ]
        parts += warnings(section).map { .tag("p", ["class": "warning"], $0) }
        if section.names.count > 1 {
            parts.append(.tag("h3", [:], "Comparison"))
            parts.append(figure({ comparisonPlot([section], $0) }, ""))
        } else {
            parts.append(.tag("h3", [:], "Result"))
        }
        if let outcome = section.comparison.targets.first?.outcomes.first, isSingle(section) {
            parts += PacingText.lines(outcome).map { .tag("p", ["class": "soft"], $0) }
        }
        parts += PageTables.comparison(section)
        parts += percentiles(section)
        let throughput = ThroughputPlot(section)
        if throughput.svg(.wide) != nil {
            parts.append(.tag("h3", [:], "Throughput over time"))
            parts.append(figure({ throughput.svg($0) }, ""))
            parts.append(PageTables.throughput(throughput))
        }
        parts.append(PageTables.plan(section.plan))
        return .tag("section", [:], parts)
    }

    private static func isSingle(_ section: ReportSection) -> Bool {
        section.names.count == 1 && section.roundCount == 1
    }

    private static func warnings(_ section: ReportSection) -> [String] {
        section.comparison.targets.flatMap { target in
            var texts: [String] = []
            if target.outcomes.contains(where: \.isGeneratorBound) {
                texts.append(
                    "Bottleneck: with \(target.name) the generator itself was above 90 % of a "
                        + "core; the server may be faster than this.")
            }
            if let pacing = target.outcomes.compactMap(\.pacing).first(where: { !$0.isKept }) {
                texts.append("\(target.name): \(PacingText.reason(pacing))")
            }
            if let error = target.outcomes.compactMap(\.firstError).first {
                texts.append("\(target.name) answered with errors; the first was: \(error)")
            }
            if let failure = target.failure {
                let place = ComparisonText.place(failure.round)
                texts.append("\(target.name) failed \(place): \(failure.text)")
            }
            return texts
        }
    }

    private static func percentiles(_ section: ReportSection) -> [Markup] {
        let isSingle = section.names.count == 1
        var parts: [Markup] = []
        let commands = section.commands
        for command in isSingle ? Array(commands.prefix(1)) : commands {
            let plot = percentilePlot(section, byCommand: isSingle, command)
            guard plot?.svg(.wide) != nil else { continue }
            let which = isSingle || commands.count == 1 ? "" : " of \(command.name)"
            parts.append(.tag("h3", [:], "Latency by percentile\(which)"))
            parts.append(
                figure(
                    { plot?.svg($0) },
                    "A point (x, y): the share x of the requests took at most y. Each step to "
                        + "the right leaves out a tenth of what was left. A dot is the slowest."))
            parts += (isSingle ? commands : [command]).map {
                let table = PageTables.percentiles(section, $0)
                return commands.count == 1
                    ? table : .tag("div", [:], [.tag("p", ["class": "soft"], $0.name), table])
            }
        }
        return parts
    }

    private static func facts(_ report: Report) -> Markup {
        var parts: [Markup] = [
            .tag("h2", [:], "What was measured, and where"),
            PageTables.facts([
                ("machine", ServerLines.machine(report.machine)),
                ("generator", report.sections.first.map { ServerLines.generator($0.plan) } ?? ""),
                ("command", report.command.joined(separator: " ")),
            ]),
        ]
        for (name, outcome) in ComparisonText.servers(report) {
            parts.append(.tag("h3", [:], name))
            parts.append(PageTables.facts(ServerLines.facts(outcome)))
        }
        return .tag("section", [:], parts)
    }

    // MARK: Plots

    private static func comparisonPlot(_ sections: [ReportSection], _ width: PlotWidth) -> Markup {
        let rate = BarPlot("Operations a second (more is better)", sections) {
            $0.operationsPerSecond
        }
        let cost = BarPlot("Server µs per operation (less is better)", sections) {
            $0.serverMicrosecondsPerOperation
        }
        return BarPlot.svg([rate, cost], width, "Operations a second and processor time")
    }

    /// One curve per command of a single run, or one per target of a comparison.
    private static func percentilePlot(
        _ section: ReportSection, byCommand: Bool, _ command: LoadCommand? = nil
    ) -> PercentilePlot? {
        guard let command = command ?? section.commands.first else { return nil }
        let targets = section.comparison.targets
        if byCommand, let target = targets.first {
            let latencies = Report.latencies(target.outcomes)
            return PercentilePlot(
                curves: section.commands.map { command in
                    PercentilePlot.Curve(
                        name: command.name, points: latencies.curve(of: command),
                        count: latencies.summary(of: command).count)
                })
        }
        return PercentilePlot(
            curves: targets.map { target in
                let latencies = Report.latencies(target.outcomes)
                return PercentilePlot.Curve(
                    name: target.name, points: latencies.curve(of: command),
                    count: latencies.summary(of: command).count)
            })
    }

    /// A plot for wide and one for narrow windows, with a line below.
    private static func figure(_ plot: (PlotWidth) -> Markup?, _ caption: String) -> Markup {
        var parts: [Markup] = PlotWidth.allCases.compactMap { width in
            plot(width).map { .tag("div", ["class": width.name], [$0]) }
        }
        if !caption.isEmpty { parts.append(.tag("figcaption", [:], caption)) }
        return .tag("figure", [:], parts)
    }
}
