// SimulatedRing: a ring without a kernel, which does everything a kernel may do to its user.
//
// Single-threaded and seeded. Operations make progress in `submit` only, in an order of luck,
// as the network's fault plan allows. Memory lent to an operation is read or written at a later
// moment than one would like (sends alone: at their submit), memory the ring owns is filled
// with rubbish, and a returned buffer at once, so that a user who looks too early or too late
// gets wrong bytes. A waiting submit never blocks: with nothing to deliver it returns empty, and
// the test goes on (`idleSubmits`). What progress means is in SimulatedProgress.swift.

public import Primitives
internal import Support
public import Uring

/// One of any number of rings on a simulated network.
public struct SimulatedRing: ~Copyable, Ring {
    enum Kind {
        case accept, receive, receiveOnce, receiveInto, sendNow, send, room, read
        case cancel, shutdown, close, timeout, wake

        var receives: Bool { self == .receive || self == .receiveOnce || self == .receiveInto }
    }

    /// One queued or running operation.
    struct Operation {
        var kind: Kind
        var token: Token
        var descriptor: Int32 = -1
        /// A receive that asks for no buffer before there is something to receive; any one does
        /// once it waits.
        var isPatient = false
        var memory: Region?
        var offset = 0
        var count = 0
        /// A place in a file, a moment, or the bits of a cancel's target.
        var number: UInt64 = 0
        /// Orders the completions of one operation.
        var serial = 0
        /// The connection, fixed when the operation starts: descriptors come back.
        var link = -1
        /// A wait for room that goes on, and the room that it told of last.
        var isRepeated = false
        var toldRoom = -1
        /// Submits to wait for, and the release that ends the wait before.
        var stall = 0
        var release = 0
    }

    /// Something to tell, in the order in which it happened.
    struct Outcome {
        var completion: Completion
        var serial: Int
        /// To be told in the submit in which it happened.
        var isUrgent: Bool
    }

    public let buffers: Region
    public let bufferBytes: Int
    public let waker: Waker
    public private(set) var enterCount: UInt64 = 0
    public let network: SimulatedNetwork
    let configuration: RingConfiguration
    let wakeWord: AtomicWord32
    /// Counts the rings of a network.
    let number: Int
    /// Lent buffers, the next to be taken first.
    var lent: [UInt16]
    var isLent: [Bool]
    var queue: [Operation] = []
    var running: [Operation] = []
    var outcomes: [Outcome] = []
    var told: [Completion] = []
    var toldCount = 0
    var serials = 0
    /// Tokens of connections whose close was told in an earlier turn, and in this one.
    var retired: [Token] = []
    var retiring: [Token] = []
    /// Tokens by connection until it is closed, then by the serial of that close.
    var used: [Int: Set<UInt64>] = [:]
    var closed: [Int: Set<UInt64>] = [:]

    /// Makes a ring; `memory`, if given, serves as the buffers' memory and must be long enough.
    public init(
        network: SimulatedNetwork, configuration: RingConfiguration, memory: Region? = nil
    ) throws(RingError) {
        configuration.check()
        let bytes = max(configuration.bufferCount * configuration.bufferBytes, 4096)
        let word = try Self.map(4096)
        let memory = if let memory { memory } else { try Self.map(bytes) }
        precondition(memory.byteCount >= bytes)
        self.network = network
        self.configuration = configuration
        buffers = memory
        wakeWord = word.atomic32(at: 0)
        number = network.sleepers.count
        network.sleepers.append(nil)
        waker = Waker(word: wakeWord)
        bufferBytes = configuration.bufferBytes
        lent = (0..<configuration.bufferCount).map { UInt16($0) }
        isLent = Array(repeating: true, count: configuration.bufferCount)
    }

    private static func map(_ bytes: Int) throws(RingError) -> Region {
        do throws(MemoryError) { return try Region.map(byteCount: bytes) } catch { throw .memory }
    }

    /// Buffers that the user holds, or that wait in a completion.
    public var takenBuffers: Int { configuration.bufferCount - lent.count }

    // MARK: Buffers

    public func bufferOffset(_ id: UInt16) -> Int {
        precondition(Int(id) < configuration.bufferCount)
        return Int(id) * bufferBytes
    }

    public mutating func lendBuffer(_ id: UInt16) {
        precondition(!isLent[Int(id)], "a buffer is given back once")
        fill(buffers, bufferOffset(id), bufferBytes)
        isLent[Int(id)] = true
        lent.append(id)
    }

    // MARK: Operations

    public mutating func accept(_ listener: Socket, token: Token) {
        add(Operation(kind: .accept, token: token, descriptor: listener.descriptor))
    }

    public mutating func receive(_ socket: Socket, token: Token) {
        precondition(configuration.bufferCount > 0)
        add(Operation(kind: .receive, token: token, descriptor: socket.descriptor))
    }

    public mutating func receiveOnce(_ socket: Socket, whenReadable: Bool, token: Token) {
        precondition(configuration.bufferCount > 0)
        add(
            Operation(
                kind: .receiveOnce, token: token, descriptor: socket.descriptor,
                isPatient: whenReadable))
    }

    public mutating func receive(
        _ socket: Socket, into region: Region, at offset: Int, count: Int, token: Token
    ) {
        add(.receiveInto, socket.descriptor, region, offset, count, token)
    }

    public mutating func receiveNow(
        _ socket: Socket, into region: Region, at offset: Int, count: Int
    ) -> Int {
        precondition(
            !(queue + running).contains {
                $0.kind.receives && $0.descriptor == socket.descriptor
            }, "one receive at a time")
        guard let link = network.link(socket.descriptor) else { return -Int(Code.badDescriptor) }
        if strikesReset(link) { return -Int(Code.reset) }
        if network.links[link].waiting > 0, !network.strikes(.delays) {
            fill(region, offset, count)
            return take(link, at: offset, of: region, max: count)
        }
        return isAtEnd(link) ? 0 : -Int(Code.again)
    }

    public mutating func sendNow(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token
    ) {
        add(.sendNow, socket.descriptor, region, offset, count, token)
    }

    public mutating func send(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token
    ) {
        add(.send, socket.descriptor, region, offset, count, token)
    }

    public mutating func awaitRoom(_ socket: Socket, repeatedly: Bool, token: Token) {
        add(
            Operation(
                kind: .room, token: token, descriptor: socket.descriptor, isRepeated: repeatedly))
    }

    public func heldByteCount(of socket: Socket) -> Int {
        network.link(socket.descriptor).map { network.links[$0].held.count } ?? 0
    }

    public func roomByteCount(of socket: Socket) -> Int {
        network.link(socket.descriptor).map { network.links[$0].room } ?? 0
    }

    public func isGone(_ socket: Socket) -> Bool {
        network.link(socket.descriptor).map { network.links[$0].isReset } ?? false
    }

    public mutating func read(
        _ descriptor: Int32, at fileOffset: UInt64, into region: Region, at offset: Int,
        count: Int, token: Token
    ) {
        add(.read, descriptor, region, offset, count, token, number: fileOffset)
    }

    public mutating func cancel(_ target: Token, token: Token) {
        add(Operation(kind: .cancel, token: token, number: target.bits))
    }

    public mutating func shutdown(_ socket: Socket, token: Token) {
        add(Operation(kind: .shutdown, token: token, descriptor: socket.descriptor))
    }

    public mutating func close(_ socket: Socket, token: Token) {
        add(Operation(kind: .close, token: token, descriptor: socket.descriptor))
    }

    public mutating func timeout(nanoseconds: UInt64, token: Token) {
        let moment = network.nanoseconds + nanoseconds
        add(Operation(kind: .timeout, token: token, number: moment))
    }

    public mutating func armWake(token: Token) { add(Operation(kind: .wake, token: token)) }

    private mutating func add(
        _ kind: Kind, _ descriptor: Int32, _ region: Region, _ offset: Int, _ count: Int,
        _ token: Token, number: UInt64 = 0
    ) {
        precondition(offset >= 0)
        precondition(count > 0)
        precondition(offset <= region.byteCount - count)
        add(
            Operation(
                kind: kind, token: token, descriptor: descriptor, memory: region,
                offset: offset, count: count, number: number))
    }

    private mutating func add(_ operation: Operation) {
        if queue.count == configuration.entries || network.strikes(.fullQueue) {
            start()
        }
        serials += 1
        var operation = operation
        operation.serial = serials
        queue.append(operation)
    }

    // MARK: Turns

    public mutating func submit(waiting: Bool) throws(RingError) {
        enterCount += 1
        start()
        progress(isPatient: true)
        tell(isPatient: true)
        if waiting, toldCount == told.count {
            // Something that can complete must, if the caller is to wait for it.
            progress(isPatient: false)
            tell(isPatient: false)
        }
        network.idleSubmits = toldCount == told.count ? network.idleSubmits + 1 : 0
        network.isStill = waiting && toldCount == told.count
        network.sleepers[number] =
            network.isStill ? Sleeper(operations: running, wakeWord: wakeWord) : nil
    }

    public mutating func nextCompletion() -> Completion? {
        guard toldCount < told.count else {
            told.removeAll(keepingCapacity: true)
            toldCount = 0
            return nil
        }
        defer { toldCount += 1 }
        return told[toldCount]
    }

    /// Makes what has happened visible, some of it only in a later turn.
    private mutating func tell(isPatient: Bool) {
        guard !outcomes.isEmpty || !retired.isEmpty || !retiring.isEmpty else { return }
        var withheld: [Outcome] = []
        var serials: Set<Int> = []
        var ready: [Outcome] = []
        for outcome in outcomes {
            let waits =
                serials.contains(outcome.serial)
                || (isPatient && !outcome.isUrgent
                    && network.strikes(.withheldCompletions))
            if waits {
                serials.insert(outcome.serial)
                withheld.append(outcome)
            } else {
                ready.append(outcome)
            }
        }
        outcomes = withheld
        if ready.count > 1, network.strikes(.reordering) { shuffle(&ready) }
        let stale = staleCompletion()
        retired += retiring
        retiring.removeAll()
        for outcome in ready {
            told.append(outcome.completion)
            if outcome.completion.token.operation == .close { retire(outcome) }
        }
        if let stale { told.insert(stale, at: told.count - network.chance.below(ready.count + 1)) }
    }

    /// Any order in which every operation's own completions keep theirs.
    private mutating func shuffle(_ ready: inout [Outcome]) {
        let places = ready.indices.shuffled(using: &network.chance)
        var waiting: [Int: [Int]] = [:]
        for place in places { waiting[ready[place].serial, default: []].append(place) }
        for serial in waiting.keys { waiting[serial]?.sort(by: >) }
        ready = places.map { place in
            ready[waiting[ready[place].serial]?.popLast() ?? place]
        }
    }

    private mutating func staleCompletion() -> Completion? {
        guard !retired.isEmpty, network.strikes(.staleCompletions) else {
            return nil
        }
        let token = retired[network.chance.below(retired.count)]
        let results: [Int32] = [-Code.cancelled, 0, 1, -Code.reset]
        return Completion(
            token: token, result: results[network.chance.below(4)], buffer: nil, isArmed: false)
    }

    /// The close of a connection is told: from the next turn on its tokens are stale.
    private mutating func retire(_ outcome: Outcome) {
        guard let tokens = closed.removeValue(forKey: outcome.serial) else { return }
        var still = Set(running.map { $0.token.bits })
        for outcome in outcomes { still.insert(outcome.completion.token.bits) }
        for bits in tokens.sorted() where !still.contains(bits) {
            retiring.append(Token(bits: bits))
        }
        if retired.count > 64 { retired.removeFirst(retired.count - 64) }
    }

    /// Rubbish, where nobody should be looking.
    func fill(_ region: Region, _ offset: Int, _ count: Int) {
        for index in 0..<count { region.store(UInt8(0xDD), at: offset + index) }
    }
}
