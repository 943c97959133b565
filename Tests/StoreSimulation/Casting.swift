// Casting: what a seed decides once, for all lives of a play.

import Support

/// What a seed decides once.
package struct Casting: Sendable {
    package var keys = 40
    package var clients = 2
    /// Weights of the kinds of acts, see `Act`.
    var weights: [Int] = []
    var sizes: [Int] = []
    var memories: [Int] = []
    var stores: [Int] = []
    var itemMaxima: [Int] = []
    var ballast = 0
    /// Nothing is ever short and nothing fails but the process: misses are faults too.
    package var isRoomy = false
    /// The number of workers may be another one after a start.
    var changesWorkers = false
    var mayDamage = false
    var clockSteps = false
    /// One client is seldom heard of: its segment stays open while many others pass.
    var isUneven = false
    var flushesOften = false
    /// While recovery runs, so many reads in a thousand fail.
    var readFailsWhileRecovering = 0
    /// The disk is full from the first transaction of the first life on.
    var isFullAtFirst = false
    /// An earlier release has made the store: the orders file is missing, and in the first life
    /// there is no room for it.
    var isOld = false
    /// So many starts in a thousand go on without their store, in memory alone.
    var startsAlone = 0
    /// Frames of some lives are a quarter of those of others: what shared a segment in one is too
    /// large for that in another.
    var changesFrames = false
    /// Each call that changes something takes so long, at most; 0: no time.
    var callNanoseconds = 0
    /// Orders that are reserved at a time.
    var ordersAhead: UInt64 = 1 << 28

    package init(seed: UInt64) {
        var chance = Chance(seed: seed ^ 0xCA57)
        isRoomy = chance.below(4) == 0
        keys = [6, 20, 60, 200][chance.below(4)]
        clients = 1 + chance.below(3)
        let tiny = [0, 1, 8, 20, 100, 400]
        let middle = [1500, 5000, 12_000, 20_000, 30_000]
        let large = [33_000, 70_000, 150_000, 400_000, 900_000]
        sizes = tiny
        switch chance.below(isRoomy ? 2 : 4) {
        case 0: break
        case 1: sizes += middle.prefix(3)
        case 2: sizes += middle + middle + [70_000]
        default: sizes += middle + large
        }
        memories = isRoomy ? [96 << 20] : [12 << 20, 15 << 20, 18 << 20, 24 << 20, 56 << 20]
        if chance.below(2) == 0 { memories = [memories[chance.below(memories.count)]] }
        stores = isRoomy ? [256 << 20] : [8 << 20, 12 << 20, 16 << 20, 24 << 20, 64 << 20]
        if chance.below(2) == 0 { stores = [stores[chance.below(stores.count)]] }
        itemMaxima = chance.below(2) == 0 ? [1 << 20] : [1 << 20, 200_000, 3 << 20]
        if !isRoomy, chance.below(3) == 0 {
            ballast = (stores.min() ?? 0) / 4096 * (5 + chance.below(35)) / 100
        }
        mayDamage = !isRoomy && chance.below(5) == 0
        clockSteps = chance.below(4) == 0
        changesWorkers = chance.below(2) == 0
        // More keys than the index of the smaller memory has room for.
        let isCrowded = !isRoomy && chance.below(30) == 0
        if isCrowded {
            memories = [12 << 20, 24 << 20]
            stores = [64 << 20]
        }
        isUneven = chance.below(3) == 0
        if isUneven { clients = max(clients, 2) }
        flushesOften = chance.below(8) == 0
        if !isRoomy, chance.below(5) == 0 { readFailsWhileRecovering = 50 + chance.below(300) }
        drawOrders(Chance(seed: seed ^ 0x0DE5))
        drawFrames(Chance(seed: seed ^ 0xF4A3))
        weights = Act.weights(
            &chance, isRoomy: isRoomy, isCrowded: isCrowded, isDamaged: mayDamage)
    }
}

extension Casting {
    private mutating func drawFrames(_ given: Chance) {
        var chance = given
        guard !isRoomy, chance.below(6) == 0 else { return }
        changesFrames = true
        keys = [6, 20, 60][chance.below(3)]
        memories = [12 << 20, 96 << 20]
        stores = [8 << 20, 12 << 20]
        ballast = 0
        let between = [20_000, 33_000, 45_000, 62_000]
        sizes = Array(sizes.prefix(6)) + between + between
    }

    /// What becomes of the reservation of orders.
    private mutating func drawOrders(_ given: Chance) {
        var chance = given
        if chance.below(4) == 0 { ordersAhead = UInt64(8 << chance.below(5)) }
        guard !isRoomy else { return }
        isOld = chance.below(6) == 0
        isFullAtFirst = chance.below(6) == 0
        callNanoseconds = [0, 0, 0, 200_000, 20_000_000][chance.below(5)]
        // The clock keeps numbers apart where nothing else can.
        if isFullAtFirst { clockSteps = !isOld }
        startsAlone = chance.below(5) == 0 ? 200 : 0
    }
}
