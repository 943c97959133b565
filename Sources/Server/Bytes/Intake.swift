// Intake: who waits to be received from, and who for memory to receive a value into, in order.
//
// It decides whose turn it is and how much is received at once; the worker arms the receives and
// opens the places (Pool, LargeValues, Output). It knows nothing of what the connections send.

internal import Primitives

/// The two lines of a worker's input.
///
/// While the ring has run out of buffers lately, every receive takes one buffer and then stands in
/// line again, so that senders of much and of little get the same. Otherwise a receive stays armed.
struct Intake: BitwiseCopyable {
    /// Wait for a receive buffer.
    private var starved: ConnectionList
    /// Wait for the place of a value.
    private var placeless: ConnectionList
    /// Since when the line for buffers has not moved; 0 if nobody stands there.
    private(set) var stuckSince: UInt64 = 0
    /// Until when buffers count as scarce.
    private var scarceUntil: UInt64 = 0

    init(slots: Int) throws(MemoryError) {
        starved = try ConnectionList(slots: slots)
        placeless = try ConnectionList(slots: slots)
    }

    // MARK: Buffers

    var isAnyoneStarved: Bool { !starved.isEmpty }
    var starvedCount: Int { starved.count }
    func isStarved(_ slot: Int) -> Bool { starved.contains(slot) }

    /// Whether a receive takes one buffer only.
    func isScarce(at now: UInt64) -> Bool { now < scarceUntil }

    /// The ring had no buffer for somebody.
    mutating func ranOut(at now: UInt64) {
        scarceUntil = now &+ ServerLimits.scarceNanoseconds
    }

    /// A connection stands in line for a buffer; in front if it has had its turn in vain. False: it
    /// does already.
    mutating func standInLine(_ slot: Int, inFront: Bool, at now: UInt64) -> Bool {
        guard !starved.contains(slot) else { return false }
        inFront ? starved.prepend(slot) : starved.append(slot)
        if stuckSince == 0 { stuckSince = max(now, 1) }
        return true
    }

    /// Who stands in line, in order.
    var queue: ConnectionList { starved }
    /// It was received from without a buffer.
    mutating func leaveLine(_ slot: Int, at now: UInt64) {
        starved.remove(slot)
        stuckSince = starved.isEmpty ? 0 : max(now, 1)
    }

    /// Whose turn it is to be received from.
    mutating func takeStarved(at now: UInt64) -> Int? {
        guard let slot = starved.removeFirst() else { return nil }
        stuckSince = starved.isEmpty ? 0 : max(now, 1)
        return slot
    }

    // MARK: Places

    var isAnyonePlaceless: Bool { !placeless.isEmpty }
    var firstPlaceless: Int? { placeless.first }
    /// Who waits for a place, in order.
    var line: ConnectionList { placeless }

    mutating func waitForPlace(_ slot: Int) { placeless.append(slot) }
    /// It has one, or wants none any more.
    mutating func endWaitForPlace(_ slot: Int) { placeless.remove(slot) }

    // MARK: Ends

    /// The connection is gone from both lines.
    mutating func forget(_ slot: Int) {
        starved.remove(slot)
        placeless.remove(slot)
        if starved.isEmpty { stuckSince = 0 }
    }

    /// Traps if it contradicts itself; `isOpen` answers whether a connection is served.
    func check(isOpen: (Int) -> Bool) {
        starved.check()
        placeless.check()
        precondition(starved.isEmpty == (stuckSince == 0))
        for slot in starved { precondition(isOpen(slot)) }
        for slot in placeless { precondition(isOpen(slot)) }
    }
}
