// RoomTests: memory for what is not in the log: where it comes from when every frame is taken.

import Primitives
import SegmentLog
import Testing

@Suite struct RoomTests {
    func makeLog() throws -> SegmentLog {
        let geometry = Geometry(memoryBytes: 8 << 20, writers: 2, diskBytes: 64 << 20)
        return try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
    }

    /// Takes every free frame for values that are being received.
    func takeAll(_ log: SegmentLog) {
        var other = Writer(log, number: 1)
        while other.openChain(1) != nil {}
    }

    @Test func readsFromDiskHaveAFrameWhenAllOthersAreTaken() throws {
        let log = try makeLog()
        var writer = Writer(log, number: 0)
        writer.keepReadingFrame()
        takeAll(log)
        let none = writer.openRoom(5000)
        #expect(none == nil)
        var rooms: [Room] = []
        while let room = writer.openReadingRoom(5000) { rooms.append(room) }
        #expect(rooms.count == log.geometry.frameBytes / Record.aligned(5000))
        let starts = rooms.map(\.start)
        #expect(Set(starts).count == rooms.count)
        #expect(Set(rooms.map(\.frame)).count == 1)

        // Whole again when the last of them is closed, and then it says so.
        let news = log.frames.news.loadRelaxed()
        for room in rooms { writer.closeRoom(room) }
        #expect(log.frames.news.loadRelaxed() > news)
        #expect(log.frames.freeCount == 0, "the frame stays the writer's")
        let opened = writer.openReadingRoom(log.geometry.segmentBytes / 2)
        let whole = try #require(opened)
        #expect(whole.start == 0)
        writer.closeRoom(whole)
    }

    /// Large values and what is read leave places to small values, and these some to input.
    @Test func eachUseOfRoomsLeavesSomeToOthers() throws {
        let log = try makeLog()
        var writer = Writer(log, number: 0)
        let chained = log.geometry.sharedRecordBytesMax + 1
        var rooms: [Room] = []
        while let room = writer.openRoom(chained) { rooms.append(room) }
        while let room = writer.openReadingRoom(5000) { rooms.append(room) }
        let large = rooms.count
        while let room = writer.openRoom(5000) { rooms.append(room) }
        let values = rooms.count - large
        #expect(values > 0)
        while let room = writer.openRoom(5000, for: .input) { rooms.append(room) }
        #expect(rooms.count > large + values)
        #expect(log.frames.freeCount > log.geometry.frameCount / 2)
        // All of it comes back, also from frames that are shared.
        let free = log.geometry.frameCount
        for room in rooms { writer.closeRoom(room) }
        #expect(log.frames.freeCount == free)
    }

    /// While memory shrinks: a large value needs some frames at the same time.
    @Test func whatIsWaitedForComesBeforeWhatIsGivenBack() throws {
        let log = try makeLog()
        let wanted = max(log.geometry.freeFramesMin, log.geometry.writers) + 2
        var other = Writer(log, number: 0)
        while log.frames.freeCount > wanted + 3 { _ = other.openChain(1) }
        log.frames.withheld.storeRelaxed(UInt64(log.geometry.frameCount - 1))
        log.frames.wanted.storeRelaxed(UInt64(wanted))
        var reclaimer = Reclaimer(log, number: 1)
        _ = reclaimer.step(now: 1)
        #expect(log.frames.freeCount == wanted)
        #expect(log.frames.surrenderedCount == 3)
        // Nobody waits any more.
        log.frames.wanted.storeRelaxed(0)
        _ = reclaimer.step(now: 1)
        #expect(log.frames.freeCount == log.geometry.writers)
    }

    @Test func readsUseOtherFramesWhileThereAreAny() throws {
        let log = try makeLog()
        var writer = Writer(log, number: 0)
        writer.keepReadingFrame()
        let before = log.frames.freeCount
        let opened = writer.openReadingRoom(5000)
        let room = try #require(opened)
        #expect(log.frames.freeCount == before - 1)
        writer.closeRoom(room)
        #expect(log.frames.freeCount == before)
    }

    /// One large value that is overwritten without end does not touch all of memory, as the frames
    /// of those that are dead are used again before others are used at all.
    @Test func overwrittenLargeValuesUseTheSameFramesAgain() throws {
        let geometry = Geometry(memoryBytes: 64 << 20, writers: 2, diskBytes: 0)
        let log = try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
        var writer = Writer(log, number: 0)
        var reclaimer = Reclaimer(log, number: 1)
        let bytes = 1_000_000
        let rounds = 10 * geometry.frameCount / geometry.framesNeeded(bytes)
        var last: Place?
        for _ in 0..<rounds {
            let opened = writer.openRoom(bytes)
            let room = try #require(opened)
            let made = writer.makeSegment(of: room, expiry: 0)
            let place = try #require(made)
            writer.handOn(chain: place)
            if let last { log.segments.noteDeadUnread(last.segment) }
            last = place
            _ = reclaimer.renew(now: 0)
            // The first round notes who may still look at what was let go, the next releases it.
            _ = reclaimer.step(now: 0)
            _ = reclaimer.step(now: 0)
        }
        let used = geometry.frameCount - log.frames.untouchedCount
        #expect(used <= 6 * geometry.framesNeeded(bytes), "\(used) of \(geometry.frameCount)")
        #expect(used >= geometry.framesNeeded(bytes))
    }

    /// What has been sent fills all that rooms may take: its values find places all the same, one
    /// after the other.
    @Test func aSmallValueFindsAPlaceHoweverMuchHasBeenSent() throws {
        let log = try makeLog()
        var writer = Writer(log, number: 0)
        var inputs: [Room] = []
        while let room = writer.openRoom(5000, for: .input) { inputs.append(room) }
        #expect(!inputs.isEmpty)
        for _ in 0..<3 {
            let opened = writer.openRoom(5000)
            let room = try #require(opened)
            writer.closeRoom(room)
        }
        #expect(writer.openRoom(5000, for: .reading) == nil)
        for room in inputs { writer.closeRoom(room) }
        #expect(log.frames.freeCount == log.geometry.frameCount)
    }

    /// Input may take more than large values leave to it, and waits behind the value of its own
    /// connection: one of these is let in.
    @Test func aLargeValueFindsAPlaceHoweverMuchHasBeenSent() throws {
        let log = try makeLog()
        var writer = Writer(log, number: 0)
        var inputs: [Room] = []
        while let room = writer.openRoom(log.geometry.sharedRecordBytesMax, for: .input) {
            inputs.append(room)
        }
        let large = log.geometry.sharedRecordBytesMax + 1
        let opened = writer.openRoom(large)
        let room = try #require(opened)
        let second = writer.openRoom(large)
        #expect(second == nil)
        let isRead = writer.openReadingRoom(large) != nil
        #expect(!isRead)
        writer.closeRoom(room)
        let third = writer.openRoom(large)
        let next = try #require(third)
        let place = writer.makeSegment(of: next, expiry: 0)
        #expect(place != nil)
        let fourth = writer.openRoom(large)
        writer.closeRoom(try #require(fourth))
        for room in inputs { writer.closeRoom(room) }
    }

    /// The largest record that memory says it holds finds its frames beside all that workers hold
    /// for small ones: each of them shares a frame between those of one use.
    @Test func theLargestRecordFitsBesideWhatIsHeld() throws {
        let workers = 4
        let geometry = Geometry(
            memoryBytes: 16 << 20, writers: workers + 2, diskBytes: 64 << 20)
        let log = try SegmentLog(geometry, workers: workers, secret: (1, 2, 3, 4))
        for number in 0..<workers {
            var writer = Writer(log, number: number)
            for use in [RoomUse.value, .reading, .input] {
                let room = writer.openRoom(100, for: use)
                #expect(room != nil)
            }
        }
        var other = Writer(log, number: workers)
        // Both open segments of every writer.
        for _ in 0..<2 * geometry.writers {
            let frame = other.openChain(1)
            #expect(frame != nil)
        }
        #expect(log.frames.freeCount >= geometry.framesNeeded(geometry.recordBytesMax))
        let largest = other.openChain(geometry.recordBytesMax)
        #expect(largest != nil)
    }
}
