// PostponedReads: gets whose records lie on disk, and that have no slot to be read with for now.
//
// Slots are few, and nobody waits for one that is held for a peer that takes nothing, or for
// memory. There the read is given up: its part keeps the key, and is looked up again when it is
// the front of the queue and could leave. No later change of the connection is executed before,
// so what it finds is what the get may answer. How reads go otherwise is in DiskReads.

internal import Memcache
internal import Primitives
internal import Store

/// What a part keeps of a read that was given up, besides its key.
struct PostponedRead: BitwiseCopyable {
    var keyBytes: UInt16 = 0
    var sendsCas = false
    var endsKeys = false
    /// It was counted as a hit when it was read before.
    var isCounted = false
    /// The connection waits for what it needs.
    var isAwaited = false
    /// Memory that it needs, as far as is known.
    var wantedBytes: UInt32 = 0
    var binary: BinaryHead?
}

extension Worker where Network: ~Copyable {
    /// Gives a get's read up until it can leave, if parts are not scarce.
    mutating func postpone(_ number: Int) {
        let slot = Int(reads[number].connection)
        guard !reads[number].isChange, !reads[number].isOrphan,
            parts.vacantCount > configuration.connectionsMax
        else { return }
        let part = Int(reads[number].part)
        let count = Int(reads[number].keyBytes)
        let key = Location(region: readBytes, offset: keyOffset(number))
        if count <= ServerLimits.partInlineBytes {
            partBytes.copy(
                from: key.region, at: key.offset, to: part * ServerLimits.partInlineBytes,
                count: count)
        } else {
            var chain = Chain()
            guard blocks.append(key, count: count, to: &chain, isOutput: true) == count else {
                return blocks.give(&chain)
            }
            parts[part].chain = chain
        }
        parts[part].postponed = PostponedRead(
            keyBytes: UInt16(count), sendsCas: reads[number].sendsCas,
            endsKeys: reads[number].endsKeys,
            isCounted: reads[number].isCounted || reads[number].isDecided,
            wantedBytes: UInt32(reads[number].wantedBytes), binary: reads[number].binary)
        parts[part].kind = .postponed
        parts[part].read = nobody
        connections[slot].diskReads.postpone()
        endRead(number, nil)
        freeRead(number)
        if isFrontReady(slot) { markReady(slot) }
    }

    /// The front of the queue is a read that was given up: it is answered, read again, or its
    /// connection waits. True: it is answered.
    mutating func resumeRead(_ slot: Int, _ part: Int, _ space: consuming ReplySpace) -> Bool {
        switch connections[slot].wait {
        case .penalty, .events: return false
        default: break
        }
        if !parts[part].postponed.isAwaited {
            // What the request behind it has waited for is another thing.
            parts[part].postponed.isAwaited = true
            connections[slot].waiting.restart(at: now.nanoseconds)
        }
        let asked = askedByPart(part)
        guard !hasWaitedTooLong(slot) else {
            counters.add(.waitsExpired)
            if !parts[part].postponed.isCounted { counters.add(.missesTimedOut) }
            return endAsMiss(slot, part, asked, space)
        }
        let hash = asked.key.region.withBytes(asked.key.offset, asked.keyBytes) { door.hash($0) }
        let lookup = asked.key.region.withBytes(asked.key.offset, asked.keyBytes) {
            door.find($0, hash: hash, except: Differing())
        }
        switch lookup {
        case .memory(let found): return answer(slot, part, asked, found, space)
        case .disk(let read):
            if read.isLoad {
                requestLoad(slot, read)
            } else {
                readPostponed(slot, part, asked, read)
            }
            return false
        case .dead(let death):
            countDeath(death)
            return endAsMiss(slot, part, asked, space)
        case .miss:
            return endAsMiss(slot, part, asked, space)
        }
    }

    /// Where a part has its key.
    private mutating func askedByPart(_ part: Int) -> AskedRead {
        let kept = parts[part].postponed
        var key = Location(region: partBytes, offset: part * ServerLimits.partInlineBytes)
        let head = parts[part].chain.head
        if head != nobody {
            key = blocks.place(head)
            key.offset += Int(blocks[head].start)
        }
        return AskedRead(
            key: key, keyBytes: Int(kept.keyBytes), sendsCas: kept.sendsCas,
            endsKeys: kept.endsKeys, binary: kept.binary)
    }

    /// Begins the read with the memory that it needs, so that its slot waits for nothing; or the
    /// connection waits for memory, or for a slot.
    private mutating func readPostponed(
        _ slot: Int, _ part: Int, _ asked: AskedRead, _ read: DiskRead
    ) {
        let kept = parts[part].postponed
        guard let place = openPlace(slot, bytes: Int(kept.wantedBytes)) else {
            door.abandon(read)
            counters.add(.waitsForMemory)
            beginWait(slot, .frames)
            // What it needs is free again in a moment, whoever stands in line for more.
            if takesAtOnce(slot, bytes: Int(kept.wantedBytes)) { queues[.frames].prefer(slot) }
            return wantFrames()
        }
        guard
            let number = takeRead(
                slot, asked.key, Slice(offset: 0, count: UInt32(asked.keyBytes)), read)
        else { return door.closeReadRoom(place) }
        reads[number].part = UInt32(part)
        reads[number].sendsCas = kept.sendsCas
        reads[number].endsKeys = kept.endsKeys
        reads[number].binary = kept.binary
        reads[number].isCounted = kept.isCounted
        reads[number].readPlace = place
        reads[number].wantedBytes = Int(kept.wantedBytes)
        reads[number].startedAt = now.nanoseconds
        parts[part].kind = .read
        parts[part].read = UInt32(number)
        connections[slot].diskReads.takeUp()
        endPostponed(slot, part)
        counters.add(.diskReads)
        startLongRead(number)
    }

    /// Memory for the record at the front of a connection's queue.
    private mutating func openPlace(_ slot: Int, bytes: Int) -> Staging? {
        if mayTake(slot, .frames), let place = door.openReadRoom(bytes: bytes) { return place }
        guard takesAtOnce(slot, bytes: bytes) else { return nil }
        return door.openReadRoom(bytes: bytes, isBrief: true)
    }

    /// The value has come to memory meanwhile.
    private mutating func answer(
        _ slot: Int, _ part: Int, _ asked: AskedRead, _ found: Found, _ space: consuming ReplySpace
    ) -> Bool {
        let isLarge = found.valueBytes > Door.copyBytesMax || found.isChained
        let pin = isLarge && mayTake(slot, .pins) ? door.pin(found) : nil
        guard pin != nil || !isLarge else {
            door.release(found)
            counters.add(.waitsForPin)
            beginWait(slot, .pin)
            want(.pins)
            return false
        }
        var writer = replyWriter(space)
        writeHead(asked, flags: found.flags, bytes: found.valueBytes, cas: found.cas, to: &writer)
        if pin == nil {
            writer.append(door.memory, found.valueOffset, found.valueBytes)
            writeEnd(asked, to: &writer)
        }
        door.release(found)
        keepReply(slot, count: writer.count, space)
        if let pin { sendPinned(slot, found, pin, endsKeys: asked.endsKeys) }
        if !parts[part].postponed.isCounted { counters.add(.getHits) }
        endPostponed(slot, part)
        endOpenRead(slot)
        return true
    }

    /// The value is gone, or nothing to read it with came free in time.
    private mutating func endAsMiss(
        _ slot: Int, _ part: Int, _ asked: AskedRead, _ space: consuming ReplySpace
    ) -> Bool {
        var writer = replyWriter(space)
        writeMiss(asked, to: &writer)
        if writer.count > 0 { keepReply(slot, count: writer.count, space) }
        if !parts[part].postponed.isCounted { counters.add(.getMisses) }
        endPostponed(slot, part)
        endOpenRead(slot)
        return true
    }

    /// A part needs its key no more; what its connection waited for, for its sake, has come.
    private mutating func endPostponed(_ slot: Int, _ part: Int) {
        var chain = parts[part].chain
        blocks.give(&chain)
        parts[part].chain = chain
        connections[slot].diskReads.endPostponed()
        if connections[slot].wait == .nothing { connections[slot].waiting.done() }
    }
}
