// Report: everything that one call of brim-bench has to show: what was measured, and where.
//
// Plain data; how it looks on a terminal, as JSON, CSV or a page is in other files.

public import Load

/// One load: every target under it, round by round. A single run is one target and one round.
public struct ReportSection: Sendable {
    /// What headings call the load.
    public var title: String
    public var plan: LoadPlan
    public var comparison: Comparison
    /// Addresses by target.
    public var addresses: [String]

    public init(title: String, plan: LoadPlan, comparison: Comparison, addresses: [String]) {
        precondition(addresses.count == comparison.targets.count)
        self.title = title
        self.plan = plan
        self.comparison = comparison
        self.addresses = addresses
    }

    /// Commands of the load, in the order of tables.
    var commands: [LoadCommand] { LoadCommand.allCases.filter { plan.mix.contains($0) } }

    public var names: [String] { comparison.targets.map(\.name) }
    var roundCount: Int { comparison.targets.map(\.rounds.count).max() ?? 0 }
}

/// What one call of brim-bench measured.
public struct Report: Sendable {
    public var title: String
    /// The arguments of the call, the program's name first.
    public var command: [String]
    /// When it was made, in seconds since 1970.
    public var unixSeconds: UInt64
    public var machine: MachineFacts
    public var sections: [ReportSection]

    public init(
        title: String, command: [String], unixSeconds: UInt64, machine: MachineFacts,
        sections: [ReportSection]
    ) {
        self.title = title
        self.command = command
        self.unixSeconds = unixSeconds
        self.machine = machine
        self.sections = sections
    }

    /// The figures of several rounds as one: latencies and counts together, for curves.
    static func latencies(_ outcomes: [Outcome]) -> Latencies {
        outcomes.reduce(into: Latencies()) { $0 += $1.latencies }
    }
}
