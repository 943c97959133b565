// LargeValues: values that do not fit a buffer, on their way out and on their way in.
//
// Out: the value's memory is pinned (or was read into memory of the store) and sent from there,
// piece by piece; its line went before, its line end follows. In: the store gives room of its own
// outside the log, and the bytes are received straight into it; a record comes to be only when
// all have arrived. Nothing here holds up another connection.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Store
internal import Uring

/// What asking for a hold on a large value came to.
enum Pinned: BitwiseCopyable {
    case pinned(Pin)
    /// There is no pin, and no need of one: `copyLarge`, which releases what was found.
    case copied
    /// The connection waits.
    case waits
    /// It has waited too long.
    case refused
}

extension Worker where Network: ~Copyable {
    // MARK: Out

    /// Answers a get with a value that is sent from where it lies; `found` is released. False:
    /// not now, the connection waits.
    mutating func beginLarge(
        _ index: Int, _ found: Found, _ space: consuming ReplySpace
    ) -> Bool {
        if isCopied(found) {
            door.release(found)
            refuseRoom(Int(batch[index].slot))
            return false
        }
        switch pinLarge(index, found, mayCopy: true) {
        case .pinned(let pin):
            sendLarge(index, found, pin, space)
            return true
        case .copied:
            copyLarge(index, found, space)
            return true
        case .waits:
            return false
        case .refused:
            return answerMiss(index, space)
        }
    }

    /// Whether a value is not large at all, but too long for the room that there is.
    func isCopied(_ found: Found) -> Bool {
        found.valueBytes <= Door.copyBytesMax && !found.isChained
    }

    /// Keeps a large value's memory; `found` is released, unless it is to be copied, which the
    /// caller must allow.
    mutating func pinLarge(_ index: Int, _ found: Found, mayCopy: Bool = false) -> Pinned {
        let slot = Int(batch[index].slot)
        if connections[slot].replies.hasChanges { deferChanges(slot) }
        guard connections[slot].deferred.isEmpty, connections[slot].phase == .open else {
            door.release(found)
            if connections[slot].phase == .open { beginWait(slot, .parts) }
            return .waits
        }
        let pin = mayTake(slot, .pins) || hasWaitedTooLong(slot) ? door.pin(found) : nil
        if pin == nil, mayCopy, canCopy(slot, found) { return .copied }
        door.release(found)
        if let pin { return .pinned(pin) }
        guard !hasWaitedTooLong(slot) else {
            counters.add(.waitsExpired)
            return .refused
        }
        counters.add(.waitsForPin)
        beginWait(slot, .pin)
        want(.pins)
        _ = relieve(.pins, sparing: slot)
        return .waits
    }

    /// Whether a large value needs no pin: its socket is sure to take all of it now, so who reads
    /// is answered, whatever others hold.
    private mutating func canCopy(_ slot: Int, _ found: Found) -> Bool {
        let count = found.valueBytes + ServerLimits.replyBytesMax - Door.copyBytesMax
        return found.valueBytes <= ServerLimits.copiedLargeBytesMax && !found.isChained
            && connections[slot].replies.count == 0
            && output.hasRoom(for: count) && socketRoom(slot) >= count
    }

    /// Writes a large value as if it were none.
    mutating func copyLarge(_ index: Int, _ found: Found, _ space: consuming ReplySpace) {
        let slot = Int(batch[index].slot)
        var writer = replyWriter(space)
        writeLargeHead(index, found, to: &writer)
        writer.append(door.memory, found.valueOffset, found.valueBytes)
        door.release(found)
        if !batch[index].request.isBinary {
            Reply.lineEnd(to: &writer)
            if batch[index].endsKeys { Reply.end(to: &writer) }
        }
        addReply(slot, writer, space)
    }

    /// Writes a pinned value's line; the value follows by itself.
    mutating func sendLarge(
        _ index: Int, _ found: Found, _ pin: Pin, _ space: consuming ReplySpace
    ) {
        let slot = Int(batch[index].slot)
        var writer = replyWriter(space)
        writeLargeHead(index, found, to: &writer)
        keepReply(slot, count: writer.count, space)
        sendPinned(slot, found, pin, endsKeys: batch[index].endsKeys)
    }

    private mutating func writeLargeHead(
        _ index: Int, _ found: Found, to writer: inout ByteWriter
    ) {
        let request = batch[index].request
        var key = batch[index].input
        key.offset += Int(request.key.offset)
        if request.isBinary {
            var copy = writer
            key.region.withBytes(key.offset, Int(request.key.count)) {
                BinaryReply.value(
                    request.head, $0, flags: found.flags, bytes: found.valueBytes,
                    cas: shownCas(found.cas), to: &copy)
            }
            writer = copy
        } else {
            writeValueLine(
                key, Int(request.key.count), flags: found.flags, bytes: found.valueBytes,
                cas: request.verb == .gets || request.verb == .gats ? found.cas : nil,
                to: &writer)
        }
    }

    /// The value itself follows what was written of its reply.
    mutating func sendPinned(_ slot: Int, _ found: Found, _ pin: Pin, endsKeys: Bool = false) {
        var value = Outgoing(.pin(pin), valueBytes: found.valueBytes)
        value.endsKeys = endsKeys
        beginOutgoing(slot, value)
        watch(slot)
    }

    /// A large value is to be sent next, and nothing else before it is.
    mutating func beginOutgoing(_ slot: Int, _ value: Outgoing) {
        precondition(connections[slot].outgoing == nobody)
        connections[slot].outgoing = transfers.outgoing.take(value)
    }

    /// The value that was begun waits for the commit of what its get has changed.
    mutating func holdLarge(_ slot: Int) {
        transfers.outgoing[connections[slot].outgoing].barrier = door.barrier()
    }

    /// What of a large value is to be sent next, in the store's memory.
    mutating func largePiece(_ slot: Int) -> (offset: Int, count: Int) {
        let value = transfers.outgoing[connections[slot].outgoing]
        let index = value.sentBytes
        switch value.source {
        case .pin(let pin): return door.piece(pin, from: index)
        case .place(_, let offset): return (offset + index, value.valueBytes - index)
        }
    }

    /// A large value was sent, or its connection is gone.
    mutating func endLarge(_ slot: Int) {
        let id = connections[slot].outgoing
        guard id != nobody else { return }
        switch transfers.outgoing[id].source {
        case .pin(let pin):
            door.unpin(pin)
            isPinFreed = true
        case .place(let place, _):
            door.closeReadRoom(place)
        }
        transfers.outgoing.give(id)
        connections[slot].outgoing = nobody
    }

    // MARK: In

    /// A storage command at the cursor, whose value is received straight into the store.
    mutating func beginStaging(_ slot: Int) {
        let table = connections
        let cursor = table[slot].input.cursor
        var place = blocks.place(cursor.block)
        place.offset += Int(cursor.position)
        let count = Int(blocks[cursor.block].end - cursor.position)
        let header = place.region.withBytes(place.offset, count) {
            table[slot].parser.storageHeader($0)
        }
        guard let (request, consumed) = header else {
            close(slot, .closedByFault)
            return
        }
        guard table[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return
        }
        if request.verb == .metaSet {
            return beginMetaStaging(slot, request, place, consumed)
        }
        if request.isBinary { return beginBinaryStaging(slot, request, place, consumed) }
        let expiry = absolute(request.expiry)
        let keyStart = place.offset + Int(request.key.offset)
        var staging: Staging?
        if mayTakePlace(slot, request) {
            staging = place.region.withBytes(keyStart, Int(request.key.count)) { key in
                door.openStaging(
                    key: key, hash: door.hash(key), valueBytes: Int(request.valueBytes),
                    flags: request.flags, expiry: expiry.second)
            }
        }
        guard staging != nil || isRefusedMemory(slot) else {
            waitForPlace(slot, request, consumed)
            return
        }
        guard let staging else {
            // Without room for the reply, the command is looked at again.
            guard let space = takeSpace(for: slot) else { return }
            takeLine(slot, request, key: Location(region: place.region, offset: keyStart), consumed)
            counters.add(.waitsExpired)
            refuseStaging(slot, space)
            return
        }
        takeLine(slot, request, key: Location(region: place.region, offset: keyStart), consumed)
        beginFilling(slot, staging)
    }

    /// What the value of a request waits for if there is no place. A small one need not wait for
    /// large ones, which cannot take the frames that are left for such.
    private mutating func waitForPlace(_ request: Request) -> Wait {
        Int(request.valueBytes) <= door.sharedValueBytesMax ? .place : .frames
    }

    /// Whether a connection may take a place for a value: nobody waits, or it is its turn.
    mutating func mayTakePlace(_ slot: Int, _ request: Request) -> Bool {
        let queue: Queued = waitForPlace(request) == .place ? .places : .frames
        return mayTake(slot, queue) || isRefusedMemory(slot)
    }

    /// The value of a command that was taken has its place.
    mutating func beginFilling(_ slot: Int, _ staging: Staging) {
        let id = connections[slot].incoming
        let request = transfers.incoming[id].request
        transfers.incoming[id].staging = staging
        connections[slot].arrival.begin(
            valueBytes: request.valueBytes, hasLineEnd: !request.isBinary)
        expectLarge(slot, request)
        // What could not come while it waited is not its fault.
        connections[slot].input.begin(at: now.nanoseconds)
        watch(slot)
        goOnStaging(slot)
    }

    /// Who sends a large value may send another: its line is received alone then, and the rest
    /// straight into its place. A receive that stays armed would bring it in buffers, all at once.
    private mutating func expectLarge(_ slot: Int, _ request: Request) {
        guard request.valueBytes > ServerLimits.inputBytesHigh else { return }
        connections[slot].receiving.expectLarge()
    }

    /// There is no place for the value of the command at the cursor. A short one may come into a
    /// block meanwhile, while there are many.
    mutating func waitForPlace(_ slot: Int, _ request: Request, _ consumed: Int) {
        let bytes = consumed + Int(request.valueBytes) + request.trailerBytes
        guard bytes > ServerLimits.blockBytes || !blocks.isRoomy else {
            connections[slot].input.awaitRest()
            return
        }
        counters.add(.waitsForMemory)
        connections[slot].waiting.want(bytes: request.valueBytes)
        expectLarge(slot, request)
        intake.waitForPlace(slot)
        beginWait(slot, waitForPlace(request))
        wantFrames()
        givePlaces()
        _ = relieve(.pins, sparing: slot)
    }

    /// The command at the cursor is taken: it and its key are kept, and its line is behind the
    /// cursor.
    mutating func takeLine(
        _ slot: Int, _ request: Request, _ meta: StagedMeta = StagedMeta(), key: Location,
        _ consumed: Int
    ) {
        precondition(connections[slot].incoming == nobody)
        var kept = Incoming(staging: nil, request: request, meta: meta)
        kept.request.key = Slice(offset: 0, count: request.key.count)
        let id = transfers.incoming.take(kept)
        connections[slot].incoming = id
        let place = transfers.keyPlace(id)
        place.region.copy(
            from: key.region, at: key.offset, to: place.offset, count: Int(request.key.count))
        passLine(slot, consumed)
    }

    /// The line of a storage command is behind the cursor.
    mutating func passLine(_ slot: Int, _ consumed: Int) {
        intake.endWaitForPlace(slot)
        connections[slot].input.consume(consumed)
        connections[slot].waiting.done()
    }

    /// A command that was taken is answered; or its connection is closed, which comes first.
    mutating func giveIncoming(_ slot: Int) {
        guard connections[slot].incoming != nobody else { return }
        transfers.incoming.give(connections[slot].incoming)
        connections[slot].incoming = nobody
    }

    /// There was no memory in time: the value is dropped as it comes, and so is the old one.
    mutating func refuseStaging(_ slot: Int, _ space: consuming ReplySpace) {
        let incoming = transfers.incoming[connections[slot].incoming]
        let request = incoming.request
        connections[slot].input.drop(
            next: UInt64(request.valueBytes) + UInt64(request.trailerBytes))
        counters.add(.setCommands)
        counters.add(.storesFailed)
        counters.add(.storeNoMemory)
        let isSet =
            request.isBinary
            ? incoming.meta.set.mode == .set
            : request.verb == .set || request.verb == .metaSet
        if isSet { forgetStagedKey(slot) }
        if request.isBinary {
            answerBinaryError(slot, request.head, BinaryStatus.outOfMemory, space)
        } else if !request.isQuiet {
            var writer = replyWriter(space)
            Reply.outOfMemory(to: &writer)
            addReply(slot, writer, space)
        }
        giveIncoming(slot)
        dropInput(slot)
    }

    /// The old value must not outlive a set that failed.
    mutating func forgetStagedKey(_ slot: Int) {
        let id = connections[slot].incoming
        let place = transfers.keyPlace(id)
        let count = Int(transfers.incoming[id].request.key.count)
        let hash = place.region.withBytes(place.offset, count) { door.hash($0) }
        forget(slot, place, count, hash)
    }

    /// Takes what has arrived of a large value, then its line end, then executes the command.
    /// The batch must be empty.
    mutating func goOnStaging(_ slot: Int) {
        guard let staging = staging(of: slot) else { return }
        takeStaged(slot, staging)
        let hasLineEnd =
            connections[slot].arrival.phase == .lineEnd && connections[slot].input.count >= 2
        guard hasLineEnd || connections[slot].arrival.phase == .storing else { return }
        // From here on there is an answer.
        guard let space = takeSpace(for: slot) else {
            if connections[slot].wait == .nothing { markReady(slot) }
            return
        }
        if hasLineEnd {
            let first = takeByte(slot)
            let second = takeByte(slot)
            guard first == UInt8(ascii: "\r"), second == UInt8(ascii: "\n") else {
                refuseStaged(slot, staging, space)
                return
            }
            connections[slot].arrival.passLineEnd()
        }
        storeStaged(slot, staging, space)
    }

    /// Where the value of a connection goes that is on its way in.
    private func staging(of slot: Int) -> Staging? {
        let id = connections[slot].incoming
        return id == nobody ? nil : transfers.incoming[id].staging
    }

    private mutating func takeStaged(_ slot: Int, _ staging: Staging) {
        let table = connections
        while table[slot].arrival.phase == .filling, table[slot].input.count > 0 {
            trimInput(slot)
            let cursor = table[slot].input.cursor
            let piece = door.piece(staging, from: table[slot].arrival.arrivedBytes)
            let part = min(piece.count, Int(blocks[cursor.block].end - cursor.position))
            let source = blocks.place(cursor.block)
            door.memory.copy(
                from: source.region, at: source.offset + Int(cursor.position),
                to: piece.offset, count: part)
            table[slot].input.consume(part)
            table[slot].arrival.add(part)
        }
    }

    /// The next byte of the input, of which there is one.
    private mutating func takeByte(_ slot: Int) -> UInt8 {
        trimInput(slot)
        let cursor = connections[slot].input.cursor
        let place = blocks.place(cursor.block)
        let byte = place.region.uint8(at: place.offset + Int(cursor.position))
        connections[slot].input.consume(1)
        return byte
    }

    /// No line end where the value should end.
    private mutating func refuseStaged(
        _ slot: Int, _ staging: Staging, _ space: consuming ReplySpace
    ) {
        let isQuiet = transfers.incoming[connections[slot].incoming].request.isQuiet
        door.abandon(staging)
        endStaging(slot)
        giveIncoming(slot)
        guard !isQuiet else { return }
        var writer = replyWriter(space)
        Reply.fault(.badDataChunk, to: &writer)
        addReply(slot, writer, space)
    }

    private mutating func storeStaged(
        _ slot: Int, _ staging: Staging, _ space: consuming ReplySpace
    ) {
        guard connections[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return
        }
        let id = connections[slot].incoming
        let request = transfers.incoming[id].request
        if request.verb == .metaSet { return storeMetaStaged(slot, staging, space) }
        if request.isBinary { return storeBinaryStaged(slot, staging, space) }
        let outcome = door.store(
            storeMode(request.verb), staging: staging,
            isExpired: absolute(request.expiry).isExpired, cas: request.cas,
            except: connections[slot].differing)
        switch finishChange(slot, transfers.keyPlace(id), request.key, outcome) {
        case .waits:
            return
        case .refused:
            door.abandon(staging)
            endStaging(slot)
            if request.verb == .set { forgetStagedKey(slot) }
            answerOutOfMemory(slot, isQuiet: request.isQuiet, space)
        case .done(let outcome):
            endStaging(slot)
            sighting.isStaged = true
            connections[slot].differing = Differing()
            answerStore(slot, request, outcome, space)
        }
        giveIncoming(slot)
    }

    /// The store has taken a value, or it was abandoned, and nothing is waited for any more; what
    /// is known of it is needed for the answer.
    mutating func endStaging(_ slot: Int) {
        connections[slot].waiting.done()
        transfers.incoming[connections[slot].incoming].staging = nil
        connections[slot].arrival.end()
    }

    /// Receives the next piece of a large value straight into its place, once nothing else is
    /// being received.
    mutating func fill(_ slot: Int) {
        let table = connections
        guard table[slot].arrival.phase == .filling, let staging = staging(of: slot),
            table[slot].receiving.isIdle, !table[slot].hasEnded, table[slot].input.count == 0
        else { return }
        let piece = door.piece(staging, from: table[slot].arrival.arrivedBytes)
        ring.receive(
            Socket(descriptor: table[slot].descriptor), into: door.memory, at: piece.offset,
            count: min(piece.count, ServerLimits.sendBytesMax),
            token: token(.receiveInto, slot))
        table[slot].receiving.fill()
        table[slot].outstanding += 1
    }

    /// Some of a large value has arrived in its place.
    mutating func takeFilling(_ slot: Int, _ result: Int32) {
        let table = connections
        guard table[slot].phase == .open, table[slot].arrival.phase == .filling else { return }
        switch result {
        case 1...:
            countReceived(slot, UInt64(result))
            table[slot].lastActive = now.nanoseconds
            table[slot].arrival.add(Int(result))
        case 0:
            table[slot].hasEnded = true
        case -EINTR, -EAGAIN:
            break
        default:
            close(slot, .closedByError)
        }
    }
}
