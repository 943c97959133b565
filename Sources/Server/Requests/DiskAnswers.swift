// DiskAnswers: what a read from disk came to becomes the reply of its get.
//
// The read's part of the queue leaves with the record that was read, or becomes text first: if the
// key turns out to be in memory, or if it has taken too long. Reads themselves are in DiskReads.

internal import Memcache
internal import Primitives
internal import Store

/// What a get asked for whose record is on disk, and how its reply looks.
struct AskedRead: BitwiseCopyable {
    let key: Location
    let keyBytes: Int
    let sendsCas: Bool
    let endsKeys: Bool
    /// Of a binary get: what its reply repeats.
    let binary: BinaryHead?
}

extension Worker where Network: ~Copyable {
    /// Writes the answer of a decided read; true, as it leaves whole.
    mutating func emitRead(_ slot: Int, _ part: Int, _ space: consuming ReplySpace) -> Bool {
        let number = Int(parts[part].read)
        connections[slot].diskReads.leave()
        var writer = replyWriter(space)
        writeRead(number, to: &writer)
        if reads[number].bringsLarge, let record = reads[number].record {
            sendPlaced(slot, number, record)
            endOpenRead(slot)
        }
        if writer.count > 0 { keepReply(slot, count: writer.count, space) }
        freeRead(number)
        return true
    }

    /// The value itself follows, from where it was read to.
    private mutating func sendPlaced(_ slot: Int, _ number: Int, _ record: DiskRecord) {
        guard let place = reads[number].readPlace else {
            preconditionFailure("a record that fits the slot is copied")
        }
        reads[number].readPlace = nil
        var value = Outgoing(
            .place(place, offset: record.valueOffset), valueBytes: record.valueBytes)
        value.endsKeys = reads[number].endsKeys
        beginOutgoing(slot, value)
    }

    /// What the get asked for that a slot reads for.
    private mutating func asked(_ number: Int) -> AskedRead {
        AskedRead(
            key: Location(region: readBytes, offset: keyOffset(number)),
            keyBytes: Int(reads[number].keyBytes), sendsCas: reads[number].sendsCas,
            endsKeys: reads[number].endsKeys, binary: reads[number].binary)
    }

    /// Writes what a decided read came to; of a large value its line only.
    private mutating func writeRead(_ number: Int, to writer: inout ByteWriter) {
        if shared.observers.isActive { noteRead(number) }
        let asked = asked(number)
        guard let record = reads[number].record else { return writeMiss(asked, to: &writer) }
        writeHead(
            asked, flags: record.flags, bytes: record.valueBytes, cas: record.cas, to: &writer)
        guard record.valueBytes <= Door.copyBytesMax else { return }
        writer.append(bytes(of: number).region, record.valueOffset, record.valueBytes)
        writeEnd(asked, to: &writer)
    }

    /// What a get that finds nothing is answered with.
    mutating func writeMiss(_ asked: AskedRead, to writer: inout ByteWriter) {
        guard let head = asked.binary else {
            if asked.endsKeys { Reply.end(to: &writer) }
            return
        }
        guard !head.isQuiet else { return }
        var copy = writer
        asked.key.region.withBytes(asked.key.offset, asked.keyBytes) {
            BinaryReply.miss(head, $0, to: &copy)
        }
        writer = copy
    }

    /// What goes before a value.
    mutating func writeHead(
        _ asked: AskedRead, flags: UInt32, bytes: Int, cas: UInt64, to writer: inout ByteWriter
    ) {
        guard let head = asked.binary else {
            writeValueLine(
                asked.key, asked.keyBytes, flags: flags, bytes: bytes,
                cas: asked.sendsCas ? cas : nil, to: &writer)
            return
        }
        let shown = shownCas(cas)
        var copy = writer
        asked.key.region.withBytes(asked.key.offset, asked.keyBytes) {
            BinaryReply.value(head, $0, flags: flags, bytes: bytes, cas: shown, to: &copy)
        }
        writer = copy
    }

    /// What follows a value.
    mutating func writeEnd(_ asked: AskedRead, to writer: inout ByteWriter) {
        guard asked.binary == nil else { return }
        Reply.lineEnd(to: &writer)
        if asked.endsKeys { Reply.end(to: &writer) }
    }

    /// Others wait for read slots: what was read for connections that cannot be sent it now becomes
    /// text of theirs, before the output holds replies. Large values are read again when they can
    /// be sent; and what finds no memory waits without a slot.
    mutating func freeHeldReads() {
        for number in reads.used {
            let isHeld = reads[number].bringsLarge && isHeldBack(number)
            if isHeld || reads[number].state == .waitingForRoom { postpone(number) }
        }
        for number in reads.used where reads[number].isDecided && isHeldBack(number) {
            guard !reads[number].bringsLarge else { continue }
            guard hasRoom, let space = takeScratch() else {
                _ = relievePool(sparing: -1)
                return
            }
            var writer = replyWriter(space)
            writeRead(number, to: &writer)
            becomeText(number, Int(reads[number].connection), writer, space)
        }
    }

    /// Whether a decided read cannot leave, for as long as its peer, a commit or memory takes.
    private func isHeldBack(_ number: Int) -> Bool {
        let slot = Int(reads[number].connection)
        let front = connections[slot].deferred.first
        guard front != nobody else { return false }
        let kind = parts[Int(front)].kind
        return connections[slot].isBehind || kind == .commit || kind == .postponed
    }

    /// Looks again for keys whose reads brought another key, before the output holds replies.
    mutating func readAgain() {
        hasReadsAgain = false
        for number in reads.used where reads[number].state == .again {
            guard let space = takeScratch() else {
                hasReadsAgain = true
                return
            }
            let slot = Int(reads[number].connection)
            let hash = readBytes.withBytes(keyOffset(number), Int(reads[number].keyBytes)) {
                door.hash($0)
            }
            let except = reads[number].differing
            let lookup = readBytes.withBytes(keyOffset(number), Int(reads[number].keyBytes)) {
                door.find($0, hash: hash, except: except)
            }
            reads[number].record = nil
            switch lookup {
            case .disk(let read) where !read.isLoad:
                reads[number].read = read
                startRead(number)
            case .disk(let read):
                door.abandon(read)
                decide(number)
            case .dead(let death):
                countDeath(death)
                decide(number)
            case .miss:
                decide(number)
            case .memory(let found):
                answerFromMemory(number, slot, found, space)
            }
        }
    }

    /// A get that was to be read turns out to be in memory: its part becomes text.
    private mutating func answerFromMemory(
        _ number: Int, _ slot: Int, _ found: Found, _ space: consuming ReplySpace
    ) {
        guard found.valueBytes <= Door.copyBytesMax, !found.isChained, hasRoom else {
            // Twice unlikely: a miss is allowed, and cheaper than another way to answer, or than
            // blocks of others.
            door.release(found)
            decide(number)
            return
        }
        var writer = replyWriter(space)
        let asked = asked(number)
        writeHead(
            asked, flags: found.flags, bytes: found.valueBytes, cas: found.cas, to: &writer)
        writer.append(door.memory, found.valueOffset, found.valueBytes)
        door.release(found)
        writeEnd(asked, to: &writer)
        counters.add(.getHits)
        latency.wasRead(isHit: true, from: reads[number].startedAt, to: now.nanoseconds)
        becomeText(number, slot, writer, space)
        if connections[slot].phase == .open { readDecided(slot) }
    }

    /// Turns a read's part into the text at the end of the output; the slot is free again, or an
    /// orphan if the kernel still has it. A short text needs no block of the pool.
    private mutating func becomeText(
        _ number: Int, _ slot: Int, _ writer: ByteWriter, _ space: consuming ReplySpace
    ) {
        let part = Int(reads[number].part)
        let count = writer.count
        parts[part].kind = .text
        parts[part].read = nobody
        connections[slot].diskReads.leave()
        abandonRead(number)
        var copied = count
        if count <= ServerLimits.partInlineBytes {
            partBytes.copy(
                from: output.memory, at: output.filled, to: part * ServerLimits.partInlineBytes,
                count: count)
            parts[part].inlineCount = UInt16(count)
        } else {
            var chain = Chain()
            let source = output.end
            copied = copy(source, count: count, behind: &chain, for: slot)
            parts[part].chain = chain
        }
        connections[slot].deferred.add(copied)
        guard copied == count, !writer.overflowed else {
            close(slot, copied < count ? .closedPoolDry : .closedByFault)
            return
        }
    }

    /// Gets whose reads have taken too long are answered as misses, before the output holds
    /// replies.
    mutating func expireReads() {
        for number in reads.used {
            let state = reads[number].state
            guard state == .reading || state == .waitingForRoom, !reads[number].isOrphan,
                !reads[number].isChange,
                now.nanoseconds &- reads[number].startedAt >= ServerLimits.waitNanosecondsMax
            else { continue }
            guard let space = takeScratch() else { return }
            counters.add(.waitsExpired)
            if !reads[number].isCounted {
                counters.add(.getMisses)
                counters.add(.missesTimedOut)
            }
            latency.wasRead(isHit: false, from: reads[number].startedAt, to: now.nanoseconds)
            var writer = replyWriter(space)
            writeMiss(asked(number), to: &writer)
            let slot = Int(reads[number].connection)
            becomeText(number, slot, writer, space)
            if connections[slot].phase == .open { readDecided(slot) }
        }
    }
}
