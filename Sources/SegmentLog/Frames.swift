// Frames: the memory that segments live in, and when a frame may be used again.
//
// A frame that was taken from its segment may still be read by a worker that looked before: it is
// kept in quarantine until every worker has ended its turn or is parked (quiescence), and until
// nothing pins it. What was used before is handed out before what was never touched, which costs
// the system a page at a time.

public import Primitives

/// All frames of a log; a handle to memory that all threads share.
public struct Frames: BitwiseCopyable, Sendable {
    /// The bytes of all frames: frame n begins at n * frameBytes.
    public let memory: Region
    @usableFromInline let table: Region
    @usableFromInline let turns: Region
    private let free: SlotQueue
    private let quarantine: SlotQueue
    /// Given back to the system, for as long as they are not allowed.
    private let surrendered: SlotQueue
    public let frameBytes: Int
    public let count: Int
    @usableFromInline let workers: Int

    // A frame's entry, 16 bytes: 0 pins, 4 next frame of a chain + 1, 8 staged records.
    // Behind the entries: 0 pinned frames, 8 staged frames, 16 wanted, 24 staged chains of values,
    // 32 freed (news),
    // 40 withheld, 48 exhausted, 56 the first frame that was never used.

    init(_ geometry: Geometry, workers: Int) throws(MemoryError) {
        frameBytes = geometry.frameBytes
        count = geometry.frameCount
        self.workers = workers
        memory = try Region.map(byteCount: count * frameBytes, hugePages: true)
        table = try Region.map(byteCount: count * 16 + 64)
        turns = try Region.map(byteCount: (workers + 1) * 64)
        let bytes = SlotQueue.byteCount(capacity: count)
        let queues = try Region.map(byteCount: 3 * bytes)
        free = SlotQueue(queues, at: 0, capacity: count)
        quarantine = SlotQueue(queues, at: bytes, capacity: count)
        surrendered = SlotQueue(queues, at: 2 * bytes, capacity: count)
    }

    @inlinable var common: Int { count &* 16 }

    func discardMemory() {
        memory.discardAll()
        table.discardAll()
        turns.discardAll()
        free.discardRegion()
    }

    // MARK: Turns

    /// A worker begins a turn (odd): from now on it may look at frames.
    @inlinable public func beginTurn(_ worker: Int) {
        let word = turns.atomic64(at: worker &<< 6)
        let turn = word.loadRelaxed()
        // An exchange, so that no look at a frame can come before it.
        if turn & 1 == 0 { _ = word.exchange(turn &+ 1) }
    }
    /// A worker ends its turn (even): it holds nothing but pins. Parked until it begins the next.
    @inlinable public func endTurn(_ worker: Int) {
        let word = turns.atomic64(at: worker &<< 6)
        let turn = word.loadRelaxed()
        if turn & 1 == 1 { word.storeRelease(turn &+ 1) }
    }

    /// The turns of all workers at one moment.
    public struct Snapshot {
        var turns: [UInt64]
    }

    /// Notes where every worker is. Not for a worker's thread: allocates.
    public func snapshot() -> Snapshot {
        Snapshot(turns: (0..<workers).map { turns.atomic64(at: $0 << 6).add(0) })
    }
    /// Whether every worker has ended the turn that it was in, if it was in one.
    public func isQuiet(since snapshot: Snapshot) -> Bool {
        for worker in 0..<workers where snapshot.turns[worker] & 1 == 1 {
            if turns.atomic64(at: worker << 6).add(0) == snapshot.turns[worker] { return false }
        }
        return true
    }

    // MARK: Taking and giving back

    /// Frames that can be had at once.
    public var freeCount: Int { free.count + untouchedCount }
    /// Of these, frames that were used before.
    public var reusableCount: Int { free.count }
    /// And those that were never used: the system has given no memory for them yet.
    public var untouchedCount: Int { count - Int(untouched.loadRelaxed()) }
    private var untouched: AtomicWord64 { table.atomic64(at: common + 56) }

    /// The number of a frame that was never used; nil if there is none.
    private func popUntouched() -> UInt32? {
        while true {
            let frame = untouched.loadRelaxed()
            guard frame < UInt64(count) else { return nil }
            if untouched.replace(frame, with: frame + 1) { return UInt32(frame + 1) }
        }
    }
    public var quarantinedCount: Int { quarantine.count }
    /// Of the frames in quarantine, those that nothing pins: they will be free soon.
    public var releasableCount: Int {
        guard quarantine.count > 0 else { return 0 }
        var count = 0
        quarantine.forEach { if pins(Int($0) - 1) == 0 { count += 1 } }
        return count
    }

    /// A frame, zeroed or not; nil if none is free.
    func take() -> Int? {
        // The one that came last: what lies near the core is written to once more.
        guard let number = free.popLast() ?? popUntouched() else { return nil }
        let frame = Int(number) - 1
        setNext(frame, nil)
        return frame
    }

    /// Gives back a frame that only this thread ever knew.
    func give(_ frame: Int) {
        free.push(UInt32(frame + 1))
        news.add(1)
    }

    /// Takes a frame (or chain) out of use; it becomes free after `release(quarantined:)`.
    func retire(_ first: Int) {
        var frame: Int? = first
        while let here = frame {
            frame = next(here)
            quarantine.push(UInt32(here + 1))
        }
    }

    /// Moves the unpinned among the `limit` frames that have been in quarantine longest to the
    /// free ones. Returns how many.
    func release(quarantined limit: Int) -> Int {
        var moved = 0
        while moved < limit,
            let number = quarantine.take(
                limit: limit - moved, where: { pins(Int($0) - 1) == 0 })
        {
            free.push(number)
            moved += 1
        }
        if moved > 0 { news.add(1) }
        return moved
    }

    /// One of the unpinned among the `limit` frames that have been in quarantine longest: it
    /// becomes the caller's, and nobody else can have it before.
    func takeQuarantined(limit: Int) -> Int? {
        guard limit > 0,
            let number = quarantine.take(limit: limit, where: { pins(Int($0) - 1) == 0 })
        else { return nil }
        let frame = Int(number) - 1
        setNext(frame, nil)
        return frame
    }

    /// Gives a free frame back to the system: the index needs the memory, or the limit is lower.
    func surrender() -> Bool {
        guard let number = popUntouched() ?? free.pop() else { return false }
        memory.discard((Int(number) - 1) * frameBytes, frameBytes)
        surrendered.push(number)
        return true
    }
    /// Takes one that was given back into use again.
    func restore() -> Bool {
        guard let number = surrendered.pop() else { return false }
        free.push(number)
        news.add(1)
        return true
    }
    public var surrenderedCount: Int { surrendered.count }
    /// Frames that are not to be used, because an operator has lowered the limit.
    public var withheld: AtomicWord64 { table.atomic64(at: common + 40) }

    /// Free frames that somebody waits for; the maintenance thread sees to it and clears it.
    public var wanted: AtomicWord64 { table.atomic64(at: common + 16) }
    /// 1: nothing may be evicted, and there is nothing else to free, for the last that was wanted.
    public var exhausted: AtomicWord64 { table.atomic64(at: common + 48) }
    /// Grows whenever frames become free.
    @inlinable public var news: AtomicWord64 { table.atomic64(at: common &+ 32) }

    /// What must hold while nobody takes or gives one; a sentence if it does not.
    ///
    /// - Parameter used: The first frames of what is in memory.
    func check(used: [Int]) -> String? {
        var places: [Int: String] = [:]
        var finding: String?
        func put(_ frame: Int, _ place: String) {
            let other = places.updateValue(place, forKey: frame)
            if let other { finding = "frame \(frame) is \(place) and \(other)" }
        }
        free.forEach { put(Int($0) - 1, "free") }
        quarantine.forEach { put(Int($0) - 1, "in quarantine") }
        surrendered.forEach { put(Int($0) - 1, "given back") }
        for first in used {
            var frame: Int? = first
            while let here = frame, finding == nil {
                put(here, "in use")
                frame = next(here)
            }
        }
        if let finding { return finding }
        let pinned = (0..<count).count { pins($0) > 0 }
        return pinned == pinnedCount ? nil : "\(pinned) frames are pinned, not \(pinnedCount)"
    }

    // MARK: Chains and pins

    @inlinable public func next(_ frame: Int) -> Int? {
        let word = table.atomic32(at: frame &<< 4 &+ 4).loadRelaxed()
        return word == 0 ? nil : Int(word) &- 1
    }
    @inlinable func setNext(_ frame: Int, _ next: Int?) {
        table.atomic32(at: frame &<< 4 &+ 4).storeRelaxed(UInt32((next ?? -1) &+ 1))
    }
    @inlinable public func offset(_ frame: Int) -> Int { frame &* frameBytes }

    func pins(_ frame: Int) -> UInt32 { table.atomic32(at: frame << 4).loadAcquire() }

    /// Keeps a frame, and the chain behind it, from being used again. False, and nothing is pinned,
    /// if more than `framesMax` frames were, all threads together; one chain may be, however long.
    public func pin(_ first: Int, framesMax: Int) -> Bool {
        var fresh: UInt64 = 0
        var frame: Int? = first
        while let here = frame {
            if table.atomic32(at: here << 4).add(1) == 0 { fresh += 1 }
            frame = next(here)
        }
        // What is pinned already costs nothing more.
        guard fresh > 0 else { return true }
        let before = table.atomic64(at: common).add(fresh)
        guard before > 0, before + fresh > UInt64(framesMax) else { return true }
        unpin(first)
        return false
    }
    public func unpin(_ first: Int) {
        var freed: UInt64 = 0
        var frame: Int? = first
        while let here = frame {
            frame = next(here)
            if table.atomic32(at: here << 4).subtract(1) == 1 { freed += 1 }
        }
        table.atomic64(at: common).subtract(freed)
    }
    /// Frames that are pinned, however often.
    public var pinnedCount: Int { Int(table.atomic64(at: common).loadRelaxed()) }

    // MARK: Staging

    /// Values being received share a frame; it is free again when the last of them has left.
    func stagedCount(_ frame: Int) -> AtomicWord32 { table.atomic32(at: frame << 4 + 8) }
    var stagedFrames: AtomicWord64 { table.atomic64(at: common + 8) }
    /// Large values that are being received or made, each in frames of its own.
    var stagedChains: AtomicWord64 { table.atomic64(at: common + 24) }
}
