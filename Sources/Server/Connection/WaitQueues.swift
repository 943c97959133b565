// WaitQueues: who waits for what others have to give back, in order.
//
// Frames of the store, places of small values, read slots, pins and blocks are few, and each has a
// queue. When some come
// free, as many of those who have waited longest as may find enough are told to try again; a try
// that fails keeps its place, and one that succeeds leaves the queue, so what is still wanted of
// the same connection is behind the others. Nobody is woken in vain when many wait, and no request
// is parsed again each time that one is served.

internal import Primitives

/// Those who wait for one thing.
struct WaitQueue: BitwiseCopyable {
    private(set) var members: ConnectionList
    /// So many of the first were told to try, and may have done so since.
    private var wokenCount = 0
    /// Of these, so many wait again, for more of it.
    private var returnedCount = 0

    init(slots: Int) throws(MemoryError) { members = try ConnectionList(slots: slots) }

    var isEmpty: Bool { members.isEmpty }
    /// Whether the next turn has to see what became of them.
    var isTrying: Bool { wokenCount > 0 }

    /// Begins a wait; who tried in vain keeps its place.
    mutating func add(_ slot: Int, _ connections: Table<Connection>, keepsPlace: Bool) {
        if !keepsPlace, members.contains(slot) {
            members.remove(slot)
            returnedCount += 1
        }
        members.append(slot)
        connections[slot].waiting.uncall()
    }

    /// Takes off whoever does not wait any more, called or not.
    mutating func remove(_ slot: Int) {
        members.remove(slot)
        // Nobody is to try who is gone: the worker would look for that in every turn.
        wokenCount = min(wokenCount, members.count)
    }

    /// Puts a member in front of all others.
    mutating func prefer(_ slot: Int) {
        members.remove(slot)
        members.prepend(slot)
    }

    /// Marks the first to try, while `budget` lasts, and answers how many that are: they are the
    /// first of `members`. `cost` is what a connection may take of it.
    mutating func call(
        _ connections: Table<Connection>, budget: Int, cost: (Int) -> Int
    ) -> Int {
        var left = budget
        var count = 0
        for slot in members {
            guard left > 0 else { break }
            left -= cost(slot)
            connections[slot].waiting.call()
            count += 1
        }
        wokenCount = max(wokenCount, count)
        return count
    }

    /// Takes off those who tried and need not wait any more; how many were served. `isTried`:
    /// whether a connection has tried since it was called.
    mutating func settle(
        _ connections: Table<Connection>, _ queue: Queued, isTried: (Int) -> Bool
    ) -> Int {
        var served = returnedCount
        var left = wokenCount
        var kept = 0
        returnedCount = 0
        wokenCount = 0
        for slot in members {
            guard left > 0 else { break }
            left -= 1
            if connections[slot].wait.queue == queue {
                connections[slot].waiting.uncall()
                kept += 1
            } else if isTried(slot) {
                connections[slot].waiting.uncall()
                members.remove(slot)
                served += 1
            } else {
                kept += 1
                wokenCount = kept
            }
        }
        return served
    }
}

/// What there is a queue for.
enum Queued: BitwiseCopyable {
    case frames, places, readSlots, pins, blocks
}

extension Wait {
    var queue: Queued? {
        switch self {
        case .frames: .frames
        case .place: .places
        case .readSlot: .readSlots
        case .pin: .pins
        case .blocks: .blocks
        case .nothing, .loads, .reads, .parts, .change, .text, .penalty, .events: nil
        }
    }
}

/// The queues of a worker.
struct WaitQueues: BitwiseCopyable {
    private var frames: WaitQueue
    private var places: WaitQueue
    private var readSlots: WaitQueue
    private var pins: WaitQueue
    private var blocks: WaitQueue

    static let count = 5

    init(slots: Int) throws(MemoryError) {
        frames = try WaitQueue(slots: slots)
        places = try WaitQueue(slots: slots)
        readSlots = try WaitQueue(slots: slots)
        pins = try WaitQueue(slots: slots)
        blocks = try WaitQueue(slots: slots)
    }

    subscript(queue: Queued) -> WaitQueue {
        get {
            switch queue {
            case .frames: frames
            case .places: places
            case .readSlots: readSlots
            case .pins: pins
            case .blocks: blocks
            }
        }
        set {
            switch queue {
            case .frames: frames = newValue
            case .places: places = newValue
            case .readSlots: readSlots = newValue
            case .pins: pins = newValue
            case .blocks: blocks = newValue
            }
        }
    }

    var isEmpty: Bool {
        !isAnyShortOfFrames && readSlots.isEmpty && pins.isEmpty && blocks.isEmpty
    }
    var isTrying: Bool {
        frames.isTrying || places.isTrying || readSlots.isTrying || pins.isTrying
            || blocks.isTrying
    }
    /// Whether somebody waits for frames, for whatever.
    var isAnyShortOfFrames: Bool { !frames.isEmpty || !places.isEmpty }

    mutating func remove(_ slot: Int) {
        frames.remove(slot)
        places.remove(slot)
        readSlots.remove(slot)
        pins.remove(slot)
        blocks.remove(slot)
    }

    /// Traps unless everyone who waits for such a thing is in its queue.
    func check(_ connections: Table<Connection>, _ watched: ConnectionList) {
        for queue in [frames, places, readSlots, pins, blocks] {
            queue.members.check()
            precondition(queue.members.count > 0 || !queue.isTrying)
            for slot in queue.members { precondition(connections[slot].phase == .open) }
        }
        for slot in watched {
            guard let queue = connections[slot].wait.queue else { continue }
            precondition(self[queue].members.contains(slot))
        }
    }
}

extension Worker where Network: ~Copyable {
    /// Whether a connection may take what others wait for: nobody waits, or it is its turn.
    func mayTake(_ slot: Int, _ queue: Queued) -> Bool {
        queues[queue].isEmpty || connections[slot].waiting.isNext
    }

    /// Wakes whoever can be served. `isFrameNews`: frames came free.
    mutating func callQueues(isFrameNews: Bool) {
        defer {
            if queues[.blocks].isEmpty {
                wants.endBlocks()
            }
        }
        guard !queues.isEmpty else { return }
        let tryers = ServerLimits.tryersPerTurnMax
        for queue in [Queued.places, .frames] {
            let served = settle(queue)
            call(queue, isFrameNews ? tryers : min(served, tryers))
        }
        let pinsServed = settle(.pins)
        call(.pins, isFrameNews || isPinFreed ? tryers : min(pinsServed, tryers))
        _ = settle(.blocks)
        if isRoomNews {
            wants.restartBlocks(at: now.nanoseconds)
            call(.blocks, min(blocks.availableCount / 2, ServerLimits.poolShares / 2))
        }
        _ = settle(.readSlots)
        guard !queues[.readSlots].isEmpty else { return }
        if reads.vacantCount == 0 { freeHeldReads() }
        call(.readSlots, reads.vacantCount)
    }

    /// Lets those who wait for frames or pins try, in case that other workers gave some back.
    mutating func callAgain() {
        call(.places, ServerLimits.tryersPerTurnMax)
        call(.frames, ServerLimits.tryersPerTurnMax)
        call(.pins, ServerLimits.tryersPerTurnMax)
    }

    /// How many of those who were called have been served since.
    private mutating func settle(_ queue: Queued) -> Int {
        guard queues[queue].isTrying else { return 0 }
        let (table, ready) = (connections, ready)
        return queues[queue].settle(table, queue) {
            // Not yet, if it is still to be visited and nothing was executed since.
            !table[$0].waiting.isNext || !ready.contains($0) || !table[$0].waiting.hasBegun
        }
    }

    private mutating func call(_ queue: Queued, _ budget: Int) {
        guard budget > 0, !queues[queue].isEmpty else { return }
        let table = connections
        let count = queues[queue].call(table, budget: budget) {
            guard queue == .readSlots else { return 1 }
            let reads = table[$0].diskReads
            return max(min(Int(reads.wanted), reads.max(isScarce: true) - reads.parts), 1)
        }
        let members = queues[queue].members
        for slot in members.prefix(count) where table[slot].wait.queue == queue { endWait(slot) }
    }
}
