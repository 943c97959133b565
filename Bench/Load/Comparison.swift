// Comparison: several servers under the same load, in turn, round by round.
//
// Each round visits every target once and begins with another one, so that what drifts on the
// machine falls on all of them. Ratios are taken within a round, then their median: two runs
// next to each other in time have more in common than two medians have.

/// What one target showed over the rounds.
public struct ComparedTarget: Sendable {
    public let name: String
    /// By round.
    public var outcomes: [Outcome] = []
}

/// Rounds over several targets. Plain data.
public struct Comparison: Sendable {
    public private(set) var targets: [ComparedTarget]

    public init(names: [String]) { targets = names.map { ComparedTarget(name: $0) } }

    /// The order in which a round visits `count` targets.
    public static func order(ofRound round: Int, count: Int) -> [Int] {
        (0..<count).map { ($0 + round) % count }
    }

    /// Runs `plan` against each target in each round. `body` performs one run; `progress` hears
    /// of each result.
    public mutating func perform(
        rounds: Int, run body: (_ target: Int) throws(LoadFailure) -> Outcome,
        progress: (_ round: Int, _ target: Int, Outcome) -> Void
    ) throws(LoadFailure) {
        for round in 0..<rounds {
            for index in Self.order(ofRound: round, count: targets.count) {
                let outcome = try body(index)
                targets[index].outcomes.append(outcome)
                progress(round, index, outcome)
            }
        }
    }

    /// A figure of one target over the rounds; nil where a round has none.
    public func spread(of target: Int, _ figure: (Outcome) -> Double?) -> Spread? {
        Spread(targets[target].outcomes.map(figure))
    }

    /// The figure of a target over that of the first target, round by round.
    public func ratio(of target: Int, _ figure: (Outcome) -> Double?) -> Spread? {
        Spread(
            zip(targets[target].outcomes, targets[0].outcomes).map { one, first in
                guard let above = figure(one), let below = figure(first), below > 0 else {
                    return nil
                }
                return above / below
            })
    }
}

/// The middle of some values and how far they reach.
public struct Spread: Equatable, Sendable {
    public let median: Double
    public let least: Double
    public let most: Double

    /// Nil if there is no value, or one is missing.
    public init?(_ values: [Double?]) {
        let sorted = values.compactMap(\.self).sorted()
        guard let least = sorted.first, let most = sorted.last, sorted.count == values.count
        else { return nil }
        self.least = least
        self.most = most
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1
            ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
