// Wants: what some connection of a worker waits for that others must give back, and since when.
//
// Who has to give it back, and what happens to them, is Pool's and Scarcity's business; who is
// served first when it comes free, that of WaitQueues.

/// What a worker knows of its own scarcity.
struct Wants: BitwiseCopyable {
    /// The timer that wakes the worker while somebody may be in the way of others.
    enum Alarm: UInt8, BitwiseCopyable {
        case off, armed
        /// It has come, and nobody has looked yet.
        case rung
    }

    /// Since when somebody waits for blocks or parts.
    private(set) var blocksSince: UInt64?
    /// Blocks that are left to those who wait for some: all of them, while anybody does.
    private(set) var sparedBlocks = 0
    /// Since when somebody, here or in another worker, waits for a pin.
    var pinsSince: UInt64?
    /// Somebody here waits for staging memory, or for a pin.
    var staging = false
    var pins = false
    /// Somebody here waits for room for a long text.
    var text = false
    /// The turn in which nobody was found who stands in the way.
    var searchedTurn = UInt64.max
    /// The last turn in which requests were refused so that others can be received.
    var refusedTurn = UInt64.max
    /// Since when somebody who holds nothing finds no memory to be received into.
    private(set) var thirstSince: UInt64?
    var alarm = Alarm.off

    /// Somebody who holds nothing finds no memory to be received into, or nobody does.
    mutating func noteThirst(_ isThirsty: Bool, at now: UInt64) {
        thirstSince = isThirsty ? thirstSince ?? now : nil
    }

    /// Somebody waits for blocks, of which there are `count` in all.
    mutating func wantBlocks(sparing count: Int, at now: UInt64) {
        blocksSince = blocksSince ?? now
        sparedBlocks = count
    }

    /// Some of those who waited for blocks may go on: for the others the time begins anew.
    mutating func restartBlocks(at now: UInt64) { blocksSince = now }

    /// Nobody waits for blocks.
    mutating func endBlocks() {
        blocksSince = nil
        sparedBlocks = 0
    }

    /// Traps if it contradicts itself.
    func check() { precondition(sparedBlocks == 0 || blocksSince != nil) }
}
