// SettlingTests: segments settle without the lock of a shard, so also in the middle of a command
// that has found nothing of its key because they were silent.

import Primitives
import SegmentLog
import Testing

@Suite struct SettlingTests {
    /// A removal, or a new value, of a key whose only record lies in such a segment. Without what
    /// is tested the older record answers from then on: at once, or when the new one has left
    /// memory.
    @Test(arguments: [false, true]) func whatSettlesMeanwhileNeverAnswers(isRemoval: Bool) throws {
        let geometry = Geometry(memoryBytes: 8 << 20, writers: 2, diskBytes: 64 << 20)
        let log = try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
        log.recovering.storeRelease(1)
        let restored = log.segments.restore(
            .log, sequence: 1, filled: 64, records: 1, overlap: 0, earliest: 0, latest: 0,
            fileOffset: 4096)
        let segment = try #require(restored)
        let key = Array("key".utf8)
        let hash = log.hasher.hash(key.span)
        let layout = log.index.layout
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let old = layout.slot(tag: layout.tag(hash), Place(segment: segment, offset: 0))
        let isInserted = log.index.insertAlone(hash, old)
        #expect(isInserted)
        var writer = Writer(log, number: 0)
        #expect(diskSlots(log, hash) == 1)
        let before = writer.locate(key.span, hash: hash)
        guard case .none = before else { return #expect(Bool(false), "it is not settled yet") }

        log.segments.advance(segment, from: .unsettled, to: .resting)
        let appended = writer.appendTombstone(key.span, order: 100)
        let place = try #require(appended)
        if isRemoval {
            writer.rememberRemoval(hash, place)
            let after = writer.locate(key.span, hash: hash)
            guard case .none = after else { return #expect(Bool(false), "it came back") }
        } else {
            log.supersede(hash, with: place)
        }
        #expect(diskSlots(log, hash) == 0)
    }

    /// Slots of a tag that may answer, of what only the disk holds.
    private func diskSlots(_ log: SegmentLog, _ hash: UInt64) -> Int {
        var walk = log.index.matches(hash)
        var count = 0
        while let (_, slot) = log.index.next(&walk) {
            let isOnDisk = log.segments.frame(log.index.layout.segment(slot)) == nil
            if isOnDisk, !SlotLayout.isRemoval(slot) { count += 1 }
        }
        return count
    }
}
