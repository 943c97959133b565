// WholeCasting: what a seed decides once, for all lives of a play.

import Simulation
import StoreSimulation
import Support

package struct WholeCasting: Sendable {
    package var keys = 20
    var connections = 4
    /// Weights of the kinds of acts, see `WholeAct`.
    var weights: [Int] = []
    var sizes: [Int] = []
    var memories: [Int] = []
    var stores: [Int] = []
    var itemMaxima: [Int] = []
    var workers: [Int] = []
    var ballast = 0
    /// Nothing is ever short and nothing fails but the process: misses are faults too.
    package var isRoomy = false
    var clockSteps = false
    var flushesOften = false
    /// The network is in its best mood.
    var isCalm = false
    /// Peers read slowly, half-close, and reset.
    var isRude = false
    /// So many requests in a hundred are meta commands.
    var metaPercent = 0
    /// So many connections in a hundred speak the binary protocol.
    var binaryPercent = 0
    /// Bytes of the files change between two lives.
    var mayDamage = false
    /// The first three keys have one hash. A lookup passes over two others.
    var isAlike = false
    /// So many starts in a thousand go on without their store, in memory alone.
    var startsAlone = 0
    /// Each call of the files that changes something takes so long, at most; 0: no time.
    var callNanoseconds = 0
    /// Memory often begins empty, and more is asked for than changed.
    package var isCold = false

    package init(seed: UInt64) {
        var chance = Chance(seed: seed ^ 0x3071)
        isRoomy = chance.below(4) == 0
        keys = [4, 10, 24, 60][chance.below(4)]
        connections = 1 + chance.below(6)
        metaPercent = [0, 20, 50, 100][chance.below(4)]
        let tiny = [0, 1, 8, 20, 100, 400]
        let middle = [1500, 5000, 12_000, 16_200, 17_000, 30_000, 60_000]
        let large = [33_000, 70_000, 150_000, 400_000]
        sizes = tiny
        switch chance.below(isRoomy ? 2 : 4) {
        case 0: break
        case 1: sizes += middle.prefix(3)
        case 2: sizes += middle + middle
        default: sizes += middle + large
        }
        memories = isRoomy ? [96 << 20] : [12 << 20, 15 << 20, 18 << 20, 24 << 20]
        if chance.below(2) == 0 { memories = [memories[chance.below(memories.count)]] }
        stores = isRoomy ? [256 << 20] : [8 << 20, 12 << 20, 16 << 20, 24 << 20, 64 << 20]
        if chance.below(2) == 0 { stores = [stores[chance.below(stores.count)]] }
        itemMaxima = chance.below(2) == 0 ? [1 << 20] : [1 << 20, 50_000, 200_000]
        if isRoomy { itemMaxima = [1 << 20] }
        workers = chance.below(2) == 0 ? [1 + chance.below(3)] : [1, 2, 3]
        if !isRoomy, chance.below(4) == 0 {
            ballast = (stores.min() ?? 0) / 4096 * (5 + chance.below(35)) / 100
        }
        clockSteps = chance.below(5) == 0
        flushesOften = chance.below(6) == 0
        isCalm = isRoomy || chance.below(3) == 0
        isRude = !isRoomy && chance.below(2) == 0
        drawMore(Chance(seed: seed ^ 0xB1A4))
        drawStarts(Chance(seed: seed ^ 0xA10E))
        drawHuge(Chance(seed: seed ^ 0x4096))
        drawFrames(Chance(seed: seed ^ 0xF4A3))
        weights = WholeAct.weights(&chance, self)
    }

    private mutating func drawMore(_ given: Chance) {
        var chance = given
        binaryPercent = [0, 0, 30, 100][chance.below(4)]
        mayDamage = !isRoomy && chance.below(6) == 0
        isCold = chance.below(3) == 0
        guard isCold else { return }
        keys = [24, 60, 120][chance.below(3)]
        if !isRoomy { memories = [12 << 20] }
    }

    /// Values that take several transactions. Few, and seldom: a play with them takes as long as
    /// many others.
    private mutating func drawHuge(_ given: Chance) {
        var chance = given
        guard !isRoomy, chance.below(40) == 0 else { return }
        keys = [4, 10][chance.below(2)]
        let tiny = Array(sizes.prefix(6))
        sizes = tiny + tiny + tiny + [70_000, 1_300_000, 3_900_000]
        itemMaxima = [4 << 20]
        memories = [24 << 20, 40 << 20]
        stores = [64 << 20]
    }

    /// Frames of some lives are a quarter of those of others: what shared a segment in one is too
    /// large for that in another.
    private mutating func drawFrames(_ given: Chance) {
        var chance = given
        guard !isRoomy, itemMaxima != [4 << 20], chance.below(8) == 0 else { return }
        memories = [12 << 20, 96 << 20]
        let between = [20_000, 33_000, 45_000, 62_000]
        sizes = Array(sizes.prefix(6)) + between + between
    }

    private mutating func drawStarts(_ given: Chance) {
        var chance = given
        if !isRoomy, chance.below(6) == 0 { startsAlone = 250 }
        // A set may take the slot of another key, if nobody has read it.
        isAlike = !isRoomy && chance.below(5) == 0
        callNanoseconds = [0, 0, 0, 200_000, 20_000_000][chance.below(5)]
    }

    /// What goes wrong between peers and workers in one life.
    func networkFaults(_ chance: inout Chance) -> Simulation.FaultPlan {
        let seed = chance.next()
        guard !isCalm else { return .none }
        var plan = Simulation.FaultPlan(seed: seed)
        if !isRude { plan.resets = 0 }
        if isRoomy { (plan.readErrors, plan.shortReads) = (0, 0) }
        plan.readErrors /= 8
        return plan
    }
}
