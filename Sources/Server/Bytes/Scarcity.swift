// Scarcity: whose turn it is when receive buffers or places for values are short, and who gives
// way.
//
// Nobody gives way while there is enough. Then it is whoever would keep what others wait for the
// longest, at the pace at which the request has come since it began: one byte now and then is not
// progress. Replies that are not read are Pool's business.

internal import Glibc
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
    /// lent, what waits leaves the pool; if none can be lent then, those who hold nothing are
    /// received from into small blocks; and where these are out as well, others give way.
    mutating func lendWithheld() {
        lendMore()
        guard intake.isAnyoneStarved else {
            wants.noteThirst(false, at: now.nanoseconds)
            return
        }
        var left = ServerLimits.givingWayPerTurnMax
        while left > 0, isDry, lodgeOne() {
            left -= 1
            lendMore()
        }
        left = ServerLimits.givingWayPerTurnMax
        while left > 0, let slot = thirstLeft(), giveWay(for: slot) {
            left -= 1
            // What gave way may have been in the cache's memory.
            _ = lodgeOne()
            lendMore()
        }
        if wants.thirstSince != nil { refuseEldest() }
        receiveFromStarved()
    }

    /// Somebody who holds little and finds no memory to be received into; nil: nobody.
    private mutating func thirstLeft() -> Int? {
        let slot = isDry ? sip() : nil
        wants.noteThirst(slot != nil, at: now.nanoseconds)
        return slot
    }

    /// Receives what has arrived from those in line who hold nothing, or the beginning of a short
    /// request, into small blocks, so nobody waits for what others keep. (Whose socket is full has
    /// no need of more replies, and would keep the block.) Answers one for whom there is none; nil
    /// if all have been served.
    private mutating func sip() -> Int? {
        var left = ServerLimits.sipsPerTurnMax
        var long: Int?
        for slot in intake.queue
        where connections[slot].isThirsty && connections[slot].receiving.isIdle
            && isAnswerableNow(slot)
        {
            guard left > 0 else { break }
            let room = ServerLimits.shortInputBytesMax - connections[slot].input.count
            guard room > 0 else {
                long = slot
                continue
            }
            guard let id = blocks.takeShort(pledged: pledged) else { return slot }
            left -= 1
            intake.leaveLine(slot, at: now.nanoseconds)
            receive(slot, into: id, bytesMax: min(room, ServerLimits.smallBlockBytes))
        }
        return long
    }

    /// Receives into a small block what has arrived; if nothing has, a buffer is asked for once
    /// there is something.
    private mutating func receive(_ slot: Int, into id: UInt32, bytesMax: Int) {
        let place = blocks.place(id)
        let result = ring.receiveNow(
            Socket(descriptor: connections[slot].descriptor), into: place.region,
            at: place.offset, count: bytesMax)
        guard result <= 0 else {
            received(slot, in: id, bytes: UInt32(truncatingIfNeeded: result))
            return
        }
        blocks.give(id)
        guard result != -Int(EAGAIN) else {
            armReceive(slot, isEmpty: true)
            return
        }
        markTouched(slot)
        endOfStream(slot, Int32(truncatingIfNeeded: result))
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
        // What is short has room of its own there.
        lodgeOne(bytesMax: .max) || lodgeOne(bytesMax: ServerLimits.smallBlockBytes)
    }

    private mutating func lodgeOne(bytesMax: Int) -> Bool {
        let table = connections
        let slot = slots.used.first {
            holdsPooledInput($0) && (table[$0].wait != .nothing || table[$0].isBehind)
                && table[$0].input.count <= bytesMax
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
                sparing: slot, longerThan: ServerLimits.wantedBlocksNanosecondsMax,
                sparesShut: true)
        }
        close(victim, .closedPoolDry)
        return true
    }

    /// Whoever gives way first to somebody who cannot be received: requests on top of replies that
    /// nobody takes, beginnings of requests, and in the end who waits for room for a reply.
    private mutating func giveWay(for slot: Int) -> Bool {
        giveWayUnread() || giveWay(sparing: slot) || giveWayWaiting(sparing: slot)
    }

    /// Closes who has sent requests on top of replies that it does not take, because there is
    /// nowhere else to keep them: who has been slow for the longest time, else who takes nothing
    /// now. False: there is none.
    private mutating func giveWayUnread() -> Bool {
        let table = connections
        let victim =
            slots.used.eldest(where: { holdsInput($0) }, by: { unreadSince($0) })
            ?? slots.used.eldest(
                where: { holdsInput($0) && table[$0].isBehind }, by: { stillSince($0) })
        guard let victim else { return false }
        close(victim, .closedPoolDry)
        return true
    }

    /// Closes who has waited longest for room for a reply, with requests behind it, if somebody has
    /// not been received for a while. False: there is none.
    private mutating func giveWayWaiting(sparing slot: Int) -> Bool {
        guard let since = wants.thirstSince,
            elapsed(since: since) > ServerLimits.refusedNanosecondsMin
        else { return false }
        let table = connections
        let victim = slots.used.eldest(
            where: { $0 != slot && holdsPooledInput($0) && table[$0].wait == .blocks },
            by: { table[$0].waiting.since })
        guard let victim else { return false }
        close(victim, .closedPoolDry)
        return true
    }

    private func holdsInput(_ slot: Int) -> Bool {
        connections[slot].phase == .open && connections[slot].input.count > 0
    }

    private mutating func holdsPooledInput(_ slot: Int) -> Bool {
        guard connections[slot].phase == .open else { return false }
        let head = connections[slot].input.first
        return head != nobody && blocks.isPooled(head)
    }

    /// Since when a peer has not taken, fast enough, what is in the way of its next requests, or
    /// waits for what it asked for; nil if something else is in their way.
    private mutating func unreadSince(_ slot: Int) -> UInt64? {
        let since: UInt64?
        if connections[slot].isBehind {
            since = stalledSince(slot)
        } else {
            switch connections[slot].wait {
            case .events, .penalty: since = connections[slot].waiting.since
            default: since = nil
            }
        }
        guard let since, since < now.nanoseconds else { return nil }
        return since
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
        for _ in 0..<ServerLimits.refusedPerTurnMax {
            let eldest = watched.eldest(
                where: {
                    table[$0].wait.isRefusable && holdsPooledInput($0)
                        && moment >= table[$0].waiting.since &+ ServerLimits.refusedNanosecondsMin
                        && table[$0].waiting.denied(at: moment) >= ServerLimits.deniedNanosecondsMin
                }, by: { table[$0].waiting.since })
            guard let eldest else { return }
            table[eldest].waiting.age(to: ServerLimits.waitNanosecondsMax)
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
        let waited = table[first].waiting.denied(at: now.nanoseconds)
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
