// Worker+Completions: completions become connection states. Nothing is answered here.
//
// A completion names the slot and the life of the slot it belongs to. One of an earlier life is
// ignored, but a buffer that came with it is lent back.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

extension Worker where Network: ~Copyable {
    /// Takes every completion there is.
    mutating func takeCompletions() {
        while let completion = ring.nextCompletion() {
            switch completion.token.operation {
            case .receive: takeReceived(completion)
            case .receiveInto, .send, .room, .cancel, .shutdown, .close: takeOperation(completion)
            case .read: completeRead(completion)
            case .wake: ring.armWake(token: completion.token)
            case .timeout where completion.token.slot == 0:
                ring.timeout(nanoseconds: 1_000_000_000, token: completion.token)
            case .timeout:
                wants.alarm = .rung
            case .accept, .none: break
            }
        }
    }

    /// The slot a token belongs to; nil if that life of it is over.
    @inline(__always)
    private mutating func slot(of token: Token) -> Int? {
        let slot = Int(token.slot)
        guard slots.used.contains(slot), connections[slot].generation == token.generation,
            connections[slot].phase != .vacant
        else { return nil }
        return slot
    }

    private mutating func takeReceived(_ completion: Completion) {
        guard let slot = slot(of: completion.token) else {
            if let buffer = completion.buffer { ring.lendBuffer(buffer) }
            return
        }
        markTouched(slot)
        let connection = connections
        if !completion.isArmed, connection[slot].receiving.end() {
            connection[slot].outstanding -= 1
        }
        if let buffer = completion.buffer {
            guard completion.result > 0, connection[slot].phase == .open,
                !connection[slot].isLeaving
            else {
                ring.lendBuffer(buffer)
                endOfStream(slot, completion.result)
                return
            }
            received(slot, buffer, bytes: UInt32(completion.result))
        } else {
            endOfStream(slot, completion.result)
        }
    }

    /// Adds a provided buffer to what a connection has to parse.
    @inline(__always)
    private mutating func received(_ slot: Int, _ buffer: UInt16, bytes: UInt32) {
        let id = UInt32(buffer)
        precondition(Int(id) < blocks.receivedCount && bytes <= ServerLimits.blockBytes)
        blocks.arrived()
        received(slot, in: id, bytes: bytes)
    }

    /// Adds a block to what a connection has to parse.
    @inline(__always)
    mutating func received(_ slot: Int, in id: UInt32, bytes: UInt32) {
        blocks[id] = Block(next: nobody, start: 0, end: bytes, borrowed: 0)
        connections[slot].input.receive(
            id, bytes: bytes, blocks, isRequest: !connections[slot].arrival.isActive,
            at: now.nanoseconds)
        connections[slot].lastActive = now.nanoseconds
        countReceived(slot, UInt64(bytes))
        let isDropped = connections[slot].input.swallow > 0
        if isDropped || connections[slot].deservesVisit { markReady(slot) }
    }

    @inline(__always)
    mutating func countReceived(_ slot: Int, _ bytes: UInt64) {
        counters.add(.bytesRead, bytes)
        if connections[slot].receiving.isLocal { counters.add(.bytesReadLocal, bytes) }
    }

    @inline(__always)
    mutating func countSent(_ slot: Int, _ bytes: UInt64) {
        counters.add(.bytesWritten, bytes)
        if connections[slot].receiving.isLocal { counters.add(.bytesWrittenLocal, bytes) }
    }

    /// A receive that brought no bytes.
    mutating func endOfStream(_ slot: Int, _ result: Int32) {
        guard connections[slot].phase == .open else {
            closeDescriptorIfQuiet(slot)
            return
        }
        switch result {
        case 0:
            connections[slot].hasEnded = true
        case -ENOBUFS:
            counters.add(.buffersExhausted)
            intake.ranOut(at: now.nanoseconds)
            starve(slot)
        case 1..., -ECANCELED, -EINTR, -EAGAIN:
            break
        default:
            close(slot, .closedByError)
        }
    }

    /// Completions that come once for each operation.
    private mutating func takeOperation(_ completion: Completion) {
        guard let slot = slot(of: completion.token) else { return }
        markTouched(slot)
        switch completion.token.operation {
        case .send where connections[slot].sending.state != .handed:
            takeShortSend(slot, completion.result)
            return
        case .send:
            connections[slot].outstanding -= 1
            settleSend(slot, completion.result)
        case .room:
            connections[slot].sending.told(isArmed: completion.isArmed)
            guard !completion.isArmed else { return }
            connections[slot].outstanding -= 1
        case .receiveInto:
            connections[slot].receiving.filled()
            connections[slot].outstanding -= 1
            takeFilling(slot, completion.result)
        case .cancel:
            connections[slot].receiving.told()
            connections[slot].outstanding -= 1
        case .close:
            connections[slot].outstanding -= 1
            didClose(slot)
            return
        default:
            connections[slot].outstanding -= 1
        }
        closeDescriptorIfQuiet(slot)
    }

    /// An immediate send that did not take everything: the rest moves to the pool.
    private mutating func takeShortSend(_ slot: Int, _ result: Int32) {
        let connection = connections
        guard connection[slot].phase == .open else { return }
        counters.add(.shortSends)
        guard result >= 0 || result == -EAGAIN || result == -EINTR else {
            close(slot, .closedByError)
            return
        }
        let sent = max(Int(result), 0)
        let total = connection[slot].replies.count
        guard sent < total else { return }
        // It was counted as sent.
        countSent(slot, UInt64(bitPattern: Int64(sent &- total)))
        let rest = Location(
            region: output.memory, offset: connection[slot].replies.offset + sent)
        connection[slot].sending.fill()
        connection[slot].pace.begin(at: now.nanoseconds)
        connection[slot].pace.add(sent: sent)
        measurePace(of: slot)
        keepUnsent(slot, rest, count: total - sent)
    }

    /// A counted send: goes on with the rest, or serves the connection again.
    private mutating func settleSend(_ slot: Int, _ result: Int32) {
        let connection = connections
        connection[slot].sending.sent(max(Int(result), 0))
        guard connection[slot].phase == .open else { return }
        guard result > 0 || result == -EAGAIN || result == -EINTR else {
            close(slot, .closedByError)
            return
        }
        guard result > 0 else { return }
        countSent(slot, UInt64(result))
        connection[slot].pace.add(sent: Int(result))
        connection[slot].lastActive = now.nanoseconds
        advanceOutput(slot, by: Int(result))
        if !connection[slot].isBehind {
            connection[slot].pace.end(at: now.nanoseconds)
            markReady(slot)
        }
    }
}
