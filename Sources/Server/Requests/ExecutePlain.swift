// ExecutePlain: gets that find a plain record in memory at once, one after the other.
//
// That is nearly every get, so it has a way of its own: what could keep a connection from being
// served is asked once for all of its gets that stand side by side, and a reply is written in one
// go, from the slot that the prefetch met to the output. Whatever is not plain is left to Execute
// and ExecuteMeta; nothing was done then.

internal import Memcache
internal import Primitives
internal import Store

extension Worker where Network: ~Copyable {
    /// Whether an entry of the batch, whose key may be in memory, may be a plain get.
    @inline(__always)
    mutating func mayBePlain(_ index: Int) -> Bool {
        let verb = batch[index].request.verb
        return verb == .get || verb == .metaGet && batch[index].request.argument.count == 1
    }

    /// Executes the gets of one connection that begin at an entry, as far as they are plain.
    /// Returns the entry behind the last. `sampled`: the next whose key is counted.
    @inline(never)
    mutating func executePlainGets(from start: Int, _ sampled: inout Int) -> Int {
        executeGets(from: start, &sampled, areTold: false)
    }

    /// The same of meta gets that are told more than a value. (Apart, so that neither is in the
    /// other's way.)
    @inline(never)
    mutating func executeToldGets(from start: Int, _ sampled: inout Int) -> Int {
        executeGets(from: start, &sampled, areTold: true)
    }

    @inline(__always)
    private mutating func executeGets(
        from start: Int, _ sampled: inout Int, areTold: Bool
    ) -> Int {
        let slot = Int(batch[start].slot)
        let table = connections
        guard table[slot].mayServe, !table[slot].waiting.hasBegun,
            table[slot].deferred.isEmpty, !output.isFull
        else { return start }
        // A plain get changes nothing of that, and takes nothing but room in the output.
        let filledMax = filledMax
        var index = start
        while index < batchCount, Int(batch[index].slot) == slot, !batch[index].isFault,
            table[slot].replies.count < output.quota,
            let space = takeSpace(ifFilledAtMost: filledMax)
        {
            let count = areTold ? writeTold(index, space) : writePlain(index, space)
            guard count > 0 else {
                countHits(index &- start)
                return count < 0 ? index &+ 1 : index
            }
            keepReply(slot, count: count, space)
            if index >= sampled {
                countKey(index)
                sampled &+= shared.observers.sampling
            }
            index &+= 1
        }
        countHits(index &- start)
        return index
    }

    @inline(__always)
    private mutating func countHits(_ count: Int) {
        counters.add(.getCommands, UInt64(truncatingIfNeeded: count))
        counters.add(.getHits, UInt64(truncatingIfNeeded: count))
    }

    /// Writes the reply to a get, if it is plain. Returns its bytes; 0: nothing was done; -1: the
    /// connection is closed.
    @inline(__always)
    private mutating func writePlain(_ index: Int, _ space: borrowing ReplySpace) -> Int {
        let isMeta = batch[index].request.verb == .metaGet
        guard isMeta ? wantsValueAlone(index) : batch[index].request.verb == .get else { return 0 }
        return isMeta ? writePlainMeta(index, space) : writePlainClassic(index, space)
    }

    @inline(__always)
    private mutating func writePlainClassic(_ index: Int, _ space: borrowing ReplySpace) -> Int {
        let place = batch[index].input
        let slice = batch[index].request.key
        return place.region.withBytes(place.offset &+ Int(slice.offset), Int(slice.count)) { key in
            guard
                let found = door.findHinted(key, hash: batch[index].hash, hint: batch[index].hint)
            else { return 0 }
            var count = Reply.plainValue(
                key, flags: found.flags, bytes: found.valueBytes, from: door.memory,
                at: found.valueOffset, endsKeys: batch[index].endsKeys, to: output.writer)
            if count == 0 {
                count = writeLong(
                    index, found.flags, found.valueOffset, found.valueBytes, space)
            }
            door.release(found)
            return count
        }
    }

    @inline(__always)
    private mutating func writePlainMeta(_ index: Int, _ space: borrowing ReplySpace) -> Int {
        guard let found = findPlain(index, space) else { return 0 }
        var count = Reply.plainMetaValue(
            bytes: found.valueBytes, from: door.memory, at: found.valueOffset,
            to: output.writer)
        if count == 0 { count = writeLongMeta(index, found.valueOffset, found.valueBytes, space) }
        door.release(found)
        return count
    }

    /// The same of a value that is longer, or has flags. (Given apart: what a call takes in one
    /// would be kept in memory on the way of all others, too.)
    @inline(never)
    private mutating func writeLong(
        _ index: Int, _ flags: UInt32, _ offset: Int, _ bytes: Int, _ space: borrowing ReplySpace
    ) -> Int {
        let place = batch[index].input
        let slice = batch[index].request.key
        var writer = replyWriter(space)
        place.region.withBytes(place.offset &+ Int(slice.offset), Int(slice.count)) {
            Reply.value($0, flags: flags, bytes: bytes, to: &writer)
        }
        writer.append(door.memory, offset, bytes)
        Reply.valueEnd(endsKeys: batch[index].endsKeys, to: &writer)
        return written(index, writer)
    }

    @inline(never)
    private mutating func writeLongMeta(
        _ index: Int, _ offset: Int, _ bytes: Int, _ space: borrowing ReplySpace
    ) -> Int {
        var writer = replyWriter(space)
        Reply.metaValue(bytes: bytes, to: &writer)
        writer.append(door.memory, offset, bytes)
        Reply.valueEnd(endsKeys: false, to: &writer)
        return written(index, writer)
    }

    private mutating func written(_ index: Int, _ writer: ByteWriter) -> Int {
        guard !writer.overflowed else {
            close(Int(batch[index].slot), .closedByFault)
            return -1
        }
        return writer.count
    }

    // MARK: Meta gets

    /// Whether the only flag is `v`.
    @inline(__always)
    private mutating func wantsValueAlone(_ index: Int) -> Bool {
        let words = metaWords(index)
        return batch[index].request.argument.count == 1 && !batch[index].request.isBinary
            && words.region.uint8(at: words.offset) == UInt8(ascii: "v")
    }

    /// A plain record in memory of which a meta get has nothing to tell but what it holds; if there
    /// is none, nothing was done. The shard stays locked.
    @inline(__always)
    mutating func findPlain(_ index: Int, _ space: borrowing ReplySpace) -> Found? {
        let slot = Int(batch[index].slot)
        guard connections[slot].diskReads.open == 0, space.valueBytesMax >= Door.copyBytesMax
        else { return nil }
        let place = batch[index].input
        let key = batch[index].request.key
        let found = place.region.withBytes(place.offset &+ Int(key.offset), Int(key.count)) {
            door.findHinted(
                $0, hash: batch[index].hash, hint: batch[index].hint, isMeta: true)
        }
        guard let found else { return nil }
        connections[slot].differing = Differing()
        return found
    }

    /// Whether a meta get asks for nothing but the value of a key of which the store knows nothing.
    mutating func isAbsent(_ index: Int) -> Bool {
        let slot = Int(batch[index].slot)
        return batch[index].hint < 0 && connections[slot].diskReads.open == 0
            && wantsValueAlone(index) && door.isAbsent(hash: batch[index].hash)
    }

    /// The answer to that.
    mutating func answerAbsent(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        connections[slot].differing = Differing()
        counters.add(.getCommands)
        counters.add(.getMisses)
        var writer = replyWriter(space)
        writer.append("EN\r\n")
        addReply(slot, writer, space)
        return true
    }
}
