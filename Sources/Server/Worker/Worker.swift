// Worker: one thread's loop. This file is its table of contents.
//
// A worker owns a ring, a door into the store, and the connections that were handed to it; its
// memory is taken at start. It knows the ring by its protocol only, so tests run this very loop.
// Worker+Completions: what the ring reports. Worker+Serve: parsing, batches. Execute,
// ExecuteChanges: the joint to the store. Output, Deferral: replies. DiskReads, PostponedReads,
// DiskAnswers, LargeValues, Listings, Watching: what takes several turns. Pool, Intake, Scarcity,
// SharedMemory: who may use the memory. Closing: ends, deadlines. WorkerLists: who is in a list.

internal import Memcache
public import Primitives
public import Store
public import Uring

/// How large a worker is; every number is fixed for its life.
public struct WorkerConfiguration: BitwiseCopyable, Sendable {
    /// Connections it can have at once.
    public var connectionsMax: Int
    /// Provided receive buffers of its ring; a power of two.
    public var receiveBuffers: Int
    /// Blocks of its pool.
    public var poolBlocks: Int
    /// Largest value it accepts, in bytes.
    public var itemBytesMax: Int
    /// Requests of one connection in a turn while others are ready (-R).
    public var requestsPerTurnMax: Int
    /// Seconds without a request after which a connection is closed; 0 for never.
    public var idleTimeoutSeconds: Int
    /// `-C`: `gets` answers with a CAS of zero, and none is compared.
    public var isCasDisabled: Bool

    public init(
        connectionsMax: Int, receiveBuffers: Int = 64, poolBlocks: Int = 64,
        itemBytesMax: Int = 1 << 20, requestsPerTurnMax: Int = 64, idleTimeoutSeconds: Int = 0,
        isCasDisabled: Bool = false
    ) {
        self.connectionsMax = connectionsMax
        self.receiveBuffers = receiveBuffers
        self.poolBlocks = poolBlocks
        self.itemBytesMax = itemBytesMax
        self.requestsPerTurnMax = requestsPerTurnMax
        self.idleTimeoutSeconds = idleTimeoutSeconds
        self.isCasDisabled = isCasDisabled
    }
}

/// The tables and buffers of one worker. Copies name the same memory.
private struct WorkerTables: BitwiseCopyable {
    let batch: Table<Entry>
    let partBytes: Region
    let readBytes: Region

    init(connectionsMax: Int) throws(MemoryError) {
        let partCount = ServerLimits.partCount(connectionsMax: connectionsMax)
        batch = try Table(count: ServerLimits.batchEntriesMax)
        partBytes = try Region.map(byteCount: partCount * ServerLimits.partInlineBytes)
        readBytes = try Region.map(byteCount: ServerLimits.readSlots * ReadSlot.memoryBytes)
    }
}

/// One worker. Made, used and let go on one thread.
public struct Worker<Network: Ring & ~Copyable>: ~Copyable {
    var ring: Network
    var door: Door
    let configuration: WorkerConfiguration
    let mailbox: Mailbox
    let shared: SharedState
    let counters: Counters
    let roll: ConnectionRoll
    let clock: TimeSource
    var latency: TurnLatency

    // Memory.
    private let tables: WorkerTables
    /// The connections.
    var slots: EntryPool<Connection>
    var blocks: Blocks
    /// Replies of this turn.
    var output: TurnOutput
    /// Replies that must not leave yet.
    var parts: EntryPool<Part>
    var reads: EntryPool<ReadSlot>
    /// Values and lists on their way.
    var transfers: Transfers

    // Lists of connections, each in the order in which they came.
    /// To be visited next.
    var ready: ConnectionList
    /// Something happened to them in this turn: `flush` looks at them.
    var touched: ConnectionList
    /// They wait for the store or the clock.
    var watched: ConnectionList
    /// Who waits for memory to receive into.
    var intake: Intake
    /// Who waits for what others have to give back.
    var queues: WaitQueues

    // This turn.
    var turnNumber: UInt64 = 0
    var now: Moment
    var news: News
    var batchCount = 0
    var bounds = TurnBounds()
    /// Some reads brought another key's record.
    var hasReadsAgain = false
    /// Of the request that is being executed, while somebody watches.
    var sighting = Sighting()
    /// A pin was given back.
    var isPinFreed = false

    /// What is waited for, and since when.
    var wants = Wants()

    var drain = Drain()
    var rounds: Rounds

    /// Makes a worker over a ring that was made on this thread.
    public init(
        ring: consuming Network, door: consuming Door, configuration: WorkerConfiguration,
        mailbox: Mailbox, shared: SharedState, number: Int, clock: TimeSource
    ) throws(MemoryError) {
        let slots = configuration.connectionsMax
        precondition(ring.bufferBytes == ServerLimits.blockBytes)
        precondition(ring.bufferOffset(1) == ServerLimits.blockBytes)
        let tables = try WorkerTables(connectionsMax: slots)
        let connections = try EntryPool<Connection>(count: slots)
        let output = try TurnOutput()
        let (ready, touched) = try (ConnectionList(slots: slots), ConnectionList(slots: slots))
        let (watched, intake) = try (ConnectionList(slots: slots), Intake(slots: slots))
        let queues = try WaitQueues(slots: slots)
        let parts = try EntryPool<Part>(
            count: ServerLimits.partCount(connectionsMax: slots))
        let reads = try EntryPool<ReadSlot>(count: ServerLimits.readSlots)
        let transfers = try Transfers(connectionsMax: slots)
        let blocks = try Blocks(
            received: ring.buffers, receivedCount: configuration.receiveBuffers,
            poolCount: configuration.poolBlocks,
            lodgingCount: ServerLimits.lodgingCount(
                connectionsMax: slots, poolBlocks: configuration.poolBlocks),
            store: door.memory)
        let latency = try TurnLatency(
            shared.latency(worker: number), shared.counters(worker: number))
        self.tables = tables
        self.slots = connections
        self.output = output
        self.transfers = transfers
        self.latency = latency
        self.parts = parts
        self.reads = reads
        self.blocks = blocks
        self.ready = ready
        self.touched = touched
        self.watched = watched
        self.intake = intake
        self.queues = queues
        self.configuration = configuration
        self.mailbox = mailbox
        self.shared = shared
        self.clock = clock
        counters = shared.counters(worker: number)
        roll = shared.roll(worker: number)
        now = clock.now()
        rounds = Rounds(at: now.nanoseconds)
        news = door.news()
        sighting.untilSample = shared.observers.sampling - 1
        self.ring = ring
        self.door = door
        self.door.winTimeoutSeconds = UInt32(shared.settings.winTimeoutSeconds)
        self.ring.armWake(token: Token(.wake, slot: 0, generation: 0))
        self.ring.timeout(
            nanoseconds: 1_000_000_000, token: Token(.timeout, slot: 0, generation: 0))
    }

    @inline(__always) var connections: Table<Connection> { slots.entries }
    @inline(__always) var batch: Table<Entry> { tables.batch }
    @inline(__always) var partBytes: Region { tables.partBytes }
    @inline(__always) var readBytes: Region { tables.readBytes }

    /// Turns until the worker was ordered to stop and has nothing left to answer.
    public mutating func run() throws(RingError) {
        do {
            while !isDone { try turn() }
        } catch {
            leave()
            throw error
        }
        leave()
    }

    /// Tells the store that this worker will change nothing more.
    private mutating func leave() {
        door.endTurn()
        endAllReads()
        door.close()
    }

    /// Whether it was ordered to stop and all its connections are gone.
    public var isDone: Bool { drain.isActive && slots.takenCount == 0 }

    /// Whether it has nothing to do until something completes.
    public var isIdle: Bool {
        ready.isEmpty && !isPinFreed && !isRoomNews && !queues.isTrying
            && (reads.vacantCount == 0 || queues[.readSlots].isEmpty)
            && (blocks.lentCount == 0 || !intake.isAnyoneStarved)
    }

    /// Traps if what the worker keeps contradicts itself. For tests, between turns: it costs what
    /// there is.
    public mutating func check() {
        ready.check()
        touched.check()
        watched.check()
        precondition(touched.isEmpty)
        for slot in watched { precondition(connections[slot].phase == .open) }
        let table = connections
        intake.check { table[$0].phase == .open }
        blocks.check()
        queues.check(connections, watched)
        transfers.check()
        slots.check()
        output.check()
        parts.check()
        reads.check()
        wants.check()
        for slot in slots.used { check(slot) }
        for number in reads.used { reads[number].check() }
        if slots.takenCount == 0 { checkNothingIsHeld() }
    }

    /// Traps if what one connection keeps contradicts itself.
    private mutating func check(_ slot: Int) {
        let connection = connections[slot]
        transfers.check(connection)
        connection.waiting.check()
        guard connection.phase == .open else { return }
        connection.input.check(blocks)
        connection.replies.check(turn: turnNumber, output)
        connection.unsent.check(blocks)
        connection.deferred.check(blocks, parts)
        connection.diskReads.check()
        connection.sending.check(isBehind: connection.isBehind)
    }

    /// Traps unless everything came back from connections that are gone.
    private mutating func checkNothingIsHeld() {
        precondition(blocks.isUnused && transfers.isUnused)
        precondition(parts.takenCount == 0 && queues.isEmpty)
        for number in reads.used {
            precondition(reads[number].state == .vacant || reads[number].isOrphan)
        }
    }

    /// One turn.
    public mutating func turn() throws(RingError) {
        try enter()  // 1. hand over last turn's work, take what finished
        takeCompletions()  // 2. completions become connection states
        listen()  // 3. what other threads have for us: sockets, news, time
        let isBusy = !ready.isEmpty || hasReadsAgain
        serve()  // 4. requests become replies, in place
        flush()  // 5. replies become sends, what is left of the input leaves the ring
        if isBusy { measure() }
    }

    /// Measures what this turn executed.
    private mutating func measure() {
        let ended = clock.nanoseconds()
        latency.measure(from: now.nanoseconds, to: ended)
        latency.turned(from: now.nanoseconds, to: ended)
    }

    /// Enters the kernel. Between turns the worker holds nothing of the store but pins, stagings
    /// and begun reads.
    private mutating func enter() throws(RingError) {
        let mayWait = isIdle && mailbox.fallAsleep()
        door.endTurn()
        try ring.submit(waiting: mayWait)
        mailbox.wakeUp()
        now = clock.now()
        turnNumber &+= 1
        door.beginTurn(now: now.seconds)
        counters.add(.turns)
    }

    /// The times of day were moved, by a debugger's hand.
    mutating func retime() {
        let moved = clock.now()
        now.seconds = moved.seconds
        now.secondsAhead = moved.secondsAhead
        door.retime(now: now.seconds)
    }

    /// Takes what others have sent, and looks at the clock.
    private mutating func listen() {
        output.begin(quota: quotaNow)
        if mailbox.takeNotice() { takeMail() }
        hearNews()
        if wants.alarm == .rung {
            wants.alarm = .off
            alarm()
        }
        if rounds.begin(at: now.nanoseconds) { tick() }
    }

    private mutating func takeMail() {
        while let handed = mailbox.takeSocket() { adopt(handed.socket, isLocal: handed.isLocal) }
        if transfers.listings.takenCount > 0 { resumeListings() }
        guard mailbox.isStopOrdered else { return }
        if !drain.isActive { beginDrain() }
        if shared.isHurried { endAll() }
    }

    /// A new connection.
    private mutating func adopt(_ socket: Socket, isLocal: Bool) {
        guard !drain.isActive, let slot = takeSlot() else {
            if !drain.isActive { counters.add(.rejectedWithoutPlace) }
            ring.close(socket, token: Token(.none, slot: 0, generation: 0))
            mailbox.connectionEnded()
            shared.connectionClosed()
            return
        }
        let generation = connections[slot].generation
        connections[slot] = Connection(
            descriptor: socket.descriptor, generation: generation,
            parser: freshParser,
            now: now.nanoseconds)
        connections[slot].receiving.isLocal = isLocal
        counters.add(.totalConnections)
        roll.opened(slot, descriptor: socket.descriptor, at: now.seconds)
        noteOpened(slot)
        markTouched(slot)
    }

    /// A parser of a connection of which nothing is known.
    private var freshParser: ClassicParser {
        ClassicParser(
            itemBytesMax: UInt32(clamping: configuration.itemBytesMax),
            dialects: shared.settings.dialects, isGuarded: shared.settings.isGuarded)
    }

    /// What the store has done since the last turn.
    private mutating func hearNews() {
        let latest = door.news()
        let isQueueing = !queues.isEmpty || wants.blocksSince != nil
        guard latest != news || isQueueing || isPinFreed else { return }
        let before = news
        news = latest
        if before.frames != news.frames { resumeReads() }
        callQueues(isFrameNews: before.frames != news.frames)
        isPinFreed = false
        let hasLoaded = before.loads != news.loads
        let isCommitNews =
            before.commits != news.commits || before.failedCommits != news.failedCommits
        guard hasLoaded || isCommitNews else { return }
        if isCommitNews { latency.committed(news.commits, at: now.nanoseconds) }
        for slot in watched {
            if hasLoaded, connections[slot].wait == .loads { endWait(slot) }
            if isCommitNews { hearCommit(slot) }
        }
    }
}
