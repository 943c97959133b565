// RingPromises: what `Ring` promises, as tests that any ring of the system passes.
//
// RingPromises+Rest has those that are not of one socket's bytes. KernelRingTests and PollRingTests
// run each of them on their ring.

import Glibc
import Primitives
import Testing
import Uring

enum RingPromises<Network: SystemRing & ~Copyable> {
    static func controlRingNeedsNoBuffers() throws {
        var ring = try Network(configuration: .control)
        ring.timeout(nanoseconds: 1000, token: token(.timeout))
        #expect(try ring.await().result == -ETIME)
    }

    static func echoesWhatArrives() throws {
        let (near, far) = try Socket.pair()
        defer { far.close() }
        var ring = try Network(configuration: .small())
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

    static func multishotReceiveStaysArmedAndKeepsOrder() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try Network(configuration: .small())
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

    static func dryBuffersEndTheReceiveAndItGoesOnOnceLent() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try Network(configuration: .small(buffers: 2, bytes: 64))
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

    static func whoIsGoneIsTold() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        let ring = try Network(configuration: .small())
        var isGone = ring.isGone(near)
        #expect(!isGone)
        try far.say("hello")
        shutdown(far.descriptor, Int32(SHUT_WR))
        isGone = ring.isGone(near)
        #expect(!isGone, "it can still read")
        far.close()
        isGone = ring.isGone(near)
        #expect(isGone)
    }

    static func sendNowOnAFullSocketSaysHowMuchWentOut() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        near.setBufferBytes(send: 16 << 10)
        var ring = try Network(configuration: .small())
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
        #expect(ring.roomByteCount(of: near) == 0)
        ring.awaitRoom(near, repeatedly: false, token: token(.room, 9))
        #expect(try ring.settled().isEmpty)
        #expect(far.hear(Int(short[0].result)).utf8.count == Int(short[0].result))
        let told = try ring.await()
        #expect(told.token == token(.room, 9))
        #expect(!told.isArmed)
        #expect(ring.heldByteCount(of: near) == 0)
        // It takes what it says that it does.
        let room = ring.roomByteCount(of: near)
        try #require(room >= 1000)
        ring.send(near, from: memory, at: 0, count: room, token: token(.send, 9))
        #expect(try ring.settled().map(\.result) == [Int32(room)])
        far.close()
        ring.sendNow(near, from: memory, at: 0, count: 1, token: token(.send, 10))
        #expect(try ring.settled().map(\.result) == [-EPIPE])
    }

    static func receivesStraightIntoMemory() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try Network(configuration: .small())
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

    static func receivesAtOnceWhatHasArrived() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try Network(configuration: .small())
        let memory = try Region.pages(1)
        #expect(ring.receiveNow(near, into: memory, at: 0, count: 10) == Int(-EAGAIN))
        try far.say("at once and more")
        #expect(ring.receiveNow(near, into: memory, at: 100, count: 8) == 8)
        #expect(memory.text(100, 9) == "at once \0")
        #expect(ring.receiveNow(near, into: memory, at: 0, count: 100) == 8)
        far.close()
        #expect(ring.receiveNow(near, into: memory, at: 0, count: 100) == 0)
    }

    /// Where no buffer is lent, a receive that is to wait for something to receive waits.
    static func aReceiveMayWaitWithoutABuffer() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try Network(configuration: .small(buffers: 2))
        try far.say("x")
        ring.receive(near, token: token(.receive, 1))
        let first = try ring.await()
        try far.say("y")
        let second = try ring.await()
        #expect(first.buffer != nil && second.buffer != nil)
        ring.cancel(token(.receive, 1), token: token(.cancel, 1))
        _ = try ring.settled()
        ring.receiveOnce(near, whenReadable: true, token: token(.receive, 2))
        #expect(try ring.settled().isEmpty)
        try far.say("z")
        let dry = try ring.await()
        #expect(dry.result == -ENOBUFS)
        #expect(dry.token == token(.receive, 2))
        far.close()
    }

    static func cancelEndsWhatItNamesAndOnlyThat() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try Network(configuration: .small())
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
}
