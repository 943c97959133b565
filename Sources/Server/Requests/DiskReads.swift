// DiskReads: gets and changes whose record must be read from disk first.
//
// A read has a slot: the key, a buffer for the first bytes, and memory of the store for longer
// records. A get's read is a part of its connection's queue, so answers keep their order while
// later requests go on; a change's read stops its connection until the record is in memory, then
// the change is executed again. What a read brought is judged by the store (`Door.examine`).
// Every read that was begun ends exactly once, also when its connection is gone or its time is up.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Store
internal import Uring

/// How far a read has come.
///
/// ```text
/// vacant ──► reading ──► decided          a get's: the key's record, or none
///             │  ▲ ▲
///             │  │ └──── waitingForRoom   it is longer than what there is memory for now
///             │  └────── again            another key's (a get's): what else is on disk is read,
///             │                           else it is decided
///             └────────► bringing         a change's, and there is no memory to bring it into
/// ```
/// From each to vacant: it is answered, its change goes on, or nobody waits any more. One that the
/// kernel has then (`isOrphan`) stays `reading` until the kernel is done.
enum ReadState: UInt8, BitwiseCopyable {
    case vacant
    /// The kernel has it.
    case reading
    /// It needs more memory than the slot's, and there is none.
    case waitingForRoom
    /// A change's record is here and there is no memory to bring it into.
    case bringing
    /// Another key's record: look for the key again.
    case again
    /// A get's answer is known: `record`, or nothing.
    case decided
}

/// One read from disk.
///
/// Its memory, of `memoryBytes`, holds the first bytes of the record, then the key.
struct ReadSlot: BitwiseCopyable {
    static let memoryBytes = Door.firstReadBytes + ServerLimits.keyBytes

    var state = ReadState.vacant
    var isChange = false
    /// Nobody waits for it any more.
    var isOrphan = false
    var sendsCas = false
    var endsKeys = false
    var keyBytes: UInt16 = 0
    var generation: UInt32
    var connection = nobody
    /// The part that it is (a get's).
    var part = nobody
    var read: DiskRead?
    var differing = Differing()
    var record: DiskRecord?
    var readPlace: Staging?
    /// Of a binary get: what its reply repeats.
    var binary: BinaryHead?
    /// Bytes that were asked for, or that are needed.
    var wantedBytes = 0
    var startedAt: UInt64 = 0
    /// The get was counted as a hit before, when it was read for the first time.
    var isCounted = false

    var isDecided: Bool { state == .decided }
    /// Whether it is decided, and its value is sent from where it was read to.
    var bringsLarge: Bool {
        isDecided && record.map { $0.valueBytes > Door.copyBytesMax } ?? false
    }

    init(generation: UInt32) { self.generation = generation }

    /// Traps if it contradicts itself: what is read fits where it goes.
    func check() {
        guard let readPlace else { return }
        precondition(wantedBytes <= readPlace.valueBytes)
    }
}

extension Worker where Network: ~Copyable {
    // MARK: Beginning

    /// Begins the read that answers a get. False: not now, the connection waits.
    mutating func beginRead(_ index: Int, _ read: DiskRead) -> Bool {
        let slot = Int(batch[index].slot)
        let counts = connections[slot].diskReads
        guard counts.parts < counts.max(isScarce: !queues[.readSlots].isEmpty),
            counts.postponed == 0
        else {
            door.abandon(read)
            beginWait(slot, .parts)
            return false
        }
        let input = batch[index].input
        guard let number = takeRead(slot, input, batch[index].request.key, read) else {
            return false
        }
        if connections[slot].replies.hasChanges { deferChanges(slot) }
        guard connections[slot].phase == .open, let part = addPart(slot, .read) else {
            door.abandon(read)
            freeRead(number)
            if connections[slot].phase == .open { waitForBlocks(slot) }
            return false
        }
        parts[part].read = UInt32(number)
        reads[number].part = UInt32(part)
        reads[number].sendsCas =
            batch[index].request.verb == .gets
            || batch[index].request.verb == .gats
        reads[number].endsKeys = batch[index].endsKeys
        if batch[index].request.isBinary { reads[number].binary = batch[index].request.head }
        reads[number].differing = connections[slot].differing
        connections[slot].diskReads.begin()
        startRead(number)
        return true
    }

    /// Begins the read that a change needs; the connection waits in any case.
    mutating func beginChangeRead(
        _ slot: Int, _ place: Location, _ key: Slice, _ read: DiskRead
    ) {
        if read.isLoad {
            requestLoad(slot, read)
            return
        }
        guard let number = takeRead(slot, place, key, read) else { return }
        reads[number].isChange = true
        connections[slot].diskReads.wait(for: UInt32(number))
        beginWait(slot, .change)
        startRead(number)
    }

    /// Asks for a value that only the store's own thread can load; the connection waits for it.
    mutating func requestLoad(_ slot: Int, _ read: DiskRead) {
        counters.add(.diskLoads)
        counters.add(.waitsForLoad)
        door.requestLoad(read)
        beginWait(slot, .loads)
    }

    /// A slot that holds the key; nil if there is none, and the connection waits for one.
    mutating func takeRead(
        _ slot: Int, _ place: Location, _ key: Slice, _ read: DiskRead
    ) -> Int? {
        guard reads.vacantCount > 0, mayTake(slot, .readSlots) else {
            counters.add(.waitsForReadSlot)
            door.abandon(read)
            beginWait(slot, .readSlot)
            return nil
        }
        let number = Int(reads.take())
        reads[number] = ReadSlot(generation: reads[number].generation &+ 1 & 0xFF_FFFF)
        reads[number].connection = UInt32(slot)
        reads[number].read = read
        reads[number].keyBytes = UInt16(truncatingIfNeeded: key.count)
        readBytes.copy(
            from: place.region, at: place.offset + Int(key.offset), to: keyOffset(number),
            count: Int(key.count))
        return number
    }

    mutating func keyOffset(_ number: Int) -> Int {
        number * ReadSlot.memoryBytes + Door.firstReadBytes
    }

    /// Asks the kernel for the record's first bytes.
    mutating func startRead(_ number: Int) {
        guard let read = reads[number].read else { return }
        counters.add(.diskReads)
        reads[number].state = .reading
        reads[number].startedAt = now.nanoseconds
        reads[number].wantedBytes = min(read.firstBytes, Door.firstReadBytes)
        ring.read(
            door.diskDescriptor, at: read.fileOffset, into: readBytes,
            at: number * ReadSlot.memoryBytes, count: reads[number].wantedBytes,
            token: readToken(number))
    }

    private mutating func readToken(_ number: Int) -> Token {
        Token(.read, slot: UInt32(number), generation: reads[number].generation)
    }

    /// Reads a longer record into memory of the store, as soon as there is some.
    mutating func startLongRead(_ number: Int) {
        guard let read = reads[number].read else { return }
        if reads[number].readPlace == nil {
            let bytes = reads[number].wantedBytes
            reads[number].readPlace = door.openReadRoom(bytes: bytes)
            if reads[number].readPlace == nil, leavesAtOnce(number) {
                reads[number].readPlace = door.openReadRoom(bytes: bytes, isBrief: true)
            }
        }
        guard let place = reads[number].readPlace else {
            reads[number].state = .waitingForRoom
            wantFrames()
            return
        }
        reads[number].state = .reading
        ring.read(
            door.diskDescriptor, at: read.fileOffset, into: door.memory,
            at: door.readRoomOffset(place), count: reads[number].wantedBytes,
            token: readToken(number))
    }

    /// Whether what a get reads leaves as soon as it is here, so that it keeps memory for a moment
    /// only: it is the next that its connection is sent.
    private mutating func leavesAtOnce(_ number: Int) -> Bool {
        let slot = Int(reads[number].connection)
        guard !reads[number].isChange, connections[slot].deferred.first == reads[number].part
        else { return false }
        return takesAtOnce(slot, bytes: reads[number].wantedBytes)
    }

    /// Whether a connection's socket is sure to take a record and what its reply has besides.
    mutating func takesAtOnce(_ slot: Int, bytes: Int) -> Bool {
        let besides = ServerLimits.replyBytesMax - Door.copyBytesMax
        return socketRoom(slot) - connections[slot].replies.count >= bytes + besides
    }

    /// What stood before a read has left: memory that it has waited for may be at hand now.
    mutating func goOnReading(_ slot: Int) {
        let part = connections[slot].deferred.first
        guard part != nobody, parts[Int(part)].kind == .read else { return }
        let number = Int(parts[Int(part)].read)
        guard reads[number].state == .waitingForRoom, leavesAtOnce(number) else { return }
        startLongRead(number)
    }

    // MARK: Completing

    /// The kernel has read.
    mutating func completeRead(_ completion: Completion) {
        let number = Int(completion.token.slot)
        guard number < reads.used.upperBound, reads[number].state == .reading,
            reads[number].generation == completion.token.generation
        else { return }
        guard !reads[number].isOrphan else {
            endRead(number, nil)
            freeRead(number)
            return
        }
        switch completion.result {
        case -EINTR, -EAGAIN: readOn(number)
        default:
            counters.add(.diskReadBytes, bytes: Int(max(completion.result, 0)))
            let began = reads[number].startedAt
            examine(number, count: Int(completion.result))
            let goesOn =
                reads[number].state == .reading || reads[number].state == .waitingForRoom
            if !goesOn { latency.read(from: began, to: now.nanoseconds) }
        }
    }

    /// A read that was interrupted says nothing about the disk: it is asked for again.
    private mutating func readOn(_ number: Int) {
        if reads[number].readPlace == nil {
            let since = reads[number].startedAt
            startRead(number)
            reads[number].startedAt = since
        } else {
            startLongRead(number)
        }
    }

    /// Where the read's bytes are.
    mutating func bytes(of number: Int) -> Location {
        if let place = reads[number].readPlace {
            return Location(region: door.memory, offset: door.readRoomOffset(place))
        }
        return Location(region: readBytes, offset: number * ReadSlot.memoryBytes)
    }

    private mutating func examine(_ number: Int, count: Int) {
        guard let read = reads[number].read else { return }
        let place = bytes(of: number)
        let examined = readBytes.withBytes(keyOffset(number), Int(reads[number].keyBytes)) {
            door.examine(read, key: $0, in: place.region, at: place.offset, count: count)
        }
        switch examined {
        case .record(let record):
            reads[number].record = record
            if reads[number].isChange {
                bring(number)
            } else {
                counters.add(.diskHits)
                endRead(number, record)
                decide(number)
            }
        case .more(let totalBytes) where count > 0 && totalBytes > reads[number].wantedBytes:
            // A read that was postponed has room for what the key had then.
            closeRoom(number)
            reads[number].wantedBytes = totalBytes
            startLongRead(number)
        case .beyond: askForMove(number, read)
        case .more, .damaged:
            counters.add(.diskDamaged)
            if count < 0 { counters.add(.diskErrors) }
            if !reads[number].isChange, !reads[number].isCounted { counters.add(.missesDamaged) }
            miss(number, isDamaged: true)
        case .dead(let death):
            if !reads[number].isChange { countDeath(death) }
            miss(number, isDamaged: false)
        case .other:
            counters.add(.diskOthers)
            lookAgain(number, read)
        }
    }

    /// The record is of no use; its place in the index goes.
    private mutating func miss(_ number: Int, isDamaged: Bool) {
        if let read = reads[number].read {
            door.drop(read, isDamaged: isDamaged)
            reads[number].read = nil
        }
        counters.add(.diskMisses)
        reads[number].record = nil
        reads[number].isChange ? resumeChange(number) : decide(number)
    }

    /// The record is too large for a read: a get misses this time, a change waits.
    private mutating func askForMove(_ number: Int, _ read: DiskRead) {
        reads[number].read = nil
        guard reads[number].isChange else {
            counters.add(.diskLoads)
            door.requestLoad(read)
            return decide(number)
        }
        requestLoad(Int(reads[number].connection), read)
        resumeChange(number)
    }

    /// The record is of another key.
    private mutating func lookAgain(_ number: Int, _ read: DiskRead) {
        reads[number].read = nil
        if reads[number].isChange {
            let slot = Int(reads[number].connection)
            var differing = connections[slot].differing
            door.exclude(read, in: &differing)
            connections[slot].differing = differing
            resumeChange(number)
        } else {
            var differing = reads[number].differing
            door.exclude(read, in: &differing)
            reads[number].differing = differing
            closeRoom(number)
            reads[number].state = .again
            hasReadsAgain = true
            markReady(Int(reads[number].connection))
        }
    }

    /// Brings a change's record into memory, when there is some.
    private mutating func bring(_ number: Int) {
        guard let read = reads[number].read, let record = reads[number].record else { return }
        reads[number].state = .bringing
        guard door.bring(read, record, in: bytes(of: number).region) else {
            wantFrames()
            return
        }
        reads[number].read = nil
        resumeChange(number)
    }

    /// The change may be executed again.
    private mutating func resumeChange(_ number: Int) {
        let slot = Int(reads[number].connection)
        connections[slot].diskReads.wait(for: nobody)
        freeRead(number)
        if connections[slot].wait == .change { endWait(slot) }
    }

    /// A get's answer is known.
    mutating func decide(_ number: Int) {
        reads[number].state = .decided
        let slot = Int(reads[number].connection)
        let isHit = reads[number].record != nil
        if !reads[number].isCounted {
            counters.add(isHit ? .getHits : .getMisses)
            latency.wasRead(isHit: isHit, from: reads[number].startedAt, to: now.nanoseconds)
        }
        connections[slot].diskReads.note(isLarge: reads[number].bringsLarge)
        // It may have to be read again: until it leaves, nothing that follows changes it.
        guard reads[number].bringsLarge else { return readDecided(slot) }
        markTouched(slot)
        if isFrontReady(slot) { markReady(slot) }
    }

    mutating func readDecided(_ slot: Int) {
        markTouched(slot)
        endOpenRead(slot)
        if isFrontReady(slot) { markReady(slot) }
    }

    /// A get's answer is what it is now: changes that come after it may be executed.
    mutating func endOpenRead(_ slot: Int) {
        if connections[slot].diskReads.close(), connections[slot].wait == .reads { endWait(slot) }
    }

    // MARK: Ending

    /// The change that waits for its read needs it no more.
    mutating func endChangeRead(_ slot: Int) {
        let number = connections[slot].diskReads.change
        guard number != nobody else { return }
        abandonRead(Int(number))
        connections[slot].diskReads.wait(for: nobody)
    }

    /// The worker ends: the kernel may still write into the buffers, but nobody looks at them, and
    /// the store must not wait for these reads.
    mutating func endAllReads() {
        for number in reads.used { endRead(number, nil) }
    }

    /// Ends a begun read with the store.
    mutating func endRead(_ number: Int, _ record: DiskRecord?) {
        guard let read = reads[number].read else { return }
        if let record {
            door.finish(read, record, in: bytes(of: number).region)
        } else {
            door.abandon(read)
        }
        reads[number].read = nil
    }

    /// Gives back what a long record was read to: what is read next lies in the slot.
    private mutating func closeRoom(_ number: Int) {
        guard let place = reads[number].readPlace else { return }
        door.closeReadRoom(place)
        reads[number].readPlace = nil
    }

    /// Makes a slot vacant; its read has ended.
    mutating func freeRead(_ number: Int) {
        closeRoom(number)
        reads[number].state = .vacant
        reads.give(UInt32(number))
    }

    /// Nobody waits for a read any more: it ends now, or when the kernel is done with it.
    mutating func abandonRead(_ number: Int) {
        if reads[number].state == .reading {
            reads[number].isOrphan = true
        } else {
            endRead(number, nil)
            freeRead(number)
        }
    }

    // MARK: Time

    /// Frames are free again: reads that wait for memory go on, first the one that has waited
    /// longest, which may want more than others leave.
    mutating func resumeReads() {
        let table = reads
        let eldest = table.used.eldest(
            where: { table[$0].state == .waitingForRoom }, by: { table[$0].startedAt })
        if let eldest { startLongRead(eldest) }
        for number in reads.used {
            switch reads[number].state {
            case .waitingForRoom: startLongRead(number)
            case .bringing: bring(number)
            default: break
            }
        }
    }
}
