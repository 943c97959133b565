// Act: what a play is made of: commands, steps of the store's threads, troubles of the disk, the
// ends of a process. Each draws from a seed of its own.

import Support

/// One act.
package struct Act: Sendable {
    enum Kind: Int, CaseIterable {
        case commands, commit, housekeeping, recovery, time
        case kill, stop, trouble, well, heal, damage, clock, crowd, churn, outage, inspect
    }

    let kind: Kind
    let seed: UInt64

    /// How often each kind comes, for one seed: some kinds are left out.
    static func weights(
        _ chance: inout Chance, isRoomy: Bool, isCrowded: Bool, isDamaged: Bool
    ) -> [Int] {
        var weights = [600, 60, 40, 40, 20, 3, 3, 4, 4, 3, 1, 2]
        for kind in [1, 2, 3, 4] where chance.below(4) == 0 { weights[kind] /= 8 }
        for kind in 5..<12 where chance.below(3) == 0 { weights[kind] = 0 }
        for kind in 5..<7 where chance.below(3) == 0 { weights[kind] *= 6 }
        if isRoomy { for kind in [7, 10] { weights[kind] = 0 } }
        if isDamaged { weights[Kind.damage.rawValue] = 8 }
        weights.append(isCrowded ? 20 : 0)
        weights.append(isRoomy ? 0 : [0, 6, 20][chance.below(3)])
        weights.append(isRoomy ? 0 : [0, 0, 4][chance.below(3)])
        weights.append([0, 4, 16][chance.below(3)])
        return weights
    }

    /// The acts of a seed.
    package static func list(seed: UInt64, _ casting: Casting, count: Int) -> [Act] {
        drawActs(seed: seed, weights: casting.weights, count: count).map {
            Act(kind: Kind(rawValue: $0.kind) ?? .commands, seed: $0.seed)
        }
    }

    func execute(_ play: Play) throws {
        play.chance = Chance(seed: seed)
        play.home.chance = Chance(seed: seed ^ 0xF11E)
        if !play.isRunning { try play.start() }
        switch kind {
        case .commands:
            for _ in 0...play.chance.below(6) { command(play) }
        case .commit:
            for _ in 0...play.chance.below(8) where play.isRunning {
                play.pass(UInt64(play.chance.below(30_000_000)))
                play.stepCommitter()
                if play.isRunning { for client in play.clients { client.turn() } }
            }
        case .housekeeping: for _ in 0...play.chance.below(8) { play.stepMaintenance() }
        case .recovery: for _ in 0...play.chance.below(12) { play.stepRecovery() }
        case .time: play.pass(UInt64(1 + play.chance.below(60)) * 1_000_000_000)
        case .kill: kill(play)
        case .stop: play.stop()
        case .trouble:
            var plan = Self.plan(&play.chance)
            var other = Chance(seed: seed ^ 0xB10C)
            if other.below(4) == 0 { plan.blockFails = [1000, 300][other.below(2)] }
            play.trouble(plan)
        case .well: play.trouble(.init())
        case .heal: play.heal()
        case .damage: if play.casting.mayDamage { try damage(play) }
        case .crowd: crowd(play)
        case .churn: try churn(play)
        case .outage: outage(play)
        case .inspect: inspect(play)
        case .clock:
            guard play.casting.clockSteps else { break }
            play.setClock(by: play.chance.below(200) - 100)
        }
        if play.home.isDead { play.bury() }
    }

    private func command(_ play: Play) {
        guard play.isRunning else { return }
        let client = play.pickClient()
        var command = Command(&play.chance, play.casting)
        // Who is seldom heard of changes what another has changed: the newer record is then in the
        // older segment.
        if play.casting.isUneven, let last = play.lastChanged, last.client != client.number,
            client.number == 0
        {
            command.key = last.key
        }
        command.execute(play, client)
    }

    /// Something changes on disk between two lives.
    private func damage(_ play: Play) throws {
        play.isDamaged = true
        play.bury()
        if play.chance.below(2) == 0 {
            // What was open is a segment first.
            try play.start()
            for _ in 0..<30 where play.isRunning { play.stepCommitter() }
            play.bury()
        }
        if play.chance.below(12) == 0 {
            play.trace?("    damaged: the end of the file is gone")
            play.home.isCut = true
        } else if let what = play.home.damage() {
            play.trace?("    damaged: \(what)")
        }
        // The next start may meet it while the disk takes nothing.
        if play.chance.below(3) == 0 { return play.trouble(Self.plan(&play.chance)) }
        guard play.chance.below(2) == 0 else { return }
        // Or what was damaged leaves, before its keys are set again.
        try play.start()
        for _ in 0..<4000 where play.isRecovering && play.isRunning { play.stepRecovery() }
        for _ in 0..<6 where play.isRunning { try churn(play) }
    }

    /// Many small values that nobody asks for again: they fill the index.
    private func crowd(_ play: Play) {
        for _ in 0..<1200 {
            guard play.isRunning, let client = play.clients.first, !client.isBusy else { return }
            client.crowd(&play.chance, keys: 600_000, count: 64)
            play.pass(100_000)
            play.stepCommitter()
            if play.chance.below(4) == 0 { play.stepMaintenance() }
            if play.chance.below(8) == 0 { play.stepRecovery() }
            for other in play.clients where !other.isBusy { other.turn() }
        }
    }

    /// Every key is looked at.
    private func inspect(_ play: Play) {
        for key in 0..<play.casting.keys {
            guard play.isRunning else { return }
            let client = play.clients[play.chance.below(play.clients.count)]
            Command(getting: key).execute(play, client)
        }
    }

    /// Values that nobody asks for again: what was written before leaves memory, and the disk.
    private func churn(_ play: Play) throws {
        let valueBytes = 2000 + play.chance.below(24_000)
        let plan = play.home.plan
        // What is wanted comes into memory, and is to be kept when it leaves the disk; the process
        // may die before that is written.
        let isWanted = play.casting.changesFrames
        if isWanted, play.chance.below(2) == 0 {
            play.home.plan.crashes = 1 + play.chance.below(40)
        }
        if play.isRunning, play.chance.below(2) == 0 {
            for _ in 0..<6 { play.clients[0].holdRead(play.chance.below(play.casting.keys)) }
        }
        for round in 0...play.chance.below(isWanted ? 80 : 30) where play.isRunning {
            if isWanted, round % 8 < 2 { inspect(play) }
            let client = play.pickClient()
            guard !client.isBusy else { break }
            client.crowd(&play.chance, keys: 100_000, count: 8, valueBytes: valueBytes)
            play.pass(UInt64(play.chance.below(20_000_000)))
            play.stepCommitter()
            guard play.isRunning else { break }
            if play.chance.below(2) == 0 { play.stepMaintenance() }
            for other in play.clients where !other.isBusy { other.turn() }
            if play.chance.below(6) == 0 { command(play) }
        }
        play.home.plan = plan
        guard play.fault == nil else { return }
        guard !play.isRunning || play.chance.below(3) == 0 else {
            return play.clients[0].endHeldReads()
        }
        // What has left the disk must not have uncovered anything.
        play.bury()
        try play.start()
        for _ in 0..<4000 where play.isRecovering { play.stepRecovery() }
        inspect(play)
    }

    /// The disk becomes full in the middle of a commit, and stays so until memory is full of what
    /// it should have taken.
    private func outage(_ play: Play) {
        var plan = FaultPlan()
        plan.fullAfter = 1 + play.chance.below(12)
        play.trouble(plan)
        // A large value is written half. What fills memory behind it lies, at first, in segments
        // that were opened before it.
        var largeBytes = 200_000 + play.chance.below(700_000)
        // One that takes more than a transaction, where that may be.
        if play.itemBytesMax > 1_300_000, largeBytes > 500_000 {
            largeBytes = min(largeBytes + 800_000, play.itemBytesMax)
        }
        let valueBytes = 2000 + play.chance.below(20_000)
        for round in 0..<60 {
            guard play.isRunning, let client = play.clients.last, !client.isBusy else { return }
            if round == 0 {
                client.crowd(&play.chance, keys: 1000, count: 2, valueBytes: largeBytes)
            } else {
                client.crowd(&play.chance, keys: 1000, count: 40, valueBytes: valueBytes)
            }
            play.pass(UInt64(20_000_000 + play.chance.below(80_000_000)))
            play.stepCommitter()
            play.stepMaintenance()
            if play.isRunning { for other in play.clients where !other.isBusy { other.turn() } }
            command(play)
        }
        if play.chance.below(3) > 0 { play.trouble(FaultPlan()) }
    }

    /// The process dies: at once, or at one of the next calls of the files.
    private func kill(_ play: Play) {
        var trapChance = Chance(seed: seed ^ 0x7A49)
        if play.chance.below(3) > 0 {
            let plan = play.home.plan
            play.home.plan.crashes = 1 + play.chance.below(200)
            for _ in 0..<60 where play.isRunning {
                command(play)
                play.pass(UInt64(play.chance.below(10_000_000)))
                play.stepCommitter()
                if play.isRunning { for client in play.clients { client.turn() } }
            }
            play.home.plan = plan
        }
        // Not always from outside: that it ends by itself says nothing of a store that it does not
        // look at.
        play.bury(isTrapped: trapChance.below(2) == 0)
        var other = Chance(seed: seed ^ 0xC10C)
        if play.casting.isFullAtFirst, play.casting.clockSteps, other.below(2) == 0 {
            play.setClock(by: -1 - other.below(100))
        }
    }

    private static func plan(_ chance: inout Chance) -> FaultPlan {
        var plan = FaultPlan()
        switch chance.below(7) {
        case 0: plan.isFull = true
        case 5: plan.readFails = 1 + chance.below(chance.below(2) == 0 ? 100 : 500)
        case 1: plan.writeFails = 200 + chance.below(800)
        case 2: plan.syncFails = 200 + chance.below(800)
        case 3: plan.metaFails = 200 + chance.below(500)
        case 4: plan.beginFails = 100 + chance.below(500)
        default:
            plan.writeFails = chance.below(100)
            plan.syncFails = chance.below(100)
            plan.metaFails = chance.below(100)
            plan.reopenFails = chance.below(300)
        }
        return plan
    }
}

/// What a play came to.
package struct PlayResult: PlayOutcome, Sendable {
    package var fault: String?
    package var act = 0
    package var lives = 0
    package var operations = 0
    package var hits = 0
}

package enum Player {
    /// Plays the acts of a seed, or some of them.
    package static func play(
        seed: UInt64, acts: [Act], trace: ((String) -> Void)? = nil
    ) throws -> PlayResult {
        let play = try Play(seed: seed, Casting(seed: seed), trace: trace)
        var outcome = PlayResult()
        for (number, act) in acts.enumerated() {
            trace?("  \(number) \(act.kind)")
            outcome.act = number
            try act.execute(play)
            if let key = watchedKey, let trace { trace("    = \(play.describe(key: key))") }
            if play.fault != nil { break }
        }
        if play.fault == nil { play.end() }
        outcome.fault = play.fault
        play.close()
        outcome.lives = play.lives
        outcome.operations = play.operations
        outcome.hits = play.hits
        return outcome
    }

    /// A key whose slots are traced.
    nonisolated(unsafe) package static var watchedKey: Int?

    package static let actsPerSeed = 400

    package static func acts(seed: UInt64) -> [Act] {
        Act.list(seed: seed, Casting(seed: seed), count: actsPerSeed)
    }

    package static func play(seed: UInt64, trace: ((String) -> Void)? = nil) throws -> PlayResult {
        try play(seed: seed, acts: acts(seed: seed), trace: trace)
    }

    /// Leaves out as many acts as can be while something still goes wrong.
    package static func shorten(
        seed: UInt64, _ found: PlayResult, replaysMax: Int = 400,
        until isOver: () -> Bool = { false }
    ) throws -> (acts: [Act], outcome: PlayResult) {
        try Shortening.shorten(
            acts(seed: seed), found, replaysMax: replaysMax, until: isOver
        ) { try play(seed: seed, acts: $0) }
    }
}
