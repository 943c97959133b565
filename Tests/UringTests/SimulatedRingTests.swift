// SimulatedRingTests: what the simulation promises to the tests that stand on it.

import Primitives
import Simulation
import Support
import Testing
import Uring

@Suite struct SimulatedRingTests {
    private func make(
        _ seed: UInt64 = 1, _ faults: FaultPlan = .none, buffers: Int = 8, bytes: Int = 64
    ) throws -> SimulatedRing {
        try SimulatedRing(
            network: SimulatedNetwork(seed: seed, faults: faults),
            configuration: RingConfiguration(
                entries: 16, completions: 64, bufferCount: buffers, bufferBytes: bytes))
    }

    @Test func bytesArriveInOrderAndGoOutWhole() throws {
        var ring = try make()
        let network = ring.network
        let (peer, socket) = network.open()
        network.send("in several buffers, ", from: peer)
        network.send(String(repeating: "x", count: 200), from: peer)
        network.finish(peer)
        ring.receive(socket, token: token(.receive))
        var heard = ""
        while true {
            let next = try ring.next()
            guard let id = next.buffer else {
                #expect(next.result == 0)
                #expect(!next.isArmed)
                break
            }
            #expect(next.isArmed)
            heard += ring.buffers.text(ring.bufferOffset(id), Int(next.result))
            ring.lendBuffer(id)
            #expect(ring.buffers.uint8(at: ring.bufferOffset(id)) == 0xDD)
        }
        #expect(heard == "in several buffers, " + String(repeating: "x", count: 200))
        #expect(ring.takenBuffers == 0)
        let memory = try Region.pages(1)
        memory.put("reply")
        ring.sendNow(socket, from: memory, at: 0, count: 5, token: token(.send))
        #expect(try ring.turn().isEmpty)
        memory.put("later")
        #expect(network.takeReceived(by: peer) == Array("reply".utf8))
    }

    @Test func aPeerTakesAsMuchAsItLikes() throws {
        var ring = try make()
        let network = ring.network
        let (peer, socket) = network.open()
        let memory = try Region.pages(1)
        memory.put("0123456789")
        network.setAppetite(4, of: peer)
        ring.sendNow(socket, from: memory, at: 0, count: 10, token: token(.send))
        #expect(try ring.turn().map(\.result) == [4])
        ring.sendNow(socket, from: memory, at: 4, count: 6, token: token(.send))
        #expect(try ring.turn().map(\.result) == [-11])
        ring.awaitRoom(socket, repeatedly: false, token: token(.room))
        for _ in 0..<20 { #expect(try ring.turn().isEmpty) }
        network.setAppetite(100, of: peer)
        #expect(try ring.next().token == token(.room))
        ring.send(socket, from: memory, at: 4, count: 6, token: token(.send))
        #expect(try ring.turn().map(\.result) == [6])
        #expect(network.takeReceived(by: peer) == Array("0123456789".utf8))
    }

    @Test func aSocketHoldsWhatItsPeerHasNotTaken() throws {
        var ring = try make()
        let network = ring.network
        let (peer, socket) = network.open()
        let memory = try Region.pages(1)
        network.setSocketBuffer(30, of: peer)
        network.setAppetite(10, of: peer)
        ring.send(socket, from: memory, at: 0, count: 100, token: token(.send))
        #expect(try ring.turn().map(\.result) == [40])
        #expect(ring.heldByteCount(of: socket) == 30)
        ring.awaitRoom(socket, repeatedly: true, token: token(.room))
        network.setAppetite(9, of: peer)
        for _ in 0..<20 { #expect(try ring.turn().isEmpty) }
        network.setAppetite(1, of: peer)
        #expect(try ring.next().isArmed)
        // Said once, until there is more.
        for _ in 0..<20 { #expect(try ring.turn().isEmpty) }
        network.setAppetite(1, of: peer)
        #expect(try ring.next().isArmed)
        ring.cancel(token(.room), token: token(.cancel))
        var results: Set<Int32> = []
        for _ in 0..<2 { results.insert(try ring.next().result) }
        #expect(results == [0, -125])
    }

    @Test func aWaitForAPeerThatSendsNoMoreEndsAtOnceUnlessItIsRepeated() throws {
        var ring = try make()
        let network = ring.network
        let (peer, socket) = network.open()
        network.setAppetite(0, of: peer)
        network.finish(peer)
        ring.awaitRoom(socket, repeatedly: false, token: token(.room))
        #expect(try ring.next().isArmed == false)
        ring.awaitRoom(socket, repeatedly: true, token: token(.room))
        #expect(try ring.next().isArmed)
        for _ in 0..<20 { #expect(try ring.turn().isEmpty) }
        network.setAppetite(5, of: peer)
        #expect(try ring.next().isArmed)
    }

    @Test func memoryLentToAReceiveIsRubbishBesideItsBytes() throws {
        var ring = try make()
        let network = ring.network
        let (peer, socket) = network.open()
        let memory = try Region.pages(1)
        ring.receive(socket, into: memory, at: 8, count: 16, token: token(.receiveInto))
        #expect(try ring.turn().isEmpty)
        network.send("abc", from: peer)
        let next = try ring.next()
        #expect(next.result == 3)
        #expect(next.buffer == nil)
        #expect(memory.text(8, 3) == "abc")
        #expect(memory.bytes(11, 13) == Array(repeating: 0xDD, count: 13))
        #expect(memory.bytes(24, 8) == Array(repeating: 0, count: 8))
    }

    @Test func dryBuffersEndAReceive() throws {
        var ring = try make(buffers: 2, bytes: 64)
        let network = ring.network
        let (peer, socket) = network.open()
        network.send(Array(repeating: 1, count: 1000), from: peer)
        ring.receive(socket, token: token(.receive))
        var held: [UInt16] = []
        var last: Completion?
        while last == nil {
            let next = try ring.next()
            if let id = next.buffer { held.append(id) } else { last = next }
        }
        #expect(held.count == 2)
        #expect(last?.result == -105)
        #expect(last?.isArmed == false)
        #expect(network.unreceivedCount(from: peer) == 1000 - 128)
    }

    @Test func completionsOfOneOperationKeepTheirOrder() throws {
        var plan = FaultPlan.rough
        plan.resets = 0
        plan.staleCompletions = 0
        for seed in 0..<100 {
            var ring = try make(UInt64(seed), plan, buffers: 16)
            let network = ring.network
            let pairs = (0..<4).map { _ in network.open() }
            for (slot, pair) in pairs.enumerated() {
                network.send((0..<200).map { UInt8($0) }, from: pair.0)
                ring.receive(pair.1, token: token(.receive, UInt32(slot)))
            }
            var heard = [[UInt8]](repeating: [], count: 4)
            while heard.contains(where: { $0.count < 200 }) {
                let next = try ring.next()
                let slot = Int(next.token.slot)
                if let id = next.buffer {
                    heard[slot] += ring.buffers.bytes(ring.bufferOffset(id), Int(next.result))
                    ring.lendBuffer(id)
                }
                if !next.isArmed { ring.receive(pairs[slot].1, token: next.token) }
            }
            #expect(heard.allSatisfy { $0 == (0..<200).map { UInt8($0) } })
        }
    }

    @Test func closeWithARunningReceiveSendsNoEnd() throws {
        var ring = try make()
        let network = ring.network
        let (peer, socket) = network.open()
        ring.receive(socket, token: token(.receive))
        _ = try ring.turn()
        ring.close(socket, token: token(.close))
        #expect(try ring.next().result == 0)
        #expect(network.isClosed(peer))
        #expect(!network.hasEnded(peer))
        // The number is free and goes to the next connection.
        #expect(network.open().1 == socket)
        ring.cancel(token(.receive), token: token(.cancel))
        #expect(try Set([ring.next().result, ring.next().result]) == [0, -125])
        #expect(network.hasEnded(peer))
        ring.cancel(token(.receive), token: token(.cancel))
        #expect(try ring.next().result == -2)
    }

    @Test func shutdownAndResetAreSeenOnBothSides() throws {
        var ring = try make()
        let network = ring.network
        let (peer, socket) = network.open()
        ring.receive(socket, token: token(.receive))
        ring.shutdown(socket, token: token(.shutdown))
        #expect(try ring.next().result == 0)
        #expect(try ring.next().result == 0)
        #expect(network.hasEnded(peer))
        let memory = try Region.pages(1)
        ring.sendNow(socket, from: memory, at: 0, count: 1, token: token(.send))
        #expect(try ring.next().result == -32)
        let (other, second) = network.open()
        network.reset(other)
        ring.receive(second, token: token(.receive))
        #expect(try ring.next().result == -104)
        ring.sendNow(second, from: memory, at: 0, count: 1, token: token(.send))
        #expect(try ring.next().result == -104)
    }

    @Test func staleCompletionsComeOnlyAfterTheirClose() throws {
        var plan = FaultPlan.none
        plan.staleCompletions = 500
        var ring = try make(3, plan)
        let network = ring.network
        let (peer, socket) = network.open()
        network.finish(peer)
        ring.receive(socket, token: token(.receive, 1, 1))
        #expect(try ring.next().result == 0)
        for _ in 0..<100 { #expect(try ring.turn().isEmpty) }
        ring.close(socket, token: token(.close, 1, 1))
        #expect(try ring.next().token == token(.close, 1, 1))
        let (_, next) = network.open()
        ring.receive(next, token: token(.receive, 1, 2))
        var stale = 0
        for _ in 0..<100 {
            for completion in try ring.turn() {
                #expect(completion.token.generation == 1)
                #expect(completion.buffer == nil)
                stale += 1
            }
        }
        #expect(stale > 10)
    }

    @Test func filesAreReadHeldAndFail() throws {
        var ring = try make()
        let network = ring.network
        let content = try Region.pages(1)
        content.put("the content of a file")
        let file = network.addFile(content, byteCount: 21)
        let memory = try Region.pages(1)
        ring.read(file, at: 4, into: memory, at: 0, count: 7, token: token(.read))
        #expect(try ring.next().result == 7)
        #expect(memory.text(0, 7) == "content")
        ring.read(file, at: 17, into: memory, at: 0, count: 100, token: token(.read))
        #expect(try ring.next().result == 4)
        ring.read(file, at: 1 << 60, into: memory, at: 0, count: 100, token: token(.read))
        #expect(try ring.next().result == 0)
        ring.read(99, at: 0, into: memory, at: 0, count: 1, token: token(.read))
        #expect(try ring.next().result == -9)
        network.holdsReads = true
        ring.read(file, at: 0, into: memory, at: 0, count: 3, token: token(.read))
        for _ in 0..<100 { #expect(try ring.turn().isEmpty) }
        #expect(network.idleSubmits >= 100)
        network.releaseReads()
        #expect(try ring.next().result == 3)
        network.faults.stalledReads = 1000
        ring.read(file, at: 0, into: memory, at: 0, count: 3, token: token(.read))
        for _ in 0..<10 { #expect(try ring.turn().isEmpty) }
        network.faults.stalledReads = 0
        network.releaseReads()
        #expect(try ring.turn().map(\.result) == [3])
        network.faults.readErrors = 1000
        ring.read(file, at: 0, into: memory, at: 0, count: 3, token: token(.read))
        #expect(try ring.next().result == -5)
    }

    @Test func timeAndWakesAreTheTestsOwn() throws {
        var ring = try make()
        let network = ring.network
        let waker = ring.waker
        ring.timeout(nanoseconds: 1000, token: token(.timeout))
        ring.armWake(token: token(.wake))
        #expect(try ring.turn().isEmpty)
        network.advance(nanoseconds: 999)
        #expect(try ring.turn().isEmpty)
        network.advance(nanoseconds: 1)
        #expect(
            try ring.turn() == [
                Completion(token: token(.timeout), result: -62, buffer: nil, isArmed: false)
            ])
        waker.wake()
        waker.wake()
        #expect(try ring.turn().map(\.token) == [token(.wake)])
        ring.armWake(token: token(.wake))
        #expect(try ring.turn().isEmpty)
    }

    @Test func acceptEndsWhenDescriptorsRunOut() throws {
        var ring = try make()
        let network = ring.network
        let listener = network.listen()
        network.descriptorsMax = 3
        let peers = (0..<3).map { _ in network.connect(to: listener) }
        ring.accept(listener, token: token(.accept))
        let results = try ring.turn()
        #expect(results.map { $0.result >= 0 } == [true, true, false])
        #expect(results.map(\.isArmed) == [true, true, false])
        #expect(results[2].result == -24)
        #expect(network.socket(of: peers[0])?.descriptor == results[0].result)
        #expect(network.socket(of: peers[2]) == nil)
        network.descriptorsMax = 9
        ring.accept(listener, token: token(.accept))
        #expect(try ring.turn().count == 1)
    }

    @Test func theSameSeedIsTheSameRun() throws {
        func run(_ seed: UInt64) throws -> [Completion] {
            var ring = try make(seed, .rough)
            let network = ring.network
            var all: [Completion] = []
            let pairs = (0..<5).map { _ in network.open() }
            for (slot, pair) in pairs.enumerated() {
                network.send(Array(repeating: 7, count: 300), from: pair.0)
                ring.receive(pair.1, token: token(.receive, UInt32(slot)))
            }
            for _ in 0..<50 {
                for next in try ring.turn() {
                    all.append(next)
                    if let id = next.buffer { ring.lendBuffer(id) }
                    if !next.isArmed {
                        ring.receive(pairs[Int(next.token.slot)].1, token: next.token)
                    }
                }
            }
            return all
        }
        #expect(try run(5) == run(5))
        #expect(try run(5) != run(6))
    }
}

@Suite(.serialized) struct EchoTests {
    /// Every byte comes back in order, or the connection ends; nothing hangs, nothing leaks.
    private func simulate(seed: UInt64) throws -> [String: Int] {
        let network = SimulatedNetwork(seed: seed, faults: FaultPlan(seed: seed &* 77))
        var chance = Chance(seed: seed ^ 0xABCDEF)
        let listener = network.listen()
        let buffers = 1 << (1 + chance.below(4))
        var server = try EchoServer(
            try SimulatedRing(
                network: network,
                configuration: RingConfiguration(
                    entries: 8, completions: 64, bufferCount: buffers, bufferBytes: 64)),
            listener: listener, slots: 32)
        var peers: [(SimulatedNetwork.Peer, sent: [UInt8], heard: [UInt8], isOver: Bool)] = []
        for step in 0..<3000 {
            if step < 400, peers.count < 30, chance.below(10) == 0 {
                peers.append((network.connect(to: listener), [], [], false))
            }
            for index in peers.indices where step < 400 && !peers[index].isOver {
                let peer = peers[index].0
                switch chance.below(20) {
                case 0, 1, 2:
                    let bytes = (0..<chance.below(600)).map { _ in UInt8(chance.below(256)) }
                    network.send(bytes, from: peer)
                    peers[index].sent += bytes
                case 3: network.setAppetite(chance.below(200), of: peer)
                case 4 where chance.below(5) == 0:
                    network.finish(peer)
                    peers[index].isOver = true
                default: break
                }
            }
            if step == 400 {
                for index in peers.indices {
                    network.setAppetite(.max, of: peers[index].0)
                    if !peers[index].isOver { network.finish(peers[index].0) }
                }
            }
            try server.turn()
            for index in peers.indices {
                peers[index].heard += network.takeReceived(by: peers[index].0)
            }
            if step > 400, server.closedCount == peers.count { break }
        }
        try #require(server.closedCount == peers.count, "seed \(seed): a connection hangs")
        #expect(server.ring.takenBuffers == 0, "seed \(seed): a buffer is lost")
        #expect(network.openDescriptors == 1, "seed \(seed): a descriptor is lost")
        for peer in peers {
            try #require(peer.sent.starts(with: peer.heard), "seed \(seed): wrong bytes")
            #expect(network.hasEnded(peer.0))
        }
        if network.faults.resets == 0 {
            for peer in peers { #expect(peer.sent == peer.heard, "seed \(seed): bytes are lost") }
        }
        return network.struck
    }

    @Test func echoSurvivesEveryMisfortune() throws {
        var struck: [String: Int] = [:]
        for seed in 0..<200 {
            for (name, count) in try simulate(seed: UInt64(seed)) {
                struck[name, default: 0] += count
            }
        }
        // All that an echo can meet: it reads no file, and only receives are cancelled.
        #expect(
            Set(struck.keys) == [
                "shortReceives", "shortSends", "reordering", "delays", "withheldCompletions",
                "resets", "dryBuffers", "lostArming", "staleCompletions", "fullQueue", "overflows",
            ])
    }

    @Test(.needsRing) func theSameEchoRunsOnTheKernel() throws {
        try echo(try KernelRing(configuration: .small(buffers: 4, bytes: 64)))
    }

    @Test func theSameEchoRunsOnEpoll() throws {
        try echo(try PollRing(configuration: .small(buffers: 4, bytes: 64)))
    }

    private func echo<Network: Ring & ~Copyable>(_ ring: consuming Network) throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        defer { listener.close() }
        let address = listener.address
        var server = try EchoServer(ring, listener: listener.socket, slots: 16)
        let text = String((0..<20_000).map { Character(UnicodeScalar(UInt8(65 + $0 % 26))) })
        let results = try Region.pages(1)
        let thread = try Thread(name: "clients") {
            for round in 0..<10 {
                guard let client = try? Socket.connected(to: address) else { continue }
                try? client.say(text)
                client.endSending()
                if client.hear(text.utf8.count + 1) == text {
                    results.atomic64(at: 0).add(1)
                }
                _ = round
                client.close()
            }
        }
        while server.closedCount < 10 { try server.turn() }
        thread.join()
        #expect(results.atomic64(at: 0).loadAcquire() == 10)
    }
}

extension SimulatedRing {
    /// One submit, and all that it brought.
    mutating func turn(waiting: Bool = true) throws -> [Completion] {
        try submit(waiting: waiting)
        var all: [Completion] = []
        while let next = nextCompletion() { all.append(next) }
        return all
    }

    /// The next completion; gives up when nothing more can come.
    mutating func next() throws -> Completion {
        for _ in 0..<1000 {
            if let next = nextCompletion() { return next }
            try submit(waiting: true)
        }
        throw RingError.submission(errno: 62)
    }
}
