// WorkerLists: when a connection takes a slot and gives it back, and when it enters one of the
// worker's lists or leaves it. What a list is, is ConnectionList's.

internal import Memcache
internal import Primitives
internal import Store

extension Worker where Network: ~Copyable {
    // MARK: Slots

    /// A vacant slot; nil if the table is full.
    mutating func takeSlot() -> Int? {
        guard slots.vacantCount > 0 else { return nil }
        return Int(slots.take())
    }

    /// Makes a slot vacant; its next life has another number.
    mutating func giveSlot(_ slot: Int) {
        let generation = connections[slot].generation &+ 1 & 0xFF_FFFF
        connections[slot] = Connection(
            descriptor: -1, generation: generation, parser: ClassicParser(itemBytesMax: 0),
            now: 0)
        connections[slot].phase = .vacant
        slots.give(UInt32(slot))
    }

    // MARK: Lists

    /// To be visited.
    @inline(__always)
    mutating func markReady(_ slot: Int) {
        guard connections[slot].phase == .open else { return }
        ready.append(slot)
    }

    /// To be visited before all others.
    mutating func markFirst(_ slot: Int) {
        guard connections[slot].phase == .open else { return }
        ready.prepend(slot)
    }

    /// To be looked at when the turn ends.
    @inline(__always)
    mutating func markTouched(_ slot: Int) { touched.append(slot) }

    /// Waits for the store or the clock.
    mutating func watch(_ slot: Int) { watched.append(slot) }

    /// Takes a connection off the list of those who wait if nothing holds it there any more.
    mutating func unwatchIfIdle(_ slot: Int) {
        let connection = connections
        if connection[slot].phase == .open {
            guard connection[slot].wait == .nothing, connection[slot].deferred.isEmpty,
                !connection[slot].isBehind, !connection[slot].arrival.isActive
            else { return }
        }
        watched.remove(slot)
    }

    // MARK: Waiting

    /// Keeps a connection from being served until what it waits for has come, or too long.
    mutating func beginWait(_ slot: Int, _ wait: Wait) {
        let isRepeated = connections[slot].waiting.begin(wait, at: now.nanoseconds)
        if let queue = wait.queue {
            // A request that was refused before keeps its place.
            queues[queue].add(slot, connections, keepsPlace: isRepeated)
        }
        watch(slot)
        markTouched(slot)
    }

    mutating func endWait(_ slot: Int) {
        connections[slot].waiting.end(at: now.nanoseconds)
        markReady(slot)
        markTouched(slot)
    }

    /// Whether waiting for memory has come to nothing: too long, or there will be none.
    mutating func isRefusedMemory(_ slot: Int) -> Bool {
        hasWaitedTooLong(slot) || connections[slot].waiting.hasBegun && door.isExhausted
    }

    /// Whether the request that waits has waited too long for what it can be answered without.
    mutating func hasWaitedTooLong(_ slot: Int) -> Bool {
        connections[slot].waiting.denied(at: now.nanoseconds) >= ServerLimits.waitNanosecondsMax
    }
}
