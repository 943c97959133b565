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
        switch pinLarge(index, found) {
        case .pinned(let pin):
            sendLarge(index, found, pin, space)
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

    /// Keeps a large value's memory; `found` is released.
    mutating func pinLarge(_ index: Int, _ found: Found) -> Pinned {
        let slot = Int(batch[index].slot)
        if connections[slot].changeOffset >= 0 { deferChanges(slot) }
        guard connections[slot].firstPart == nobody, connections[slot].phase == .open else {
            door.release(found)
            if connections[slot].phase == .open { beginWait(slot, .parts) }
            return .waits
        }
        let pin = mayTake(slot, .pins) || hasWaitedTooLong(slot) ? door.pin(found) : nil
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

    /// Writes a pinned value's line; the value follows by itself.
    mutating func sendLarge(
        _ index: Int, _ found: Found, _ pin: Pin, _ space: consuming ReplySpace
    ) {
        let slot = Int(batch[index].slot)
        let request = batch[index].request
        var key = batch[index].input
        key.offset += Int(request.key.offset)
        var writer = replyWriter(space)
        if request.isBinary {
            key.region.withBytes(key.offset, Int(request.key.count)) {
                BinaryReply.value(
                    request.head, $0, flags: found.flags, bytes: found.valueBytes,
                    cas: shownCas(found.cas), to: &writer)
            }
        } else {
            writeValueLine(
                key, Int(request.key.count), flags: found.flags, bytes: found.valueBytes,
                cas: request.verb == .gets || request.verb == .gats ? found.cas : nil,
                to: &writer)
        }
        keepReply(slot, count: writer.count, space)
        sendPinned(slot, found, pin)
        connections[slot].owesEnd = batch[index].endsKeys
    }

    /// The value itself follows what was written of its reply.
    mutating func sendPinned(_ slot: Int, _ found: Found, _ pin: Pin) {
        connections[slot].pin = pin
        pinCount += 1
        connections[slot].largeSource = .pin
        connections[slot].largeIndex = 0
        connections[slot].largeBytes = found.valueBytes
        connections[slot].owesEnd = false
        watch(slot)
    }

    /// What of a large value is to be sent next, in the store's memory.
    mutating func largePiece(_ slot: Int) -> (offset: Int, count: Int) {
        let index = connections[slot].largeIndex
        if connections[slot].largeSource == .pin, let pin = connections[slot].pin {
            return door.piece(pin, from: index)
        }
        return (connections[slot].largeOffset + index, connections[slot].largeBytes - index)
    }

    /// A large value was sent, or its connection is gone.
    mutating func endLarge(_ slot: Int) {
        if let pin = connections[slot].pin {
            door.unpin(pin)
            pinCount -= 1
            isPinFreed = true
            connections[slot].pin = nil
        }
        if let place = connections[slot].readPlace {
            door.closeReadRoom(place)
            connections[slot].readPlace = nil
        }
        connections[slot].largeSource = .none
        connections[slot].largeBarrier = 0
    }

    // MARK: In

    /// A storage command at the cursor, whose value is received straight into the store.
    mutating func beginStaging(_ slot: Int) {
        let table = connections
        let id = table[slot].cursor
        var place = blocks.place(id)
        place.offset += Int(table[slot].position)
        let count = Int(blocks[id].end - table[slot].position)
        let header = place.region.withBytes(place.offset, count) {
            table[slot].parser.storageHeader($0)
        }
        guard let (request, consumed) = header else {
            close(slot, .closedByFault)
            return
        }
        guard table[slot].openReads == 0 else {
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
        if mayTake(slot, .frames) || isRefusedMemory(slot) {
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
            acceptStorage(slot, request, key: place, keyStart, consumed)
            counters.add(.waitsExpired)
            refuseStaging(slot, space)
            return
        }
        acceptStorage(slot, request, key: place, keyStart, consumed)
        beginFilling(slot, staging)
    }

    /// The value of a command that was taken has its place.
    mutating func beginFilling(_ slot: Int, _ staging: Staging) {
        connections[slot].staging = staging
        connections[slot].stagedBytes = 0
        expectLarge(slot)
        // What could not come while it waited is not its fault.
        connections[slot].requestSince = now.nanoseconds
        connections[slot].stagingPhase = .filling
        stagingCount += 1
        watch(slot)
        goOnStaging(slot)
    }

    /// Who sends a large value may send another: its line is received alone then, and the rest
    /// straight into its place. A receive that stays armed would bring it in buffers, all at once.
    private mutating func expectLarge(_ slot: Int) {
        guard connections[slot].stagedRequest.valueBytes > ServerLimits.inputBytesHigh else { return }
        connections[slot].singleReceives = ServerLimits.singleReceives
    }

    /// There is no place for the value of the command at the cursor. A short one may come into a
    /// block meanwhile, while there are many.
    mutating func waitForPlace(_ slot: Int, _ request: Request, _ consumed: Int) {
        let bytes = consumed + Int(request.valueBytes) + request.trailerBytes
        guard bytes > ServerLimits.blockBytes || !blocks.isRoomy else {
            connections[slot].isPartial = true
            return
        }
        counters.add(.waitsForMemory)
        connections[slot].stagedRequest = request
        expectLarge(slot)
        intake.waitForPlace(slot)
        beginWait(slot, .frames)
        wantFrames()
        givePlaces()
        _ = relieve(.pins, sparing: slot)
    }

    /// The command at the cursor is taken: its key is kept, and its line is behind the cursor.
    private mutating func acceptStorage(
        _ slot: Int, _ request: Request, key place: Location, _ keyStart: Int, _ consumed: Int
    ) {
        keys.copy(
            from: place.region, at: keyStart, to: slot * ServerLimits.keyBytes,
            count: Int(request.key.count))
        intake.endWaitForPlace(slot)
        connections[slot].stagedRequest = request
        connections[slot].position += UInt32(consumed)
        connections[slot].inputBytes -= consumed
        connections[slot].waitingSince = 0
    }

    /// There was no memory in time: the value is dropped as it comes, and so is the old one.
    mutating func refuseStaging(_ slot: Int, _ space: consuming ReplySpace) {
        let request = connections[slot].stagedRequest
        connections[slot].swallow = UInt64(request.valueBytes) + UInt64(request.trailerBytes)
        counters.add(.setCommands)
        counters.add(.storeNoMemory)
        let isSet =
            request.isBinary
            ? connections[slot].stagedMeta.set.mode == .set
            : request.verb == .set || request.verb == .metaSet
        if isSet { forgetStagedKey(slot) }
        if request.isBinary {
            answerBinaryError(slot, request.head, BinaryStatus.outOfMemory, space)
        } else if !request.isQuiet {
            var writer = replyWriter(space)
            Reply.outOfMemory(to: &writer)
            addReply(slot, writer, space)
        }
        dropInput(slot)
    }

    /// The old value must not outlive a set that failed.
    mutating func forgetStagedKey(_ slot: Int) {
        let place = Location(region: keys, offset: slot * ServerLimits.keyBytes)
        let count = Int(connections[slot].stagedRequest.key.count)
        let hash = place.region.withBytes(place.offset, count) { door.hash($0) }
        forget(slot, place, count, hash)
    }

    /// Takes what has arrived of a large value, then its line end, then executes the command.
    /// The batch must be empty.
    mutating func goOnStaging(_ slot: Int) {
        guard let staging = connections[slot].staging else { return }
        if connections[slot].stagingPhase == .filling {
            takeStaged(slot, staging)
            if connections[slot].stagedBytes == staging.valueBytes {
                connections[slot].endFilling()
            }
        }
        let hasLineEnd =
            connections[slot].stagingPhase == .lineEnd && connections[slot].inputBytes >= 2
        guard hasLineEnd || connections[slot].stagingPhase == .storing else { return }
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
            connections[slot].stagingPhase = .storing
        }
        storeStaged(slot, staging, space)
    }

    private mutating func takeStaged(_ slot: Int, _ staging: Staging) {
        let table = connections
        while table[slot].stagedBytes < staging.valueBytes, table[slot].inputBytes > 0 {
            trimInput(slot)
            let id = table[slot].cursor
            let piece = door.piece(staging, from: table[slot].stagedBytes)
            let part = min(piece.count, Int(blocks[id].end - table[slot].position))
            let source = blocks.place(id)
            door.memory.copy(
                from: source.region, at: source.offset + Int(table[slot].position),
                to: piece.offset, count: part)
            table[slot].position += UInt32(part)
            table[slot].inputBytes -= part
            table[slot].stagedBytes += part
        }
    }

    /// The next byte of the input, of which there is one.
    private mutating func takeByte(_ slot: Int) -> UInt8 {
        trimInput(slot)
        let place = blocks.place(connections[slot].cursor)
        let byte = place.region.uint8(at: place.offset + Int(connections[slot].position))
        connections[slot].position += 1
        connections[slot].inputBytes -= 1
        return byte
    }

    /// No line end where the value should end.
    private mutating func refuseStaged(
        _ slot: Int, _ staging: Staging, _ space: consuming ReplySpace
    ) {
        door.abandon(staging)
        endStaging(slot)
        guard !connections[slot].stagedRequest.isQuiet else { return }
        var writer = replyWriter(space)
        Reply.fault(.badDataChunk, to: &writer)
        addReply(slot, writer, space)
    }

    private mutating func storeStaged(
        _ slot: Int, _ staging: Staging, _ space: consuming ReplySpace
    ) {
        guard connections[slot].openReads == 0 else {
            beginWait(slot, .reads)
            return
        }
        let request = connections[slot].stagedRequest
        if request.verb == .metaSet { return storeMetaStaged(slot, staging, space) }
        if request.isBinary { return storeBinaryStaged(slot, staging, space) }
        let outcome = door.store(
            storeMode(request.verb), staging: staging,
            isExpired: absolute(request.expiry).isExpired, cas: request.cas,
            except: connections[slot].differing)
        let key = Slice(offset: 0, count: request.key.count)
        let place = Location(region: keys, offset: slot * ServerLimits.keyBytes)
        switch finishChange(slot, place, key, outcome) {
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
            connections[slot].waitingSince = 0
            connections[slot].differing = Differing()
            answerStore(slot, request, outcome, space)
        }
    }

    mutating func endStaging(_ slot: Int) {
        stagingCount -= 1
        connections[slot].staging = nil
        connections[slot].stagingPhase = .none
    }

    /// Receives the next piece of a large value straight into its place, once nothing else is
    /// being received.
    mutating func fill(_ slot: Int) {
        let table = connections
        guard table[slot].stagingPhase == .filling, let staging = table[slot].staging,
            !table[slot].isFilling, !table[slot].isArmed, !table[slot].isCancelling,
            !table[slot].hasEnded, table[slot].inputBytes == 0
        else { return }
        let piece = door.piece(staging, from: table[slot].stagedBytes)
        ring.receive(
            Socket(descriptor: table[slot].descriptor), into: door.memory, at: piece.offset,
            count: min(piece.count, ServerLimits.sendBytesMax),
            token: token(.receiveInto, slot))
        table[slot].isFilling = true
        table[slot].outstanding += 1
    }

    /// Some of a large value has arrived in its place.
    mutating func takeFilling(_ slot: Int, _ result: Int32) {
        let table = connections
        guard table[slot].phase == .open, let staging = table[slot].staging else { return }
        switch result {
        case 1...:
            counters.add(.bytesRead, UInt64(result))
            table[slot].lastActive = now.nanoseconds
            table[slot].stagedBytes += Int(result)
            precondition(table[slot].stagedBytes <= staging.valueBytes)
            if table[slot].stagedBytes == staging.valueBytes { table[slot].endFilling() }
        case 0:
            table[slot].hasEnded = true
        case -EINTR, -EAGAIN:
            break
        default:
            close(slot, .closedByError)
        }
    }
}
