// Index+Recovery: how recovery fills the index: with the size it will need from the beginning, and
// without displacing anything; and how the removals that it remembers go.

internal import Primitives

extension Index {
    /// Adds a slot to the hash's chain if there is room, and displaces nothing. False: there is
    /// none, and the shard is closed to recovery from now on.
    public func insertIfRoom(_ hash: UInt64, _ slot: UInt64, isItem: Bool) -> Bool {
        let shard = shard(hash)
        guard !isClosed(shard) else { return false }
        if SlotLayout.isRemoval(slot) { noteRemoval(shard) }
        var at = offset(shard, bucket(shard, hash))
        search: while true {
            for number in 0..<8 {
                let here = at + number * 8
                let old = load(here)
                if old == 0 {
                    store(slot, at: here)
                    break search
                }
                guard number == 7 else { continue }
                if layout.isLink(old) {
                    at = overflowOffset(layout.linked(old))
                    continue search
                }
                guard let bucket = takeOverflow() else {
                    close(shard)
                    return false
                }
                hang(bucket, on: here, old, slot)
                break search
            }
        }
        if isItem { addItems(shard, 1) }
        didInsert(shard)
        return true
    }

    /// Adds an item's slot to a chain of one bucket in which it has room, and nothing has its tag:
    /// most keys' are like that. False: it is to be compared, the chain is longer or gets longer,
    /// or the shard is closed to recovery; nothing was changed.
    public func insertAlone(_ hash: UInt64, _ slot: UInt64) -> Bool {
        let shard = shard(hash)
        guard !isClosed(shard) else { return false }
        let at = offset(shard, bucket(shard, hash))
        let line = buckets.line(at: at)
        guard !layout.isLink(line.loadRelaxed(7)) else { return false }
        var vacant = 8
        for number in 0..<8 {
            let old = line.loadRelaxed(number)
            if old == 0 {
                vacant = min(vacant, number)
            } else if layout.matches(old, slot) {
                return false
            }
        }
        guard vacant < 8 else { return false }
        store(slot, at: at + vacant * 8)
        addItems(shard, 1)
        didInsert(shard)
        return true
    }

    /// Gives a shard as many buckets as `items` need while there is little in it: growing later
    /// would move every slot again and again. A fifth of the memory is left to overflow buckets.
    public func presize(_ shard: Int, items: Int) {
        let target = min(items / 7 + 1, rowsMax / 5 * 4)
        // Without a slot there is nothing to deal out among the new buckets.
        if heads.uint64(at: shard << 6 + 32) == 0, target > bucketCount(shard),
            takeRow(target - 1)
        {
            heads.atomic64(at: shard << 6 + 16).storeRelaxed(UInt64(target))
            return
        }
        while case let count = bucketCount(shard), count < target {
            grow(shard)
            guard bucketCount(shard) > count else { return }
        }
    }

    /// Has the system give memory to some of the rows that shards may use, from an offset on, so
    /// that whoever fills them need not wait for it; answers where to go on, nil at the end. Any
    /// thread, without a lock.
    public func populate(from offset: Int) -> Int? {
        let rows = Int(heads.atomic64(at: common).loadRelaxed()) << rowShift
        let count = min(rows - offset, 4 << 20)
        guard count > 0 else { return nil }
        buckets.populate(offset, count)
        return offset + count
    }

    /// Slots of a shard, removals among them.
    public func slotCount(_ shard: Int) -> Int {
        Int(truncatingIfNeeded: heads.uint64(at: shard << 6 + 32))
    }

    /// What must hold while no shard is changed; a sentence if it does not.
    public func check() -> String? {
        for shard in 0..<shardCount {
            var (slots, found) = (0, 0)
            lock(shard)
            forEach(shard, buckets: 0..<Int.max) { _, slot in
                slots += 1
                if !SlotLayout.isRemoval(slot) { found += 1 }
            }
            let counted = (slots: slotCount(shard), items: items(shard))
            unlock(shard)
            guard slots == counted.slots, found == counted.items else {
                return "shard \(shard) has \(slots) slots, \(found) of them items, and counts "
                    + "\(counted.slots) and \(counted.items)"
            }
        }
        return nil
    }

    /// Takes every remembered removal out of a shard.
    public func sweepRemovals(_ shard: Int) {
        guard heads.uint32(at: shard << 6 + 44) != 0 else { return }
        forEach(shard, buckets: 0..<Int.max) { at, slot in
            if SlotLayout.isRemoval(slot) { remove(shard, at: at, isItem: false) }
        }
        heads.store(UInt32(0), at: shard << 6 + 44)
    }
}
