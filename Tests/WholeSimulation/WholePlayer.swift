// WholePlayer: plays the acts of a seed from beginning to end, and shortens those that fail.

import StoreSimulation

/// What a play came to.
package struct WholeResult: PlayOutcome, Sendable {
    package var fault: String?
    package var act = 0
    package var lives = 0
    package var operations = 0
    package var hits = 0
    package var hitsWhileRecovering = 0
    package var diskReads = 0
    package var binaryOperations = 0
    package var powerCuts = 0
    package var damages = 0
    /// Meta gets that were told to renew their item.
    package var wins = 0

    package init() {}

    package var diskReadsPerLife: Int { diskReads / max(lives, 1) }
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
        seed: UInt64, _ found: WholeResult, replaysMax: Int = 200,
        until isOver: () -> Bool = { false }
    ) throws -> (acts: [WholeAct], outcome: WholeResult) {
        try Shortening.shorten(
            acts(seed: seed), found, replaysMax: replaysMax, until: isOver
        ) { try play(seed: seed, acts: $0) }
    }
}
