// Output: replies become bytes, bytes become sends, and what cannot leave yet is kept.
//
// A turn's replies lie in the worker's output, side by side for each connection, and leave with
// one immediate send each. Who writes one has taken its room before (`ReplySpace`). What the socket
// does not take moves to blocks of the pool (`unsent`) and goes out with one counted send at a
// time; until then the connection is not served.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Store
internal import Uring

extension Worker where Network: ~Copyable {
    // MARK: Writing replies

    /// A writer over what is left of the output, which has room for the longest reply.
    @inline(__always)
    mutating func replyWriter(_ space: borrowing ReplySpace) -> ByteWriter {
        output.writer
    }

    /// Makes what was written at the end of the output the connection's next reply.
    @inline(__always)
    mutating func addReply(_ slot: Int, _ writer: ByteWriter, _ space: consuming ReplySpace) {
        guard !writer.overflowed else {
            close(slot, .closedByFault)
            return
        }
        addReply(slot, count: writer.count, space)
    }

    /// The same for so many bytes, which were written without a writer.
    @inline(__always)
    mutating func addReply(_ slot: Int, count: Int, _ space: consuming ReplySpace) {
        guard connections[slot].deferred.isEmpty else {
            deferText(slot, output.end, count: count)
            return
        }
        keepReply(slot, count: count, space)
    }

    /// The same for a reply that leaves before all parts.
    @inline(__always)
    mutating func keepReply(_ slot: Int, count: Int, _ space: consuming ReplySpace) {
        if connections[slot].replies.add(count, at: output.filled) { output.beginRun() }
        output.keep(count)
    }

    /// Replies to a change: with `ack`, it leaves after the commit.
    @inline(__always)
    mutating func addChangeReply(_ slot: Int, _ writer: ByteWriter, _ space: consuming ReplySpace) {
        if door.isAcknowledging, writer.count > 0 {
            if connections[slot].deferred.isEmpty {
                connections[slot].replies.noteChange()
            } else {
                deferBarrier(slot)
                guard connections[slot].phase == .open else { return }
            }
        }
        addReply(slot, writer, space)
    }

    /// A change of the meta or the binary protocol that is not answered because it succeeded: the
    /// reply to the next noop answers it.
    @inline(__always)
    mutating func noteQuietChange(_ slot: Int) {
        guard door.isAcknowledging, connections[slot].deferred.quietFrom == 0 else { return }
        connections[slot].deferred.quietFrom = door.nextCommit
    }

    /// Replies to a noop; closes the connection if a commit has failed since the first quiet change
    /// that it answers.
    mutating func addNoopReply(_ slot: Int, _ writer: ByteWriter, _ space: consuming ReplySpace) {
        let quietFrom = connections[slot].deferred.quietFrom
        guard quietFrom > 0 else { return addReply(slot, writer, space) }
        connections[slot].deferred.quietFrom = 0
        guard news.failedCommits < quietFrom else { return close(slot, .closedFailedCommit) }
        addChangeReply(slot, writer, space)
    }

    // MARK: The end of a turn

    /// Looks at every connection that something happened to in this turn.
    mutating func flush() {
        repeat {
            while let slot = touched.removeFirst() { finishTurn(slot) }
            lendWithheld()
            // Who has given way there ends in this turn.
        } while !touched.isEmpty
        armAlarm()
    }

    private mutating func finishTurn(_ slot: Int) {
        guard connections[slot].phase == .open else {
            closeDescriptorIfQuiet(slot)
            giveSlotIfEnded(slot)
            return
        }
        resetForTurn(slot)
        if drain.isActive, !connections[slot].hasEnded { endReceiving(slot) }
        if connections[slot].replies.hasChanges { deferChanges(slot) }
        send(slot)
        trimInput(slot)
        if connections[slot].isLeaving || connections[slot].input.swallow > 0 { dropInput(slot) }
        stash(slot)
        guard connections[slot].phase == .open else {
            closeDescriptorIfQuiet(slot)
            return
        }
        if connections[slot].shouldClose {
            close(slot, connections[slot].closing)
            return
        }
        if intake.isAnyonePlaceless, !connections[slot].wait.isForFrames, !ready.contains(slot) {
            intake.endWaitForPlace(slot)
        }
        fill(slot)
        if connections[slot].deservesVisit { markReady(slot) }
        updateReceive(slot)
        unwatchIfIdle(slot)
        roll.active(slot, at: now.seconds)
    }

    /// Queues this turn's replies, or goes on with those that were left.
    private mutating func send(_ slot: Int) {
        let table = connections
        let count = table[slot].replies.count
        guard count > 0 else {
            if table[slot].isBehind { sendMore(slot) }
            return
        }
        // It may have been looked at in this turn's end already, and been told since not to wait.
        guard !table[slot].sending.isQueued else {
            // What it has been told since may be the end of its stream.
            if table[slot].isBehind || table[slot].isLeaving || table[slot].hasEnded {
                markReady(slot)
            }
            return
        }
        table[slot].sending.queue()
        output.queue(count)
        countSent(slot, UInt64(count))
        ring.sendNow(
            Socket(descriptor: table[slot].descriptor), from: output.memory,
            at: table[slot].replies.offset, count: count, token: token(.send, slot))
        // Whether it went out is known after the next enter: come back then.
        if table[slot].isBehind || table[slot].isLeaving || table[slot].hasEnded {
            markReady(slot)
        }
    }

    /// One counted send of what is unsent, or a wait until the socket has room for one.
    private mutating func sendMore(_ slot: Int) {
        let table = connections
        let outgoing = table[slot].outgoing
        guard !table[slot].unsent.isEmpty || transfers.outgoing[outgoing].barrier == 0 else {
            watch(slot)
            return
        }
        if !table[slot].pace.isRunning {
            table[slot].pace.begin(at: now.nanoseconds)
            measurePace(of: slot)
        }
        watch(slot)
        let socket = Socket(descriptor: table[slot].descriptor)
        switch table[slot].sending.next() {
        case .nothing:
            break
        case .await(let repeatedly):
            ring.awaitRoom(socket, repeatedly: repeatedly, token: token(.room, slot))
            table[slot].outstanding += 1
            measurePace(of: slot)
        case .send:
            let (place, count) = nextPiece(slot)
            table[slot].sending.hand(count)
            ring.send(
                socket, from: place.region, at: place.offset, count: count,
                token: token(.send, slot))
            table[slot].outstanding += 1
        }
    }

    /// What is to be sent next of what is unsent.
    private mutating func nextPiece(_ slot: Int) -> (Location, Int) {
        let table = connections
        var place: Location
        var count: Int
        if !table[slot].unsent.isEmpty {
            let id = table[slot].unsent.chain.head
            place = blocks.place(id)
            place.offset += Int(blocks[id].start)
            count = blocks[id].count
        } else {
            let piece = largePiece(slot)
            place = Location(region: door.memory, offset: piece.offset)
            count = min(piece.count, ServerLimits.sendBytesMax)
        }
        precondition(count > 0)
        return (place, count)
    }

    /// A counted send took some bytes.
    mutating func advanceOutput(_ slot: Int, by bytes: Int) {
        let table = connections
        guard !table[slot].unsent.isEmpty else {
            let id = table[slot].outgoing
            transfers.outgoing[id].add(bytes)
            guard transfers.outgoing[id].isSent else { return }
            let endsKeys = transfers.outgoing[id].endsKeys
            endLarge(slot)
            guard !table[slot].parser.isBinary else { return }
            table[slot].tail = endsKeys ? .lineEndAndEnd : .lineEnd
            return
        }
        table[slot].unsent.take(bytes, &blocks)
    }

    /// Copies what a socket did not take to the pool.
    mutating func keepUnsent(_ slot: Int, _ source: Location, count: Int) {
        var chain = connections[slot].unsent.chain
        let copied = copy(source, count: count, behind: &chain, for: slot)
        connections[slot].unsent.keep(copied, in: chain)
        guard copied == count else {
            if connections[slot].phase == .open { close(slot, .closedPoolDry) }
            freeOutput(slot)
            return
        }
        watch(slot)
    }

    // MARK: Input

    /// Gives a block back to the ring or the pool.
    @inline(__always)
    mutating func release(_ id: UInt32) {
        if blocks.isReceived(id) {
            if blocks.departed(id, pledged: pledged) {
                ring.lendBuffer(UInt16(truncatingIfNeeded: id))
            }
        } else if blocks.isLodging(id) {
            door.closeInputRoom(blocks.dislodge(id))
        } else {
            blocks.give(id)
        }
    }

    /// Lets go of what was parsed. Not while the batch holds requests of this connection.
    mutating func trimInput(_ slot: Int) {
        let table = connections
        while let id = table[slot].input.takeParsed(blocks) { release(id) }
    }

    /// Drops what has arrived, up to the bytes that are to be swallowed, or everything if the
    /// connection is leaving.
    mutating func dropInput(_ slot: Int) {
        let table = connections
        while table[slot].input.count > 0, table[slot].isLeaving || table[slot].input.swallow > 0 {
            trimInput(slot)
            let cursor = table[slot].input.cursor
            table[slot].input.dropSome(
                of: blocks[cursor.block].end - cursor.position, isAll: table[slot].isLeaving)
        }
        trimInput(slot)
    }

    /// Moves what is left in provided buffers to the pool, or out of both if it has to wait.
    mutating func stash(_ slot: Int) {
        let table = connections
        guard table[slot].input.last != nobody else { return }
        // What is short does not keep the large block that its parts were joined in.
        let isShort = table[slot].input.count <= ServerLimits.shortInputBytesMax
        let lodges = shouldLodge(slot)
        guard
            lodges || blocks.isReceived(table[slot].input.last)
                || isShort && !blocks.isSmall(table[slot].input.first)
        else { return }
        if lodges, lodgeTogether(slot) { return }
        var kept = Chain()
        var id = table[slot].input.first
        var isWhole = true
        while id != nobody {
            let next = blocks[id].next
            if let fresh = moved(id, isShort: isShort, lodges: lodges) {
                blocks[fresh].borrowed = 0
                blocks.append(fresh, to: &kept)
                if fresh != id { release(id) }
            } else {
                if isWhole {
                    var place = blocks.place(id)
                    place.offset += Int(blocks[id].start)
                    let count = blocks[id].count
                    isWhole =
                        copy(place, count: count, behind: &kept, for: slot, isOutput: false)
                        == count
                }
                release(id)
            }
            id = next
        }
        table[slot].input.keep(in: kept, blocks)
        if !isWhole { close(slot, .closedPoolDry) }
    }

    /// Moves all input of a connection into one lodging, if it is no longer than that: there are
    /// not many more lodgings than connections. False: there is none, or it lies in one already.
    private mutating func lodgeTogether(_ slot: Int) -> Bool {
        let count = connections[slot].input.count
        var id = connections[slot].input.first
        guard count <= ServerLimits.blockBytes, blocks[id].next != nobody,
            let fresh = openLodging(count)
        else { return false }
        let target = blocks.place(fresh)
        var filled = 0
        while id != nobody {
            let (block, place) = (blocks[id], blocks.place(id))
            target.region.copy(
                from: place.region, at: place.offset + Int(block.start),
                to: target.offset + filled, count: block.count)
            filled += block.count
            release(id)
            id = block.next
        }
        precondition(filled == count)
        var kept = Chain()
        blocks.append(fresh, to: &kept)
        connections[slot].input.keep(in: kept, blocks)
        return true
    }

    /// The block that a block of input goes on in as it is: itself, or a lodging. Nil: its content
    /// is to be copied behind that of the blocks before it.
    private mutating func moved(_ id: UInt32, isShort: Bool, lodges: Bool) -> UInt32? {
        if blocks.isLodging(id) { return isShort && !lodges ? nil : id }
        if lodges, let lodging = lodge(id) { return lodging }
        return blocks.isReceived(id) || isShort && !blocks.isSmall(id) ? nil : id
    }

    /// Whether what a connection has sent lies better in the cache's memory: it cannot be executed
    /// now, whoever is to blame, and the pool is short of room for those who can be.
    private mutating func shouldLodge(_ slot: Int) -> Bool {
        (connections[slot].wait != .nothing || connections[slot].isBehind) && !blocks.isRoomy
    }

    /// Copies a block's content to the cache's memory; nil if there is none now.
    private mutating func lodge(_ id: UInt32) -> UInt32? {
        let count = blocks[id].count
        guard let lodging = openLodging(count) else { return nil }
        let (source, target) = (blocks.place(id), blocks.place(lodging))
        target.region.copy(
            from: source.region, at: source.offset + Int(blocks[id].start), to: target.offset,
            count: count)
        return lodging
    }

    /// A lodging for so many bytes; nil if there is none now.
    private mutating func openLodging(_ count: Int) -> UInt32? {
        guard count > 0, blocks.hasLodging, let room = door.openInputRoom(bytes: count) else {
            return nil
        }
        return blocks.lodge(room, at: door.inputRoomOffset(room), count: count)
    }

    // MARK: Receiving

    /// Arms or cancels the receive, as the connection's state asks for.
    private mutating func updateReceive(_ slot: Int) {
        let table = connections
        if table[slot].shouldReceive {
            guard table[slot].receiving.isIdle, !intake.isStarved(slot) else { return }
            guard blocks.lentCount > 0, !intake.isAnyoneStarved else {
                starve(slot)
                return
            }
            armReceive(slot)
        } else {
            cancelReceive(slot)
        }
    }

    /// - Parameter isEmpty: nothing has arrived, and there is no buffer for it yet.
    mutating func armReceive(_ slot: Int, isEmpty: Bool = false) {
        let table = connections
        let socket = Socket(descriptor: table[slot].descriptor)
        let isScarce = isEmpty || intake.isScarce(at: now.nanoseconds)
        if table[slot].receiving.arm(isScarce: isScarce, at: now.nanoseconds) {
            ring.receiveOnce(socket, whenReadable: isEmpty, token: token(.receive, slot))
        } else {
            ring.receive(socket, token: token(.receive, slot))
        }
        table[slot].outstanding += 1
    }

    mutating func cancelReceive(_ slot: Int) {
        let table = connections
        guard table[slot].receiving.mayCancel else { return }
        ring.cancel(token(.receive, slot), token: token(.cancel, slot))
        table[slot].receiving.cancel()
        table[slot].outstanding += 1
        counters.add(.receivesCancelled)
    }

    @inline(__always)
    mutating func token(_ operation: Token.Operation, _ slot: Int) -> Token {
        Token(
            operation, slot: UInt32(truncatingIfNeeded: slot),
            generation: connections[slot].generation)
    }
}
