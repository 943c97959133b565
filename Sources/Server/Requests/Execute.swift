// Execute: the joint between the protocol and the store, for everything but changes.
//
// A parsed request becomes a call of the door, and what that came to becomes a reply. `execute`
// answers whether the request is done; if not, the connection's state says what it waits for, and
// the same request is executed again later. Changes are in ExecuteChanges.

internal import Memcache
internal import Primitives
internal import Store

/// What a get came to.
enum Got: BitwiseCopyable {
    case miss
    /// The reply is in the writer.
    case written(ByteWriter)
    case large(Found)
    case disk(DiskRead)
}

extension Worker where Network: ~Copyable {
    /// Executes one entry of the batch. False: not now.
    @inline(__always)
    mutating func execute(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        if !connections[slot].deferred.isEmpty,
            connections[slot].deferred.count > output.quota
        {
            beginWait(slot, .parts)
            return false
        }
        if !batch[index].isFault, batch[index].request.verb.rawValue <= Verb.gets.rawValue {
            return executeGet(index, space)
        }
        if !batch[index].isFault, batch[index].request.verb == .set {
            return executeStore(index, space)
        }
        if !batch[index].isFault, batch[index].request.verb == .metaGet {
            if isAbsent(index) { return answerAbsent(index, space) }
            return endingLongTurn(executeMeta(index, space))
        }
        return executeOther(index, space)
    }

    private mutating func executeOther(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        if batch[index].isFault { return executeFault(index, space) }
        let slot = Int(batch[index].slot)
        let request = batch[index].request
        switch request.verb {
        case .get, .gets: return executeGet(index, space)
        case .gat, .gats: return endingLongTurn(executeTouchedGet(index, space))
        case .set, .add, .replace, .cas: return executeStore(index, space)
        case .append, .prepend: return endingLongTurn(executeStore(index, space))
        case .delete: return executeDelete(index, space)
        case .incr, .decr: return executeArithmetic(index, space)
        case .touch: return endingLongTurn(executeTouch(index, space))
        case .flushAll: return executeFlush(index, space)
        case .quit:
            connections[slot].leaving = .asked
            if request.isBinary, !request.isQuiet {
                var writer = replyWriter(space)
                BinaryReply.done(request.head, to: &writer)
                addReply(slot, writer, space)
            }
            return true
        case .binary: return executeBinary(index, space)
        case .signIn, .metaSignIn: return executeSignIn(index, space)
        case .stats:
            guard mayHaveText(slot) else { return false }
            return endingTurnOfTexts(
                slot, counting(.statsCommands, executeStatistics(index, space)))
        case .slabs, .lru, .lruCrawler, .watch, .extstore:
            return counting(.otherCommands, executeAdministration(index, space))
        case .debugTime: return counting(.otherCommands, executeDebugTime(index, space))
        case .cacheMemlimit: return counting(.otherCommands, executeMemoryLimit(index, space))
        case .shutdown: return counting(.otherCommands, executeShutdown(index, space))
        case .metaGet, .metaSet, .metaDelete, .metaArithmetic:
            return endingLongTurn(executeMeta(index, space))
        case .metaDebug: return executeMetaDebug(index, space)
        case .keysEnd, .version, .verbosity, .noop:
            var writer = replyWriter(space)
            writePlain(request, to: &writer)
            if request.verb == .noop {
                addNoopReply(slot, writer, space)
            } else {
                addReply(slot, writer, space)
            }
            return true
        }
    }

    /// Passes on whether a request is done, and ends the turn if requests like it have copied much:
    /// others may have waited for that long enough.
    mutating func endingLongTurn(_ isDone: Bool) -> Bool {
        if bounds.isDraftedOut(door.draftedBytes) { output.close() }
        return isDone
    }

    /// Whether a connection may have a text in this turn. False: it comes again in the next, with
    /// others before it that have had none.
    mutating func mayHaveText(_ slot: Int) -> Bool {
        if bounds.hasText(slot) { markReady(slot) }
        return !bounds.hasText(slot)
    }

    /// Passes on whether a text was put together, and ends the turn if enough were: each takes as
    /// long as hundreds of other requests, however short it is.
    mutating func endingTurnOfTexts(_ slot: Int, _ isDone: Bool) -> Bool {
        if isDone, bounds.addText(slot) { output.close() }
        return isDone
    }

    /// Counts a request that is done; passes on whether it is.
    mutating func counting(_ counter: Counter, _ isDone: Bool) -> Bool {
        if isDone { counters.add(counter) }
        return isDone
    }

    private mutating func writePlain(_ request: Request, to writer: inout ByteWriter) {
        if request.verb != .keysEnd { counters.add(.otherCommands) }
        switch request.verb {
        case .keysEnd: Reply.end(to: &writer)
        case .noop: Reply.noop(to: &writer)
        case .version: Reply.version(ProtocolLevel.version, to: &writer)
        case .verbosity:
            shared.setVerbosity(request.delta)
            if !request.isQuiet { Reply.ok(to: &writer) }
        default: break
        }
    }

    // MARK: Getting

    private mutating func executeGet(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        counters.add(.getCommands)
        let sendsCas = batch[index].request.verb == .gets
        switch lookUp(index, sendsCas: sendsCas, space) {
        case .written(let writer):
            counters.add(.getHits)
            addReply(Int(batch[index].slot), writer, space)
            return true
        case .miss:
            return answerMiss(index, space)
        case .large(let found):
            if beginLarge(index, found, space) {
                counters.add(.getHits)
                return true
            }
            return undo(.getCommands)
        case .disk(let read):
            return getFromDisk(index, read, space) || undo(.getCommands)
        }
    }

    /// Takes back the count of a command that will be executed again.
    mutating func undo(_ counter: Counter) -> Bool {
        counters.add(counter, .max)
        return false
    }

    /// Counts a get that found a record it must not answer with.
    mutating func countDeath(_ death: Death) {
        switch death {
        case .removed: break
        case .expired: counters.add(.getExpired)
        case .flushed: counters.add(.getFlushed)
        }
    }

    /// A get that finds nothing.
    mutating func answerMiss(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        counters.add(.getMisses)
        return answerNothing(index, space)
    }

    mutating func answerNothing(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        if batch[index].endsKeys {
            var writer = replyWriter(space)
            Reply.end(to: &writer)
            addReply(Int(batch[index].slot), writer, space)
        }
        return true
    }

    /// Looks the key up, and writes the reply if the value is at hand.
    @inline(__always)
    private mutating func lookUp(
        _ index: Int, sendsCas: Bool, _ space: borrowing ReplySpace
    ) -> Got {
        let slot = Int(batch[index].slot)
        let place = batch[index].input
        let slice = batch[index].request.key
        return place.region.withBytes(place.offset &+ Int(slice.offset), Int(slice.count)) { key in
            let found: Found
            if let hinted = door.findHinted(
                key, hash: batch[index].hash, hint: batch[index].hint)
            {
                found = hinted
            } else {
                switch door.find(
                    key, hash: batch[index].hash, except: connections[slot].differing,
                    hint: batch[index].hint)
                {
                case .miss: return .miss
                case .dead(let death):
                    countDeath(death)
                    return .miss
                case .disk(let read): return .disk(read)
                case .memory(let other): found = other
                }
            }
            guard found.valueBytes <= space.valueBytesMax, !found.isChained else {
                return .large(found)
            }
            var writer = replyWriter(space)
            writeFound(key, found, index, sendsCas: sendsCas, to: &writer)
            return .written(writer)
        }
    }

    /// Writes the reply with a value that lies in memory, and releases it.
    @inline(__always)
    private mutating func writeFound(
        _ key: Span<UInt8>, _ found: Found, _ index: Int, sendsCas: Bool,
        to writer: inout ByteWriter
    ) {
        if sendsCas {
            Reply.value(
                key, flags: found.flags, bytes: found.valueBytes, cas: shownCas(found.cas),
                to: &writer)
        } else {
            Reply.value(key, flags: found.flags, bytes: found.valueBytes, to: &writer)
        }
        writer.append(door.memory, found.valueOffset, found.valueBytes)
        door.release(found)
        Reply.valueEnd(endsKeys: batch[index].endsKeys, to: &writer)
    }

    private mutating func getFromDisk(
        _ index: Int, _ read: DiskRead, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        guard !hasWaitedTooLong(slot) else {
            counters.add(.waitsExpired)
            counters.add(.missesTimedOut)
            door.abandon(read)
            return answerMiss(index, space)
        }
        if read.isLoad {
            requestLoad(slot, read)
            return false
        }
        return beginRead(index, read)
    }

    /// The first line of a value.
    mutating func writeValueLine(
        _ key: Location, _ keyBytes: Int, flags: UInt32, bytes: Int, cas: UInt64?,
        to writer: inout ByteWriter
    ) {
        key.region.withBytes(key.offset, keyBytes) { key in
            if let cas {
                Reply.value(key, flags: flags, bytes: bytes, cas: shownCas(cas), to: &writer)
            } else {
                Reply.value(key, flags: flags, bytes: bytes, to: &writer)
            }
        }
    }

    @inline(__always)
    mutating func shownCas(_ cas: UInt64) -> UInt64 {
        configuration.isCasDisabled ? 0 : cas
    }

    /// gat and gats: the value as it is, then a touch, which may be the end of it, in one step.
    private mutating func executeTouchedGet(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        guard connections[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return false
        }
        let lookup = lookTouching(index, valueBytesMax: space.valueBytesMax)
        switch lookup {
        case .found(let found):
            var writer = replyWriter(space)
            let place = batch[index].input
            let slice = batch[index].request.key
            let sendsCas = batch[index].request.verb == .gats
            place.region.withBytes(place.offset &+ Int(slice.offset), Int(slice.count)) {
                writeFound($0, found, index, sendsCas: sendsCas, to: &writer)
            }
            connections[slot].differing = Differing()
            addChangeReply(slot, writer, space)
            countTouchedGet(isHit: true)
            return true
        case .large(let found):
            return executeTouchedLarge(index, found, space)
        case .wait, .noOrder, .read:
            guard case .refused = settleTouched(index, lookup) else { return false }
        case .miss, .dead: break
        }
        countTouchedGet(isHit: false)
        return answerNothing(index, space)
    }

    /// Looks and touches; a value that is too long for the reply is only looked at.
    private mutating func lookTouching(_ index: Int, valueBytesMax: Int) -> TouchedLookup {
        let slot = Int(batch[index].slot)
        let place = batch[index].input
        let slice = batch[index].request.key
        let expiry = absolute(batch[index].request.expiry)
        return place.region.withBytes(place.offset &+ Int(slice.offset), Int(slice.count)) { key in
            door.findTouching(
                key, hash: batch[index].hash, expiry: expiry.second,
                isExpired: expiry.isExpired, valueBytesMax: valueBytesMax,
                except: connections[slot].differing)
        }
    }

    /// Memory, or a record, is waited for, as by any change.
    private mutating func settleTouched(_ index: Int, _ lookup: TouchedLookup) -> ChangeResult {
        let slot = Int(batch[index].slot)
        let key = batch[index].request.key
        switch lookup {
        case .read(let read): return finishChange(slot, batch[index].input, key, .read(read))
        case .noOrder: return finishChange(slot, batch[index].input, key, .noOrder)
        default: return finishChange(slot, batch[index].input, key, .wait)
        }
    }

    /// - Parameter record: where the record lies that it must be (`Found.recordOffset`).
    mutating func touchKey(_ index: Int, record: Int? = nil) -> ChangeResult {
        change(index) { door, key, hash, except, _, expiry in
            door.touch(
                key, hash: hash, expiry: expiry.second, isExpired: expiry.isExpired,
                record: record, except: except)
        }
    }

    /// A value that is pinned, and then touched if it still is the key's. With `ack` the line goes
    /// out at once, and the value when the touch is on disk.
    private mutating func executeTouchedLarge(
        _ index: Int, _ found: Found, _ space: consuming ReplySpace
    ) -> Bool {
        let slot = Int(batch[index].slot)
        if isCopied(found) {
            door.release(found)
            refuseRoom(slot)
            return false
        }
        switch pinLarge(index, found) {
        case .waits: return false
        case .refused, .copied: break
        case .pinned(let pin):
            let result = touchKey(index, record: found.recordOffset)
            if case .done(.touched) = result {
                sendLarge(index, found, pin, space)
                if door.isAcknowledging { holdLarge(slot) }
                countTouchedGet(isHit: true)
                return true
            }
            door.unpin(pin)
            if case .waits = result { return false }
            // Another value came in between: all over again.
            if case .done(.exists) = result { return executeTouchedGet(index, space) }
        }
        countTouchedGet(isHit: false)
        return answerNothing(index, space)
    }

    /// As memcached does: a touch, and no get.
    private mutating func countTouchedGet(isHit: Bool) {
        counters.add(.touchCommands)
        counters.add(isHit ? .touchHits : .touchMisses)
        counters.add(isHit ? .touchedGetHits : .touchedGetMisses)
    }

    // MARK: Statistics

    /// There is no room for a text that is longer than other replies. False: the connection waits.
    private mutating func waitForText(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        guard hasWaitedTooLong(slot) else {
            counters.add(.waitsForBlocks)
            wants.text = true
            beginWait(slot, .text)
            return false
        }
        counters.add(.waitsExpired)
        let request = batch[index].request
        if request.isBinary {
            answerBinaryError(slot, request.head, BinaryStatus.outOfMemory, space)
        } else {
            var writer = replyWriter(space)
            Reply.outOfMemoryAlone(to: &writer)
            addReply(slot, writer, space)
        }
        return true
    }

    mutating func executeStatistics(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        let place = batch[index].input
        let slice = batch[index].request.argument
        let argument = place.region.withBytes(
            place.offset + Int(slice.offset), Int(slice.count)
        ) { StatisticsRequest($0) }
        let request = batch[index].request
        if argument == .connections, !request.isBinary {
            beginListing(slot, .connections)
            return true
        }
        if !request.isBinary, !shared.settings.refused.contains(.dumping) {
            if case .dump(.list(let limit)) = argument {
                beginListing(slot, .dump, limit: limit)
                return true
            }
            if argument == .detail(.dump) {
                beginListing(slot, .prefixes)
                return true
            }
        }
        guard space.valueBytesMax == Door.copyBytesMax else {
            refuseRoom(slot)
            return false
        }
        var text = shared.text(argument, at: now)
        if request.isBinary { text = BinaryStatistics.packets(of: text, argument, request.head) }
        guard text.count <= ServerLimits.replyBytesMax || hasRoom(for: text.count, slot) else {
            return waitForText(index, space)
        }
        var writer = replyWriter(space)
        writer.append(text.span)
        guard !writer.overflowed || output.isEmpty else {
            // It may be longer than other replies: it has the next turn's output.
            output.close()
            return false
        }
        addReply(slot, writer, space)
        return true
    }
}
