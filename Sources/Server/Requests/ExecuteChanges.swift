// ExecuteChanges: the joint, for everything that changes the store, and for faults.

internal import Memcache
internal import Primitives
internal import Store

/// An expiry as the store takes it.
struct StoreExpiry: BitwiseCopyable {
    /// Absolute; 0 for never.
    var second: UInt32
    /// Dead on arrival.
    var isExpired: Bool
}

/// What a change came to.
enum ChangeResult: BitwiseCopyable {
    /// The store's answer is final: neither `wait` nor `read`.
    case done(Outcome)
    /// The connection waits; execute it again.
    case waits
    /// It has waited too long for memory or a disk.
    case refused
}

extension Worker where Network: ~Copyable {
    /// What a client's expiry means now.
    @inline(__always)
    mutating func absolute(_ sent: Int64) -> StoreExpiry {
        switch ExpiryRule.resolve(sent, now: now.seconds, ahead: now.secondsAhead) {
        case .never: StoreExpiry(second: 0, isExpired: false)
        case .past: StoreExpiry(second: 0, isExpired: true)
        case .at(let second): StoreExpiry(second: second, isExpired: false)
        }
    }

    /// Executes a change; the caller writes the reply.
    @inline(__always)
    mutating func change(
        _ index: Int,
        _ body: (
            inout Door, Span<UInt8>, UInt64, Differing, Request, StoreExpiry
        ) -> Outcome
    ) -> ChangeResult {
        let slot = Int(batch[index].slot)
        guard connections[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return .waits
        }
        let place = batch[index].input
        let request = batch[index].request
        let expiry = absolute(request.expiry)
        let outcome = place.region.withBytes(
            place.offset &+ Int(request.key.offset), Int(request.key.count)
        ) { key in
            body(
                &door, key, batch[index].hash, connections[slot].differing, request, expiry)
        }
        return finishChange(slot, place, request.key, outcome)
    }

    /// Whether an outcome is final; if not, the connection is made to wait, or has waited too long.
    @inline(__always)
    mutating func finishChange(
        _ slot: Int, _ place: Location, _ key: Slice, _ outcome: Outcome
    ) -> ChangeResult {
        switch outcome {
        case .wait:
            return waitForFrames(slot) ? .waits : .refused
        case .noOrder:
            connections[slot].differing = Differing()
            return .refused
        case .read(let read):
            return waitForRecord(slot, place, key, read) ? .waits : .refused
        default:
            // What was excluded for this key means nothing for the next.
            connections[slot].differing = Differing()
            return .done(outcome)
        }
    }

    /// A change waits for memory. False: it has waited too long.
    private mutating func waitForFrames(_ slot: Int) -> Bool {
        guard !isRefusedMemory(slot) else {
            connections[slot].differing = Differing()
            return false
        }
        counters.add(.waitsForMemory)
        beginWait(slot, .frames)
        want(.pins)
        return true
    }

    /// A change waits for the record that it needs. False: it has waited too long.
    private mutating func waitForRecord(
        _ slot: Int, _ place: Location, _ key: Slice, _ read: DiskRead
    ) -> Bool {
        guard !hasWaitedTooLong(slot) else {
            door.abandon(read)
            connections[slot].differing = Differing()
            return false
        }
        beginChangeRead(slot, place, key, read)
        return true
    }

    /// No memory, or no disk, in time.
    mutating func answerOutOfMemory(
        _ slot: Int, isQuiet: Bool, isStoring: Bool = true, _ space: consuming ReplySpace
    ) {
        counters.add(.waitsExpired)
        counters.add(.storeNoMemory)
        guard !isQuiet else { return }
        var writer = replyWriter(space)
        if isStoring {
            Reply.outOfMemory(to: &writer)
        } else {
            Reply.outOfMemoryAlone(to: &writer)
        }
        addReply(slot, writer, space)
    }

    /// The end of a change that is not done: an error if it is refused. False: it waits.
    private mutating func answerUndone(
        _ slot: Int, _ result: ChangeResult, isQuiet: Bool, _ space: consuming ReplySpace
    ) -> Bool {
        guard case .refused = result else { return false }
        answerOutOfMemory(slot, isQuiet: isQuiet, isStoring: false, space)
        return true
    }

    // MARK: Storing

    mutating func storeMode(_ verb: Verb) -> StoreMode {
        switch verb {
        case .add: .add
        case .replace: .replace
        case .append: .append
        case .prepend: .prepend
        case .cas: .cas
        default: .set
        }
    }

    /// A plain set of a key that is in memory, which most sets are. False: nothing was done.
    @inline(__always)
    private mutating func putHinted(_ index: Int) -> Bool {
        let slot = Int(batch[index].slot)
        guard batch[index].request.verb == .set, batch[index].hint >= 0,
            connections[slot].diskReads.open == 0
        else { return false }
        let expiry = absolute(batch[index].request.expiry)
        guard !expiry.isExpired else { return false }
        let place = batch[index].input
        let (key, value) = (batch[index].request.key, batch[index].request.value)
        return place.region.withBytes(place.offset &+ Int(key.offset), Int(key.count)) { key in
            place.region.withBytes(place.offset &+ Int(value.offset), Int(value.count)) { value in
                door.putHinted(
                    key, hash: batch[index].hash, value: value, flags: batch[index].request.flags,
                    expiry: expiry.second, hint: batch[index].hint)
            }
        }
    }

    mutating func executeStore(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        if putHinted(index) {
            connections[slot].differing = Differing()
            counters.add(.setCommands)
            if shared.observers.isActive { noteStored(slot, .stored) }
            guard !batch[index].request.isQuiet else { return true }
            var writer = replyWriter(space)
            Reply.stored(to: &writer)
            addChangeReply(slot, writer, space)
            return true
        }
        let place = batch[index].input
        let hint = batch[index].hint
        let result = change(index) { door, key, hash, except, request, expiry in
            place.region.withBytes(
                place.offset &+ Int(request.value.offset), Int(request.value.count)
            ) { value in
                let mode: StoreMode =
                    switch request.verb {
                    case .add: .add
                    case .replace: .replace
                    case .append: .append
                    case .prepend: .prepend
                    case .cas: .cas
                    default: .set
                    }
                return door.store(
                    mode, key: key, hash: hash, value: value, flags: request.flags,
                    expiry: expiry.second, isExpired: expiry.isExpired, cas: request.cas,
                    except: except, hint: hint)
            }
        }
        switch result {
        case .waits:
            return false
        case .refused:
            counters.add(.setCommands)
            counters.add(.storesFailed)
            let request = batch[index].request
            if request.verb == .set {
                forget(
                    slot,
                    Location(
                        region: place.region,
                        offset: place.offset
                            &+ Int(request.key.offset)), Int(request.key.count), batch[index].hash)
            }
            answerOutOfMemory(slot, isQuiet: request.isQuiet, space)
        case .done(let outcome):
            answerStore(slot, batch[index].request, outcome, space)
        }
        return true
    }

    /// Counts and answers a storage command.
    mutating func answerStore(
        _ slot: Int, _ request: Request, _ outcome: Outcome, _ space: consuming ReplySpace
    ) {
        counters.add(.setCommands)
        if shared.observers.isActive { noteStored(slot, outcome) }
        if request.verb != .set { countStore(storeMode(request.verb), outcome) }
        if case .tooLarge = outcome { counters.add(.storeTooLarge) }
        guard !request.isQuiet else { return }
        var writer = replyWriter(space)
        switch outcome {
        case .stored: Reply.stored(to: &writer)
        case .exists: Reply.exists(to: &writer)
        case .notFound: Reply.notFound(to: &writer)
        case .tooLarge where request.verb != .append && request.verb != .prepend:
            Reply.tooLarge(to: &writer)
        default: Reply.notStored(to: &writer)
        }
        if case .stored = outcome {
            addChangeReply(slot, writer, space)
        } else {
            addReply(slot, writer, space)
        }
    }

    /// Counts what is no plain set by its kind; what is too large is counted as that alone.
    mutating func countStore(_ mode: StoreMode, _ outcome: Outcome) {
        let isStored: Bool
        switch outcome {
        case .stored: isStored = true
        case .tooLarge: return
        default: isStored = false
        }
        switch mode {
        case .set: break
        case .add: counters.add(isStored ? .addsStored : .addsRefused)
        case .replace: counters.add(isStored ? .replacesStored : .replacesRefused)
        case .append: counters.add(isStored ? .appendsStored : .appendsRefused)
        case .prepend: counters.add(isStored ? .prependsStored : .prependsRefused)
        case .cas: countCas(outcome)
        }
    }

    private mutating func countCas(_ outcome: Outcome) {
        switch outcome {
        case .stored: counters.add(.casHits)
        case .exists: counters.add(.casBadValues)
        case .notFound: counters.add(.casMisses)
        default: break
        }
    }

    // MARK: The other changes

    mutating func executeDelete(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let result = change(index) { door, key, hash, except, _, _ in
            door.remove(key, hash: hash, except: except)
        }
        let slot = Int(batch[index].slot)
        let isQuiet = batch[index].request.isQuiet
        guard case .done(let outcome) = result else {
            return answerUndone(slot, result, isQuiet: isQuiet, space)
        }
        var writer = replyWriter(space)
        if case .deleted = outcome {
            counters.add(.deleteHits)
            Reply.deleted(to: &writer)
        } else {
            counters.add(.deleteMisses)
            Reply.notFound(to: &writer)
        }
        // Also NOT_FOUND may have left a tombstone that is to last.
        if !isQuiet { addChangeReply(slot, writer, space) }
        return true
    }

    mutating func executeArithmetic(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let result = change(index) { door, key, hash, except, request, _ in
            door.add(
                request.delta, isDecrement: request.verb == .decr, key: key, hash: hash,
                except: except)
        }
        let slot = Int(batch[index].slot)
        let request = batch[index].request
        guard case .done(let outcome) = result else {
            return answerUndone(slot, result, isQuiet: request.isQuiet, space)
        }
        var writer = replyWriter(space)
        switch outcome {
        case .number(let number):
            counters.add(request.verb == .decr ? .decrHits : .incrHits)
            Reply.number(number, to: &writer)
            if !request.isQuiet { addChangeReply(slot, writer, space) }
            return true
        case .notNumeric:
            Reply.nonNumeric(to: &writer)
        case .tooLarge:
            Reply.outOfMemory(to: &writer)
        default:
            counters.add(request.verb == .decr ? .decrMisses : .incrMisses)
            Reply.notFound(to: &writer)
        }
        if !request.isQuiet { addReply(slot, writer, space) }
        return true
    }

    mutating func executeTouch(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let result = touchKey(index)
        let slot = Int(batch[index].slot)
        let isQuiet = batch[index].request.isQuiet
        guard case .done(let outcome) = result else {
            if case .refused = result { counters.add(.touchCommands) }
            return answerUndone(slot, result, isQuiet: isQuiet, space)
        }
        counters.add(.touchCommands)
        var writer = replyWriter(space)
        if case .touched = outcome {
            counters.add(.touchHits)
            Reply.touched(to: &writer)
            if !isQuiet { addChangeReply(slot, writer, space) }
        } else {
            counters.add(.touchMisses)
            Reply.notFound(to: &writer)
            if !isQuiet { addReply(slot, writer, space) }
        }
        return true
    }

    mutating func executeFlush(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        guard connections[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return false
        }
        let request = batch[index].request
        guard !shared.settings.refused.contains(.flushing) else {
            var writer = replyWriter(space)
            if request.isBinary {
                BinaryReply.error(request.head, BinaryStatus.authError, to: &writer)
                addReply(slot, writer, space)
                return true
            }
            Reply.flushNotAllowed(to: &writer)
            if !request.isQuiet { addReply(slot, writer, space) }
            return true
        }
        counters.add(.flushCommands)
        switch ExpiryRule.flush(request.expiry, now: now.seconds, ahead: now.secondsAhead) {
        case .at(let second): door.flushAll(at: second)
        case .past, .never: door.flushAll(at: nil)
        }
        guard !request.isQuiet else {
            if request.isBinary { noteQuietChange(slot) }
            return true
        }
        var writer = replyWriter(space)
        if request.isBinary {
            BinaryReply.done(request.head, to: &writer)
        } else {
            Reply.ok(to: &writer)
        }
        addChangeReply(slot, writer, space)
        return true
    }

    // MARK: Faults

    /// The peer's mistake: its reply, and how the connection gets back in step.
    mutating func executeFault(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        let fault = batch[index].fault
        if fault.kind == .tooLarge {
            if fault.key.count > 0, !forget(index, fault.key) { return false }
            counters.add(.setCommands)
            counters.add(.storeTooLarge)
        }
        if let counter = fault.kind.counter { counters.add(counter) }
        if !fault.isQuiet {
            var writer = replyWriter(space)
            if fault.isBinary {
                BinaryReply.fault(fault, to: &writer)
            } else {
                Reply.fault(fault.kind, to: &writer)
            }
            addReply(slot, writer, space)
        }
        connections[slot].input.drop(next: fault.swallow)
        if fault.closes {
            connections[slot].leaving = fault.kind == .http ? .browser : .lost
        }
        return true
    }

    /// Removes the old value of a set that is refused. False: not now.
    private mutating func forget(_ index: Int, _ key: Slice) -> Bool {
        let slot = Int(batch[index].slot)
        guard connections[slot].diskReads.open == 0 else {
            beginWait(slot, .reads)
            return false
        }
        var place = batch[index].input
        place.offset += Int(key.offset)
        var found = MetaKey(place: place, count: Int(key.count), hash: batch[index].hash)
        if batch[index].fault.isKeyEncoded {
            guard let decoded = decodedKey(place, found.count) else { return true }
            found = decoded
        }
        let outcome = found.place.region.withBytes(found.place.offset, found.count) {
            door.remove($0, hash: found.hash, except: connections[slot].differing)
        }
        switch finishChange(slot, found.place, found.slice, outcome) {
        case .waits: return false
        case .refused: forget(slot, found.place, found.count, found.hash)
        case .done: break
        }
        return true
    }

    /// The old value must not outlive a set that failed, wherever it resides.
    mutating func forget(_ slot: Int, _ key: Location, _ count: Int, _ hash: UInt64) {
        let differing = connections[slot].differing
        _ = key.region.withBytes(key.offset, count) {
            door.forget($0, hash: hash, except: differing)
        }
    }
}

extension Fault.Kind {
    /// What counts it; nil for what is counted elsewhere, or is no mistake of its own.
    fileprivate var counter: Counter? {
        switch self {
        case .unknownCommand, .binaryUnknown: .unknownCommands
        case .badDataChunk: .badValues
        case .unsigned, .binaryUnsigned: .unsignedRequests
        case .keyTooLong: .longKeys
        case .tooLarge, .rest, .otherProtocol, .http: nil
        default: .badFormats
        }
    }
}
