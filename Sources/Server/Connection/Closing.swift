// Closing: how connections end, and what happens by the clock.
//
// A connection ends in steps: what it holds is given back, the socket is shut down and its
// operations cancelled, and when the kernel owes it nothing more its descriptor is closed. Only
// after that is its slot vacant, under another generation. The clock is looked at once a second.

internal import Memcache
internal import Primitives
internal import Store
internal import Uring

extension Worker where Network: ~Copyable {
    /// Ends a connection; whatever it asked for and was not sent is lost.
    mutating func close(_ slot: Int, _ reason: Counter) {
        let table = connections
        guard table[slot].phase == .open else { return }
        counters.add(reason)
        noteClosing(slot, reason)
        endListing(slot)
        table[slot].phase = .closing
        table[slot].waiting = Waiting()
        intake.forget(slot)
        queues.remove(slot)
        markTouched(slot)
        while let id = table[slot].input.takeFirst(blocks) { release(id) }
        freeParts(slot)
        endChangeRead(slot)
        if !table[slot].receiving.isFilling { freeStaging(slot) }
        if table[slot].sending.state != .handed { freeOutput(slot) }
        unwatchIfIdle(slot)
        guard table[slot].outstanding > 0 else { return }
        cancelReceive(slot)
        if table[slot].sending.isArmed {
            ring.cancel(token(.room, slot), token: token(.cancel, slot))
            table[slot].outstanding += 1
        }
        ring.shutdown(
            Socket(descriptor: table[slot].descriptor), token: token(.shutdown, slot))
        table[slot].outstanding += 1
    }

    /// Closes the descriptor once the kernel owes the connection nothing.
    mutating func closeDescriptorIfQuiet(_ slot: Int) {
        let table = connections
        guard table[slot].phase == .closing, table[slot].outstanding == 0 else { return }
        freeStaging(slot)
        freeOutput(slot)
        table[slot].phase = .closed
        table[slot].outstanding = 1
        ring.close(Socket(descriptor: table[slot].descriptor), token: token(.close, slot))
    }

    /// The descriptor is closed.
    mutating func didClose(_ slot: Int) {
        guard connections[slot].phase == .closed else { return }
        connections[slot].phase = .ended
        markTouched(slot)
    }

    /// Makes the slot of an ended connection vacant, as soon as no list holds it.
    mutating func giveSlotIfEnded(_ slot: Int) {
        guard connections[slot].phase == .ended, !ready.contains(slot) else { return }
        precondition(!touched.contains(slot) && !watched.contains(slot))
        roll.closed(slot)
        giveSlot(slot)
        mailbox.connectionEnded()
        shared.connectionClosed()
    }

    /// Gives back what was not sent.
    mutating func freeOutput(_ slot: Int) {
        let table = connections
        guard table[slot].phase != .open else { return }
        table[slot].unsent.free(&blocks)
        endLarge(slot)
    }

    private mutating func freeStaging(_ slot: Int) {
        guard connections[slot].incoming != nobody else { return }
        if let staging = transfers.incoming[connections[slot].incoming].staging {
            door.abandon(staging)
            endStaging(slot)
        }
        giveIncoming(slot)
    }

    // MARK: The clock

    /// Once a second: deadlines and idle connections.
    mutating func tick() {
        tellFigures()
        expireReads()
        for slot in watched { checkDeadlines(slot) }
        if drain.isOver(at: now.nanoseconds) { endAll() }
        let idleSeconds = shared.tuning[.idleTimeoutSeconds] ?? configuration.idleTimeoutSeconds
        if idleSeconds > 0 { kickIdle(afterSeconds: idleSeconds) }
    }

    /// Figures that nobody needs more often than each second.
    private mutating func tellFigures() {
        // Only this worker adds, so it sees what it has told.
        counters.add(.ringEnters, rounds.newEnters(of: ring.enterCount))
        counters.set(.poolBlocksFree, blocks.freeCount)
        counters.set(.poolBlocksUsed, blocks.usedCount)
    }

    /// While stopping: nobody is waited for any more.
    mutating func endAll() {
        for slot in slots.used where connections[slot].phase == .open {
            close(slot, .closedDraining)
        }
    }

    private mutating func checkDeadlines(_ slot: Int) {
        let table = connections
        guard table[slot].phase == .open else { return }
        if isGoneUnheard(slot) {
            close(slot, .closedByError)
            return
        }
        if table[slot].wait.isRefusable, hasWaitedTooLong(slot) { expireWait(slot) }
        if table[slot].wait == .penalty,
            elapsed(since: table[slot].waiting.since) >= ServerLimits.penaltyNanoseconds
        {
            endWait(slot)
        }
        let isStaging =
            table[slot].wait == .nothing && table[slot].arrival.isOwed
            && table[slot].arrival.valueBytes > ServerLimits.blockBytes
        if isStaging, elapsed(since: table[slot].lastActive) > ServerLimits.stallNanosecondsMax {
            close(slot, .closedStalledInput)
        } else if table[slot].isBehind, table[slot].pace.isRunning {
            measurePace(of: slot)
            guard elapsed(since: table[slot].pace.takenAt) > ServerLimits.unreadNanosecondsMax
            else { return }
            close(slot, .closedUnread)
        }
    }

    /// Whether a peer is gone, and nothing that the kernel owes its connection would tell.
    private mutating func isGoneUnheard(_ slot: Int) -> Bool {
        let connection = connections[slot]
        return connection.wait != .nothing && connection.receiving.isIdle
            && !connection.sending.isArmed
            && ring.isGone(Socket(descriptor: connection.descriptor))
    }

    /// A request has waited long enough: executed once more, it is answered with what there is.
    mutating func expireWait(_ slot: Int) {
        endChangeRead(slot)
        queues.remove(slot)
        endWait(slot)
    }

    /// Sees how much of what it was sent a peer has taken by now.
    mutating func measurePace(of slot: Int) {
        guard connections[slot].pace.isDue(at: now.nanoseconds) else { return }
        let socket = Socket(descriptor: connections[slot].descriptor)
        connections[slot].pace.note(held: ring.heldByteCount(of: socket), at: now.nanoseconds)
    }

    /// Since when a peer has not taken, fast enough, what it is sent, or not sent what we wait for;
    /// a moment to come if it has been faster than it must. Nil: nothing of that is waited for.
    mutating func stalledSince(_ slot: Int) -> UInt64? {
        guard connections[slot].isBehind else {
            return connections[slot].silentSince(isStarved: intake.isStarved(slot))
        }
        guard connections[slot].pace.isRunning else { return nil }
        measurePace(of: slot)
        return connections[slot].pace.paidUntil
    }

    private mutating func kickIdle(afterSeconds seconds: Int) {
        let limit = UInt64(seconds) * 1_000_000_000
        for _ in 0..<min(slots.used.count, ServerLimits.idleScanMax) {
            let slot = rounds.nextSlot(of: slots.used.count)
            guard connections[slot].phase == .open,
                elapsed(since: connections[slot].lastActive) > limit,
                connections[slot].isAwaitingCommand
            else { continue }
            let socket = Socket(descriptor: connections[slot].descriptor)
            guard ring.heldByteCount(of: socket) == 0 else { continue }
            close(slot, .idleKicks)
        }
    }

    // MARK: Stopping

    /// Receives no more; answers what has arrived, then closes.
    mutating func beginDrain() {
        drain.begin(
            until: now.nanoseconds
                &+ max(ServerLimits.drainNanosecondsMax, shared.drainTimeoutNanoseconds))
        for slot in slots.used where connections[slot].phase == .open { markTouched(slot) }
    }

    /// While stopping: receives no more, unless a request is half here.
    mutating func endReceiving(_ slot: Int) {
        let hasRequests = connections[slot].replies.requests > 0
        guard hasRequests || !connections[slot].isInRequest else { return }
        connections[slot].hasEnded = true
    }
}
