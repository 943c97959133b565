// KnowledgeTests: what a thread outside quiescence reads of a frame that has been given to somebody
// else meanwhile.

import Primitives
import SegmentLog
import Testing

@Suite struct KnowledgeTests {
    static let key = Array("key".utf8)

    /// A segment of the last frame whose only record lies at the very end of memory.
    final class World {
        let log: SegmentLog
        let hash: UInt64
        let place: Place
        let last: Record
        let grave: Place

        init() throws {
            // The last frame ends where memory ends, which is mapped in pages of 2 MiB.
            var geometry = Geometry(memoryBytes: 4 << 20, writers: 2, diskBytes: 1 << 20)
            var memoryBytes = 4 << 20
            while geometry.frameCount * geometry.frameBytes % (2 << 20) != 0 {
                memoryBytes += 64 << 10
                geometry = Geometry(memoryBytes: memoryBytes, writers: 2, diskBytes: 1 << 20)
            }
            log = try SegmentLog(geometry, workers: 1, secret: (5, 7, 11, 13))
            hash = log.hasher.hash(KnowledgeTests.key.span)
            // Two writers, so that the tombstone stays where it is.
            var committer = Writer(log, number: 1)
            _ = committer.makeSpace(64)
            committer.tail.write(
                RecordFields(isTombstone: true), order: 1, keyBytes: 3, valueBytes: 0)
            committer.tail.region.store(
                KnowledgeTests.key.span, at: committer.tail.keyOffset)
            grave = committer.advanceDead(24)
            var writer = Writer(log, number: 0)
            while log.frames.freeCount > 1 { _ = writer.takeFreeFrame() }
            _ = writer.makeSpace(24)
            place = Place(segment: writer.main.segment, offset: geometry.frameBytes - 24)
            writer.insert(hash, place)
            last = Record(log.frames.memory, at: log.frames.memory.byteCount - 24)
            let frame = log.segments.frame(place.segment)
            #expect(frame.map(log.frames.offset) == last.at - place.offset)
        }

        func write(order: UInt64) {
            last.write(RecordFields(), order: order, keyBytes: 3, valueBytes: 0)
            last.region.store(KnowledgeTests.key.span, at: last.keyOffset)
        }

        /// What stands in the bytes of a record that begins elsewhere: by the look of it, one with
        /// every optional field, for which there is no memory.
        func overwrite() { last.region.store(7 | 3 << 48 | 0x0F << 56 as UInt64, at: last.at) }

        deinit { log.discardMemory() }
    }

    @Test func whatIsNewerIsFound() throws {
        let world = try World()
        world.write(order: 7)
        #expect(world.log.hasNewer(world.hash, than: 6))
        #expect(!world.log.hasNewer(world.hash, than: 7))
        #expect(!world.log.hasNewer(world.hash &+ 1, than: 6))
        #expect(!world.log.supersedeOlder(world.hash, with: world.grave))
    }

    /// Whatever the bytes say by now, nothing beyond the end of memory is read.
    @Test func whatWasOverwrittenIsNotRead() throws {
        let world = try World()
        world.overwrite()
        #expect(!world.log.hasNewer(world.hash, than: 6))
        #expect(world.log.supersedeOlder(world.hash, with: world.grave))
        let (_, slot) = try #require(
            world.log.index.find(world.hash, world.place))
        world.log.noteDeadUnread(slot)
        #expect(world.log.segments.dead(world.place.segment).loadRelaxed() == 1)
    }
}
