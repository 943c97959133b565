// WorkerLists: which connections are ready, touched or watched, and which slots are vacant.
//
// Every list runs through the connections themselves, by index: nothing is allocated, and a
// connection is in each list at most once.

internal import Memcache
internal import Primitives

extension Worker where Network: ~Copyable {
    // MARK: Slots

    /// A vacant slot; nil if the table is full.
    mutating func takeSlot() -> Int? {
        if vacantSlot != nobody {
            let slot = Int(vacantSlot)
            vacantSlot = connections[slot].nextReady
            return slot
        }
        guard slotsUsed < connections.count else { return nil }
        slotsUsed += 1
        return slotsUsed - 1
    }

    /// Makes a slot vacant; its next life has another number.
    mutating func giveSlot(_ slot: Int) {
        let generation = connections[slot].generation &+ 1 & 0xFF_FFFF
        connections[slot] = Connection(
            descriptor: -1, generation: generation, parser: ClassicParser(itemBytesMax: 0),
            now: 0)
        connections[slot].phase = .vacant
        connections[slot].nextReady = vacantSlot
        vacantSlot = UInt32(slot)
    }

    // MARK: Ready: to be visited

    mutating func markReady(_ slot: Int) {
        guard !connections[slot].isReady, connections[slot].phase == .open else { return }
        connections[slot].isReady = true
        connections[slot].nextReady = nobody
        if lastReady == nobody {
            firstReady = UInt32(slot)
        } else {
            connections[Int(lastReady)].nextReady = UInt32(slot)
        }
        lastReady = UInt32(slot)
        readyCount += 1
    }

    /// The connection that has been ready longest.
    mutating func popReady() -> Int? {
        guard firstReady != nobody else { return nil }
        let slot = Int(firstReady)
        firstReady = connections[slot].nextReady
        if firstReady == nobody { lastReady = nobody }
        connections[slot].isReady = false
        readyCount -= 1
        return slot
    }

    // MARK: Touched: to be looked at when the turn ends

    mutating func touch(_ slot: Int) {
        guard !connections[slot].isTouched else { return }
        connections[slot].isTouched = true
        connections[slot].nextTouched = nobody
        if lastTouched == nobody {
            firstTouched = UInt32(slot)
        } else {
            connections[Int(lastTouched)].nextTouched = UInt32(slot)
        }
        lastTouched = UInt32(slot)
    }

    mutating func popTouched() -> Int? {
        guard firstTouched != nobody else { return nil }
        let slot = Int(firstTouched)
        firstTouched = connections[slot].nextTouched
        if firstTouched == nobody { lastTouched = nobody }
        connections[slot].isTouched = false
        return slot
    }

    // MARK: Watched: waits for the store or the clock

    mutating func watch(_ slot: Int) {
        guard !connections[slot].isWatched else { return }
        connections[slot].isWatched = true
        connections[slot].previousWatched = nobody
        connections[slot].nextWatched = firstWatched
        if firstWatched != nobody {
            connections[Int(firstWatched)].previousWatched = UInt32(slot)
        }
        firstWatched = UInt32(slot)
    }

    /// Takes a connection off the list if nothing holds it there any more.
    mutating func unwatchIfIdle(_ slot: Int) {
        let connection = connections
        guard connection[slot].isWatched else { return }
        if connection[slot].phase == .open {
            guard connection[slot].wait == .nothing, connection[slot].firstPart == nobody,
                !connection[slot].isBehind, connection[slot].stagingPhase == .none
            else { return }
        }
        connections[slot].isWatched = false
        let next = connections[slot].nextWatched
        let previous = connections[slot].previousWatched
        if previous == nobody {
            firstWatched = next
        } else {
            connections[Int(previous)].nextWatched = next
        }
        if next != nobody { connections[Int(next)].previousWatched = previous }
    }

    // MARK: Waiting

    /// Keeps a connection from being served until what it waits for has come, or too long.
    mutating func beginWait(_ slot: Int, _ wait: Wait) {
        connections[slot].wait = wait
        if connections[slot].waitingSince == 0 {
            connections[slot].waitingSince = max(now.nanoseconds, 1)
        }
        watch(slot)
        touch(slot)
    }

    mutating func endWait(_ slot: Int) {
        connections[slot].wait = .nothing
        markReady(slot)
        touch(slot)
    }

    /// Whether the request that waits has waited too long.
    mutating func hasWaitedTooLong(_ slot: Int) -> Bool {
        let since = connections[slot].waitingSince
        return since != 0 && now.nanoseconds &- since >= ServerLimits.waitNanosecondsMax
    }
}
