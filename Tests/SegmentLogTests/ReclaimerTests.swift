// ReclaimerTests: what maintenance waits for, and that it does so between its steps.

import Primitives
import SegmentLog
import Testing

@Suite struct ReclaimerTests {
    /// A log without a disk whose frames are full of sealed segments, and a worker in a turn.
    private func fill(_ log: SegmentLog) -> Writer {
        var writer = Writer(log, number: 0)
        log.frames.beginTurn(0)
        let fields = RecordFields()
        let total = fields.totalBytes(keyBytes: 4, valueBytes: 1000)
        var number: UInt32 = 0
        while log.frames.freeCount > 0, writer.makeSpace(total) {
            number += 1
            let record = writer.tail
            let at = record.write(
                fields, order: UInt64(number), keyBytes: 4, valueBytes: 1000)
            record.region.store(number, at: at)
            let hash = record.hash(with: log.hasher)
            writer.insert(hash, writer.advance(total, expiry: 0))
        }
        return writer
    }

    /// Without a disk workers overwrite in place: what is to leave memory is not walked before they
    /// have ended their turns, and the step that chose it does not wait for that.
    @Test func whatLeavesWaitsForTurnsBetweenSteps() throws {
        let geometry = Geometry(memoryBytes: 8 << 20, writers: 2, diskBytes: 0)
        let log = try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
        var reclaimer = Reclaimer(log, number: 1)
        _ = fill(log)
        let items = log.index.itemCount()
        let isNeeded = reclaimer.isNeeded
        #expect(isNeeded)
        for _ in 0..<3 {
            let didWork = reclaimer.step(now: 1)
            #expect(!didWork)
            let (waits, finding) = (reclaimer.waitsForTurns, reclaimer.check())
            #expect(waits && finding == nil)
            #expect(log.index.itemCount() == items && log.frames.quarantinedCount == 0)
        }
        let leaving = (1..<log.segments.count).filter { log.segments.state($0) == .leaving }
        #expect(!leaving.isEmpty)
        log.frames.endTurn(0)
        log.frames.beginTurn(0)
        let didWork = reclaimer.step(now: 1)
        #expect(didWork)
        let (waits, finding) = (reclaimer.waitsForTurns, reclaimer.check())
        #expect(!waits && finding == nil)
        #expect(log.index.itemCount() < items)
        for segment in leaving { #expect(log.segments.state(segment) == .free) }
        log.frames.endTurn(0)
        for _ in 0..<2 { _ = reclaimer.step(now: 1) }
        #expect(log.frames.freeCount > 0)
        log.discardMemory()
    }

    /// The same where nothing may be evicted: while it waits, nobody is told that there is no more.
    @Test func whoWaitsIsNotToldThatMemoryIsExhausted() throws {
        let geometry = Geometry(
            memoryBytes: 8 << 20, writers: 2, diskBytes: 0, mayEvict: false)
        let log = try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
        var reclaimer = Reclaimer(log, number: 1)
        var writer = fill(log)
        // Half of it is dead.
        for number in 1...UInt32(log.index.itemCount()) where number % 2 == 0 {
            let key = [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: number >> $0) }
            let hash = log.hasher.hash(key.span)
            guard case .memory(let at, let slot, _) = writer.locate(key.span, hash: hash) else {
                continue
            }
            writer.remove(hash, at, slot)
        }
        log.frames.wanted.storeRelaxed(1)
        for _ in 0..<3 {
            // What the index has grown by may be given back as well.
            _ = reclaimer.step(now: 1)
            let waits = reclaimer.waitsForTurns
            #expect(waits && log.frames.exhausted.loadRelaxed() == 0)
        }
        log.frames.endTurn(0)
        let didWork = reclaimer.step(now: 1)
        #expect(didWork)
        let waits = reclaimer.waitsForTurns
        #expect(!waits && log.frames.exhausted.loadRelaxed() == 0)
        log.discardMemory()
    }
}
