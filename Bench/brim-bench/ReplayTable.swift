// ReplayTable: a replay's hit ratios over time as CSV: one line a stretch, for plotting tools.

internal import Load
internal import Report

enum ReplayTable {
    /// One line of names, then one for each stretch. Ratios are empty where nothing was asked.
    static func lines(_ outcome: ReplayOutcome, _ plan: ReplayPlan) -> [String] {
        var names = [
            plan.isBySeconds ? "from_second" : "from_request", "requests", "gets", "hits",
            "get_bytes", "hit_bytes", "hit_ratio", "byte_hit_ratio",
        ]
        for reference in outcome.references {
            names.append("lru_\(reference.capacityBytes)_hit_ratio")
            names.append("lru_\(reference.capacityBytes)_byte_hit_ratio")
        }
        var lines = [names.joined(separator: ",")]
        for (index, counts) in outcome.intervals.enumerated() {
            var cells = [
                "\(start(index, plan))", "\(counts.requests)", "\(counts.gets)",
                "\(counts.hits)", "\(counts.getBytes)", "\(counts.hitBytes)",
                ratio(counts.hitRatio), ratio(counts.byteHitRatio),
            ]
            for reference in outcome.references {
                cells.append(ratio(reference.intervals[index].hitRatio))
                cells.append(ratio(reference.intervals[index].byteHitRatio))
            }
            lines.append(cells.joined(separator: ","))
        }
        return lines
    }

    /// Where a stretch begins, in requests or in the trace's seconds.
    static func start(_ index: Int, _ plan: ReplayPlan) -> UInt64 {
        switch plan.interval {
        case .requests(let count): UInt64(index) * count
        case .seconds(let count): UInt64(index) * count
        }
    }

    static func sum(_ intervals: [IntervalCounts], _ range: Range<Int>) -> IntervalCounts {
        var sum = IntervalCounts()
        for index in range { sum += intervals[index] }
        return sum
    }

    private static func ratio(_ value: Double?) -> String {
        value.map { NumberText.fixed($0, 6) } ?? ""
    }
}
