// PacingText: how an open loop kept its schedule, in words and as an object of JSON.

public import Load

public enum PacingText {
    /// Lines for the result of a run: none for a closed loop without a warm-up.
    public static func lines(_ outcome: Outcome) -> [String] {
        var lines: [String] = []
        if let warmup = outcome.warmup { lines.append("warm-up    " + self.warmup(warmup)) }
        guard let pacing = outcome.pacing else { return lines }
        lines.append(
            "schedule   \(rate(pacing.reached)) of \(rate(pacing.asked)) operations a second sent")
        if pacing.errors.total > 0 {
            lines.append("pacing     sent " + points(pacing.errors) + " us after the intended time")
        }
        if pacing.waits.total > 0 {
            lines.append(
                "           \(NumberText.grouped(pacing.waits.total)) found their connection "
                    + "full: sent " + points(pacing.waits) + " us after it")
        }
        if pacing.unansweredRequests > 0 {
            lines.append(
                "           \(NumberText.grouped(pacing.unansweredRequests)) had no reply at the "
                    + "end; their wait so far counts as latency")
        }
        if !pacing.isKept { lines.append("NOT KEPT   " + reason(pacing)) }
        return lines
    }

    /// Why less was sent than was asked for.
    public static func reason(_ pacing: Pacing) -> String {
        let isCrowded = pacing.crowdedOperations >= pacing.lateOperations
        return "the schedule was not kept: "
            + (isCrowded
                ? "the server was too slow for so few connections and this depth"
                : "the generator was too slow (give it more --threads)")
    }

    static func object(_ outcome: Outcome) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        if let pacing = outcome.pacing {
            members.append(("pacing", .object(self.members(pacing))))
        }
        if let warmup = outcome.warmup {
            let all = warmup.latencies.all
            members.append(
                (
                    "warmup",
                    .object([
                        ("seconds", .number(warmup.seconds)),
                        ("operations", .integer(warmup.counters.operations)),
                        ("operations_per_second", .number(warmup.operationsPerSecond)),
                        ("hits", .integer(warmup.counters.hits)),
                        ("misses", .integer(warmup.counters.misses)),
                        ("errors", .integer(warmup.counters.errors)),
                        ("p50_us", JSONValue(all.microseconds(at: 50))),
                        ("p99_us", JSONValue(all.microseconds(at: 99))),
                    ])
                ))
        }
        return members
    }

    private static func members(_ pacing: Pacing) -> [(String, JSONValue)] {
        [
            ("rate_asked", .number(pacing.asked)), ("rate_reached", .number(pacing.reached)),
            ("kept", .flag(pacing.isKept)),
            ("error_us", spread(pacing.errors)),
            ("waited_for_room", .integer(pacing.waits.total)),
            ("wait_us", spread(pacing.waits)),
            ("unanswered_requests", .integer(pacing.unansweredRequests)),
        ]
    }

    private static func spread(_ delays: Pacing.Delays) -> JSONValue {
        .object([
            ("p50", JSONValue(delays.microseconds(at: 50))),
            ("p99", JSONValue(delays.microseconds(at: 99))),
            ("max", .number(delays.microsecondsMax)),
        ])
    }

    private static func warmup(_ warmup: WarmUp) -> String {
        let all = warmup.latencies.all
        let counters = warmup.counters
        return "\(NumberText.grouped(counters.operations)) in "
            + "\(NumberText.fixed(warmup.seconds, 2)) s: "
            + "\(NumberText.grouped(warmup.operationsPerSecond)) a second, p50 "
            + "\(NumberText.fixed(all.microseconds(at: 50) ?? 0, 1)) p99 "
            + "\(NumberText.fixed(all.microseconds(at: 99) ?? 0, 1)) us, "
            + "\(NumberText.grouped(counters.errors)) errors"
    }

    public static func rate(_ rate: Double) -> String {
        rate < 1000 ? NumberText.fixed(rate, 1) : NumberText.grouped(rate)
    }

    private static func points(_ delays: Pacing.Delays) -> String {
        "p50 \(NumberText.fixed(delays.microseconds(at: 50) ?? 0, 1)) "
            + "p99 \(NumberText.fixed(delays.microseconds(at: 99) ?? 0, 1)) "
            + "max \(NumberText.fixed(delays.microsecondsMax, 1))"
    }
}
