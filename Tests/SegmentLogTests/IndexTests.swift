// IndexTests: the index against a dictionary: growth, overflow, removal, a full index.

import Primitives
import SegmentLog
import Support
import Testing

/// An index and what it should hold: a unique place for each hash.
struct IndexModel {
    let geometry: Geometry
    let index: Index
    var places: [UInt64: Place] = [:]
    var hashes: [UInt64] = []
    var displaced: UInt64 = 0
    var nextPlace = 0

    init(memoryBytes: Int = 4 << 20) throws {
        geometry = Geometry(memoryBytes: memoryBytes, writers: 2, diskBytes: 64 << 20)
        index = try Index(geometry)
    }

    mutating func insert(_ hash: UInt64) {
        guard places[hash] == nil else { return }
        nextPlace += 1
        let place = Place(
            segment: 1 + nextPlace / 4096 % (geometry.segmentCount - 1),
            offset: nextPlace % 4096 * 8)
        let slot = index.layout.slot(tag: index.layout.tag(hash), place)
        if let lost = index.insert(hash, slot) {
            displaced += 1
            let gone = index.layout.place(lost)
            // Whoever it was is a miss now.
            let victim = places.first { $0.value == gone }?.key
            if let victim { places[victim] = nil }
        }
        places[hash] = place
        hashes.append(hash)
    }

    mutating func remove(_ hash: UInt64) {
        guard let place = places[hash] else { return }
        guard let (at, _) = index.find(hash, place) else {
            Issue.record("a slot is missing")
            return
        }
        index.remove(index.shard(hash), at: at)
        places[hash] = nil
    }

    /// Slots by walking, as a set of places.
    func walked() -> Set<Int> {
        var seen: Set<Int> = []
        for shard in 0..<index.shardCount {
            index.forEach(shard, buckets: 0..<Int.max) { _, slot in
                let place = index.layout.place(slot)
                let isNew = seen.insert(place.segment << 20 | place.offset).inserted
                #expect(isNew, "a slot appears twice")
            }
        }
        return seen
    }

    func check() {
        var missing = 0
        for (hash, place) in places where index.find(hash, place) == nil { missing += 1 }
        #expect(missing == 0)
        #expect(walked() == Set(places.values.map { $0.segment << 20 | $0.offset }))
        #expect(index.itemCount() == places.count)
    }
}

@Suite struct IndexTests {
    @Test(arguments: [1, 2, 3]) func growsAndShrinksLikeADictionary(seed: UInt64) throws {
        var model = try IndexModel()
        var chance = Chance(seed: seed)
        for round in 0..<12 {
            let isGrowing = round % 4 != 3
            for _ in 0..<8000 {
                if isGrowing || chance.below(4) == 0 {
                    model.insert(chance.next())
                } else if !model.hashes.isEmpty {
                    model.remove(model.hashes[chance.below(model.hashes.count)])
                }
            }
            model.check()
        }
        #expect(model.displaced == 0)
        #expect(model.index.displacedCount() == 0)
        // 81 % load on average, and rows were taken one by one.
        #expect(model.index.touchedBytes() < model.places.count * 8 * 2)
    }

    @Test func hashesThatShareABucketOverflowAndComeApart() throws {
        var model = try IndexModel()
        var chance = Chance(seed: 9)
        // One shard, one bucket at every size: only bits above the growth differ.
        let top: UInt64 = 15 << 60
        for number in 0..<200 as Range<UInt64> { model.insert(top | number << 20 | 5) }
        model.check()
        for number in 0..<200 as Range<UInt64> where number % 3 != 0 {
            model.remove(top | number << 20 | 5)
        }
        model.check()
        for number in 300..<400 as Range<UInt64> { model.insert(top | number << 20 | 5) }
        for _ in 0..<20_000 { model.insert(chance.next()) }
        model.check()
        #expect(model.displaced == 0)
    }

    /// Items and remembered removals, which give way to each other.
    @Test func fullIndexDisplacesAndCounts() throws {
        var model = try IndexModel()
        var chance = Chance(seed: 4)
        let slots = model.geometry.rowsMax * model.geometry.shardCount * 8
        // Up to what fits by far, then beyond; the model is too slow to follow each loss.
        for _ in 0..<slots / 2 { model.insert(chance.next()) }
        #expect(model.displaced == 0)
        model.check()
        var lost = 0
        for _ in 0..<slots {
            let hash = chance.next()
            var slot = model.index.layout.slot(
                tag: model.index.layout.tag(hash), Place(segment: 1, offset: 8))
            let isItem = chance.below(3) > 0
            if !isItem { slot |= SlotLayout.removalBit }
            if model.index.insert(hash, slot, isItem: isItem) != nil { lost += 1 }
        }
        #expect(lost > 0)
        #expect(model.index.displacedCount() >= UInt64(lost))
        #expect(model.index.filledPercent() > 88)
        var (seen, items) = (0, 0)
        for shard in 0..<model.index.shardCount {
            model.index.forEach(shard, buckets: 0..<Int.max) { _, slot in
                seen += 1
                if !SlotLayout.isRemoval(slot) { items += 1 }
            }
        }
        #expect(UInt64(seen) + model.index.displacedCount() == UInt64(slots / 2 + slots))
        #expect(model.index.itemCount() == items)
        #expect(items < seen)
        #expect(model.index.check() == nil)
    }

    /// All sequences of five operations over hashes that meet in one bucket of eight.
    @Test func smallWorldsExhaustively() throws {
        var model = try IndexModel()
        let base = 0x7000_0000_0000_0003 as UInt64
        // Seven that stay fill the bucket, so that three more cross into the overflow.
        for number in 0..<7 as Range<UInt64> { model.insert(base | number << 24) }
        let keys = (7..<10 as Range<UInt64>).map { base | $0 << 24 }
        for sequence in 0..<7776 {
            var rest = sequence
            for _ in 0..<5 {
                let operation = rest % 6
                rest /= 6
                if operation < 3 {
                    model.insert(keys[operation])
                } else {
                    model.remove(keys[operation - 3])
                }
                for key in keys {
                    var walk = model.index.matches(key)
                    var found: [Place] = []
                    while let (_, slot) = model.index.next(&walk) {
                        found.append(model.index.layout.place(slot))
                    }
                    #expect(found == model.places[key].map { [$0] } ?? [])
                }
            }
            for key in keys { model.remove(key) }
        }
        model.check()
    }
}
