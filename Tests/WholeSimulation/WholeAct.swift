// WholeAct: what a play of the whole server is made of: talk, steps of its threads, troubles of
// disk, network and clock, the ends of a process. Each draws from a seed of its own, so that acts
// can be left out when a failing history is shortened.

import Simulation
import StoreSimulation
import Support

package struct WholeAct: Sendable {
    enum Kind: Int, CaseIterable {
        case talk, commit, recovery, time, kill, stop, trouble, well, heal, clock, inspect, fill
        case hold, weather, outage, powerCut, damage, cold
    }

    let kind: Kind
    let seed: UInt64

    /// How often each kind comes, for one seed: some kinds are left out.
    static func weights(_ chance: inout Chance, _ casting: WholeCasting) -> [Int] {
        let isRoomy = casting.isRoomy
        var weights = [300, 30, 20, 12, 6, 4, 6, 6, 5, 3, 4, 10, 6, 4, 3, 4]
        for kind in [1, 2, 3] where chance.below(4) == 0 { weights[kind] /= 6 }
        for kind in 4..<weights.count where chance.below(3) == 0 { weights[kind] = 0 }
        for kind in 4..<6 where chance.below(3) == 0 { weights[kind] *= 4 }
        if isRoomy {
            for kind in [Kind.trouble, .fill, .outage] { weights[kind.rawValue] = 0 }
        }
        if casting.isCold { weights[Kind.talk.rawValue] /= 2 }
        weights.append(casting.mayDamage ? 6 : 0)
        weights.append(casting.isCold ? 12 : 1)
        return weights
    }

    /// The acts of a seed.
    package static func list(
        seed: UInt64, _ casting: WholeCasting, count: Int
    ) -> [WholeAct] {
        drawActs(seed: seed, weights: casting.weights, count: count).map {
            WholeAct(kind: Kind(rawValue: $0.kind) ?? .talk, seed: $0.seed)
        }
    }

    func execute(_ world: WholeWorld) throws {
        world.chance = Chance(seed: seed)
        world.home.chance = Chance(seed: seed ^ 0xF11E)
        if !world.isRunning { try world.start() }
        world.network.reseed(seed ^ 0x0E70)
        switch kind {
        case .talk: talk(world, rounds: 4 + world.chance.below(30))
        case .commit:
            for _ in 0...world.chance.below(12) {
                world.pass(UInt64(world.chance.below(30_000_000)))
                world.stepCommitter()
                world.step()
            }
        case .recovery: for _ in 0...world.chance.below(20) { world.stepRecovery() }
        case .time: time(world)
        case .kill: kill(world)
        case .powerCut: cutPower(world)
        case .damage: if world.casting.mayDamage { world.damage() }
        case .cold: try cold(world)
        case .stop: try world.stop()
        case .trouble: world.trouble(Self.plan(&world.chance))
        case .well: world.trouble(.init())
        case .heal: world.heal()
        case .clock:
            guard world.casting.clockSteps else { break }
            world.setClock(by: world.chance.below(200) - 100)
        case .inspect: world.inspect()
        case .fill: fill(world)
        case .hold:
            world.network.holdsReads = true
            talk(world, rounds: 4 + world.chance.below(20))
            world.network.releaseReads()
        case .weather: world.network.faults = world.casting.networkFaults(&world.chance)
        case .outage: outage(world)
        }
        if world.home.isDead { world.bury() }
    }

    private func talk(_ world: WholeWorld, rounds: Int) {
        for _ in 0..<rounds where world.isRunning {
            world.converse()
            for _ in 0...world.chance.below(5) { world.step() }
        }
    }

    private func time(_ world: WholeWorld) {
        let isLong = world.chance.below(3) == 0
        for _ in 0...world.chance.below(6) where world.isRunning {
            world.pass(UInt64(1 + world.chance.below(isLong ? 20_000 : 800)) * 1_000_000)
            for _ in 0..<3 { world.step() }
        }
    }

    /// What was written before leaves memory, and the disk.
    private func fill(_ world: WholeWorld) {
        let valueBytes = 2000 + world.chance.below(24_000)
        for _ in 0...world.chance.below(25) {
            guard world.isRunning, let client = world.clients.randomElement(using: &world.chance)
            else { return }
            if client.questions.count < 30 {
                world.fill(client, count: 12, valueBytes: valueBytes)
            }
            for _ in 0..<8 { world.step() }
            world.pass(UInt64(world.chance.below(20_000_000)))
            world.hear(client)
            if world.chance.below(3) == 0 { world.converse() }
        }
    }

    /// The disk becomes full in the middle of a commit, and may be well again.
    private func outage(_ world: WholeWorld) {
        var plan = StoreSimulation.FaultPlan()
        plan.fullAfter = 1 + world.chance.below(12)
        world.trouble(plan)
        fill(world)
        if world.chance.below(3) > 0 { world.trouble(.init()) }
    }

    /// The process dies: at once, or at one of the next calls of the files.
    private func kill(_ world: WholeWorld) {
        die(world, losesPower: false)
        var other = Chance(seed: seed ^ 0x7A49)
        let isTrapped = other.below(2) == 0
        world.trace?(isTrapped ? "  ended by a fault of its own" : "  killed")
        if world.law.fault == nil { world.bury(isTrapped: isTrapped) }
    }

    /// The power goes: at once, or in the middle of something that is written.
    private func cutPower(_ world: WholeWorld) {
        die(world, losesPower: true)
        world.trace?("  the power is gone")
        if world.law.fault == nil { world.losePower() }
    }

    private func die(_ world: WholeWorld, losesPower: Bool) {
        guard world.chance.below(3) > 0 else { return }
        let plan = world.home.plan
        world.home.plan.crashes = 1 + world.chance.below(200)
        world.home.plan.losesPower = losesPower
        talk(world, rounds: 40)
        world.home.plan = plan
    }

    /// Keys are written, and memory forgets them with the process that held it: who asks for them
    /// reads from disk, while others change them.
    private func cold(_ world: WholeWorld) throws {
        world.rewrite()
        talk(world, rounds: 4)
        world.heal()
        try world.stop()
        guard world.law.fault == nil else { return }
        try world.start()
        let steps = world.chance.below(3) == 0 ? world.chance.below(20) : 400
        for _ in 0..<steps where world.isRecovering { world.stepRecovery() }
        world.network.holdsReads = world.chance.below(2) == 0
        world.inspect()
        talk(world, rounds: 10 + world.chance.below(20))
        world.network.releaseReads()
        talk(world, rounds: 4)
    }

    private static func plan(_ chance: inout Chance) -> StoreSimulation.FaultPlan {
        var plan = StoreSimulation.FaultPlan()
        switch chance.below(7) {
        case 0: plan.isFull = true
        case 1: plan.writeFails = 200 + chance.below(800)
        case 2: plan.syncFails = 200 + chance.below(800)
        case 3: plan.metaFails = 200 + chance.below(500)
        case 4: plan.beginFails = 100 + chance.below(500)
        case 5: plan.readFails = 1 + chance.below(chance.below(2) == 0 ? 100 : 500)
        default:
            plan.writeFails = chance.below(100)
            plan.syncFails = chance.below(100)
            plan.metaFails = chance.below(100)
            plan.reopenFails = chance.below(300)
        }
        return plan
    }
}
