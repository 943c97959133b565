// SimulatedProgress: what each operation of a simulated ring does when its time comes.

internal import Glibc
internal import Primitives
internal import Support
internal import Uring

extension SimulatedRing {
    // MARK: Starting

    /// Takes everything queued, in order: what never waits is done, the rest begins to run.
    mutating func start() {
        let operations = queue
        queue.removeAll(keepingCapacity: true)
        for var operation in operations {
            if let link = network.link(operation.descriptor) {
                operation.link = link
                network.links[link].holders += 1
                used[link, default: []].insert(operation.token.bits)
            }
            if begin(operation) { running.append(operation) } else { release(operation) }
        }
    }

    private func release(_ operation: Operation) {
        guard operation.link >= 0 else { return }
        network.links[operation.link].holders -= 1
    }

    /// Does what is done at once; true if the operation goes on.
    private mutating func begin(_ operation: Operation) -> Bool {
        switch operation.kind {
        case .accept:
            guard network.backlogs[operation.descriptor] == nil else { return true }
            finish(operation, -Code.badDescriptor)
        case .receive, .receiveOnce, .receiveInto, .room:
            guard operation.link < 0 else { return true }
            finish(operation, -Code.badDescriptor)
        case .read:
            guard case .file? = network.objects[operation.descriptor] else {
                finish(operation, -Code.badDescriptor)
                return false
            }
            return true
        case .timeout, .wake:
            return true
        case .sendNow, .send:
            send(operation)
        case .cancel:
            cancel(operation)
        case .shutdown:
            if operation.link >= 0 { network.links[operation.link].isShutDown = true }
            finish(operation, 0)
        case .close:
            if operation.link >= 0 {
                // Kept under the close itself, which is what makes them stale.
                closed[operation.serial] = used.removeValue(forKey: operation.link)
            }
            finish(operation, network.close(operation.descriptor) ? 0 : -Code.badDescriptor)
        }
        return false
    }

    private mutating func send(_ operation: Operation) {
        guard operation.link >= 0 else {
            return finish(operation, -Code.badDescriptor, isUrgent: true)
        }
        if let failure = sendFailure(operation.link) {
            return finish(operation, failure, isUrgent: true)
        }
        var count = min(operation.count, network.links[operation.link].room)
        if count > 0, network.strikes(.shortSends) {
            count = network.chance.below(count)
            // A system that takes less than it was given says so when it takes more again.
            network.links[operation.link].roomNews += 1
        }
        deliver(operation, count: count)
        guard count < operation.count || operation.kind == .send else { return }
        finish(operation, count > 0 ? Int32(count) : -Code.again, isUrgent: true)
    }

    private mutating func cancel(_ operation: Operation) {
        guard let index = running.firstIndex(where: { $0.token.bits == operation.number }) else {
            return finish(operation, -Code.noEntry)
        }
        let target = running[index]
        if target.kind == .read, network.strikes(.lateCancels) {
            return finish(operation, -Code.already)
        }
        running.remove(at: index)
        finish(operation, 0)
        finish(target, -Code.cancelled)
        release(target)
    }

    // MARK: Running

    /// Lets every running operation go on, in an order of luck; when patient, some of them rest.
    mutating func progress(isPatient: Bool) {
        let isFull = network.strikes(.overflows)
        var waiting: [Operation] = []
        let turn = running.shuffled(using: &network.chance)
        running.removeAll(keepingCapacity: true)
        for var operation in turn {
            if isPatient, network.strikes(.delays) {
                waiting.append(operation)
            } else if step(&operation, isPatient: isPatient, isFull: isFull) {
                waiting.append(operation)
            } else {
                release(operation)
            }
        }
        running = waiting
    }

    /// True if the operation goes on.
    private mutating func step(_ operation: inout Operation, isPatient: Bool, isFull: Bool)
        -> Bool
    {
        switch operation.kind {
        case .accept: return accept(operation, isFull)
        case .receive, .receiveOnce: return receive(&operation, isFull)
        case .receiveInto: return receiveInto(operation)
        case .room: return awaitRoom(&operation)
        case .read: return read(&operation)
        case .timeout:
            guard operation.number <= network.nanoseconds else { return true }
            finish(operation, -Code.time)
        case .wake:
            guard wakeWord.exchange(0) != 0 else { return true }
            finish(operation, 8)
        case .sendNow, .send, .cancel, .shutdown, .close:
            preconditionFailure("done when it was started")
        }
        return false
    }

    /// Whether the multishot operation ends with the completion that comes now.
    private func losesArming(_ isFull: Bool) -> Bool {
        isFull || network.strikes(.lostArming)
    }

    private mutating func accept(_ operation: Operation, _ isFull: Bool) -> Bool {
        while let descriptor = network.acceptNext(operation.descriptor) {
            let isArmed = descriptor >= 0 && !losesArming(isFull)
            tell(operation, descriptor, isArmed: isArmed)
            guard isArmed else { return false }
        }
        return true
    }

    private mutating func receive(_ operation: inout Operation, _ isFull: Bool) -> Bool {
        let link = operation.link
        if lent.isEmpty, !operation.isPatient {
            finish(operation, -Code.noBuffers)
            return false
        }
        operation.isPatient = true
        if strikesReset(link) {
            finish(operation, -Code.reset)
            return false
        }
        for _ in 0..<(1 + network.chance.below(8)) where network.links[link].waiting > 0 {
            let isDry =
                lent.isEmpty
                || (takenBuffers > 0 && network.strikes(.dryBuffers))
            guard !isDry else {
                finish(operation, -Code.noBuffers)
                return false
            }
            let id = lent.removeFirst()
            isLent[Int(id)] = false
            let count = take(link, at: bufferOffset(id), of: buffers, max: bufferBytes)
            let isArmed = operation.kind == .receive && !losesArming(isFull)
            tell(operation, Int32(count), buffer: id, isArmed: isArmed)
            guard isArmed else { return false }
        }
        guard isAtEnd(link) else { return true }
        // A buffer is taken before the kernel looks what there is.
        finish(operation, lent.isEmpty ? -Code.noBuffers : 0)
        return false
    }

    private mutating func receiveInto(_ operation: Operation) -> Bool {
        let link = operation.link
        guard let memory = operation.memory else { return false }
        if strikesReset(link) {
            finish(operation, -Code.reset)
        } else if network.links[link].waiting > 0 {
            fill(memory, operation.offset, operation.count)
            let count = take(link, at: operation.offset, of: memory, max: operation.count)
            finish(operation, Int32(count))
        } else if isAtEnd(link) {
            finish(operation, 0)
        } else {
            return true
        }
        return false
    }

    /// As the kernel does it: a wait is over when two thirds of the socket are empty, and at once,
    /// for no good reason, if the peer sends no more.
    private mutating func awaitRoom(_ operation: inout Operation) -> Bool {
        let link = operation.link
        let isFailed = strikesReset(link) || network.links[link].isShutDown
        let isFirst = operation.toldRoom < 0
        let hasNews = isFirst || operation.toldRoom != network.links[link].roomNews
        guard
            isFailed || hasNews && network.links[link].hasRoom
                || isFirst && network.links[link].isPeerFinished
        else { return true }
        operation.toldRoom = network.links[link].roomNews
        tell(operation, 1, isArmed: operation.isRepeated && !isFailed)
        return operation.isRepeated && !isFailed
    }

    private mutating func read(_ operation: inout Operation) -> Bool {
        if network.holdsReads { return true }
        if operation.stall == 0, network.strikes(.stalledReads) {
            operation.stall = network.stalledTurns
            operation.release = network.releases
        }
        if operation.stall > 1, operation.release == network.releases {
            operation.stall -= 1
            return true
        }
        guard case .file(let index)? = network.objects[operation.descriptor],
            let memory = operation.memory, !network.strikes(.readErrors)
        else {
            finish(operation, -Code.input)
            return false
        }
        finish(operation, Int32(fetch(network.files[index], operation, into: memory)))
        return false
    }

    /// The bytes of a file, as far as luck allows.
    private func fetch(_ file: SimulatedNetwork.File, _ operation: Operation, into memory: Region)
        -> Int
    {
        fill(memory, operation.offset, operation.count)
        var count = operation.count
        if count > 1, network.strikes(.shortReads) {
            count = 1 + network.chance.below(count - 1)
        }
        if let reader = file.reader {
            guard let bytes = reader(operation.number, count) else { return -Int(Code.input) }
            count = min(bytes.count, count)
            memory.store(bytes.span.extracting(0..<count), at: operation.offset)
        } else if file.descriptor >= 0 {
            // SAFETY: the operation's own memory, in bounds, lent until it is told.
            count = unsafe pread(
                file.descriptor,
                memory.uncheckedAddress(at: operation.offset, count: count), count,
                off_t(clamping: operation.number))
            guard count >= 0 else { return -Int(errno) }
        } else {
            let place = Int(min(operation.number, UInt64(file.byteCount)))
            count = min(count, file.byteCount - place)
            if count > 0 {
                memory.copy(from: file.content, at: place, to: operation.offset, count: count)
            }
        }
        if count > 0, network.strikes(.damagedReads) {
            let byte = operation.offset + network.chance.below(count)
            memory.store(memory.uint8(at: byte) ^ 1 << UInt8(network.chance.below(8)), at: byte)
        }
        return count
    }

    // MARK: Bytes

    func strikesReset(_ link: Int) -> Bool {
        if network.strikes(.resets) { network.links[link].isReset = true }
        return network.links[link].isReset
    }

    private func sendFailure(_ link: Int) -> Int32? {
        if network.links[link].isShutDown { return -Code.pipe }
        return strikesReset(link) ? -Code.reset : nil
    }

    func isAtEnd(_ link: Int) -> Bool {
        network.links[link].waiting == 0
            && (network.links[link].isPeerFinished || network.links[link].isShutDown)
    }

    /// Moves bytes that have arrived into memory; at least one.
    func take(_ link: Int, at offset: Int, of memory: Region, max: Int) -> Int {
        var count = min(max, network.links[link].waiting)
        if count > 1, network.strikes(.shortReceives) {
            count = 1 + network.chance.below(count - 1)
        }
        let first = network.links[link].taken
        let bytes = Array(network.links[link].arriving[first..<first + count])
        memory.store(bytes.span, at: offset)
        network.links[link].taken += count
        if network.links[link].waiting == 0 {
            network.links[link].arriving.removeAll(keepingCapacity: true)
            network.links[link].taken = 0
        }
        return count
    }

    /// Moves bytes of an operation's memory to the socket, and on to the peer.
    private func deliver(_ operation: Operation, count: Int) {
        guard let memory = operation.memory, count > 0 else { return }
        memory.withBytes(operation.offset, count) { bytes in
            network.links[operation.link].hold(bytes)
        }
        network.links[operation.link].drain()
    }

    // MARK: Outcomes

    /// The last completion of an operation.
    private mutating func finish(_ operation: Operation, _ result: Int32, isUrgent: Bool = false) {
        tell(operation, result, isArmed: false, isUrgent: isUrgent)
    }

    private mutating func tell(
        _ operation: Operation, _ result: Int32, buffer: UInt16? = nil, isArmed: Bool,
        isUrgent: Bool = false
    ) {
        let completion = Completion(
            token: operation.token, result: result, buffer: buffer, isArmed: isArmed)
        outcomes.append(
            Outcome(completion: completion, serial: operation.serial, isUrgent: isUrgent))
    }
}
