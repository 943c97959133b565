// ReplayObject: a replay's result as an object of JSON.

internal import Load
internal import Report

enum ReplayObject {
    static func object(
        _ outcome: ReplayOutcome, _ plan: ReplayPlan, _ target: Target, _ source: String
    ) -> JSONValue {
        let counters = outcome.counters
        return .object(
            [
                ("target", .string(target.name)),
                ("plan", self.plan(plan)),
                ("kernel", .string(outcome.kernel)),
                ("server_version", .string(outcome.facts.version)),
                ("brim_version", JSONValue(outcome.facts.brimVersion)),
                ("trace", .string(source)),
                ("trace_format", .string(outcome.format.rawValue)),
                ("trace_requests", .integer(outcome.requests)),
                ("trace_seconds", .integer(outcome.spanSeconds)),
                ("seconds", .number(outcome.seconds)),
                ("requests", .integer(counters.requests)),
                ("requests_per_second", .number(outcome.requestsPerSecond)),
            ] + members(outcome.total) + [
                ("fills", .integer(counters.fills)),
                ("refused", .integer(counters.refused)),
                ("unstored", .integer(counters.unstored)),
                ("errors", .integer(counters.errors)),
                ("unjudged", .integer(counters.unjudged)),
                ("first_error", JSONValue(outcome.firstError)),
                ("objects", .integer(outcome.objectCount)),
                ("object_bytes", .integer(outcome.objectBytes)),
                ("objects_exact", .flag(outcome.isObjectCountExact)),
                ("received_bytes", .integer(counters.receivedBytes)),
                ("sent_bytes", .integer(counters.sentBytes)),
                ("server_process", JSONValue(outcome.serverProcess.map { UInt64($0) })),
                ("server_us_per_request", JSONValue(outcome.serverMicrosecondsPerRequest)),
                ("server_rss_anon_bytes_before", JSONValue(outcome.residentBytesBefore)),
                ("server_rss_anon_bytes_after", JSONValue(outcome.residentBytesAfter)),
                ("generator_us_per_request", .number(outcome.generatorMicrosecondsPerRequest)),
                ("generator_share", .number(outcome.generatorShare)),
                ("generator_bound", .flag(outcome.isGeneratorBound)),
                ("references", .list(outcome.references.map { reference($0, plan) })),
                ("intervals", intervals(outcome, plan)),
                ("last_interval_holds_the_rest", .flag(outcome.isCut)),
                ("latency_us", latencies(outcome)),
            ])
    }

    private static func members(_ counts: IntervalCounts) -> [(String, JSONValue)] {
        [
            ("gets", .integer(counts.gets)),
            ("hits", .integer(counts.hits)),
            ("get_bytes", .integer(counts.getBytes)),
            ("hit_bytes", .integer(counts.hitBytes)),
            ("hit_ratio", JSONValue(counts.hitRatio)),
            ("byte_hit_ratio", JSONValue(counts.byteHitRatio)),
        ]
    }

    private static func plan(_ plan: ReplayPlan) -> JSONValue {
        .object([
            ("look_aside", .flag(plan.fills)),
            ("speed", .string("\(plan.speed)")),
            ("ttls", .string(plan.times.rawValue)),
            ("ttl", .integer(UInt64(plan.ttlSeconds))),
            ("clients", .integer(UInt64(plan.clientCount))),
            ("depth", .integer(UInt64(plan.depth))),
            ("threads", .integer(UInt64(plan.threadCount))),
            ("interval", .string("\(plan.interval)")),
            ("overhead_bytes", .integer(plan.overheadBytes)),
            ("value_bytes_max", .integer(UInt64(plan.valueBytesMax))),
            ("verify", .flag(plan.verifies)),
        ])
    }

    private static func reference(_ reference: ReplayReference, _ plan: ReplayPlan) -> JSONValue {
        .object(
            [
                ("lru_bytes", .integer(reference.capacityBytes)),
                ("objects_at_end", .integer(reference.objectCount)),
            ] + members(reference.total))
    }

    private static func intervals(_ outcome: ReplayOutcome, _ plan: ReplayPlan) -> JSONValue {
        .list(
            outcome.intervals.indices.map { index in
                let counts = outcome.intervals[index]
                let references = outcome.references.map { JSONValue($0.intervals[index].hitRatio) }
                return .object(
                    [
                        ("from", .integer(ReplayTable.start(index, plan))),
                        ("requests", .integer(counts.requests)),
                    ] + members(counts) + [("lru_hit_ratios", .list(references))])
            })
    }

    private static func latencies(_ outcome: ReplayOutcome) -> JSONValue {
        var members: [(String, JSONValue)] = []
        for operation in TraceOperation.allCases {
            let summary = outcome.latencies.summary(of: operation)
            guard summary.count > 0 else { continue }
            members.append(
                (
                    operation.name,
                    .object(
                        [("count", .integer(summary.count)), ("mean", .number(summary.mean))]
                            + summary.points.map {
                                (ReplayText.percentile($0.percentile), .number($0.microseconds))
                            } + [("max", .number(summary.maximum))])
                ))
        }
        return .object(members)
    }
}
