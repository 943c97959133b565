// CSVText: one line per command and run, under a header that does not change (RFC 4180).

public import Load

public enum CSVText {
    /// Documented in docs/benchmarking.md; new columns come last.
    public static let header = [
        "load", "round", "target", "address", "command", "requests", "mean_us", "p50_us",
        "p90_us", "p95_us", "p99_us", "p99.9_us", "p99.99_us", "max_us", "seconds", "operations",
        "operations_per_second", "requests_per_second", "hits", "misses", "errors",
        "received_bytes", "sent_bytes", "server_us_per_operation", "server_share",
        "server_rss_anon_bytes_before", "server_rss_anon_bytes_after",
        "generator_us_per_operation", "generator_share", "generator_bound", "server_version",
        "brim_version", "kernel", "processor", "generator_version", "seed", "plan", "failure",
    ]

    /// The header and a line for each command of each run. A run that failed is one line without
    /// figures that says why. What is not known is empty.
    public static func lines(_ report: Report) -> [String] {
        var lines = [header.joined(separator: ",")]
        for section in report.sections {
            for round in 0..<max(section.roundCount, 1) {
                for index in section.names.indices {
                    lines += rows(section, round, index, report.machine).map { row in
                        precondition(row.count == header.count)
                        return row.map(field).joined(separator: ",")
                    }
                }
            }
        }
        return lines
    }

    private static func rows(
        _ section: ReportSection, _ round: Int, _ index: Int, _ machine: MachineFacts
    ) -> [[String]] {
        let target = section.comparison.targets[index]
        let begin = [section.title, "\(round + 1)", target.name, section.addresses[index]]
        let end = [
            machine.processor, GeneratorVersion.number, "\(section.plan.seed)",
            plan(section.plan),
        ]
        guard round < target.rounds.count, let outcome = target.rounds[round] else {
            guard let failure = target.failure, (failure.round ?? 0) == round else { return [] }
            let blanks = header.count - begin.count - end.count - 2
            return [
                begin + Array(repeating: "", count: blanks) + [machine.kernel] + end
                    + [failure.text]
            ]
        }
        return section.commands.map { command in
            begin + latencies(outcome.latencies.summary(of: command), command)
                + figures(outcome) + [outcome.kernel] + end + [""]
        }
    }

    private static func latencies(_ summary: LatencySummary, _ command: LoadCommand) -> [String] {
        [command.name, "\(summary.count)", NumberText.fixed(summary.mean, 3)]
            + summary.points.map { NumberText.fixed($0.microseconds, 3) }
            + [NumberText.fixed(summary.maximum, 3)]
    }

    private static func figures(_ outcome: Outcome) -> [String] {
        let counters = outcome.counters
        return [
            NumberText.fixed(outcome.seconds, 3), "\(counters.operations)",
            NumberText.fixed(outcome.operationsPerSecond, 1),
            NumberText.fixed(outcome.requestsPerSecond, 1),
            "\(counters.hits)", "\(counters.misses)", "\(counters.errors)",
            "\(counters.receivedBytes)", "\(counters.sentBytes)",
            outcome.serverMicrosecondsPerOperation.map { NumberText.fixed($0, 4) } ?? "",
            outcome.serverShare.map { NumberText.fixed($0, 4) } ?? "",
            outcome.residentBytesBefore.map(String.init) ?? "",
            outcome.residentBytesAfter.map(String.init) ?? "",
            NumberText.fixed(outcome.generatorMicrosecondsPerOperation, 4),
            NumberText.fixed(outcome.generatorShare, 4),
            outcome.isGeneratorBound ? "1" : "0",
            outcome.facts.version, outcome.facts.brimVersion ?? "",
        ]
    }

    /// The whole plan in one field: `clients=50 depth=1 …`.
    private static func plan(_ plan: LoadPlan) -> String {
        guard case .object(let members) = OutcomeObject.plan(plan) else { return "" }
        return members.map { "\($0.0)=\($0.1.plain)" }.joined(separator: " ")
    }

    /// In quotes where the text asks for them. Line ends and what a terminal obeys are spelled
    /// out, so that a run stays on its line.
    private static func field(_ text: String) -> String {
        let text = PlainText.printable(text)
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0 == " " }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}

extension JSONValue {
    /// A value as a person writes it: texts without quotes, lists with commas.
    var plain: String {
        switch self {
        case .string(let text): text
        case .list(let values): values.map(\.plain).joined(separator: ",")
        case .number(let value) where value.isFinite && value == value.rounded():
            NumberText.fixed(value, 0)
        default: text
        }
    }
}
