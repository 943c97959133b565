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

/// Whether a change is done.
enum ChangeStep: BitwiseCopyable {
    case done
    /// The connection waits; execute it again.
    case waits
    /// It has waited too long for memory or a disk.
    case refused
}

extension Worker where Network: ~Copyable {
    /// What a client's expiry means now.
    @inline(__always)
    mutating func absolute(_ sent: Int64) -> StoreExpiry {
        switch ExpiryRule.resolve(sent, now: now.seconds) {
        case .never: StoreExpiry(second: 0, isExpired: false)
        case .past: StoreExpiry(second: 0, isExpired: true)
        case .at(let second): StoreExpiry(second: second, isExpired: false)
        }
    }

    /// Executes a change. Nil: it waits, or was answered with an error already (then
    /// `isRefused` is set by the caller's reply).
    @inline(__always)
    mutating func change(
        _ index: Int,
        _ body: (
            inout Door, Span<UInt8>, UInt64, Differing, Request, StoreExpiry
        ) -> Outcome
    ) -> Outcome? {
        let slot = Int(batch[index].slot)
        guard connections[slot].openReads == 0 else {
            beginWait(slot, .reads)
            return nil
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
        switch settleChange(slot, place, request.key, outcome) {
        case .done: return outcome
        case .waits: return nil
        case .refused: return .wait
        }
    }

    /// Whether an outcome is final; if not, the connection is made to wait.
    mutating func settleChange(
        _ slot: Int, _ place: Location, _ key: Slice, _ outcome: Outcome
    ) -> ChangeStep {
        switch outcome {
        case .wait:
            if hasWaitedTooLong(slot) {
                connections[slot].differing = Differing()
                return .refused
            }
            counters.add(.waitsForMemory)
            beginWait(slot, .frames)
            return .waits
        case .read(let read):
            if hasWaitedTooLong(slot) {
                door.finish(read, nil, in: readBytes)
                connections[slot].differing = Differing()
                return .refused
            }
            beginChangeRead(slot, place, key, read)
            return .waits
        default:
            // What was excluded for this key means nothing for the next.
            connections[slot].differing = Differing()
            return .done
        }
    }

    /// No memory, or no disk, in time.
    mutating func answerOutOfMemory(
        _ slot: Int, isQuiet: Bool, _ room: consuming ReplyRoom
    ) {
        counters.add(.waitsExpired)
        counters.add(.storeNoMemory)
        guard !isQuiet else { return }
        var writer = replyWriter(room)
        Reply.outOfMemory(to: &writer)
        commitReply(slot, writer, room)
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

    mutating func executeStore(_ index: Int, _ room: consuming ReplyRoom) -> Bool {
        let slot = Int(batch[index].slot)
        let place = batch[index].input
        let outcome = change(index) { door, key, hash, except, request, expiry in
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
                    except: except)
            }
        }
        guard let outcome else { return false }
        answerStore(slot, batch[index].request, outcome, room)
        return true
    }

    /// Counts and answers a storage command.
    mutating func answerStore(
        _ slot: Int, _ request: Request, _ outcome: Outcome, _ room: consuming ReplyRoom
    ) {
        counters.add(.setCommands)
        if request.verb == .cas { countCas(outcome) }
        if case .wait = outcome {
            answerOutOfMemory(slot, isQuiet: request.isQuiet, room)
            return
        }
        if case .tooLarge = outcome { counters.add(.storeTooLarge) }
        guard !request.isQuiet else { return }
        var writer = replyWriter(room)
        switch outcome {
        case .stored: Reply.stored(to: &writer)
        case .exists: Reply.exists(to: &writer)
        case .notFound: Reply.notFound(to: &writer)
        case .tooLarge where request.verb != .append && request.verb != .prepend:
            Reply.tooLarge(to: &writer)
        default: Reply.notStored(to: &writer)
        }
        if case .stored = outcome {
            commitChange(slot, writer, room)
        } else {
            commitReply(slot, writer, room)
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

    mutating func executeDelete(_ index: Int, _ room: consuming ReplyRoom) -> Bool {
        guard
            let outcome = change(
                index,
                { door, key, hash, except, _, _ in
                    door.remove(key, hash: hash, except: except)
                })
        else { return false }
        let slot = Int(batch[index].slot)
        let isQuiet = batch[index].request.isQuiet
        if case .wait = outcome {
            answerOutOfMemory(slot, isQuiet: isQuiet, room)
            return true
        }
        var writer = replyWriter(room)
        if case .deleted = outcome {
            counters.add(.deleteHits)
            Reply.deleted(to: &writer)
        } else {
            counters.add(.deleteMisses)
            Reply.notFound(to: &writer)
        }
        // Also NOT_FOUND may have left a tombstone that is to last.
        if !isQuiet { commitChange(slot, writer, room) }
        return true
    }

    mutating func executeArithmetic(_ index: Int, _ room: consuming ReplyRoom) -> Bool {
        guard
            let outcome = change(
                index,
                { door, key, hash, except, request, _ in
                    door.add(
                        request.delta, isDecrement: request.verb == .decr, key: key, hash: hash,
                        except: except)
                })
        else { return false }
        let slot = Int(batch[index].slot)
        let request = batch[index].request
        var writer = replyWriter(room)
        switch outcome {
        case .wait:
            answerOutOfMemory(slot, isQuiet: request.isQuiet, room)
            return true
        case .number(let number):
            counters.add(request.verb == .decr ? .decrHits : .incrHits)
            Reply.number(number, to: &writer)
            if !request.isQuiet { commitChange(slot, writer, room) }
            return true
        case .notNumeric:
            Reply.nonNumeric(to: &writer)
        case .tooLarge:
            Reply.outOfMemory(to: &writer)
        default:
            counters.add(request.verb == .decr ? .decrMisses : .incrMisses)
            Reply.notFound(to: &writer)
        }
        if !request.isQuiet { commitReply(slot, writer, room) }
        return true
    }

    mutating func executeTouch(_ index: Int, _ room: consuming ReplyRoom) -> Bool {
        guard
            let outcome = change(
                index,
                { door, key, hash, except, _, expiry in
                    door.touch(
                        key, hash: hash, expiry: expiry.second, isExpired: expiry.isExpired,
                        except: except)
                })
        else { return false }
        let slot = Int(batch[index].slot)
        let isQuiet = batch[index].request.isQuiet
        counters.add(.touchCommands)
        if case .wait = outcome {
            answerOutOfMemory(slot, isQuiet: isQuiet, room)
            return true
        }
        var writer = replyWriter(room)
        if case .touched = outcome {
            counters.add(.touchHits)
            Reply.touched(to: &writer)
            if !isQuiet { commitChange(slot, writer, room) }
        } else {
            counters.add(.touchMisses)
            Reply.notFound(to: &writer)
            if !isQuiet { commitReply(slot, writer, room) }
        }
        return true
    }

    mutating func executeFlush(_ index: Int, _ room: consuming ReplyRoom) -> Bool {
        let slot = Int(batch[index].slot)
        guard connections[slot].openReads == 0 else {
            beginWait(slot, .reads)
            return false
        }
        let request = batch[index].request
        counters.add(.flushCommands)
        switch ExpiryRule.flush(request.expiry, now: now.seconds) {
        case .at(let second): door.flushAll(at: second)
        case .past, .never: door.flushAll(at: nil)
        }
        guard !request.isQuiet else { return true }
        var writer = replyWriter(room)
        Reply.ok(to: &writer)
        commitChange(slot, writer, room)
        return true
    }

    // MARK: Faults

    /// The peer's mistake: its reply, and how the connection gets back in step.
    mutating func executeFault(_ index: Int, _ room: consuming ReplyRoom) -> Bool {
        let slot = Int(batch[index].slot)
        let fault = batch[index].fault
        if fault.kind == .tooLarge {
            if fault.key.count > 0, !forget(index, fault.key) { return false }
            counters.add(.setCommands)
            counters.add(.storeTooLarge)
        }
        if !fault.isQuiet {
            var writer = replyWriter(room)
            Reply.fault(fault.kind, to: &writer)
            commitReply(slot, writer, room)
        }
        connections[slot].swallow = fault.swallow
        if fault.closes {
            connections[slot].isLeaving = true
        }
        return true
    }

    /// Removes the old value of a set that is refused. False: not now.
    private mutating func forget(_ index: Int, _ key: Slice) -> Bool {
        let slot = Int(batch[index].slot)
        guard connections[slot].openReads == 0 else {
            beginWait(slot, .reads)
            return false
        }
        let place = batch[index].input
        let outcome = place.region.withBytes(place.offset + Int(key.offset), Int(key.count)) {
            door.remove($0, hash: batch[index].hash, except: connections[slot].differing)
        }
        return settleChange(slot, place, key, outcome) != .waits
    }
}
