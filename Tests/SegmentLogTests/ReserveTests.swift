// ReserveTests: the end of an open segment, which is left to those who write little while frames
// are short.

import Primitives
import SegmentLog
import Testing

@Suite struct ReserveTests {
    private let recordBytes = 1000

    private func makeLog(hasDisk: Bool = true, mayEvict: Bool = true) throws -> SegmentLog {
        let geometry = Geometry(
            memoryBytes: 8 << 20, writers: 3, diskBytes: hasDisk ? 64 << 20 : 0,
            mayEvict: mayEvict)
        return try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
    }

    /// Appends records until there is no space; how many bytes they have.
    private func fill(_ writer: inout Writer) -> Int {
        var bytes = 0
        while writer.makeSpace(recordBytes) {
            writer.tail.writeFiller(bytes: recordBytes)
            _ = writer.advance(recordBytes, expiry: 0)
            bytes += recordBytes
        }
        return bytes
    }

    /// Has a writer with an open segment, and takes so many of the other frames that some are left.
    private func takeFrames(_ log: SegmentLog, _ writer: inout Writer, leaving count: Int) {
        let isOpen = writer.makeSpace(recordBytes)
        #expect(isOpen)
        var other = Writer(log, number: 1)
        while log.frames.freeCount > count { _ = other.openChain(1) }
    }

    @Test func theLastEighthIsForThoseToWhomItIsGranted() throws {
        let log = try makeLog()
        let whole = log.geometry.segmentBytes
        var writer = Writer(log, number: 0)
        writer.keepReserve()
        takeFrames(log, &writer, leaving: 0)
        let segment = writer.main.segment
        let most = fill(&writer)
        #expect(most <= whole * 7 / 8 && most > whole * 7 / 8 - recordBytes)
        let told = [writer.reserve.takeWithheld(), writer.reserve.takeWithheld()]
        #expect(told == [true, false], "it is told once")

        writer.reserve.isGranted = true
        let rest = fill(&writer)
        #expect(rest > 0 && most + rest > whole - recordBytes)
        let isWithheld = writer.reserve.takeWithheld()
        #expect(!isWithheld, "there is none left")
        writer.reserve.isGranted = false
        #expect(writer.main.segment != segment)
    }

    @Test func whoOnlyJustFindsAFrameLeavesTheReserveInItsNext() throws {
        let log = try makeLog()
        let whole = log.geometry.segmentBytes
        var writer = Writer(log, number: 0)
        writer.keepReserve()
        takeFrames(log, &writer, leaving: log.geometry.freeFramesFew)
        let most = fill(&writer)
        // Each of these frames, and the open one, is filled by seven eighths.
        let segments = log.geometry.freeFramesFew + 1
        #expect(most <= segments * whole * 7 / 8)
        let isWithheld = writer.reserve.takeWithheld()
        #expect(isWithheld)
        #expect(writer.reservedBytes >= whole / 8)
    }

    @Test func segmentsAreFilledWhileFramesAreFree() throws {
        let log = try makeLog()
        let whole = log.geometry.segmentBytes
        var writer = Writer(log, number: 0)
        writer.keepReserve()
        takeFrames(log, &writer, leaving: log.geometry.freeFramesFew + 8)
        let segment = writer.main.segment
        while writer.main.segment == segment, writer.makeSpace(recordBytes) {
            guard writer.main.segment == segment else { break }
            writer.tail.writeFiller(bytes: recordBytes)
            _ = writer.advance(recordBytes, expiry: 0)
        }
        #expect(Int(log.segments.filled(segment).loadRelaxed()) > whole - recordBytes)
    }

    @Test func nothingIsReservedForOthersAndWhereNothingMayBeEvicted() throws {
        for (keeps, mayEvict) in [(false, true), (true, false)] {
            let log = try makeLog(hasDisk: false, mayEvict: mayEvict)
            let whole = log.geometry.segmentBytes
            var writer = Writer(log, number: 0)
            if keeps { writer.keepReserve() }
            takeFrames(log, &writer, leaving: 0)
            let most = fill(&writer)
            #expect(most > whole - recordBytes)
            let isWithheld = writer.reserve.takeWithheld()
            #expect(!isWithheld)
        }
    }
}
