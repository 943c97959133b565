// WholePlayer: plays the acts of a seed from beginning to end, and shortens those that fail.

import StoreSimulation

/// What a play came to.
package struct WholeResult: Sendable {
    package var fault: String?
    /// The act at which it was found.
    package var act = 0
    package var lives = 0
    package var operations = 0
    package var hits = 0
    package var hitsWhileRecovering = 0
    package var diskReads = 0

    package init() {}
}

package enum WholePlayer {
    package static let actsPerSeed = 250

    package static func acts(seed: UInt64) -> [WholeAct] {
        WholeAct.list(seed: seed, WholeCasting(seed: seed), count: actsPerSeed)
    }

    /// Plays the acts of a seed, or some of them.
    package static func play(
        seed: UInt64, acts: [WholeAct]? = nil, trace: ((String) -> Void)? = nil
    ) throws -> WholeResult {
        let world = try WholeWorld(seed: seed, WholeCasting(seed: seed), trace: trace)
        for (number, act) in (acts ?? self.acts(seed: seed)).enumerated() {
            trace?("  \(number) \(act.kind)")
            world.result.act = number
            try act.execute(world)
            if world.law.fault != nil { break }
        }
        if world.law.fault == nil { try world.end() }
        world.result.fault = world.law.fault
        world.close()
        return world.result
    }

    /// Leaves out as many acts as can be while something still goes wrong.
    package static func shorten(
        seed: UInt64, _ found: WholeResult, tries: Int = 200
    ) throws -> (acts: [WholeAct], outcome: WholeResult) {
        var acts = Array(acts(seed: seed).prefix(found.act + 1))
        var best = found
        var left = tries
        var size = max(acts.count / 2, 1)
        while left > 0 {
            var start = 0
            var hasShrunk = false
            while start < acts.count, left > 0 {
                var fewer = acts
                fewer.removeSubrange(start..<min(start + size, acts.count))
                left -= 1
                let outcome = try play(seed: seed, acts: fewer)
                if outcome.fault != nil {
                    acts = Array(fewer.prefix(outcome.act + 1))
                    best = outcome
                    hasShrunk = true
                } else {
                    start += size
                }
            }
            if size == 1, !hasShrunk { break }
            if !hasShrunk || size > acts.count { size = max(size / 2, 1) }
        }
        return (acts, best)
    }
}
