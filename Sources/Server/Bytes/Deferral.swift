// Deferral: replies that must not leave yet, in order.
//
// A connection's parts are a queue: text that is complete, reads from disk that may not be, and
// commits that must be passed first. While the queue is not empty every further reply goes to its
// end. Parts leave from the front, into the worker's output, when a visit finds them ready. All
// text of one connection shares one chain of blocks, however many parts it belongs to.

internal import Memcache
internal import Primitives
internal import Store

/// What a part of the queue is.
enum PartKind: UInt8, BitwiseCopyable {
    /// Bytes: up to `partInlineBytes` beside the table, or more in blocks.
    case text
    /// The answer to a get whose record is read from disk.
    case read
    /// The same, while it has no slot to be read with: PostponedReads.
    case postponed
    /// Nothing: what follows may leave once a commit is completed.
    case commit
}

/// One part of a connection's queue.
struct Part: BitwiseCopyable {
    var next = nobody
    var kind: PartKind
    /// Text beside the table: how much, and how much of it has left.
    var inlineCount: UInt16 = 0
    var inlineGone: UInt16 = 0
    /// Text in blocks of its own (what was a read before).
    var chain = Chain()
    /// Text in the blocks of the connection, behind that of the parts before.
    var sharedBytes = 0
    /// The read slot.
    var read = nobody
    /// The commit.
    var commit: UInt64 = 0
    /// What is to be read again.
    var postponed = PostponedRead()

    init(_ kind: PartKind) { self.kind = kind }

    /// Bytes of text that have not left.
    func textBytes(_ blocks: borrowing Blocks) -> Int {
        guard kind == .text else { return 0 }
        return Int(inlineCount - inlineGone) + blocks.bytes(in: chain) + sharedBytes
    }
}

extension Worker where Network: ~Copyable {
    // MARK: Adding

    /// Adds a part to the end of a connection's queue; nil if there is none left.
    mutating func addPart(_ slot: Int, _ kind: PartKind) -> Int? {
        guard parts.vacantCount > 0 else { return nil }
        let index = Int(parts.take(Part(kind)))
        connections[slot].deferred.append(UInt32(index), parts)
        watch(slot)
        return index
    }

    /// Whether the next request finds all the parts it may need.
    @inline(__always)
    var hasParts: Bool { parts.vacantCount >= ServerLimits.partsPerRequestMax }

    /// Adds bytes to the end of the queue; closes the connection if there is no room.
    mutating func deferText(_ slot: Int, _ source: Location, count: Int) {
        guard count > 0 else { return }
        var index = Int(connections[slot].deferred.last)
        if connections[slot].deferred.isEmpty || parts[index].kind != .text {
            guard let fresh = addPart(slot, .text) else {
                close(slot, .closedPoolDry)
                return
            }
            index = fresh
        }
        connections[slot].deferred.add(count)
        let filled = Int(parts[index].inlineCount)
        let isShort =
            parts[index].chain.isEmpty && parts[index].sharedBytes == 0
            && filled + count <= ServerLimits.partInlineBytes
        if isShort {
            partBytes.copy(
                from: source.region, at: source.offset,
                to: index * ServerLimits.partInlineBytes + filled, count: count)
            parts[index].inlineCount += UInt16(count)
            return
        }
        var chain = connections[slot].deferred.chain
        let copied = copy(source, count: count, behind: &chain, for: slot)
        connections[slot].deferred.keep(in: chain)
        parts[index].sharedBytes += copied
        guard copied < count else { return }
        if connections[slot].phase == .open { close(slot, .closedPoolDry) }
    }

    /// Makes what follows wait for the commit that covers everything done so far.
    mutating func deferBarrier(_ slot: Int) {
        let barrier = door.barrier()
        latency.waits(forCommit: barrier)
        guard connections[slot].deferred.needs(barrier: barrier) else { return }
        guard let index = addPart(slot, .commit) else {
            close(slot, .closedPoolDry)
            return
        }
        parts[index].commit = barrier
        connections[slot].deferred.wait(for: barrier)
    }

    /// Moves this turn's replies, from the first to a change on, behind a commit.
    mutating func deferChanges(_ slot: Int) {
        let table = connections
        let taken = table[slot].replies.takeChanges()
        guard taken.count > 0 else { return }
        deferBarrier(slot)
        guard table[slot].phase == .open else { return }
        let source = Location(region: output.memory, offset: taken.offset)
        deferText(slot, source, count: taken.count)
    }

    // MARK: Leaving

    /// Whether the front of the queue could leave now.
    mutating func isFrontReady(_ slot: Int) -> Bool {
        guard !connections[slot].deferred.isEmpty else { return false }
        let part = parts[Int(connections[slot].deferred.first)]
        switch part.kind {
        case .text: return true
        case .read: return reads[Int(part.read)].isDecided
        case .postponed: return true
        case .commit: return part.commit <= news.commits
        }
    }

    /// Writes what may leave to the output: what is owed for a large value, then the parts that
    /// are ready. The batch must be empty. Afterwards nothing else may be written to a connection
    /// that is behind, or still owes a line end.
    mutating func emit(_ slot: Int) {
        let table = connections
        if table[slot].tail.isOwed {
            guard let space = takeSpaceToLeave(for: slot) else {
                markReady(slot)
                return
            }
            payLineEnd(slot, space)
        }
        var hasMoved = false
        while isFrontReady(slot), !table[slot].isBehind {
            guard table[slot].replies.count < output.quota, let space = takeSpaceToLeave(for: slot)
            else {
                markReady(slot)
                break
            }
            let index = Int(table[slot].deferred.first)
            let isGone =
                switch parts[index].kind {
                case .text: emitText(slot, index, space)
                case .read: emitRead(slot, index, space)
                case .postponed: resumeRead(slot, index, space)
                case .commit: true
                }
            guard isGone || parts[index].kind != .postponed else { break }
            if isGone { removeFront(slot) }
            hasMoved = true
        }
        if hasMoved, table[slot].wait == .parts { endWait(slot) }
        goOnReading(slot)
    }

    private mutating func payLineEnd(_ slot: Int, _ space: consuming ReplySpace) {
        var writer = replyWriter(space)
        Reply.lineEnd(to: &writer)
        if connections[slot].tail == .lineEndAndEnd { Reply.end(to: &writer) }
        connections[slot].tail = .nothing
        keepReply(slot, count: writer.count, space)
    }

    /// Writes some text; true if that was the last of it.
    private mutating func emitText(
        _ slot: Int, _ index: Int, _ space: consuming ReplySpace
    ) -> Bool {
        let gone = Int(parts[index].inlineGone)
        let rest = Int(parts[index].inlineCount) - gone
        if rest > 0 {
            output.memory.copy(
                from: partBytes, at: index * ServerLimits.partInlineBytes + gone,
                to: output.filled, count: rest)
            parts[index].inlineGone = parts[index].inlineCount
        }
        var count = rest
        if !parts[index].chain.isEmpty {
            var chain = parts[index].chain
            count += emitBlock(of: &chain, max: .max, behind: rest)
            parts[index].chain = chain
        } else if parts[index].sharedBytes > 0 {
            var chain = connections[slot].deferred.chain
            let part = emitBlock(of: &chain, max: parts[index].sharedBytes, behind: rest)
            parts[index].sharedBytes -= part
            count += part
            connections[slot].deferred.keep(in: chain)
        }
        if count > 0 {
            connections[slot].deferred.take(count)
            keepReply(slot, count: count, space)
        }
        return parts[index].chain.isEmpty && parts[index].sharedBytes == 0
    }

    /// Copies what the first block of a chain holds, `max` bytes of it at most, to the output
    /// behind `gap` bytes that are there already. Returns how many.
    private mutating func emitBlock(of chain: inout Chain, max: Int, behind gap: Int) -> Int {
        let id = chain.head
        let source = blocks.place(id)
        let count = min(blocks[id].count, max)
        output.memory.copy(
            from: source.region, at: source.offset + Int(blocks[id].start),
            to: output.filled + gap, count: count)
        blocks[id].start += UInt32(count)
        if blocks[id].count == 0 { blocks.giveHead(of: &chain) }
        return count
    }

    /// Removes the first part, which holds nothing any more.
    private mutating func removeFront(_ slot: Int) {
        parts.give(connections[slot].deferred.removeFirst(parts))
    }

    /// Forgets all parts of a connection that is closed.
    mutating func freeParts(_ slot: Int) {
        let table = connections
        while !table[slot].deferred.isEmpty {
            let index = Int(table[slot].deferred.first)
            if parts[index].kind == .read { abandonRead(Int(parts[index].read)) }
            var chain = parts[index].chain
            blocks.give(&chain)
            removeFront(slot)
        }
        table[slot].deferred.free(&blocks)
        table[slot].diskReads.forgetParts()
    }

    // MARK: Commits

    /// The store completed a commit, or failed: what waits for it leaves, or the connection ends.
    mutating func hearCommit(_ slot: Int) {
        guard connections[slot].phase == .open else { return }
        let outgoing = connections[slot].outgoing
        let barrier = outgoing == nobody ? 0 : transfers.outgoing[outgoing].barrier
        if barrier > news.commits, barrier <= news.failedCommits {
            close(slot, .closedFailedCommit)
            return
        }
        if barrier != 0, barrier <= news.commits {
            transfers.outgoing[outgoing].barrier = 0
            markTouched(slot)
        }
        var index = connections[slot].deferred.first
        while index != nobody {
            let part = parts[Int(index)]
            if part.kind == .commit, part.commit > news.commits,
                part.commit <= news.failedCommits
            {
                close(slot, .closedFailedCommit)
                return
            }
            index = part.next
        }
        if isFrontReady(slot) { markReady(slot) }
    }
}
