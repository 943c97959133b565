// WorkerTarget: the whole worker on a simulated ring; the input is a program of what its peers do.
//
// They connect, ask, send some, stall, read some, half-close, reset, and time passes. Peers that
// keep to the protocol get the answers of their model (`ModelClient`); others send what the input
// says. Some programs have a store on disk, and values in it, some little memory and a small limit.
// After every turn the worker checks itself. In the end, whatever is left as it is, a new client is
// answered without any time passing; and when all are gone nothing is held.

import Server
import ServerSimulation
import Simulation

enum WorkerTarget {
    static func run(_ input: [UInt8]) -> String? {
        do {
            var program = try Program(Choices(input))
            return try program.run()
        } catch {
            return "\(error)"
        }
    }
}

/// What a worker has behind it.
private enum Backing {
    case memory
    /// The least memory, and no value longer than 8,000 bytes.
    case little
    case disk(isAcknowledging: Bool)
}

private struct Program {
    private var choices: Choices
    private let world: World
    private var clients: [ModelClient] = []
    /// Whether a peer must sign in.
    private let isGuarded: Bool
    private let backing: Backing
    /// Peers that send what the input says.
    private var strangers: [SimulatedNetwork.Peer] = []
    /// Bytes of values that may still be set: memory is not what this looks for.
    private var bytesLeft = 3 << 20

    private static let clientsMax = 16
    private static let sizes = [
        0, 1, 30, 500, 1500, 4000, 5000, 9000, 16_000, 17_000, 40_000, 150_000,
    ]

    init(_ choices: Choices) throws {
        self.choices = choices
        let seed = UInt64(self.choices.next())
        let faults = self.choices.below(3)
        var plan = faults == 0 ? FaultPlan.none : FaultPlan(seed: seed)
        // Resets are the program's business.
        plan.resets = 0
        let poolBlocks = self.choices.of([32, 40, 64])
        let manners = self.choices.next()
        let isGuarded = manners / 4 % 4 == 1
        self.isGuarded = isGuarded
        backing =
            switch manners / 16 {
            case 1: .disk(isAcknowledging: false)
            case 2: .disk(isAcknowledging: true)
            case 3: .little
            default: .memory
            }
        let disk = try Self.filledDisk(seed, backing)
        let isLittle = if case .little = backing { true } else { false }
        world = try World(
            seed: seed, faults: plan, memoryBytes: (isLittle ? 8 : disk == nil ? 32 : 16) << 20,
            receiveBuffers: 16, poolBlocks: poolBlocks,
            valueBytesMax: isLittle ? 8000 + Self.itemOverhead : 1 << 20, connections: 40,
            idleTimeoutSeconds: [0, 0, 0, 3][manners % 4],
            requestsPerTurnMax: self.choices.of([20, 1, 64]), disk: disk,
            access: Access(text: Array("anna:secret\n".utf8))
        ) {
            guard isGuarded else { return }
            $0.authFile = "given"
            $0.sasl.isEnabled = true
        }
        if disk != nil, !(try world.recover()) { throw Unready() }
    }

    private struct Unready: Error {}

    /// Tenths of a second after which a peer that is refused five times is out.
    private static let penaltySteps = 60

    /// What `-I` counts of an item besides its value, at least.
    private static let itemOverhead = 64

    /// A disk with the values that every client knows, and as many for those who are no clients.
    private static func filledDisk(_ seed: UInt64, _ backing: Backing) throws -> PlayedDisk? {
        guard case .disk(let isAcknowledging) = backing else { return nil }
        let disk = PlayedDisk(
            seed: seed, isAcknowledging: isAcknowledging, flushIntervalMilliseconds: 100)
        let values = ModelClient.keptSizes.enumerated().flatMap {
            [("kept\($0)", $1), ("theirs\($0)", $1)]
        }
        guard try disk.fill(values) else { throw Unready() }
        return disk
    }

    mutating func run() throws -> String? {
        var steps = 0
        while !choices.isOver, steps < 400 {
            try step()
            steps += 1
            if let complaint = hearAll() { return complaint }
        }
        if let complaint = try askAsAStranger() { return complaint }
        if let complaint = try finish() { return complaint }
        return try leave()
    }

    // MARK: Steps

    private mutating func step() throws {
        let code = choices.next()
        let choice = choices.next()
        switch code % 20 {
        case 0: connect(choice)
        case 1...3: set(choice)
        case 4...6: get(choice)
        case 7: withClient(choice) { $0.delete(choice % 6) }
        case 8: withClient(choice) { $0.askOther(choice) }
        case 9...11: send(choice)
        case 12: end(choice)
        case 13: read(choice)
        case 14: stranger(choice)
        case 15, 16: try world.turn(1 + choice % 8)
        case 17: _ = try world.comesToRest(turnsMax: 60)
        case 18: try world.pass(milliseconds: 100 * (1 + choice % 12))
        default: world.network.holdsReads = choice % 4 == 3
        }
    }

    private mutating func connect(_ choice: Int) {
        guard clients.count + strangers.count < Self.clientsMax else { return }
        let dialect = Dialect.allCases[choice % 3]
        var client = ModelClient(world.connect(), number: clients.count, dialect)
        switch backing {
        case .memory: break
        case .little: client.valueBytesMax = 8000
        case .disk: client.knowsKept()
        }
        if isGuarded { client.signIn(refusals: choice / 3 % 8 == 7 ? 2 : choice / 3 % 2) }
        clients.append(client)
    }

    private mutating func withClient(_ choice: Int, _ body: (inout ModelClient) -> Void) {
        if clients.isEmpty { connect(choice) }
        let index = choices.below(clients.count)
        guard !clients[index].isReset, !clients[index].hasFinished else { return }
        body(&clients[index])
    }

    private mutating func set(_ choice: Int) {
        let count = choices.of(Self.sizes)
        guard count <= bytesLeft else { return }
        bytesLeft -= count
        withClient(choice) {
            $0.set(
                key: choice % 6, flags: choice / 6, letter: UInt8(97 + choice % 26), count: count,
                isQuiet: choice % 7 == 0 && count <= $0.valueBytesMax)
        }
    }

    private mutating func get(_ choice: Int) {
        let times = choice % 8 == 7 ? 12 : 1
        if case .disk = backing, choice >= 128 {
            return withClient(choice) { client in
                let keys = ModelClient.keptSizes.indices.map { ModelClient.keptFrom + $0 }
                for at in 0..<times { client.get(Array(keys.dropFirst((choice + at) % 6))) }
            }
        }
        withClient(choice) { client in
            for _ in 0..<times { client.get((0...choice % 5).map { (choice / 5 + $0) % 6 }) }
        }
    }

    private mutating func send(_ choice: Int) {
        guard !clients.isEmpty else { return }
        let index = choice % clients.count
        let limit = choices.of([1, 2, 7, 40, 300, 2000, 16_000, 17_000, .max, .max])
        send(index, limit)
    }

    private mutating func send(_ index: Int, _ limit: Int) {
        guard !clients[index].isReset, !clients[index].hasFinished,
            !world.network.hasEnded(clients[index].peer)
        else { return }
        world.network.send(clients[index].takeUnsent(limit), from: clients[index].peer)
    }

    private mutating func end(_ choice: Int) {
        guard !clients.isEmpty else { return }
        let index = choice / 4 % clients.count
        switch choice % 4 {
        case 0:
            world.network.reset(clients[index].peer)
            clients[index].isReset = true
        case 1:
            world.network.finish(clients[index].peer)
            clients[index].hasFinished = true
        default:
            guard !strangers.isEmpty else { return }
            world.network.reset(strangers.removeLast())
        }
    }

    private mutating func read(_ choice: Int) {
        let peers = clients.map(\.peer) + strangers
        guard !peers.isEmpty else { return }
        let peer = peers[choice % peers.count]
        switch choices.below(3) {
        case 0: world.network.setSocketBuffer(choices.of([1000, 4000, 60_000]), of: peer)
        case 1: world.network.setAppetite(choices.of([0, 0, 1, 100, 5000, 40_000]), of: peer)
        default: world.network.setAppetite(.max, of: peer)
        }
    }

    private mutating func stranger(_ choice: Int) {
        if strangers.isEmpty || choice % 4 == 0 {
            guard clients.count + strangers.count < Self.clientsMax else { return }
            strangers.append(world.connect())
        }
        guard let peer = strangers.last, !world.network.hasEnded(peer) else { return }
        let isPlain = choice % 4 != 1
        world.network.send(
            isPlain ? choices.bytes(choice / 4) : choices.of(phrases), from: peer)
    }

    /// Beginnings that chance would take long to find; bytes of the input go on with them.
    private var phrases: [[UInt8]] {
        if case .disk = backing { return Self.storedPhrases }
        return Self.phrases
    }

    private static let phrases: [[UInt8]] = lines.map { Array($0.utf8) } + packets
    private static let storedPhrases = phrases + storedLines.map { Array($0.utf8) }

    /// Changes, and gets, of what is on disk only.
    private static let storedLines: [String] = (0..<6).flatMap { key in
        [
            "append theirs\(key) 0 0 40\r\n", "touch theirs\(key) 100\r\n",
            "mg theirs\(key) v t c N30\r\n", "gat 60 theirs\(key)\r\n",
            "set theirs\(key) 0 0 20000\r\n", "delete theirs\(key)\r\n",
            "get theirs\(key) kept\(key)\r\n",
        ]
    }

    private static let lines: [String] = [
        "set k 0 0 11\r\nanna secret\r\n", "set k 0 0 10\r\nanna wrong\r\n",
        "set k 0 0 17000\r\n", "set k 1 0 5000\r\n", "append k 0 0 40\r\n", "get k k k k\r\n",
        "ms k 5000 b F1 c k O7\r\n", "ms aw== 6000 b s q\r\n", "mg aw== b k f v t O9\r\n",
        "mg k s v N30 R5\r\n", "ma k N0 J5 v\r\n", "md k q I\r\n", "gat 0 k\r\n",
        "stats conns\r\n", "lru_crawler metadump all\r\n", "watch\r\n", "quit\r\n",
    ]

    /// Heads of packets with a key of 5, whose bodies have 5 bytes, too few for most, or 20,000.
    private static let packets: [[UInt8]] = {
        var packets: [[UInt8]] = []
        for opcode: UInt8 in [0x00, 0x01, 0x05, 0x0d, 0x0e, 0x10, 0x1d, 0x21, 0x22] {
            for count in [5, 20_000] {
                var head = [UInt8](repeating: 0, count: 24)
                (head[0], head[1], head[3], head[4]) = (0x80, opcode, 5, opcode == 1 ? 8 : 0)
                (head[10], head[11]) = (UInt8(count >> 8), UInt8(count & 255))
                packets.append(head)
            }
        }
        return packets
    }()

    // MARK: What must hold

    private mutating func hearAll() -> String? {
        for index in clients.indices {
            let bytes = world.network.takeReceived(by: clients[index].peer)
            if let complaint = clients[index].hear(bytes) {
                return "client \(index): \(complaint)"
            }
        }
        return nil
    }

    /// However the others left things, a new client is answered at once.
    private mutating func askAsAStranger() throws -> String? {
        world.network.faults = .none
        world.network.releaseReads()
        let peer = world.connect()
        var questions = [("get absent\r\n", "END\r\n"), ("stats\r\n", "END\r\n")]
        if isGuarded { questions.insert(("set k 0 0 11\r\nanna secret\r\n", "STORED\r\n"), at: 0) }
        for (request, end) in questions {
            world.network.send(request, from: peer)
            var received = ""
            var turns = 0
            while !received.hasSuffix(end) {
                guard turns < 200 else { return "a new client is not answered: \(request)" }
                try world.turn()
                received += world.received(peer)
                turns += 1
            }
        }
        world.network.finish(peer)
        return hearAll()
    }

    /// All read, and send what they have begun: every answer comes, or the connection was closed
    /// for a reason that is counted.
    private mutating func finish() throws -> String? {
        for index in clients.indices {
            world.network.setAppetite(.max, of: clients[index].peer)
            send(index, .max)
        }
        for peer in strangers { world.network.setAppetite(.max, of: peer) }
        _ = try world.comesToRest(turnsMax: 20_000)
        if let complaint = hearAll() { return complaint }
        var steps = 0
        while steps < 60, clients.contains(where: { !$0.isReset && !$0.isAnswered }) {
            try world.pass(milliseconds: 100)
            if let complaint = hearAll() { return complaint }
            steps += 1
        }
        let reasons = [
            "closedPoolDry", "closedStalledForOthers", "closedStalledInput", "closedUnread",
            "idleKicks",
        ]
        var closings = reasons.reduce(0) { $0 + (world.shared.total($1) ?? 0) }
        for client in clients where !client.isReset && !client.isAnswered {
            guard world.network.hasEnded(client.peer), closings > 0 else {
                return "client \(client.number) waits for \(client.waitsFor)"
            }
            closings -= 1
        }
        return nil
    }

    private mutating func leave() throws -> String? {
        for peer in clients.map(\.peer) + strangers { world.network.reset(peer) }
        _ = try world.comesToRest(turnsMax: 20_000)
        // What follows a password that was wrong is not looked at before it has cost a second, and
        // nothing more is received meanwhile: that the peer has gone is seen then.
        var steps = 0
        while isGuarded, world.shared.connectionCount > 0, steps < Self.penaltySteps {
            try world.pass(milliseconds: 100)
            steps += 1
        }
        let left = world.shared.connectionCount
        return left == 0 ? nil : "\(left) connections are left"
    }
}
