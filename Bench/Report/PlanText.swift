// PlanText: what was asked for, in one line of words.

public import Load

public enum PlanText {
    /// The load that a plan describes, behind a label, in as many lines as 100 columns ask for.
    public static func lines(_ plan: LoadPlan, label: String) -> [String] {
        var lines: [String] = []
        var line = label
        for (index, part) in parts(plan).enumerated() {
            if index > 0 { line += "," }
            if line.count + part.count + 2 > 100 {
                lines.append(line)
                line = String(repeating: " ", count: label.count)
            }
            line += (index == 0 || line.allSatisfy { $0 == " " } ? "" : " ") + part
        }
        return lines + [line]
    }

    private static func bytes(_ size: SizeDistribution) -> String {
        switch size {
        case .fixed, .range: "\(size) B"
        case .exponential(let mean): "\(mean) B on average"
        case .etcKeys, .etcValues: "the ETC pool's sizes"
        }
    }

    private static func parts(_ plan: LoadPlan) -> [String] {
        var parts = [
            "\(plan.clientCount) clients", "depth \(plan.depth)", "\(plan.mix)",
            "\(NumberText.grouped(plan.keyCount)) keys of \(bytes(plan.keyBytes))",
            "values of \(bytes(plan.valueBytes))", "\(plan.distribution)",
        ]
        if plan.mix.contains(.get), plan.keysPerGet > 1 {
            parts.append("\(plan.keysPerGet) keys a get")
        }
        if plan.ttl != 0 { parts.append("ttl \(plan.ttl) s") }
        if plan.missRatio > 0 {
            parts.append("\(NumberText.fixed(plan.missRatio * 100, 1)) % of gets never set")
        }
        if plan.setsOnMiss { parts.append("set on miss") }
        if plan.requestsPerConnection > 0 {
            parts.append("\(plan.requestsPerConnection) requests a connection")
        }
        if plan.verifies { parts.append("verified") }
        if plan.threadCount > 1 { parts.append("\(plan.threadCount) threads") }
        if plan.wireProtocol != .classic { parts.append(plan.wireProtocol.rawValue) }
        if let rate = plan.rate {
            parts.append("\(PacingText.rate(rate)) a second (\(plan.arrivals.rawValue))")
        } else if plan.refill == .window {
            parts.append("window")
        }
        parts.append("seed \(plan.seed)")
        return parts
    }
}
