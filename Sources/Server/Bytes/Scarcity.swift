// Scarcity: whose turn it is when receive buffers or places for values are short, and who gives
// way.
//
// Nobody gives way while there is enough. Then it is whoever would keep what others wait for the
// longest, at the pace at which the request has come since it began: one byte now and then is not
// progress. Replies that are not read are Pool's business.

internal import Memcache
internal import Primitives
internal import Store
internal import Uring

extension Worker where Network: ~Copyable {
    // MARK: Receive buffers

    /// The ring has no buffer to receive into: the connection stands in line.
    mutating func starve(_ slot: Int) {
        guard connections[slot].phase == .open else { return }
        let hadItsTurn = connections[slot].receiving.takeTurn()
        guard intake.standInLine(slot, inFront: hadItsTurn, at: now.nanoseconds) else { return }
        counters.add(.receivesStarved)
    }

    /// The end of a turn: withheld buffers go to the ring if the pool has recovered, and of those
    /// who stand in line, as many as there are buffers are received from, in order. If none can be
    /// lent, what waits leaves the pool, or gives way.
    mutating func lendWithheld() {
        lendMore()
        guard intake.isAnyoneStarved else { return }
        var left = ServerLimits.givingWayPerTurnMax
        while left > 0, isDry, lodgeOne() || giveWay(sparing: -1) || giveWayUnread() {
            left -= 1
            lendMore()
        }
        if isDry { refuseEldest() }
        receiveFromStarved()
    }

    /// No buffer can be lent, and none will come back in the next turn.
    private var isDry: Bool { blocks.lentCount == 0 && blocks.heldCount == 0 }

    private mutating func receiveFromStarved() {
        var left = min(blocks.lentCount, intake.starvedCount)
        while left > 0, let slot = intake.takeStarved(at: now.nanoseconds) {
            let connection = connections[slot]
            guard connection.shouldReceive, connection.receiving.isIdle else { continue }
            armReceive(slot)
            left -= 1
        }
    }

    private mutating func lendMore() {
        while let id = blocks.takeWithheld(pledged: pledged) {
            ring.lendBuffer(UInt16(truncatingIfNeeded: id))
        }
    }

    // MARK: Giving way

    /// Moves the input of a connection that cannot be executed now, and came while there was
    /// enough, from the pool to the cache's memory. False: there is none, or no room there.
    private mutating func lodgeOne() -> Bool {
        let table = connections
        let slot = slots.used.first {
            holdsPooledInput($0) && (table[$0].wait != .nothing || table[$0].isBehind)
        }
        guard blocks.hasLodging, let slot else { return false }
        stash(slot)
        return !holdsPooledInput(slot)
    }

    /// Closes the connection whose request makes the least progress, of those who keep blocks
    /// occupied with the beginning of one. False: there is none, nor a reader who has stalled.
    mutating func giveWay(sparing slot: Int) -> Bool {
        let table = connections
        let victim = slots.used.eldest(
            where: { $0 != slot && table[$0].holdsBeginning },
            by: { .max - table[$0].requestDue(at: now.nanoseconds) })
        guard let victim else {
            return closeStalled(
                sparing: slot, longerThan: ServerLimits.wantedBlocksNanosecondsMax)
        }
        close(victim, .closedPoolDry)
        return true
    }

    /// Closes who has sent requests on top of replies that it does not take, and keeps blocks of
    /// the pool occupied with them, because there is nowhere else to keep them: of these, who has
    /// taken nothing for the longest time. False: there is none.
    private mutating func giveWayUnread() -> Bool {
        let victim = slots.used.eldest(
            where: { holdsPooledInput($0) }, by: { unreadSince($0) })
        guard let victim else { return false }
        close(victim, .closedPoolDry)
        return true
    }

    private mutating func holdsPooledInput(_ slot: Int) -> Bool {
        guard connections[slot].phase == .open else { return false }
        let head = connections[slot].input.first
        return head != nobody && blocks.isPooled(head)
    }

    /// Since when a peer has not taken what is in the way of its next requests; nil if it has, or
    /// something else is in their way.
    private mutating func unreadSince(_ slot: Int) -> UInt64? {
        if connections[slot].isBehind {
            guard let since = stalledSince(slot), since < now.nanoseconds else { return nil }
            return since
        }
        switch connections[slot].wait {
        case .blocks, .events, .penalty: break
        default: return nil
        }
        let waiting = connections[slot].waiting
        return waiting.hasBegun && waiting.since < now.nanoseconds ? waiting.since : nil
    }

    /// Input that waits for the store fills the pool, and nobody gives way: of those requests that
    /// have waited for a while, the eldest are answered as they would be in the end. Few at a time:
    /// what they held is lent in the next turn, and others may need no more than that.
    private mutating func refuseEldest() {
        // Those who were refused bring this turn's end back here.
        guard wants.refusedTurn != turnNumber else { return }
        wants.refusedTurn = turnNumber
        let table = connections
        let moment = now.nanoseconds
        let limit = ServerLimits.waitNanosecondsMax
        // Before that nothing has waited for long.
        guard moment > limit else { return }
        for _ in 0..<ServerLimits.refusedPerTurnMax {
            let eldest = watched.eldest(
                where: {
                    table[$0].wait.isRefusable && holdsPooledInput($0)
                        && moment >= table[$0].waiting.since &+ ServerLimits.refusedNanosecondsMin
                }, by: { table[$0].waiting.since })
            guard let eldest else { return }
            table[eldest].waiting.age(to: moment - limit)
            expireWait(eldest)
        }
    }

    /// Closes those who hold the places of values that would take too long to come, until there is
    /// room for all who wait for one.
    mutating func givePlaces() {
        guard transfers.incoming.takenCount > 0, let first = intake.firstPlaceless else { return }
        let table = connections
        var wanted = 0
        for slot in intake.line where table[slot].wait.isForFrames {
            wanted += Int(table[slot].waiting.wantedBytes)
        }
        let waited = elapsed(since: table[first].waiting.since)
        let isLong = waited > ServerLimits.placeNanosecondsMax
        var closed = 0
        while wanted > 0, closed < ServerLimits.givingWayPerTurnMax,
            let victim = slowestStaging(isLong ? 0 : ServerLimits.patienceNanoseconds)
        {
            wanted -= table[victim].arrival.valueBytes
            close(victim, .closedStalledForOthers)
            closed += 1
            if isLong { break }
        }
    }

    /// The same for a place that another worker's connection waits for.
    mutating func givePlacesToOthers() {
        guard !intake.isAnyonePlaceless,
            let victim = slowestStaging(ServerLimits.patienceNanoseconds)
        else { return }
        close(victim, .closedStalledForOthers)
    }

    /// Of those whose value arrives into a place of its own, the one that will need longest, if
    /// that is more than `patience`.
    private mutating func slowestStaging(_ patience: UInt64) -> Int? {
        let table = connections
        let moment = now.nanoseconds
        return watched.eldest(
            where: { table[$0].isStagingJudged(at: moment) },
            by: {
                let due = table[$0].requestDue(at: moment)
                return due > patience ? .max - due : nil
            })
    }
}
