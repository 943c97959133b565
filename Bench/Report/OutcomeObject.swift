// OutcomeObject: one result as an object of JSON.

public import Load

public enum OutcomeObject {
    public static func object(
        _ outcome: Outcome, _ plan: LoadPlan, _ target: Target, _ machine: MachineFacts
    ) -> JSONValue {
        .object(
            [
                ("target", .string(target.name)), ("machine", self.machine(machine)),
                ("plan", self.plan(plan)),
            ] + members(outcome, plan))
    }

    static func machine(_ facts: MachineFacts) -> JSONValue {
        .object([
            ("kernel", .string(facts.kernel)), ("processor", .string(facts.processor)),
            ("cores", .integer(UInt64(facts.coreCount))),
            ("memory_bytes", .integer(facts.memoryBytes)),
            ("generator_version", .string(GeneratorVersion.number)),
        ])
    }

    static func members(_ outcome: Outcome, _ plan: LoadPlan) -> [(String, JSONValue)] {
        let counters = outcome.counters
        return [
            ("kernel", .string(outcome.kernel)),
            ("server_version", .string(outcome.facts.version)),
            ("brim_version", JSONValue(outcome.facts.brimVersion)),
            ("ring_features", JSONValue(outcome.facts.ringFeatures)),
            (
                "server_settings",
                .object(outcome.facts.shownSettings.map { ($0.name, .string($0.value)) })
            ),
            ("server_command", .string(outcome.serverCommand)),
            ("server_cores", .string(outcome.serverCores)),
            ("seconds", .number(outcome.seconds)),
            ("operations", .integer(counters.operations)),
            ("requests", .integer(counters.requestCount)),
            ("operations_per_second", .number(outcome.operationsPerSecond)),
            ("requests_per_second", .number(outcome.requestsPerSecond)),
            ("hits", .integer(counters.hits)),
            ("misses", .integer(counters.misses)),
            ("errors", .integer(counters.errors)),
            ("first_error", JSONValue(outcome.firstError)),
            ("sets_on_miss", .integer(counters.setsOnMiss)),
            ("reconnections", .integer(counters.reconnections)),
            ("received_bytes", .integer(counters.receivedBytes)),
            ("sent_bytes", .integer(counters.sentBytes)),
            ("server_process", JSONValue(outcome.serverProcess.map { UInt64($0) })),
            ("server_us_per_operation", JSONValue(outcome.serverMicrosecondsPerOperation)),
            ("server_share", JSONValue(outcome.serverShare)),
            ("server_rss_anon_bytes_before", JSONValue(outcome.residentBytesBefore)),
            ("server_rss_anon_bytes_after", JSONValue(outcome.residentBytesAfter)),
            ("generator_us_per_operation", .number(outcome.generatorMicrosecondsPerOperation)),
            ("generator_share", .number(outcome.generatorShare)),
            ("generator_bound", .flag(outcome.isGeneratorBound)),
            ("latency_us", latencies(outcome, plan)),
            ("series", .list(outcome.series.map(point))),
        ] + PacingText.object(outcome)
    }

    private static func point(_ point: SeriesPoint) -> JSONValue {
        .object([
            ("start", .number(point.start)), ("seconds", .number(point.seconds)),
            ("operations", .integer(point.operations)), ("hits", .integer(point.hits)),
            ("misses", .integer(point.misses)), ("errors", .integer(point.errors)),
            ("p50_us", JSONValue(point.p50)), ("p99_us", JSONValue(point.p99)),
            ("server_share", JSONValue(point.serverShare)),
        ])
    }

    private static func latencies(_ outcome: Outcome, _ plan: LoadPlan) -> JSONValue {
        var members: [(String, JSONValue)] = []
        for command in LoadCommand.allCases where plan.mix.contains(command) {
            let summary = outcome.latencies.summary(of: command)
            members.append(
                (
                    command.name,
                    .object(
                        [("count", .integer(summary.count)), ("mean", .number(summary.mean))]
                            + summary.points.map {
                                ("p\(OutcomeText.trimmed($0.percentile))", .number($0.microseconds))
                            } + [("max", .number(summary.maximum))])
                ))
        }
        return .object(members)
    }

    /// A number where all are alike, otherwise what the user wrote.
    private static func size(_ size: SizeDistribution) -> JSONValue {
        guard case .fixed(let bytes) = size else { return .string("\(size)") }
        return .integer(UInt64(bytes))
    }

    static func plan(_ plan: LoadPlan) -> JSONValue {
        .object([
            ("clients", .integer(UInt64(plan.clientCount))),
            ("depth", .integer(UInt64(plan.depth))),
            ("keys", .integer(plan.keyCount)),
            ("key_bytes", size(plan.keyBytes)),
            ("value_bytes", size(plan.valueBytes)),
            ("mix", .string("\(plan.mix)")),
            ("multiget", .integer(UInt64(plan.keysPerGet))),
            ("distribution", .string("\(plan.distribution)")),
            ("ttl_seconds", .string("\(plan.ttl)")),
            ("miss_ratio", .number(plan.missRatio)),
            ("set_on_miss", .flag(plan.setsOnMiss)),
            ("requests_per_connection", .integer(plan.requestsPerConnection)),
            ("length", .string(length(plan.length))),
            ("warmup_seconds", .number(plan.warmupSeconds)),
            ("stall_seconds", .number(plan.stallSeconds)),
            ("cores", .list(plan.cores.map { .integer(UInt64(clamping: $0)) })),
            ("verify", .flag(plan.verifies)),
            ("threads", .integer(UInt64(plan.threadCount))),
            ("seed", .integer(plan.seed)),
            ("protocol", .string(plan.wireProtocol.rawValue)),
            ("refill", .string(plan.refill.rawValue)),
            ("rate", JSONValue(plan.rate)),
            ("arrivals", .string(plan.arrivals.rawValue)),
        ])
    }

    private static func length(_ length: RunLength) -> String {
        switch length {
        case .seconds(let seconds): "\(seconds) s"
        case .operations(let count): "\(count) operations"
        }
    }
}
