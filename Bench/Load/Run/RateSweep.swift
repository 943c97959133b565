// RateSweep: finds the highest rate at which the latency stays under a limit, in few steps.
//
// It decides which rate comes next and does not run anything. Machines are noisy: a step that
// fails is tried once more, and the better one of the two counts.

/// A search by doubling, then by halving the gap. Plain data.
public struct RateSweep: Sendable {
    /// One run of the search.
    public struct Step: Sendable {
        /// Operations a second.
        public let asked: Double
        public let reached: Double
        /// Microseconds, from intended times; nil if nothing was answered.
        public let p50: Double?
        public let p99: Double?
        public let isKept: Bool
        /// Whether it is the second try of its rate.
        public let isRepeat: Bool
        /// Whether p99 stayed within the limit and the schedule was kept.
        public let isWithin: Bool
    }

    /// The search ends when the rate that fails is at most this many times the one that does not.
    public static let ratioMax = 1.05
    /// Runs of a search, at most: the first rate, 30 doublings, which span all that a plan may
    /// ask for, a repeat of the one that failed, and 5 halvings, which may all fail twice.
    public static let stepsMax = 1 + 30 + 1 + 2 * 5

    /// Microseconds.
    public let limit: Double
    public private(set) var steps: [Step] = []
    /// The rate to try next, in operations a second; nil when the search is over.
    public private(set) var next: Double?
    /// The highest rate that stayed within the limit; nil if none did.
    public private(set) var answer: Step?

    private let most: Double
    private var failed: Double?

    /// - Parameters:
    ///   - least: The rate of the first step; if it fails there is no answer.
    ///   - most: No step is above it, and if it does not fail it is the answer.
    ///   - limit: Of the 99th percentile, in microseconds.
    public init(from least: Double, to most: Double, limit: Double) {
        precondition(least > 0)
        precondition(most >= least)
        self.limit = limit
        self.most = most
        next = least
    }

    /// Takes the outcome of a run at the rate `next`.
    public mutating func take(_ outcome: Outcome) {
        let summary = outcome.latencies.all
        let hasReplies = outcome.counters.operations > 0
        take(
            reached: outcome.pacing?.reached ?? outcome.operationsPerSecond,
            isKept: outcome.pacing?.isKept ?? true,
            p50: hasReplies ? summary.microseconds(at: 50) : nil,
            p99: hasReplies ? summary.microseconds(at: 99) : nil)
    }

    /// Takes the figures of a run at the rate `next`.
    public mutating func take(reached: Double, isKept: Bool, p50: Double?, p99: Double?) {
        guard let asked = next else { return }
        let isRepeat = steps.last.map { $0.asked == asked } ?? false
        let step = Step(
            asked: asked, reached: reached, p50: p50, p99: p99, isKept: isKept,
            isRepeat: isRepeat, isWithin: isKept && (p99 ?? .infinity) <= limit)
        steps.append(step)
        if step.isWithin {
            answer = step
        } else if isRepeat {
            failed = asked
        }
        next = steps.count < Self.stepsMax ? following(step) : nil
    }

    private func following(_ step: Step) -> Double? {
        if !step.isWithin && !step.isRepeat { return step.asked }
        guard let low = answer?.asked else { return nil }
        guard let failed else { return low < most ? min(2 * low, most) : nil }
        guard failed > low * Self.ratioMax else { return nil }
        let middle = ((low + failed) / 2).rounded()
        return middle > low && middle < failed ? middle : nil
    }
}
