// KernelRingTests: the promises of `Ring`, kept by io_uring, and what only that ring does.

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

    // MARK: What any ring does

    @Test func controlRingNeedsNoBuffers() throws {
        try RingPromises<KernelRing>.controlRingNeedsNoBuffers()
    }

    @Test func echoesWhatArrives() throws {
        try RingPromises<KernelRing>.echoesWhatArrives()
    }

    @Test func multishotReceiveStaysArmedAndKeepsOrder() throws {
        try RingPromises<KernelRing>.multishotReceiveStaysArmedAndKeepsOrder()
    }

    @Test func dryBuffersEndTheReceiveAndItGoesOnOnceLent() throws {
        try RingPromises<KernelRing>.dryBuffersEndTheReceiveAndItGoesOnOnceLent()
    }

    @Test func whoIsGoneIsTold() throws { try RingPromises<KernelRing>.whoIsGoneIsTold() }

    @Test func sendNowOnAFullSocketSaysHowMuchWentOut() throws {
        try RingPromises<KernelRing>.sendNowOnAFullSocketSaysHowMuchWentOut()
    }

    @Test func receivesStraightIntoMemory() throws {
        try RingPromises<KernelRing>.receivesStraightIntoMemory()
    }

    @Test func receivesAtOnceWhatHasArrived() throws {
        try RingPromises<KernelRing>.receivesAtOnceWhatHasArrived()
    }

    @Test func aReceiveMayWaitWithoutABuffer() throws {
        try RingPromises<KernelRing>.aReceiveMayWaitWithoutABuffer()
    }

    @Test func cancelEndsWhatItNamesAndOnlyThat() throws {
        try RingPromises<KernelRing>.cancelEndsWhatItNamesAndOnlyThat()
    }

    @Test func anotherThreadWakesIt() throws {
        try RingPromises<KernelRing>.anotherThreadWakesIt()
    }

    @Test func timeoutsEndInOrderOfTheirTime() throws {
        try RingPromises<KernelRing>.timeoutsEndInOrderOfTheirTime()
    }

    @Test func readsAFileAtAnOffset() throws {
        try RingPromises<KernelRing>.readsAFileAtAnOffset()
    }

    @Test func acceptsAThousandConnections() throws {
        try RingPromises<KernelRing>.acceptsAThousandConnections()
    }

    @Test func moreOperationsThanEntriesAndCompletionsAreAllAnswered() throws {
        try RingPromises<KernelRing>.moreOperationsThanEntriesAndCompletionsAreAllAnswered()
    }

    @Test func peersThatGoAwayAreToldAsErrors() throws {
        try RingPromises<KernelRing>.peersThatGoAwayAreToldAsErrors()
    }

    @Test func shutdownComesAfterWhatWasQueuedBeforeAndBeforeTheCloseBehindIt() throws {
        try RingPromises<KernelRing>
            .shutdownComesAfterWhatWasQueuedBeforeAndBeforeTheCloseBehindIt()
    }

    @Test func completionsThatDoNotFitAreNotLost() throws {
        try RingPromises<KernelRing>.completionsThatDoNotFitAreNotLost()
    }

    @Test func roomIsAwaitedAlsoWhereThePeerSendsNoMore() throws {
        try RingPromises<KernelRing>.roomIsAwaitedAlsoWhereThePeerSendsNoMore()
    }
}
