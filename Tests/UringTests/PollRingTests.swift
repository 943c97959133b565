// PollRingTests: the promises of `Ring`, kept by epoll, and what only that ring does.

import Glibc
import Primitives
import Testing
import Uring

@Suite(.serialized) struct PollRingTests {
    @Test func aTurnCostsOneLookAndAWaitEndsWithTheFirstThingToTell() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try PollRing(configuration: .small())
        ring.receive(near, token: token(.receive))
        try far.say("x")
        let before = ring.enterCount
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

    /// A wait for room that is repeated speaks once for each time that the socket was full.
    @Test func roomIsToldOnceUntilTheSocketIsFullAgain() throws {
        let (near, far) = try Socket.pair()
        defer { near.close() }
        var ring = try PollRing(configuration: .small())
        let memory = try Region.map(byteCount: 4 << 20)
        ring.awaitRoom(near, repeatedly: true, token: token(.room))
        for _ in 0..<3 {
            #expect(try ring.await().isArmed)
            for _ in 0..<5 { #expect(try ring.settled().isEmpty) }
            ring.send(near, from: memory, at: 0, count: 4 << 20, token: token(.send))
            let sent = try ring.settled()
            try #require(sent.map(\.token) == [token(.send)])
            #expect(far.hear(Int(sent[0].result)).utf8.count == Int(sent[0].result))
        }
        far.close()
    }

    /// A file that is not in the page cache is read by another thread; the ring's does not wait.
    @Test func aReadThatWouldWaitIsMadeElsewhere() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        var ring = try PollRing(configuration: .small())
        let memory = try Region.pages(1)
        // A pipe has no offsets: refused at once, whoever would read it.
        ring.read(ends[0], at: 0, into: memory, at: 0, count: 8, token: token(.read, 1))
        #expect(try ring.await().result == -ESPIPE)
        // What ends before the bytes asked for do is read again by those who may wait.
        let path = temporaryPath("short")
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(descriptor)
            unlink(path)
        }
        #expect(write(descriptor, "short", 5) == 5)
        for slot in 0..<UInt32(200) {
            ring.read(
                descriptor, at: 0, into: memory, at: Int(slot) * 16, count: 16,
                token: token(.read, slot))
        }
        var slots = Set<UInt32>()
        while slots.count < 200 {
            let next = try ring.await()
            #expect(next.result == 5)
            slots.insert(next.token.slot)
        }
        #expect(memory.text(199 * 16, 5) == "short")
        // Some are under way when the ring ends.
        for slot in 0..<UInt32(200) {
            ring.read(
                descriptor, at: 0, into: memory, at: Int(slot) * 16, count: 16,
                token: token(.read, slot))
        }
        try ring.submit(waiting: false)
    }

    // MARK: What any ring does

    @Test func controlRingNeedsNoBuffers() throws {
        try RingPromises<PollRing>.controlRingNeedsNoBuffers()
    }

    @Test func echoesWhatArrives() throws {
        try RingPromises<PollRing>.echoesWhatArrives()
    }

    @Test func multishotReceiveStaysArmedAndKeepsOrder() throws {
        try RingPromises<PollRing>.multishotReceiveStaysArmedAndKeepsOrder()
    }

    @Test func dryBuffersEndTheReceiveAndItGoesOnOnceLent() throws {
        try RingPromises<PollRing>.dryBuffersEndTheReceiveAndItGoesOnOnceLent()
    }

    @Test func whoIsGoneIsTold() throws { try RingPromises<PollRing>.whoIsGoneIsTold() }

    @Test func sendNowOnAFullSocketSaysHowMuchWentOut() throws {
        try RingPromises<PollRing>.sendNowOnAFullSocketSaysHowMuchWentOut()
    }

    @Test func receivesStraightIntoMemory() throws {
        try RingPromises<PollRing>.receivesStraightIntoMemory()
    }

    @Test func receivesAtOnceWhatHasArrived() throws {
        try RingPromises<PollRing>.receivesAtOnceWhatHasArrived()
    }

    @Test func aReceiveMayWaitWithoutABuffer() throws {
        try RingPromises<PollRing>.aReceiveMayWaitWithoutABuffer()
    }

    @Test func cancelEndsWhatItNamesAndOnlyThat() throws {
        try RingPromises<PollRing>.cancelEndsWhatItNamesAndOnlyThat()
    }

    @Test func anotherThreadWakesIt() throws {
        try RingPromises<PollRing>.anotherThreadWakesIt()
    }

    @Test func timeoutsEndInOrderOfTheirTime() throws {
        try RingPromises<PollRing>.timeoutsEndInOrderOfTheirTime()
    }

    @Test func readsAFileAtAnOffset() throws {
        try RingPromises<PollRing>.readsAFileAtAnOffset()
    }

    @Test func acceptsAThousandConnections() throws {
        try RingPromises<PollRing>.acceptsAThousandConnections()
    }

    @Test func moreOperationsThanEntriesAndCompletionsAreAllAnswered() throws {
        try RingPromises<PollRing>.moreOperationsThanEntriesAndCompletionsAreAllAnswered()
    }

    @Test func peersThatGoAwayAreToldAsErrors() throws {
        try RingPromises<PollRing>.peersThatGoAwayAreToldAsErrors()
    }

    @Test func shutdownComesAfterWhatWasQueuedBeforeAndBeforeTheCloseBehindIt() throws {
        try RingPromises<PollRing>.shutdownComesAfterWhatWasQueuedBeforeAndBeforeTheCloseBehindIt()
    }

    @Test func completionsThatDoNotFitAreNotLost() throws {
        try RingPromises<PollRing>.completionsThatDoNotFitAreNotLost()
    }

    @Test func roomIsAwaitedAlsoWhereThePeerSendsNoMore() throws {
        try RingPromises<PollRing>.roomIsAwaitedAlsoWhereThePeerSendsNoMore()
    }
}
