// Shortening: leaves out acts of a failing history as long as something still goes wrong. It knows
// nothing of what is played: acts are of any type, and playing some of them is the caller's.

import Support

/// What a play came to, as far as shortening asks.
package protocol PlayOutcome {
    var fault: String? { get }
    /// The act at which it was found.
    var act: Int { get }
}

package enum Shortening {
    /// Leaves out as many acts as can be while something still goes wrong.
    ///
    /// Half of them first, then quarters, and so on to single acts, as long as one of these can
    /// go. What follows the act that fails goes at once.
    ///
    /// - Parameters:
    ///   - replaysMax: So many plays at most.
    ///   - isOver: Asked before each play.
    package static func shorten<Act, Outcome: PlayOutcome>(
        _ acts: [Act], _ found: Outcome, replaysMax: Int, until isOver: () -> Bool = { false },
        _ play: ([Act]) throws -> Outcome
    ) rethrows -> (acts: [Act], outcome: Outcome) {
        var best = (acts: Array(acts.prefix(found.act + 1)), outcome: found)
        var left = replaysMax
        var size = max((best.acts.count + 1) / 2, 1)
        while true {
            var start = 0
            var hasShrunk = false
            while start < best.acts.count {
                guard left > 0, !isOver() else { return best }
                left -= 1
                var fewer = best.acts
                fewer.removeSubrange(start..<min(start + size, fewer.count))
                let outcome = try play(fewer)
                if outcome.fault != nil {
                    best = (Array(fewer.prefix(outcome.act + 1)), outcome)
                    hasShrunk = true
                } else {
                    start += size
                }
            }
            if size == 1, !hasShrunk { return best }
            size = max(min(size, best.acts.count) / 2, 1)
        }
    }
}

/// Kinds of acts, drawn by their weights, each with a seed of its own: an act can be left out, and
/// the others stay as they are.
package func drawActs(
    seed: UInt64, weights: [Int], count: Int
) -> [(kind: Int, seed: UInt64)] {
    var chance = Chance(seed: seed ^ 0xAC75)
    let total = weights.reduce(0, +)
    return (0..<count).map { _ in
        var pick = chance.below(total)
        var kind = 0
        while pick >= weights[kind] {
            pick -= weights[kind]
            kind += 1
        }
        return (kind, chance.next())
    }
}
