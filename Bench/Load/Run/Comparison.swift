// Comparison: several servers under the same load, in turn, round by round.
//
// Each round visits every target once and begins with another one, so that what drifts on the
// machine falls on all of them. Ratios are taken within a round, then their median: two runs
// next to each other in time have more in common than two medians have.

/// What one target showed over the rounds.
public struct ComparedTarget: Sendable {
    public let name: String
    /// By round; nil for a round in which it failed or was not asked any more.
    public var rounds: [Outcome?] = []
    /// Why it was given up, in one line, and the round in which it was, from 0; nil if that was
    /// before the first.
    public var failure: (round: Int?, text: String)?

    /// Of the rounds that it passed.
    public var outcomes: [Outcome] { rounds.compactMap(\.self) }
}

/// Rounds over several targets. Plain data.
public struct Comparison: Sendable {
    public private(set) var targets: [ComparedTarget]

    public init(names: [String]) { targets = names.map { ComparedTarget(name: $0) } }

    /// One run of one target.
    public init(name: String, outcome: Outcome) {
        targets = [ComparedTarget(name: name, rounds: [outcome])]
    }

    /// The order in which a round visits `count` targets.
    public static func order(ofRound round: Int, count: Int) -> [Int] {
        (0..<count).map { ($0 + round) % count }
    }

    /// A target that is not to be visited (any more), and why.
    public mutating func giveUp(_ target: Int, round: Int? = nil, _ text: String) {
        targets[target].failure = (round, text)
    }

    /// Runs `plan` against each target in each round. `body` performs one run; `progress` hears
    /// of each result. A target that fails is given up; the others go on.
    public mutating func perform(
        rounds: Int, run body: (_ target: Int) throws(LoadFailure) -> Outcome,
        progress: (_ round: Int, _ target: Int, Outcome?) -> Void
    ) {
        for round in 0..<rounds {
            for index in targets.indices { targets[index].rounds.append(nil) }
            for index in Self.order(ofRound: round, count: targets.count) {
                guard targets[index].failure == nil else { continue }
                do throws(LoadFailure) {
                    targets[index].rounds[round] = try body(index)
                } catch {
                    giveUp(index, round: round, "\(error)")
                }
                progress(round, index, targets[index].rounds[round])
            }
        }
    }

    /// A figure of one target over the rounds that it passed; nil where one of them has none.
    public func spread(of target: Int, _ figure: (Outcome) -> Double?) -> Spread? {
        Spread(targets[target].outcomes.map(figure))
    }

    /// The figure of a target over that of the first target, round by round, of the rounds that
    /// both have passed.
    public func ratio(of target: Int, _ figure: (Outcome) -> Double?) -> Spread? {
        Spread(
            zip(targets[target].rounds, targets[0].rounds).compactMap { one, first in
                guard let one, let first else { return nil }
                guard let above = figure(one), let below = figure(first), below > 0 else {
                    return .some(nil)
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
        median =
            sorted.count % 2 == 1
            ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
