// Worker+Serve: requests become replies, in place.
//
// Ready connections are visited once each. Their requests are parsed where they were received,
// into a batch that may span connections; the batch's memory is asked for as a whole; then the
// requests are executed in order. All replies of one connection in one turn lie side by side in
// the worker's output, because a connection is visited once a turn and executed in order.

internal import Memcache
internal import Primitives
internal import Store

/// How parsing a connection's input ended.
private enum ParseEnd: BitwiseCopyable {
    /// Nothing more can be parsed now.
    case idle
    /// What was parsed must be executed before more is.
    case execute
    /// A value follows that is received straight into the store.
    case large
}

extension Worker where Network: ~Copyable {
    /// Visits every connection that was ready when the phase began.
    mutating func serve() {
        bounds.begin(
            requestsMax: shared.tuning[.requestsPerTurnMax] ?? configuration.requestsPerTurnMax,
            isAlone: ready.count <= 1, draftedBytes: door.draftedBytes)
        if hasReadsAgain { readAgain() }
        var visits = ready.count
        while visits > 0, !output.isFull, let slot = ready.removeFirst() {
            visits -= 1
            visit(slot)
        }
        executeBatch()
    }

    private mutating func visit(_ slot: Int) {
        markTouched(slot)
        resetForTurn(slot)
        guard connections[slot].phase == .open, resume(slot) else { return }
        while true {
            switch parse(slot) {
            case .idle:
                return
            case .execute:
                guard executeParsed(slot) else { return }
            case .large:
                guard executeParsed(slot) else { return }
                let before = connections[slot].input.count
                beginStaging(slot)
                _ = endingLongTurn(true)
                // If all of the value had arrived, what follows it is not to be copied out of the
                // receive buffers for the next turn.
                guard connections[slot].input.count < before, mayGoOn(slot) else { return }
            }
        }
    }

    /// Executes the batch. False: no more of the connection's requests are to be parsed now, or
    /// some that were have been taken back.
    private mutating func executeParsed(_ slot: Int) -> Bool {
        let left = connections[slot].input.count
        executeBatch()
        return connections[slot].input.count <= left && mayGoOn(slot)
    }

    /// Resets what counts per turn.
    @inline(__always)
    mutating func resetForTurn(_ slot: Int) {
        guard connections[slot].replies.begin(turn: turnNumber) else { return }
        connections[slot].sending.beginTurn()
    }

    @inline(__always)
    private mutating func mayGoOn(_ slot: Int) -> Bool {
        !output.isFull && connections[slot].mayServe
            && connections[slot].replies.count < output.quota
    }

    /// Goes on with what an earlier turn left. False: not to be parsed now.
    private mutating func resume(_ slot: Int) -> Bool {
        if connections[slot].isBehind { return false }
        if connections[slot].tail.isOwed || !connections[slot].deferred.isEmpty {
            guard executeOthers(before: slot) else { return false }
            emit(slot)
            // Whatever was written now would come in front of what is on its way, or is owed.
            if connections[slot].isBehind || connections[slot].tail.isOwed { return false }
        }
        if connections[slot].input.swallow > 0 { dropInput(slot) }
        if connections[slot].arrival.isActive, connections[slot].wait == .nothing {
            guard executeOthers(before: slot) else { return false }
            goOnStaging(slot)
            _ = endingLongTurn(true)
        }
        if connections[slot].listing.isActive, connections[slot].wait == .nothing {
            guard executeOthers(before: slot) else { return false }
            writeListing(slot)
        }
        return connections[slot].mayServe && !output.isFull
    }

    /// Executes what others have in the batch: what is written now must not come between their
    /// replies. False: the turn is over, the connection comes again in the next.
    private mutating func executeOthers(before slot: Int) -> Bool {
        executeBatch()
        guard output.isFull else { return true }
        markFirst(slot)
        return false
    }

    // MARK: Parsing

    /// Parses a connection's input into the batch until one of them ends.
    private mutating func parse(_ slot: Int) -> ParseEnd {
        let table = connections
        var hasEntries = false
        while table[slot].replies.requests < bounds.requestsMax {
            let id = table[slot].input.cursor.block
            guard id != nobody else { return .idle }
            let block = blocks[id]
            let position = table[slot].input.cursor.position
            guard position < block.end else {
                guard block.next != nobody else { return .idle }
                table[slot].input.moveOn(to: block.next, at: blocks[block.next].start)
                continue
            }
            guard batchCount < ServerLimits.batchEntriesMax else { return .execute }
            var place = blocks.place(id)
            place.offset &+= Int(position)
            let parser = table[slot].parser
            if parsePlain(slot, place, Int(block.end &- position), parser) {
                hasEntries = true
                continue
            }
            let parsed = place.region.withBytes(place.offset, Int(block.end &- position)) {
                table[slot].parser.next($0)
            }
            switch parsed {
            case .request(let request, let consumed):
                enqueue(slot, request, place, parser, endsPrevious: hasEntries)
                table[slot].input.consume(consumed)
                hasEntries = true
                if request.verb.endsBatch { return .execute }
            case .fault(let fault):
                enqueue(slot, fault, place, parser)
                table[slot].input.consume(fault.consumed)
                hasEntries = true
                if fault.swallow > 0 || fault.closes { return .execute }
            case .needMore(let atLeast):
                table[slot].parser = parser
                if let pause = continueInput(slot, atLeast, hasEntries) { return pause }
            }
        }
        counters.add(.connectionYields)
        return .idle
    }

    /// Adds what comes most to the batch, gets of one key, meta gets and sets, with no step in
    /// between: all that stand there side by side. False: something else stands there.
    @inline(__always)
    private mutating func parsePlain(
        _ slot: Int, _ start: Location, _ bytes: Int, _ parser: ClassicParser
    ) -> Bool {
        var place = start
        var left = bytes
        // Each adds one entry to the batch, and one request to the connection's.
        let batchEnd =
            batchCount
            &+ min(
                ServerLimits.batchEntriesMax &- batchCount,
                bounds.requestsMax &- connections[slot].replies.requests)
        while left > 0, batchCount < batchEnd {
            let taken = parseOne(slot, place, left, parser)
            guard taken > 0 else { break }
            connections[slot].input.consume(taken)
            place.offset &+= taken
            left &-= taken
        }
        return left < bytes
    }

    /// Adds a get of one key, a meta get or a set to the batch. Returns its bytes; 0 for everything
    /// else.
    @inline(__always)
    private mutating func parseOne(
        _ slot: Int, _ place: Location, _ bytes: Int, _ parser: ClassicParser
    ) -> Int {
        let keyEnd = place.region.withBytes(place.offset, bytes) { parser.endOfGet($0) }
        if keyEnd > 0 {
            let key = Slice(offset: 4, count: UInt32(truncatingIfNeeded: keyEnd &- 4))
            var request = Request(verb: .get)
            request.key = key
            hold(slot, place, key, parser, request)
            batch[batchCount &- 1].endsKeys = true
            return keyEnd &+ 2
        }
        let ends = place.region.withBytes(place.offset, bytes) { parser.endsOfMetaGet($0) }
        if ends.key > 0 {
            holdMetaGet(slot, place, ends, parser)
            return ends.flags &+ 2
        }
        let set = place.region.withBytes(place.offset, bytes) { parser.wholeSet($0) }
        guard let set else { return 0 }
        hold(slot, place, set.key, parser, set.request)
        return set.consumed
    }

    @inline(__always)
    private mutating func holdMetaGet(
        _ slot: Int, _ place: Location, _ ends: (key: Int, flags: Int), _ parser: ClassicParser
    ) {
        let key = Slice(offset: 3, count: UInt32(truncatingIfNeeded: ends.key &- 3))
        var request = Request(verb: .metaGet)
        request.key = key
        // Behind the blank that follows the key, if there are any flags.
        let blank = ends.flags > ends.key ? 1 : 0
        request.argument = Slice(
            offset: UInt32(truncatingIfNeeded: ends.key &+ blank),
            count: UInt32(truncatingIfNeeded: ends.flags &- ends.key &- blank))
        hold(slot, place, key, parser, request)
    }

    /// Adds a request to the batch and asks for its shard.
    @inline(__always)
    private mutating func enqueue(
        _ slot: Int, _ request: Request, _ place: Location, _ parser: ClassicParser,
        endsPrevious: Bool
    ) {
        if request.verb == .keysEnd, endsPrevious, batch[batchCount &- 1].request.verb.retrieves,
            !batch[batchCount &- 1].isFault
        {
            // The END of a line belongs to its last key: one entry less.
            batch[batchCount &- 1].endsKeys = true
            return
        }
        hold(slot, place, request.key, parser, request)
    }

    private mutating func enqueue(
        _ slot: Int, _ fault: Fault, _ place: Location, _ parser: ClassicParser
    ) {
        hold(slot, place, fault.key, parser, Request(verb: .noop))
        batch[batchCount &- 1].isFault = true
        batch[batchCount &- 1].fault = fault
    }

    /// The next entry of the batch, but for a fault.
    @inline(__always)
    private mutating func hold(
        _ slot: Int, _ place: Location, _ key: Slice, _ parser: ClassicParser, _ request: Request
    ) {
        var hash: UInt64 = 0
        if key.count > 0 {
            hash = place.region.withBytes(place.offset &+ Int(key.offset), Int(key.count)) {
                door.hash($0)
            }
            door.prefetchShard(hash)
        }
        let table = connections
        batch[batchCount].begin(
            slot, place, hash, parser, table[slot].input.cursor)
        batch[batchCount].request = request
        batchCount &+= 1
        table[slot].replies.addRequest()
    }

    // MARK: Requests that are cut

    /// The block ends inside a request. Nil: parse again.
    private mutating func continueInput(_ slot: Int, _ atLeast: Int, _ hasEntries: Bool)
        -> ParseEnd?
    {
        let table = connections
        let id = table[slot].input.cursor.block
        let rest = blocks[id].end &- table[slot].input.cursor.position
        let next = blocks[id].next
        if next != nobody, rest <= blocks[id].borrowed {
            // What is left was copied from the next block: parse it there.
            blocks[next].start -= rest
            blocks[id].end -= rest
            blocks[id].borrowed = 0
            table[slot].input.moveOn(to: next, at: blocks[next].start)
            return nil
        }
        // What follows requests of this turn began in this turn.
        if table[slot].replies.requests > 0 { table[slot].input.begin(at: now.nanoseconds) }
        if atLeast > ServerLimits.blockBytes { return .large }
        guard next != nobody else {
            if atLeast > ServerLimits.partialBytesMax, bringsValue(slot) { return .large }
            table[slot].input.awaitRest()
            return .idle
        }
        if hasEntries || batchCount > 0 { return .execute }
        return join(slot, atLeast: atLeast) ? nil : .idle
    }

    /// Whether a whole storage line stands at the cursor. A long line may be a list of keys, too.
    private mutating func bringsValue(_ slot: Int) -> Bool {
        let table = connections
        let id = table[slot].input.cursor.block
        let place = blocks.place(id)
        let start = Int(table[slot].input.cursor.position)
        return place.region.withBytes(place.offset + start, Int(blocks[id].end) - start) {
            table[slot].parser.storageHeader($0) != nil
        }
    }

    /// Brings the bytes at the cursor and some that follow into one block. False: there is no
    /// block, the connection waits for one.
    private mutating func join(_ slot: Int, atLeast: Int) -> Bool {
        trimInput(slot)
        let table = connections
        var id = table[slot].input.cursor.block
        let position = Int(table[slot].input.cursor.position)
        var capacity = blocks.capacity(id)
        let rest = Int(blocks[id].end) - position
        if blocks.isReceived(id) || position + atLeast > capacity {
            guard let fresh = takeBlock(inPlaceOf: id) else {
                counters.add(.waitsForBlocks)
                waitForBlocks(slot)
                return false
            }
            let source = blocks.place(id)
            let target = blocks.place(fresh)
            target.region.copy(
                from: source.region, at: source.offset + position,
                to: target.offset, count: rest)
            blocks[fresh] = Block(
                next: blocks[id].next, start: 0, end: UInt32(rest), borrowed: 0)
            table[slot].input.replaceFirst(with: fresh)
            release(id)
            id = fresh
            capacity = blocks.capacity(id)
        }
        let next = blocks[id].next
        let end = Int(blocks[id].end)
        let wanted = max(atLeast - rest, 256)
        let part = min(wanted, blocks[next].count, capacity - end)
        let source = blocks.place(next)
        let target = blocks.place(id)
        target.region.copy(
            from: source.region, at: source.offset + Int(blocks[next].start),
            to: target.offset + end, count: part)
        blocks[id].end += UInt32(part)
        blocks[id].borrowed = UInt32(part)
        blocks[next].start += UInt32(part)
        if blocks[next].count == 0 {
            // Used up: the chain closes over it.
            blocks[id].next = blocks[next].next
            if blocks[id].next == nobody { table[slot].input.dropLast(behind: id) }
            blocks[id].borrowed = 0
            release(next)
        }
        return true
    }

    // MARK: Executing

    /// Executes the batch in order and empties it.
    mutating func executeBatch() {
        guard batchCount > 0 else { return }
        counters.add(.batches)
        // One after the other: each says where the next lies.
        for index in 0..<batchCount {
            batch[index].hint = door.prefetchBucket(batch[index].hash)
        }
        for index in 0..<batchCount {
            batch[index].hint = door.prefetchRecord(batch[index].hash, in: batch[index].hint)
        }
        var sampled = firstSample
        var index = 0
        while index < batchCount {
            let slot = Int(batch[index].slot)
            guard !output.isFull else {
                index = takeBackRest(from: index)
                continue
            }
            // A request before may have switched it on.
            let isObserved = shared.observers.isActive
            if !isObserved, batch[index].hint >= 0 {
                var next = index
                if mayBePlain(index) { next = executePlainGets(from: index, &sampled) }
                if next == index, mayBeTold(index) {
                    next = executeToldGets(from: index, &sampled)
                }
                if next > index {
                    index = next
                    continue
                }
            }
            if isObserved { lookAhead(index) }
            let waitingSince = connections[slot].waiting.since
            if waitingSince != 0 {
                latency.measure(from: now.nanoseconds, to: clock.nanoseconds())
                door.isReserveGranted = isModest(batch[index].cursor.left)
            }
            guard
                connections[slot].mayServe,
                connections[slot].replies.count < output.quota,
                let space = takeSpace(for: slot, entry: index),
                execute(index, space)
            else {
                if !offerReserve(index) { index = takeBackAll(of: slot, from: index) }
                continue
            }
            if waitingSince != 0 {
                door.isReserveGranted = false
                let ended = clock.nanoseconds()
                latency.measure(from: waitingSince, to: ended)
                latency.waited(from: waitingSince, to: ended)
                connections[slot].waiting.done()
            }
            if isObserved { observe(index) }
            if index >= sampled {
                countKey(index)
                sampled &+= shared.observers.sampling
            }
            index &+= 1
        }
        if sampled != .max { sighting.untilSample = max(sampled - batchCount, 0) }
        batchCount = 0
    }

    /// Whether a connection that has so many bytes to be executed writes little.
    private func isModest(_ inputBytes: Int) -> Bool {
        inputBytes <= ServerLimits.shortInputBytesMax
    }

    /// An entry was not executed. Whether that is a change that found no memory and may have what
    /// is kept for those who write little: then it does not wait, and is to be executed once more.
    private mutating func offerReserve(_ index: Int) -> Bool {
        let wasGranted = door.isReserveGranted
        door.isReserveGranted = false
        let slot = Int(batch[index].slot)
        guard door.takeWithheld(), !wasGranted, connections[slot].wait == .frames else {
            return false
        }
        let bytes = batch[index].cursor.left
        guard isModest(bytes), door.hasReserve(requestBytes: bytes) else { return false }
        connections[slot].waiting.end(at: now.nanoseconds)
        queues[.frames].remove(slot)
        return true
    }

    /// Takes one connection's parsing back, from an entry on; returns the next one's entry.
    private mutating func takeBackAll(of slot: Int, from start: Int) -> Int {
        var index = start
        takeBack(start)
        while index < batchCount, Int(batch[index].slot) == slot { index &+= 1 }
        connections[slot].diskReads.want(index - start)
        return index
    }

    /// The turn is over: nothing is executed from an entry on. Who has had nothing comes before all
    /// who had: those who end each turn would else always find the same ones behind them. Answers
    /// where the batch ends.
    @inline(never)
    private mutating func takeBackRest(from start: Int) -> Int {
        for index in start..<batchCount { takeBack(index) }
        let served = start > 0 ? batch[start &- 1].slot : .max
        for index in (start..<batchCount).reversed() where batch[index].slot != served {
            markFirst(Int(batch[index].slot))
        }
        return batchCount
    }

    /// Puts the connection back to before this entry, unless an earlier one did already.
    private mutating func takeBack(_ index: Int) {
        let slot = Int(batch[index].slot)
        let table = connections
        guard table[slot].phase == .open, table[slot].input.goBack(to: batch[index].cursor) else {
            return
        }
        table[slot].parser = batch[index].parser
        counters.add(.connectionYields)
    }
}
