// KernelRingTests: the promises of `Ring`, kept by the kernel.

import Glibc
import Primitives
import Testing
import Uring

@Suite(.serialized, .needsRing) struct KernelRingTests {
    @Test func ringNamesItsFeatures() throws {
        let ring = try KernelRing(configuration: .small())
        let names = ring.features.names
        print("ring: \(names.joined(separator: " "))")
        #expect(names.contains("multishot"))
        #expect(names.contains("skip-success"))
        #expect(names.contains("buffer-ring"))
        #expect(!names.contains("defer-taskrun") || !names.contains("coop-taskrun"))
    }

    @Test func aServersRingsAreMadeHoweverLittleMemoryMayBeLocked() throws {
        // Four workers and a control ring; run unprivileged, this is where the limit bites.
        var wanted = RingConfiguration(ringCount: 5)
        let first = try KernelRing(configuration: wanted)
        let second = try KernelRing(configuration: wanted)
        let third = try KernelRing(configuration: wanted)
        let fourth = try KernelRing(configuration: wanted)
        wanted = .control
        wanted.ringCount = 5
        let control = try KernelRing(configuration: wanted)
        let sizes = [
            first.configuration, second.configuration, third.configuration,
            fourth.configuration, control.configuration,
        ]
        print("locked bytes: \(sizes.map(\.lockedBytes)), buffers: \(sizes.map(\.bufferCount))")
        #expect(sizes[0].bufferCount >= 256)
        #expect(sizes[4].bufferCount == 0)
    }

    @Test func controlRingNeedsNoBuffers() throws {
        var ring = try KernelRing(configuration: .control)
        ring.timeout(nanoseconds: 1000, token: token(.timeout))
        #expect(try ring.await().result == -ETIME)
    }

    @Test func echoesWhatArrives() throws {
        let (near, far) = try Socket.pair()
        defer { far.close() }
        var ring = try KernelRing(configuration: .small())
        ring.receive(near, token: token(.receive))
        try far.say("hello")
        let arrived = try ring.await()
        #expect(arrived.token == token(.receive))
        #expect(arrived.result == 5)
        #expect(arrived.isArmed)
        let id = try #require(arrived.buffer)
        #expect(ring.buffers.text(ring.bufferOffset(id), 5) == "hello")
        ring.sendNow(
            near, from: ring.buffers, at: ring.bufferOffset(id), count: 5, token: token(.send))
        #expect(try ring.settled().isEmpty)
        ring.lendBuffer(id)
        #expect(far.hear(5) == "hello")
        ring.shutdown(near, token: token(.shutdown))
        ring.close(near, token: token(.close))
        var results: [Token.Operation: Int32] = [:]
        while results.count < 3 {
            let next = try ring.await()
            results[next.token.operation] = next.result
            if next.token.operation == .receive { #expect(!next.isArmed) }
        }
        #expect(results == [.receive: 0, .shutdown: 0, .close: 0])
        #expect(far.hear(1) == "")
    }

    @Test func multishotReceiveStaysArmedAndKeepsOrder() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try KernelRing(configuration: .small())
        ring.receive(near, token: token(.receive))
        try ring.submit(waiting: false)
        var heard = ""
        for round in 0..<100 {
            try far.say("<\(round)>")
            let next = try ring.await()
            #expect(next.isArmed)
            let id = try #require(next.buffer)
            heard += ring.buffers.text(ring.bufferOffset(id), Int(next.result))
            ring.lendBuffer(id)
        }
        #expect(heard == (0..<100).map { "<\($0)>" }.joined())
        far.close()
        let last = try ring.await()
        #expect(last.result == 0)
        #expect(!last.isArmed)
    }

    @Test func dryBuffersEndTheReceiveAndItGoesOnOnceLent() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try KernelRing(configuration: .small(buffers: 2, bytes: 64))
        let sent = String((0..<200).map { Character(UnicodeScalar(UInt8(65 + $0 % 26))) })
        try far.say(sent)
        far.close()
        ring.receive(near, token: token(.receive))
        var heard = ""
        var dry = 0
        var held: [UInt16] = []
        loop: while true {
            let next = try ring.await()
            switch next.result {
            case 1...:
                let id = try #require(next.buffer)
                heard += ring.buffers.text(ring.bufferOffset(id), Int(next.result))
                held.append(id)
                if !next.isArmed { ring.receive(near, token: token(.receive)) }
            case 0: break loop
            default:
                #expect(next.result == -ENOBUFS)
                #expect(!next.isArmed)
                #expect(next.buffer == nil)
                dry += 1
                for id in held { ring.lendBuffer(id) }
                held = []
                ring.receive(near, token: token(.receive))
            }
        }
        #expect(heard == sent)
        #expect(dry > 0)
    }

    @Test func sendNowOnAFullSocketSaysHowMuchWentOut() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        near.setBufferBytes(send: 16 << 10)
        var ring = try KernelRing(configuration: .small())
        let memory = try Region.map(byteCount: 4 << 20)
        // More than the socket holds: a short send, told in the same submit.
        ring.sendNow(near, from: memory, at: 0, count: 4 << 20, token: token(.send, 7))
        let short = try ring.settled()
        try #require(short.count == 1)
        #expect(short[0].token == token(.send, 7))
        #expect(short[0].result > 0 && short[0].result < 4 << 20)
        // Nothing more goes in.
        ring.sendNow(near, from: memory, at: 0, count: 100, token: token(.send, 8))
        let none = try ring.settled()
        try #require(none.count == 1)
        #expect(none[0].result == -EAGAIN)
        // A counted send says so as well, and does not wait.
        ring.send(near, from: memory, at: 0, count: 1 << 20, token: token(.send, 9))
        #expect(try ring.settled().map(\.result) == [-EAGAIN])
        #expect(ring.heldByteCount(of: near) > 0)
        ring.awaitRoom(near, repeatedly: false, token: token(.room, 9))
        #expect(try ring.settled().isEmpty)
        #expect(far.hear(Int(short[0].result)).utf8.count == Int(short[0].result))
        let told = try ring.await()
        #expect(told.token == token(.room, 9))
        #expect(!told.isArmed)
        #expect(ring.heldByteCount(of: near) == 0)
        ring.send(near, from: memory, at: 0, count: 1000, token: token(.send, 9))
        #expect(try ring.settled().map(\.result) == [1000])
        far.close()
        ring.sendNow(near, from: memory, at: 0, count: 1, token: token(.send, 10))
        #expect(try ring.settled().map(\.result) == [-EPIPE])
    }

    @Test func receivesStraightIntoMemory() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try KernelRing(configuration: .small())
        let memory = try Region.pages(1)
        ring.receive(near, into: memory, at: 100, count: 10, token: token(.receiveInto))
        try far.say("straight in and more")
        let next = try ring.await()
        #expect(next.result == 10)
        #expect(next.buffer == nil)
        #expect(!next.isArmed)
        #expect(memory.text(100, 11) == "straight i\0")
        far.close()
    }

    @Test func cancelEndsWhatItNamesAndOnlyThat() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try KernelRing(configuration: .small())
        ring.receive(near, token: token(.receive, 1, 5))
        #expect(try ring.settled().isEmpty)
        // The same slot in another life is another operation.
        ring.cancel(token(.receive, 1, 6), token: token(.cancel, 1, 6))
        #expect(try ring.await().result == -ENOENT)
        ring.cancel(token(.receive, 1, 5), token: token(.cancel, 1, 5))
        var results: [Token.Operation: Int32] = [:]
        for _ in 0..<2 {
            let next = try ring.await()
            #expect(next.token.generation == 5)
            #expect(!next.isArmed)
            results[next.token.operation] = next.result
        }
        #expect(results == [.receive: -ECANCELED, .cancel: 0])
        try far.say("for nobody")
        #expect(try ring.settled().isEmpty)
        far.close()
    }

    @Test func anotherThreadWakesIt() throws {
        var ring = try KernelRing(configuration: .small())
        let waker = ring.waker
        for round in 0..<100 {
            ring.armWake(token: token(.wake, UInt32(round)))
            let thread = try Thread(name: "waker") { waker.wake() }
            let next = try ring.await()
            #expect(next.token == token(.wake, UInt32(round)))
            #expect(next.result > 0)
            thread.join()
        }
        // A wake before it is armed is not lost, and several are one.
        waker.wake()
        waker.wake()
        ring.armWake(token: token(.wake))
        #expect(try ring.await().token == token(.wake))
        ring.armWake(token: token(.wake))
        #expect(try ring.settled().isEmpty)
    }

    @Test func timeoutsEndInOrderOfTheirTime() throws {
        var ring = try KernelRing(configuration: .small())
        let start = Clock.monotonicNanoseconds()
        ring.timeout(nanoseconds: 20_000_000, token: token(.timeout, 2))
        ring.timeout(nanoseconds: 1_000_000, token: token(.timeout, 1))
        let first = try ring.await()
        let second = try ring.await()
        #expect(first.token.slot == 1)
        #expect(second.token.slot == 2)
        #expect(first.result == -ETIME)
        #expect(second.result == -ETIME)
        #expect(Clock.monotonicNanoseconds() - start >= 20_000_000)
    }

    @Test func readsAFileAtAnOffset() throws {
        let path = temporaryPath("file")
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(descriptor)
            unlink(path)
        }
        let content = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(write(descriptor, content, content.count) == content.count)
        var ring = try KernelRing(configuration: .small())
        let memory = try Region.pages(3)
        ring.read(
            descriptor, at: 4096, into: memory, at: 8, count: 4096, token: token(.read, 1))
        ring.read(descriptor, at: 9000, into: memory, at: 4200, count: 4096, token: token(.read, 2))
        ring.read(-1, at: 0, into: memory, at: 9000, count: 8, token: token(.read, 3))
        var results: [UInt32: Int32] = [:]
        for _ in 0..<3 {
            let next = try ring.await()
            results[next.token.slot] = next.result
        }
        #expect(results == [1: 4096, 2: 1000, 3: -EBADF])
        #expect(memory.bytes(8, 4096) == Array(content[4096..<8192]))
        #expect(memory.bytes(4200, 1000) == Array(content[9000...]))
    }

    @Test func acceptsAThousandConnections() throws {
        // Both ends are in this process; where the limit is low, as many as it allows.
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, 4096))
        setrlimit(__rlimit_resource_t(7), &limit)
        let count = min(1000, (Int(clamping: limit.rlim_cur) - 200) / 2)
        if count < 1000 { print("only \(count) connections: the descriptor limit is low") }
        let listener = try Listener.tcp(.loopback(port: 0))
        let address = listener.address
        var ring = try KernelRing(configuration: .small(completions: 128))
        ring.accept(listener.socket, token: token(.accept))
        let thread = try Thread(name: "connect") {
            var open: [Socket] = []
            for _ in 0..<count {
                if let socket = try? Socket.connected(to: address) { open.append(socket) }
            }
            for socket in open { _ = socket.hear(1) }
            for socket in open { socket.close() }
        }
        var accepted: [Socket] = []
        while accepted.count < count {
            let next = try ring.await()
            try #require(next.result >= 0)
            accepted.append(Socket(descriptor: next.result))
            if !next.isArmed { ring.accept(listener.socket, token: token(.accept)) }
        }
        #expect(Set(accepted.map(\.descriptor)).count == count)
        #expect(accepted[count - 1].isWithoutDelay)
        for socket in accepted { ring.close(socket, token: token(.close)) }
        var closed = 0
        while closed < count {
            let next = try ring.await()
            if next.token.operation == .close, next.result == 0 { closed += 1 }
        }
        thread.join()
        listener.close()
    }

    @Test func moreOperationsThanEntriesAndCompletionsAreAllAnswered() throws {
        var ring = try KernelRing(configuration: .small(entries: 8, completions: 8))
        for slot in 0..<1000 {
            ring.cancel(token(.receive, UInt32(slot)), token: token(.cancel, UInt32(slot)))
        }
        try ring.submit(waiting: true)
        var seen = Set<UInt32>()
        while let next = ring.nextCompletion() {
            #expect(next.result == -ENOENT)
            seen.insert(next.token.slot)
        }
        #expect(seen.count == 1000)
        // And many timeouts keep their times apart although the slots are few.
        for slot in 0..<100 {
            let time = UInt64(1 + slot % 3) * 1000
            ring.timeout(nanoseconds: time, token: token(.timeout, UInt32(slot)))
        }
        for _ in 0..<100 { #expect(try ring.await().result == -ETIME) }
    }

    @Test func aTurnCostsOneSystemCallAndAnIdleLookNone() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try KernelRing(configuration: .small())
        try #require(ring.features.names.contains("taskrun-flag"))
        ring.receive(near, token: token(.receive))
        try ring.submit(waiting: false)
        var before = ring.enterCount
        for _ in 0..<10 { try ring.submit(waiting: false) }
        #expect(ring.enterCount == before)
        try far.say("x")
        before = ring.enterCount
        for _ in 0..<50 {
            ring.sendNow(near, from: ring.buffers, at: 0, count: 8, token: token(.send))
        }
        try ring.submit(waiting: true)
        #expect(ring.enterCount == before + 1)
        #expect(ring.nextCompletion()?.token == token(.receive))
        #expect(ring.nextCompletion() == nil)
        #expect(far.hear(400).utf8.count == 400)
        far.close()
    }

    @Test func anotherThreadCannotDriveIt() throws {
        let (near, far) = try Socket.pair()
        struct Holder: ~Copyable, @unchecked Sendable { var ring: KernelRing }
        final class Box: @unchecked Sendable {
            var holder: Holder
            var failure: RingError?
            init(_ holder: consuming Holder) { self.holder = holder }
        }
        let box = Box(Holder(ring: try KernelRing(configuration: .small())))
        try #require(box.holder.ring.features.names.contains("single-issuer"))
        let thread = try Thread(name: "stranger") {
            box.holder.ring.receive(near, token: token(.receive))
            do throws(RingError) {
                try box.holder.ring.submit(waiting: false)
            } catch {
                box.failure = error
            }
        }
        thread.join()
        // EEXIST; EINVAL where the ring is registered, which holds for its own thread only.
        let refusals: [RingError?] = [.submission(errno: EEXIST), .submission(errno: EINVAL)]
        #expect(refusals.contains(box.failure))
        near.close()
        far.close()
    }

    @Test func peersThatGoAwayAreToldAsErrors() throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        defer { listener.close() }
        var ring = try KernelRing(configuration: .small())
        ring.accept(listener.socket, token: token(.accept))
        let client = try Socket.connected(to: listener.address)
        let near = Socket(descriptor: try ring.await().result)
        ring.receive(near, token: token(.receive))
        try ring.submit(waiting: false)
        client.resetOnClose()
        client.close()
        let next = try ring.await()
        #expect(next.result == -ECONNRESET)
        #expect(!next.isArmed)
        near.close()
    }
}

extension KernelRingTests {
    @Test func shutdownComesAfterWhatWasQueuedBeforeAndBeforeTheCloseBehindIt() throws {
        var ring = try KernelRing(configuration: .small(entries: 8))
        let memory = try Region.pages(1)
        memory.put("last words")
        // More at once than there are submission slots, so some go out on the way.
        var pairs: [(Socket, Socket)] = []
        for slot in 0..<20 {
            let pair = try Socket.pair()
            pairs.append(pair)
            let slot = UInt32(slot)
            ring.receive(pair.0, token: token(.receive, slot))
            ring.sendNow(pair.0, from: memory, at: 0, count: 10, token: token(.send, slot))
            ring.shutdown(pair.0, token: token(.shutdown, slot))
        }
        var ended = Set<UInt32>()
        var received = Set<UInt32>()
        while ended.count < 20 || received.count < 20 {
            let next = try ring.await()
            #expect(next.result == 0)
            switch next.token.operation {
            case .shutdown: ended.insert(next.token.slot)
            case .receive: received.insert(next.token.slot)
            default: Issue.record("a completion of a send")
            }
        }
        for (near, far) in pairs {
            #expect(far.hear(11) == "last words")
            near.close()
            far.close()
        }
        // The descriptor is shut down before it is closed and can be someone else's.
        let (near, far) = try Socket.pair()
        ring.shutdown(near, token: token(.shutdown))
        ring.close(near, token: token(.close))
        #expect(try Set([ring.await().token, ring.await().token]).count == 2)
        #expect(far.hear(1) == "")
        far.close()
    }

    @Test func completionsThatDoNotFitAreNotLost() throws {
        // Eight slots for completions, a hundred receives that all end in one turn.
        var ring = try KernelRing(
            configuration: .small(entries: 8, completions: 8, buffers: 128, bytes: 64))
        var pairs: [(Socket, Socket)] = []
        for slot in 0..<100 {
            let pair = try Socket.pair()
            pairs.append(pair)
            ring.receive(pair.0, token: token(.receive, UInt32(slot)))
        }
        try ring.submit(waiting: false)
        for (_, far) in pairs {
            try far.say("abc")
            far.close()
        }
        var bytes: [UInt32: Int32] = [:]
        var ended = Set<UInt32>()
        while ended.count < 100 {
            let next = try ring.await()
            try #require(next.result >= 0)
            bytes[next.token.slot, default: 0] += next.result
            if let id = next.buffer { ring.lendBuffer(id) }
            if next.result == 0 {
                ended.insert(next.token.slot)
            } else if !next.isArmed {
                ring.receive(pairs[Int(next.token.slot)].0, token: next.token)
            }
        }
        #expect(bytes.values.allSatisfy { $0 == 3 })
        #expect(bytes.count == 100)
        for (near, _) in pairs { near.close() }
    }
}
