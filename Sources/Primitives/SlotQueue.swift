// SlotQueue: a bounded first-in first-out queue of small numbers, shared by several threads.
//
// For what moves seldom: sealed segments, free frames. Its words lie in a region; a lock orders
// it. An entry may be taken out of the middle, which leaves a hole that is skipped later.

/// A queue of up to `capacity` numbers from 1 to 2^32 - 1.
public struct SlotQueue: BitwiseCopyable, Sendable {
    @usableFromInline let region: Region
    @usableFromInline let base: Int
    public let capacity: Int

    // Layout: 0 lock, 8 head, 16 tail, 24 count, 32 entries of four bytes.
    public static func byteCount(capacity: Int) -> Int { (32 + 4 * capacity + 63) / 64 * 64 }

    public init(_ region: Region, at offset: Int, capacity: Int) {
        precondition(offset % 8 == 0)
        precondition(capacity > 0)
        self.region = region
        base = offset
        self.capacity = capacity
    }

    /// Gives the memory of the region that it lies in back to the system.
    public func discardRegion() { region.discardAll() }

    private var lock: Lock { Lock(region, at: base) }
    private var head: Int {
        get { Int(region.uint64(at: base + 8)) }
        nonmutating set { region.store(UInt64(newValue), at: base + 8) }
    }
    private var tail: Int {
        get { Int(region.uint64(at: base + 16)) }
        nonmutating set { region.store(UInt64(newValue), at: base + 16) }
    }
    private func entry(_ position: Int) -> Int { base + 32 + 4 * (position % capacity) }

    /// Entries in the queue; exact only while nobody else changes it.
    public var count: Int { Int(region.atomic64(at: base + 24).loadRelaxed()) }

    private func setCount(_ value: Int) {
        region.atomic64(at: base + 24).storeRelaxed(UInt64(value))
    }

    /// Appends; the caller has made sure that there is room.
    public func push(_ value: UInt32) {
        precondition(value != 0)
        lock.lock()
        if tail - head == capacity { closeHoles() }
        precondition(tail - head < capacity)
        region.store(value, at: entry(tail))
        tail += 1
        setCount(count + 1)
        lock.unlock()
    }

    /// Appends all of them to a queue that nothing was ever put into.
    public func fill(_ values: Range<UInt32>) {
        precondition(head == 0)
        precondition(tail == 0)
        precondition(values.count <= capacity)
        precondition(values.lowerBound > 0)
        lock.lock()
        var offset = base + 32
        for value in values {
            region.store(value, at: offset)
            offset += 4
        }
        tail = values.count
        setCount(values.count)
        lock.unlock()
    }

    /// Takes the oldest entry.
    public func pop() -> UInt32? {
        lock.lock()
        defer { lock.unlock() }
        while head < tail {
            let value = region.uint32(at: entry(head))
            head += 1
            if value != 0 {
                setCount(count - 1)
                return value
            }
        }
        return nil
    }

    /// Takes the youngest entry.
    public func popLast() -> UInt32? {
        lock.lock()
        defer { lock.unlock() }
        while head < tail {
            tail -= 1
            let value = region.uint32(at: entry(tail))
            if value != 0 {
                setCount(count - 1)
                return value
            }
        }
        return nil
    }

    /// Takes the first entry, oldest first, that `isWanted` accepts among the first `limit`.
    public func take(limit: Int = .max, where isWanted: (UInt32) -> Bool) -> UInt32? {
        lock.lock()
        defer { lock.unlock() }
        var position = head
        var seen = 0
        while position < tail, seen < limit {
            let value = region.uint32(at: entry(position))
            if value != 0 {
                seen += 1
                if isWanted(value) {
                    region.store(UInt32(0), at: entry(position))
                    setCount(count - 1)
                    return value
                }
            }
            position += 1
        }
        return nil
    }

    /// Calls `body` with each entry, oldest first, under the lock.
    public func forEach(_ body: (UInt32) -> Void) {
        lock.lock()
        defer { lock.unlock() }
        for position in head..<tail {
            let value = region.uint32(at: entry(position))
            if value != 0 { body(value) }
        }
    }

    private func closeHoles() {
        var target = head
        for position in head..<tail {
            let value = region.uint32(at: entry(position))
            if value != 0 {
                region.store(value, at: entry(target))
                target += 1
            }
        }
        tail = target
    }
}
