// ComparisonObject: a comparison as an object of JSON: every run, and the figures of the table.

internal import Load

enum ComparisonObject {
    static func object(_ comparison: Comparison, _ plan: LoadPlan, _ targets: [Target])
        -> JSONValue
    {
        .object([
            ("plan", OutcomeObject.plan(plan)),
            ("targets", .list(targets.indices.map { target(comparison, plan, $0) })),
        ])
    }

    private static func target(_ comparison: Comparison, _ plan: LoadPlan, _ index: Int)
        -> JSONValue
    {
        let one = comparison.targets[index]
        return .object([
            ("name", .string(one.name)),
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
                .list(one.outcomes.map { .object(OutcomeObject.members($0, plan)) })
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
