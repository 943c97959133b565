// IndexRefillTests: an index that recovery fills: its size from the start, room that is not
// there, and the removals that it remembers.

import SegmentLog
import Support
import Testing

@Suite struct IndexRefillTests {
    /// An index that gets its size at once holds what one does that grew, whether it is empty or
    /// workers have put something in.
    @Test(arguments: [0, 1, 300]) func sizedFromTheStartItHoldsWhatItWouldHaveGrownTo(
        before: Int
    ) throws {
        var model = try IndexModel()
        var chance = Chance(seed: UInt64(before) + 20)
        for _ in 0..<before { model.insert(chance.next()) }
        let items = 40_000
        let each = items / model.index.shardCount
        for shard in 0..<model.index.shardCount {
            model.index.presize(shard, items: each)
            // As many buckets as are needed, or all that may be had.
            let wanted = min(each / 7 + 1, model.geometry.rowsMax / 5 * 4)
            #expect(model.index.buckets(shard) >= wanted)
        }
        model.check()
        let touched = model.index.touchedBytes()
        while model.places.count < items / 2 { model.insert(chance.next()) }
        model.check()
        #expect(model.displaced == 0)
        // Filled half, it has not grown.
        #expect(model.index.touchedBytes() < touched + touched / 8)
        for hash in model.hashes.prefix(items / 4) { model.remove(hash) }
        model.check()
    }

    /// Larger than memory allows: what there is, and nothing is lost.
    @Test func aSizeThatDoesNotFitTakesWhatThereIs() throws {
        var model = try IndexModel()
        for shard in 0..<model.index.shardCount {
            model.index.presize(shard, items: 1 << 40)
        }
        var chance = Chance(seed: 31)
        for _ in 0..<10_000 { model.insert(chance.next()) }
        model.check()
        #expect(model.displaced == 0)
    }

    /// However a removal came in, the sweep finds it, and leaves what lives.
    @Test func sweepingTakesEveryRemovalAndNothingElse() throws {
        var model = try IndexModel()
        var chance = Chance(seed: 32)
        for _ in 0..<5000 { model.insert(chance.next()) }
        let index = model.index
        // One that recovery brings, in one shard only.
        let brought = 3 << 60 | chance.below(1 << 30)
        let slot = index.layout.slot(
            tag: index.layout.tag(UInt64(brought)), Place(segment: 1, offset: 8))
        #expect(
            index.insertIfRoom(UInt64(brought), slot | SlotLayout.removalBit, isItem: false))
        // One that stood for a record, in another.
        let live = try #require(model.hashes.first { index.shard($0) != index.shard(3 << 60) })
        let place = try #require(model.places[live])
        let (at, found) = try #require(index.find(live, place))
        index.storeRemoval(found, at: at, in: index.shard(live))
        index.addItems(index.shard(live), -1)
        model.places[live] = nil
        var removals = 0
        let count = { (shard: Int) in
            index.forEach(shard, buckets: 0..<Int.max) { _, slot in
                if SlotLayout.isRemoval(slot) { removals += 1 }
            }
        }
        for shard in 0..<index.shardCount { count(shard) }
        #expect(removals == 2)
        for shard in 0..<index.shardCount { index.sweepRemovals(shard) }
        removals = 0
        for shard in 0..<index.shardCount { count(shard) }
        #expect(removals == 0)
        model.check()
    }
}
