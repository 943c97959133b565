// Pool: who may use the worker's blocks, and what happens when they run low.
//
// Nobody is closed for being busy. Input is received only into buffers for which the pool keeps a
// block (`Blocks`), a request is executed only if the pool has room for what its socket may refuse,
// and each connection gets a share of what is left, so the pool never fails those who make
// progress: they wait a turn. Blocks that a peer keeps occupied and does nothing about are taken
// from it once others wait for them: that connection is closed, and counted.

internal import Memcache
internal import Primitives
internal import Store
internal import Uring

/// Room for one reply at the end of the output: what a writer is made with, and what goes when the
/// reply is kept. Only the functions below hand it out.
///
/// Take one for each reply, and no other before that reply is written or given up.
struct ReplySpace: ~Copyable {
    /// The longest value that the reply may hold: as much as is copied at all, or little while the
    /// pool has room for short replies only.
    let valueBytesMax: Int

    fileprivate init(valueBytesMax: Int = Door.copyBytesMax) { self.valueBytesMax = valueBytesMax }
}

extension Worker where Network: ~Copyable {
    // MARK: Room for replies

    /// Room for a reply to a connection. Nil: the turn is over (`TurnOutput.isFull`), or
    /// the connection waits until others have given blocks back. `entry`: of the batch, if it is
    /// what is answered.
    @inline(__always)
    mutating func takeSpace(for slot: Int, entry: Int? = nil) -> ReplySpace? {
        guard hasRoom(sparing: wants.sparedBlocks) else { return findRoom(for: slot, entry) }
        return ReplySpace()
    }

    /// How far the output may be filled for one more reply of a connection, of any length, to have
    /// room for certain; it may have had none in this turn. Good until anything is taken but room
    /// in the output by replies of this connection.
    @inline(__always)
    var filledMax: Int {
        guard hasParts else { return -1 }
        // At most one block for each connection, and those that are full.
        let full =
            blocks.availableCount &- wants.sparedBlocks &- 2 &- (output.runCount &+ 1)
        return min(TurnOutput.filledMax, (full &+ 1) &* ServerLimits.blockBytes &- 1)
    }

    @inline(__always)
    mutating func takeSpace(ifFilledAtMost filledMax: Int) -> ReplySpace? {
        output.filled <= filledMax ? ReplySpace() : nil
    }

    /// Room for what a connection is owed from an earlier turn. Nil: not in this turn. The turn's
    /// first may leave in any case, only so a dry pool fills again; and what its socket takes.
    mutating func takeSpaceToLeave(for slot: Int) -> ReplySpace? {
        guard
            hasRoom || output.isEmpty
                || output.hasRoom && connections[slot].replies.count == 0
                    && socketRoom(slot) >= ServerLimits.replyBytesMax
        else { return nil }
        return ReplySpace()
    }

    /// Room to put text together that is copied elsewhere. Nil: the output holds replies.
    mutating func takeScratch() -> ReplySpace? {
        guard output.isEmpty else { return nil }
        return ReplySpace()
    }

    /// Whether one more reply of any length has room: in the output, and in the pool if no socket
    /// takes anything of this turn.
    var hasRoom: Bool { hasRoom(sparing: 0) }

    /// The same, with so many blocks left for others.
    @inline(__always)
    private func hasRoom(sparing spared: Int) -> Bool {
        guard output.hasRoom else { return false }
        return pledged &+ spared &+ 2 <= blocks.availableCount && hasParts
    }

    /// Whether a text that is longer than other replies has room in the pool, or in its socket.
    mutating func hasRoom(for bytes: Int, _ slot: Int) -> Bool {
        pledged + bytes / ServerLimits.blockBytes + 2 <= blocks.availableCount
            || socketRoom(slot) - connections[slot].replies.count >= bytes
    }

    /// Large blocks that are needed if no socket takes anything of this turn's replies.
    @inline(__always)
    var pledged: Int { output.blocksNeeded(smallFreeCount: blocks.smallFreeCount) }

    /// Called when there is no room for a reply of any length. Nil: the turn is over, or the
    /// connection waits until others have given blocks back.
    private mutating func findRoom(for slot: Int, _ entry: Int?) -> ReplySpace? {
        let isNext = mayTake(slot, .blocks)
        if isNext, hasRoom { return ReplySpace() }
        if let space = spaceOfSocket(slot, entry) { return space }
        if hasSmallRoom(for: slot) {
            return ReplySpace(valueBytesMax: ServerLimits.smallValueBytesMax)
        }
        guard connections[slot].replies.count == 0 || isNext else {
            // One reply a turn: the next turn knows whether the socket took this one.
            markReady(slot)
            return nil
        }
        guard isNext else {
            refuseRoom(slot)
            return nil
        }
        guard output.isEmpty else {
            output.close()
            return nil
        }
        if relievePool(sparing: slot), hasRoom { return ReplySpace() }
        refuseRoom(slot)
        return nil
    }

    /// Whether a short reply has room, because it is the connection's only one in this turn and
    /// fits a small block, of which there is one for each connection that was answered.
    private func hasSmallRoom(for slot: Int) -> Bool {
        isAnswerable(slot) && output.runCount + ServerLimits.poolShares < blocks.smallFreeCount
    }

    /// Whether the connection may have its only reply of this turn, as far as the pool is not
    /// concerned.
    private func isAnswerable(_ slot: Int) -> Bool {
        output.hasRoom && connections[slot].replies.count == 0 && hasParts
            && connections[slot].deferred.isEmpty
    }

    /// Room for a reply that needs nothing of the pool, however little is left there: its socket is
    /// sure to take it. Who reads what it is sent is answered, whatever others leave unread; who
    /// does not is given nothing once its socket is full.
    private mutating func spaceOfSocket(_ slot: Int, _ entry: Int?) -> ReplySpace? {
        guard isAnswerable(slot) else { return nil }
        let room = socketRoom(slot)
        if room >= ServerLimits.replyBytesMax, !mayWaitForCommit(entry) { return ReplySpace() }
        guard room >= ServerLimits.smallBlockBytes else { return nil }
        return ReplySpace(valueBytesMax: ServerLimits.smallValueBytesMax)
    }

    /// Whether what an entry is answered with may have to wait for a commit.
    private func mayWaitForCommit(_ entry: Int?) -> Bool {
        guard door.isAcknowledging, let entry, !batch[entry].isFault else { return false }
        switch batch[entry].request.verb {
        case .get, .gets, .stats: return false
        default: return true
        }
    }

    /// Bytes that the connection's socket is sure to take now.
    mutating func socketRoom(_ slot: Int) -> Int {
        guard !connections[slot].isBehind else { return 0 }
        return ring.roomByteCount(of: Socket(descriptor: connections[slot].descriptor))
    }

    /// Those who wait for blocks, and whose sockets take a reply, come before those who have not
    /// read the last one, and may try at once.
    private mutating func callAnswerable() {
        for slot in queues[.blocks].members
        where connections[slot].wait == .blocks && isAnswerableNow(slot) {
            queues[.blocks].prefer(slot)
            endWait(slot)
        }
    }

    mutating func isAnswerableNow(_ slot: Int) -> Bool {
        guard !connections[slot].isBehind else { return false }
        let socket = Socket(descriptor: connections[slot].descriptor)
        return ring.roomByteCount(of: socket) >= ServerLimits.replyBytesMax
            || ring.heldByteCount(of: socket) == 0
    }

    /// The connection waits for room for a long reply.
    mutating func refuseRoom(_ slot: Int) {
        counters.add(.waitsForBlocks)
        waitForBlocks(slot)
    }

    /// The connection waits for blocks or parts.
    mutating func waitForBlocks(_ slot: Int) {
        wants.wantBlocks(sparing: configuration.poolBlocks, at: now.nanoseconds)
        beginWait(slot, .blocks)
    }

    /// How many reply bytes a connection may have in a turn now.
    var quotaNow: Int {
        let left = max(blocks.availableCount, 1) * ServerLimits.blockBytes
        return min(left / ServerLimits.poolShares, ServerLimits.replyBytesPerTurnMax)
    }

    /// Whether somebody who waits for blocks could go on.
    var isRoomNews: Bool {
        !queues[.blocks].isEmpty && blocks.availableCount >= 2 && hasParts
    }

    // MARK: Blocks

    /// Copies bytes behind a chain that belongs to `slot`. Returns how many were copied; fewer
    /// only if the pool is dry, which the rules above do not let happen.
    mutating func copy(
        _ source: Location, count: Int, behind chain: inout Chain, for slot: Int,
        isOutput: Bool = true
    ) -> Int {
        var copied = 0
        while true {
            let place = Location(region: source.region, offset: source.offset + copied)
            copied += blocks.append(
                place, count: count - copied, to: &chain, isOutput: isOutput)
            guard copied < count else { return copied }
            if isOutput {
                guard closeStalled(sparing: slot, longerThan: 0) else { return copied }
            } else if !giveWay(sparing: slot) {
                let rest = Location(region: source.region, offset: source.offset + copied)
                return copied
                    + blocks.append(
                        rest, count: count - copied, to: &chain, isOutput: false,
                        usesReserve: true)
            }
        }
    }

    /// A large block to join the halves of a request in, in place of `id`; nil: not now.
    mutating func takeBlock(inPlaceOf id: UInt32) -> UInt32? {
        // A large or a provided one comes back for it.
        let comesBack = !blocks.isSmall(id) && !blocks.isLodging(id)
        guard comesBack || blocks.hasJoiner else { return nil }
        return blocks.take()
    }

    // MARK: Taking blocks back

    /// Closes the connection whose peer keeps blocks occupied and has done nothing longest, if that
    /// is long. False: there is none.
    mutating func relievePool(sparing slot: Int) -> Bool {
        if closeStalled(
            sparing: slot, longerThan: ServerLimits.wantedBlocksNanosecondsMax, sparesShut: true)
        {
            return true
        }
        // Everyone moves, and nothing comes of it: the slowest gives way.
        guard let since = wants.blocksSince,
            elapsed(since: since) > ServerLimits.dryPoolNanosecondsMax
        else {
            return false
        }
        wants.restartBlocks(at: now.nanoseconds)
        return isAnyoneIdleForBlocks && closeQuietest(sparing: slot)
    }

    /// Whether somebody who waits for blocks has taken all that it was sent: the others miss
    /// nothing yet.
    private var isAnyoneIdleForBlocks: Bool {
        queues[.blocks].members.contains { isTaken($0) }
    }

    /// Whether its peer has taken all that its socket was given.
    func isTaken(_ slot: Int) -> Bool {
        ring.heldByteCount(of: Socket(descriptor: connections[slot].descriptor)) == 0
    }

    /// The same for whoever has stalled for so long; 0: at all. `sparesShut`: nobody who has fallen
    /// behind so lately that its window need not have opened since.
    mutating func closeStalled(
        sparing slot: Int, longerThan limit: UInt64, sparesShut: Bool = false
    ) -> Bool {
        let (table, moment) = (connections, now.nanoseconds)
        // One look at everybody a turn is enough if it finds nobody.
        guard limit == 0 || wants.searchedTurn != turnNumber else { return false }
        let victim = slots.used.eldest(
            where: {
                $0 != slot && holdsBlocks($0)
                    && !(sparesShut && table[$0].isBehind && table[$0].pace.mayBeShut(at: moment))
            }, by: { stalledSince($0, longerThan: limit) })
        guard let victim else {
            if !sparesShut { wants.searchedTurn = turnNumber }
            return false
        }
        close(victim, .closedPoolDry)
        return true
    }

    private mutating func closeQuietest(sparing slot: Int) -> Bool {
        let table = connections
        let victim = slots.used.eldest(
            where: { $0 != slot && holdsBlocks($0) }, by: { table[$0].quietSince })
        guard let victim else { return false }
        close(victim, .closedPoolDry)
        return true
    }

    /// Since when a connection has stalled, if that is more than `limit` ago, or the limit is 0.
    mutating func stalledSince(_ slot: Int, longerThan limit: UInt64) -> UInt64? {
        let since = stalledSince(slot)
        guard let since, limit == 0 || elapsed(since: since) > limit else { return nil }
        return since
    }

    private mutating func holdsBlocks(_ slot: Int) -> Bool {
        guard connections[slot].phase == .open else { return false }
        let head = connections[slot].input.first
        return head != nobody && blocks.isPooled(head) || !connections[slot].unsent.isEmpty
            || !connections[slot].deferred.chain.isEmpty
    }

    // MARK: The alarm

    /// Sees to it that the worker wakes soon, while somebody may be in the way of others.
    mutating func armAlarm() {
        guard wants.alarm == .off else { return }
        guard
            wants.blocksSince != nil || intake.isAnyoneStarved || transfers.isMovingValues
                || wants.staging || wants.pins || wants.text || drain.isActive || !queues.isEmpty
        else { return }
        wants.alarm = .armed
        ring.timeout(
            nanoseconds: wants.thirstSince == nil
                ? ServerLimits.alarmNanoseconds : ServerLimits.thirstAlarmNanoseconds,
            token: Token(.timeout, slot: 1, generation: 0))
    }

    /// Who is in the way of others, and does nothing, is closed.
    mutating func alarm() {
        // No more give way than there are who wait.
        let waiting = queues[.blocks].members.count + (wants.text ? 1 : 0)
        for _ in 0..<min(max(waiting, 1), ServerLimits.relievedPerAlarmMax)
        where wants.blocksSince != nil || wants.text {
            guard relievePool(sparing: -1) else { break }
        }
        if wants.blocksSince != nil { callAnswerable() }
        if wants.text { callForText() }
        let hasShortReads = shortReadCount > 0
        if wants.staging {
            wants.staging = queues.isAnyShortOfFrames || hasShortReads
            tell(.staging, isWanted: wants.staging)
            givePlaces()
        }
        if wants.pins {
            // Pinned frames are missing to those who wait for frames as well.
            wants.pins = !queues[.pins].isEmpty || queues.isAnyShortOfFrames || hasShortReads
            tell(.pins, isWanted: wants.pins)
        }
        if isWanted(.staging) { givePlacesToOthers() }
        relieveWanted(.staging)
        relieveWanted(.pins)
        relievePinsAtLast()
        if !queues.isEmpty { callAgain() }
        if !queues[.readSlots].isEmpty, reads.vacantCount == 0 { relieveReads() }
        if drain.isActive { endUnwilling() }
    }

    /// Those who wait for room for a long text look for it.
    private mutating func callForText() {
        wants.text = false
        for slot in watched where connections[slot].wait == .text { endWait(slot) }
    }

    /// Closes those who have stalled longest with reads from disk that they do not take, until
    /// there is a slot for each who waits; and if all have taken enough and somebody has waited
    /// long, those who take nothing now.
    private mutating func relieveReads() {
        let table = connections
        let limit = ServerLimits.wantedStallNanosecondsMax
        let first = queues[.readSlots].members.first
        let isLong =
            first.map { table[$0].waiting.denied(at: now.nanoseconds) } ?? 0
            > ServerLimits.pinNanosecondsMax
        for _ in 0..<ServerLimits.relievedPerAlarmMax
        where reads.vacantCount < queues[.readSlots].members.count {
            let victim = watched.eldest(
                where: { table[$0].phase == .open && table[$0].diskReads.parts > 0 },
                by: {
                    stalledSince($0, longerThan: limit)
                        ?? (isLong ? stillSince($0) : nil)
                })
            guard let victim else { break }
            close(victim, .closedStalledForOthers)
        }
    }

    /// Since when a peer has taken nothing although its window should have opened since then.
    mutating func stillSince(_ slot: Int) -> UInt64? {
        let limit = ServerLimits.wantedStallNanosecondsMax
        guard connections[slot].isBehind else { return quietSince(slot, longerThan: limit) }
        measurePace(of: slot)
        return quietSince(
            slot, longerThan: max(limit, connections[slot].pace.shutNanosecondsMax))
    }

    /// While stopping: a peer that takes nothing, or sends half a value, is not waited for.
    private mutating func endUnwilling() {
        for slot in slots.used where connections[slot].phase == .open {
            guard quietSince(slot, longerThan: shared.drainTimeoutNanoseconds) != nil
            else { continue }
            close(slot, .closedDraining)
        }
    }

    /// Since when a peer has done nothing that we wait for, however fast it was before, if that is
    /// more than `limit` ago.
    private mutating func quietSince(_ slot: Int, longerThan limit: UInt64) -> UInt64? {
        guard stalledSince(slot) != nil else { return nil }
        let since =
            connections[slot].isBehind
            ? connections[slot].pace.takenAt
            : connections[slot].silentSince(isStarved: intake.isStarved(slot))
        guard let since, elapsed(since: since) > limit else { return nil }
        return since
    }

    mutating func elapsed(since moment: UInt64) -> UInt64 {
        now.nanoseconds > moment ? now.nanoseconds - moment : 0
    }
}
