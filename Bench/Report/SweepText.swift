// SweepText: a search for a rate, step by step, in words and as an object of JSON.

public import Load

public enum SweepText {
    public static func head(_ plan: LoadPlan, _ target: Target, _ sweep: RateSweep) -> [String] {
        ["target     \(target.name), p99 to stay within \(NumberText.short(sweep.limit)) us"]
            + PlanText.lines(plan, label: "load       ")
    }

    public static func line(_ step: RateSweep.Step, _ outcome: Outcome) -> String {
        var line =
            "rate       \(NumberText.padded(PacingText.rate(step.asked), 11))"
            + "  p50 \(micro(step.p50)) p99 \(micro(step.p99)) us  "
        if step.isWithin {
            line += "within"
        } else if !step.isKept, let pacing = outcome.pacing {
            line +=
                "only \(PacingText.rate(step.reached)) were sent: "
                + (pacing.crowdedOperations >= pacing.lateOperations
                    ? "server" : "generator") + " too slow"
        } else {
            line += "above the limit"
        }
        return line + (step.isRepeat ? " (second try)" : "")
    }

    public static func answer(_ sweep: RateSweep) -> [String] {
        guard let answer = sweep.answer else { return [] }
        var line =
            "answer     \(PacingText.rate(answer.asked)) operations a second: "
            + "p99 \(micro(answer.p99)) us"
        if sweep.steps.allSatisfy({ $0.asked <= answer.asked }) {
            line += "; no higher rate was tried (--to)"
        }
        return [line]
    }

    public static func object(_ sweep: RateSweep, _ plan: LoadPlan, _ target: Target) -> JSONValue {
        .object([
            ("target", .string(target.name)),
            ("plan", OutcomeObject.plan(plan)),
            ("p99_limit_us", .number(sweep.limit)),
            ("rate", JSONValue(sweep.answer?.asked)),
            ("p99_us", JSONValue(sweep.answer?.p99)),
            ("steps", .list(sweep.steps.map(step))),
        ])
    }

    private static func step(_ step: RateSweep.Step) -> JSONValue {
        .object([
            ("rate_asked", .number(step.asked)), ("rate_reached", .number(step.reached)),
            ("p50_us", JSONValue(step.p50)), ("p99_us", JSONValue(step.p99)),
            ("kept", .flag(step.isKept)), ("second_try", .flag(step.isRepeat)),
            ("within_limit", .flag(step.isWithin)),
        ])
    }

    private static func micro(_ value: Double?) -> String { value.map(NumberText.short) ?? "-" }
}
