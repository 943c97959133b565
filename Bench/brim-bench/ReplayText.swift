// ReplayText: a replay's result as lines of text, at most 100 columns wide.

internal import Load
internal import Report

enum ReplayText {
    /// Rows of the table over time; more stretches are put together.
    static let rowsMax = 20

    static func lines(
        _ outcome: ReplayOutcome, _ plan: ReplayPlan, _ target: Target, _ source: String
    ) -> [String] {
        var lines = [
            "target     \(target.name), \(serverName(outcome)), Linux \(outcome.kernel)",
            "trace      \(cut(source)) (\(outcome.format.rawValue)): "
                + "\(NumberText.grouped(outcome.requests)) requests over "
                + "\(NumberText.grouped(outcome.spanSeconds)) s",
            "load       \(load(plan))",
            "requests   \(NumberText.grouped(outcome.counters.requests)) in "
                + "\(NumberText.fixed(outcome.seconds, 2)) s: "
                + "\(NumberText.grouped(UInt64(outcome.requestsPerSecond))) a second",
            "hits       \(ratio(outcome.total.hitRatio)) of "
                + "\(NumberText.grouped(outcome.total.gets)) gets, "
                + "\(ratio(outcome.total.byteHitRatio)) of "
                + "\(NumberText.mebibytes(outcome.total.getBytes)) asked for",
        ]
        for reference in outcome.references { lines.append(line(reference, plan)) }
        lines += [
            "writes     \(writes(outcome))",
            "objects    \(outcome.isObjectCountExact ? "" : "about ")"
                + "\(NumberText.grouped(outcome.objectCount)) different of "
                + "\(NumberText.mebibytes(outcome.objectBytes)), "
                + (outcome.isObjectCountExact ? "counted" : "estimated from a sample"),
            "bytes      \(NumberText.mebibytes(outcome.counters.receivedBytes)) received, "
                + "\(NumberText.mebibytes(outcome.counters.sentBytes)) sent",
            "server     \(server(outcome))",
            "generator  \(generator(outcome))",
        ]
        return lines + remarks(outcome) + [""] + table(outcome, plan) + [""]
            + latencies(outcome)
    }

    // MARK: Lines

    private static func serverName(_ outcome: ReplayOutcome) -> String {
        let version = outcome.facts.version.isEmpty ? "of no version" : outcome.facts.version
        return outcome.facts.brimVersion.map { "brim \($0) (as \(version))" } ?? version
    }

    private static func cut(_ text: String) -> String {
        text.count <= 36 ? text : "..." + text.suffix(33)
    }

    private static func load(_ plan: ReplayPlan) -> String {
        var parts = [
            plan.fills ? "look-aside" : "as recorded", "speed \(plan.speed)",
            "TTLs \(plan.times.rawValue)", "\(plan.clientCount) clients", "depth \(plan.depth)",
        ]
        if plan.threadCount > 1 { parts.append("\(plan.threadCount) threads") }
        if plan.verifies { parts.append("verified") }
        return parts.joined(separator: ", ")
    }

    static func ratio(_ value: Double?) -> String {
        value.map { NumberText.fixed($0 * 100, 2) + " %" } ?? "-"
    }

    private static func line(_ reference: ReplayReference, _ plan: ReplayPlan) -> String {
        "LRU        \(ratio(reference.total.hitRatio)) of gets, "
            + "\(ratio(reference.total.byteHitRatio)) of bytes: exact LRU of "
            + "\(SizeText.short(reference.capacityBytes)), key + value + "
            + "\(plan.overheadBytes) B"
    }

    private static func writes(_ outcome: ReplayOutcome) -> String {
        let counters = outcome.counters
        return "\(NumberText.grouped(counters.fills)) fills, "
            + "\(NumberText.grouped(counters.refused)) refused as too large, "
            + "\(NumberText.grouped(counters.unstored)) without effect, "
            + "\(NumberText.grouped(counters.errors)) errors"
    }

    private static func server(_ outcome: ReplayOutcome) -> String {
        guard let process = outcome.serverProcess,
            let each = outcome.serverMicrosecondsPerRequest
        else { return "its process is not known here: no processor time, no memory" }
        var text = "\(NumberText.fixed(each, 3)) us of processor a request, process \(process)"
        if let before = outcome.residentBytesBefore, let after = outcome.residentBytesAfter {
            text += ", RssAnon \(NumberText.mebibytes(before)), then \(NumberText.mebibytes(after))"
        }
        return text
    }

    private static func generator(_ outcome: ReplayOutcome) -> String {
        let counters = outcome.counters
        let perEnter =
            counters.enters > 0 ? Double(counters.sends) / Double(counters.enters) : 0
        return "\(NumberText.fixed(outcome.generatorMicrosecondsPerRequest, 3)) us a request, "
            + "\(NumberText.fixed(outcome.generatorShare * 100, 0)) % of a core, "
            + "\(NumberText.fixed(perEnter, 1)) requests a system call"
    }

    private static func remarks(_ outcome: ReplayOutcome) -> [String] {
        var lines: [String] = []
        if let error = outcome.firstError { lines.append("error      the first was \(error)") }
        if outcome.counters.unjudged > 0 {
            lines.append(
                "unjudged   \(NumberText.grouped(outcome.counters.unjudged)) values of keys that "
                    + "this replay had not set, or has changed in place")
        }
        if outcome.isCut {
            lines.append(
                "intervals  more than there is room for: the last one holds the rest of the trace")
        }
        if outcome.isGeneratorBound {
            lines.append(
                "BOTTLENECK the generator used "
                    + "\(NumberText.fixed(outcome.generatorShare * 100, 0)) % of a core: "
                    + "the server may be faster than this")
        }
        return lines
    }

    /// A percentile's name: p50, p99.9.
    static func percentile(_ value: Double) -> String {
        let text = "\(value)"
        return "p" + (text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
    }

    // MARK: Tables

    private static func table(_ outcome: ReplayOutcome, _ plan: ReplayPlan) -> [String] {
        let group = max((outcome.intervals.count + rowsMax - 1) / rowsMax, 1)
        let width =
            switch plan.interval {
            case .requests(let count): count * UInt64(group)
            case .seconds(let count): count * UInt64(group)
            }
        var rows = [
            [plan.isBySeconds ? "from s" : "from", "requests", "gets", "hits", "bytes"]
                + outcome.references.prefix(4).map { "LRU \(SizeText.short($0.capacityBytes))" }
        ]
        for first in stride(from: 0, to: outcome.intervals.count, by: group) {
            let range = first..<min(first + group, outcome.intervals.count)
            let counts = ReplayTable.sum(outcome.intervals, range)
            rows.append(
                [
                    NumberText.grouped(UInt64(first / group) * width),
                    NumberText.grouped(counts.requests), NumberText.grouped(counts.gets),
                    ratio(counts.hitRatio), ratio(counts.byteHitRatio),
                ]
                    + outcome.references.prefix(4).map {
                        ratio(ReplayTable.sum($0.intervals, range).hitRatio)
                    })
        }
        return TableText.lines(rows)
    }

    private static func latencies(_ outcome: ReplayOutcome) -> [String] {
        var rows = [
            ["latency us", "count", "mean"]
                + LatencySummary.percentiles.map { percentile($0) } + ["max"]
        ]
        for operation in TraceOperation.allCases {
            let summary = outcome.latencies.summary(of: operation)
            guard summary.count > 0 else { continue }
            rows.append(
                [operation.name, "\(summary.count)", NumberText.short(summary.mean)]
                    + summary.points.map { NumberText.short($0.microseconds) }
                    + [NumberText.short(summary.maximum)])
        }
        return TableText.lines(rows)
    }
}

extension ReplayPlan {
    var isBySeconds: Bool {
        if case .seconds = interval { return true }
        return false
    }
}
