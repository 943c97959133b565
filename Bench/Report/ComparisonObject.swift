// ComparisonObject: a comparison as an object of JSON: every run, and the figures of the table.

public import Load

public enum ComparisonObject {
    /// One load: as a comparison of one load is written.
    public static func object(_ section: ReportSection, _ report: Report) -> JSONValue {
        .object([("machine", OutcomeObject.machine(report.machine))] + members(section))
    }

    /// Several loads.
    public static func object(_ report: Report) -> JSONValue {
        .object([
            ("machine", OutcomeObject.machine(report.machine)),
            ("loads", .list(report.sections.map { .object(members($0)) })),
        ])
    }

    private static func members(_ section: ReportSection) -> [(String, JSONValue)] {
        [
            ("load", .string(section.title)),
            ("plan", OutcomeObject.plan(section.plan)),
            ("targets", .list(section.names.indices.map { target(section, $0) })),
        ]
    }

    private static func target(_ section: ReportSection, _ index: Int) -> JSONValue {
        let comparison = section.comparison
        let one = comparison.targets[index]
        return .object([
            ("name", .string(one.name)),
            ("address", .string(section.addresses[index])),
            ("failure", JSONValue(one.failure?.text)),
            (
                "operations_per_second",
                spread(comparison.spread(of: index, \.operationsPerSecond))
            ),
            (
                "operations_per_second_ratio",
                spread(comparison.ratio(of: index, \.operationsPerSecond))
            ),
            (
                "server_us_per_operation",
                spread(comparison.spread(of: index, \.serverMicrosecondsPerOperation))
            ),
            (
                "server_us_per_operation_ratio",
                spread(comparison.ratio(of: index, \.serverMicrosecondsPerOperation))
            ),
            (
                "rounds",
                .list(
                    one.rounds.map { outcome in
                        outcome.map { .object(OutcomeObject.members($0, section.plan)) } ?? .null
                    })
            ),
        ])
    }

    private static func spread(_ spread: Spread?) -> JSONValue {
        guard let spread else { return .null }
        return .object([
            ("median", .number(spread.median)), ("least", .number(spread.least)),
            ("most", .number(spread.most)),
        ])
    }
}
