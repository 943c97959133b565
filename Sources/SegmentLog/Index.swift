// Index: from a key's hash to the slots that may be its own.
//
// Shards, each behind its own lock; in each a table of 64-byte buckets that grows bucket by
// bucket: linear hashing with partial expansions (Larson 1980), so that all buckets stay almost
// equally full. Bucket b of all shards lies in row b, so that shards which grow alike touch memory
// from the front on. A full bucket links to overflow buckets, which come from the back of the same
// memory: what one kind does not need the other may have.
// What it does not know: keys, records, or where a place resides.

public import Primitives

/// Where one slot lies: an offset in the index's memory. Valid while the shard stays locked.
public typealias SlotOffset = Int

/// The hash index; a handle to memory that all threads share.
///
/// Every method that names a shard must be called with that shard locked, unless it says not.
public struct Index: BitwiseCopyable, Sendable {
    @usableFromInline let buckets: Region
    @usableFromInline let heads: Region
    public let layout: SlotLayout
    @usableFromInline let shardShift: UInt64
    @usableFromInline let rowShift: Int
    /// Where the memory ends, and the overflow buckets begin, going down.
    @usableFromInline let end: Int
    let rowsMax: Int
    /// Which bucket of its group an item is in: see `Spread`.
    @usableFromInline let spread: Spread

    // A shard's head, 64 bytes: 0 lock, 4 hidden, 8 order, 16 buckets, 24 items, 32 slots used,
    // 40 closed to recovery, 44 removals remembered.
    // Behind the heads: 0 rows touched, 8 overflow lock, 16 overflow buckets ever used,
    // 24 first free overflow bucket + 1, 32 overflow buckets in use, 40 slots displaced,
    // 48 bytes that stay free for what is appended next, 56 bytes that rows leave to overflow.
    // (Not fields: a handle that is larger costs instructions wherever it is passed.)
    @usableFromInline let common: Int

    public init(_ geometry: Geometry) throws(MemoryError) {
        let shards = geometry.shardCount
        rowShift = geometry.shardBits + 6
        end = geometry.indexBytesMax
        rowsMax = geometry.rowsMax
        spread = try Spread(groupBits: geometry.groupBits, rowsMax: geometry.rowsMax)
        buckets = try Region.map(
            byteCount: geometry.indexBytesMax, hugePages: geometry.indexBytesMax >= 4 << 20)
        heads = try Region.map(byteCount: shards * 64 + 64)
        common = shards * 64
        shardShift = UInt64(64 - geometry.shardBits)
        layout = SlotLayout(segmentBits: geometry.segmentBits, tagStart: geometry.groupBits)
        for shard in 0..<shards {
            heads.store(UInt64(1), at: shard * 64 + 8)
            heads.store(UInt64(geometry.rowsAtStart), at: shard * 64 + 16)
        }
        heads.store(UInt64(geometry.rowsAtStart), at: common)
        heads.store(UInt64(geometry.indexReserveBytes), at: common + 48)
        heads.store(UInt64(geometry.overflowBytesMin), at: common + 56)
    }

    public var shardCount: Int { common / 64 }

    func discardMemory() {
        buckets.discardAll()
        heads.discardAll()
        spread.discardMemory()
    }

    // MARK: Shards

    @inlinable @inline(__always) public func shard(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash &>> shardShift)
    }
    @inlinable @inline(__always) public func lock(_ shard: Int) {
        Lock(heads, at: shard &<< 6).lock()
    }
    @inlinable @inline(__always) public func unlock(_ shard: Int) {
        Lock(heads, at: shard &<< 6).unlock()
    }

    /// The last order number that was given out in the shard.
    @inlinable @inline(__always) public func order(_ shard: Int) -> UInt64 {
        heads.uint64(at: shard &<< 6 &+ 8)
    }
    @inlinable public func setOrder(_ shard: Int, _ order: UInt64) {
        heads.store(order, at: shard &<< 6 &+ 8)
    }
    /// Whether the disk may hold records of this shard that the index does not know: a slot was
    /// taken unread or displaced, or something was damaged. Then removals leave tombstones.
    @inlinable public func mayHide(_ shard: Int) -> Bool {
        heads.uint32(at: shard &<< 6 &+ 4) != 0
    }
    @inlinable public func setMayHide(_ shard: Int) {
        heads.store(UInt32(1), at: shard &<< 6 &+ 4)
    }
    /// Whether a slot was lost in this shard, so that an older record of its key could be taken for
    /// the newest: recovery adds no slot to it any more.
    public func isClosed(_ shard: Int) -> Bool { heads.uint32(at: shard << 6 + 40) != 0 }
    @usableFromInline func close(_ shard: Int) { heads.store(UInt32(1), at: shard << 6 + 40) }
    /// Something else than the index has lost what it knew of a key in this shard.
    public func closeToRecovery(_ shard: Int) { close(shard) }
    /// Writes a slot that says that its key was removed, for as long as recovery runs.
    @inlinable public func storeRemoval(_ slot: UInt64, at: SlotOffset, in shard: Int) {
        noteRemoval(shard)
        store(slot | SlotLayout.removalBit, at: at)
    }
    /// A removal is put into the shard.
    @inlinable func noteRemoval(_ shard: Int) {
        heads.store(UInt32(1), at: shard &<< 6 &+ 44)
    }
    /// Live keys of the shard; readable without the lock, then approximate.
    @inlinable public func items(_ shard: Int) -> Int {
        Int(truncatingIfNeeded: heads.atomic64(at: shard &<< 6 &+ 24).loadRelaxed())
    }
    @inlinable public func addItems(_ shard: Int, _ change: Int) {
        heads.atomic64(at: shard &<< 6 &+ 24).addOwned(UInt64(bitPattern: Int64(change)))
    }
    /// Live keys in all shards, approximately; takes no lock.
    public func itemCount() -> Int {
        var sum = 0
        for shard in 0..<shardCount { sum &+= items(shard) }
        return max(sum, 0)
    }

    // MARK: Buckets

    @inlinable @inline(__always) func bucketCount(_ shard: Int) -> Int {
        Int(truncatingIfNeeded: heads.atomic64(at: shard &<< 6 &+ 16).loadRelaxed())
    }
    @inlinable @inline(__always) func bucket(_ shard: Int, _ hash: UInt64) -> Int {
        spread.bucket(hash, count: bucketCount(shard))
    }
    @inlinable @inline(__always) func offset(_ shard: Int, _ bucket: Int) -> Int {
        bucket &<< rowShift &+ shard &<< 6
    }
    @inlinable func overflowOffset(_ bucket: Int) -> Int { end &- (bucket &+ 1) &<< 6 }
    /// The first bucket of a hash's chain, as an offset. Exact only under the lock.
    @inlinable @inline(__always) public func start(_ hash: UInt64) -> Int {
        let shard = shard(hash)
        return offset(shard, bucket(shard, hash))
    }

    /// Asks the core for the head of the hash's shard, with its lock.
    @inlinable @inline(__always) public func prefetchShard(_ hash: UInt64) {
        heads.prefetchToWrite(shard(hash) &<< 6)
    }

    /// Without the lock: asks the core for the bucket, and says which it is.
    @inlinable @inline(__always) @discardableResult
    public func prefetch(_ hash: UInt64) -> Int {
        let bucket = start(hash)
        buckets.prefetch(bucket)
        return bucket
    }

    @inlinable public func load(_ slot: SlotOffset) -> UInt64 {
        buckets.atomic64(at: slot).loadRelaxed()
    }
    @inlinable public func store(_ value: UInt64, at slot: SlotOffset) {
        buckets.atomic64(at: slot).storeRelaxed(value)
    }

    // MARK: Changes

    /// Adds a slot to the hash's chain. If neither the bucket nor the overflow has room, the
    /// last slot gives way and is returned: its key becomes a miss.
    @inlinable public func insert(_ hash: UInt64, _ slot: UInt64, isItem: Bool = true) -> UInt64? {
        let shard = shard(hash)
        var at = offset(shard, bucket(shard, hash))
        var displaced: UInt64?
        search: while true {
            for number in 0..<8 {
                let here = at &+ number &<< 3
                let old = load(here)
                if old == 0 {
                    store(slot, at: here)
                    break search
                }
                if number == 7 {
                    if layout.isLink(old) {
                        at = overflowOffset(layout.linked(old))
                        continue search
                    }
                    displaced = extend(shard, here, old, slot)
                    break search
                }
            }
        }
        guard let displaced else {
            if isItem { addItems(shard, 1) }
            didInsert(shard)
            return nil
        }
        // As many slots as before.
        let wasItem = !SlotLayout.isRemoval(displaced)
        if wasItem != isItem { addItems(shard, isItem ? 1 : -1) }
        return displaced
    }

    func hang(_ bucket: Int, on last: SlotOffset, _ old: UInt64, _ slot: UInt64) {
        let at = overflowOffset(bucket)
        store(old, at: at)
        store(slot, at: at + 8)
        store(layout.link(to: bucket), at: last)
    }

    /// Hangs an overflow bucket on a full one. Without any left, `old` is displaced and returned.
    @usableFromInline func extend(
        _ shard: Int, _ last: SlotOffset, _ old: UInt64, _ slot: UInt64
    ) -> UInt64? {
        guard let bucket = takeOverflow() else {
            setMayHide(shard)
            close(shard)
            store(slot, at: last)
            heads.atomic64(at: common + 40).add(1)
            return old
        }
        hang(bucket, on: last, old, slot)
        return nil
    }

    /// Empties a slot of the hash's chain, and gives an overflow bucket back that is not needed any
    /// more. Other slots of the chain may move: forget their offsets.
    public func remove(_ hash: UInt64, at slot: SlotOffset) {
        let shard = shard(hash)
        remove(shard, at: slot)
        shrink(offset(shard, bucket(shard, hash)), hole: slot)
    }

    /// Fills a hole in a chain from its last bucket; if that is then left with one slot, the slot
    /// takes the place of the link to it.
    private func shrink(_ start: SlotOffset, hole: SlotOffset) {
        var link = start + 56
        guard layout.isLink(load(link)) else { return }
        var last = overflowOffset(layout.linked(load(link)))
        while layout.isLink(load(last + 56)) {
            link = last + 56
            last = overflowOffset(layout.linked(load(link)))
        }
        var count = 0
        var position = 0
        for number in 0..<8 where load(last + number * 8) != 0 {
            count += 1
            position = last + number * 8
        }
        if count > 0, hole & ~63 != last {
            store(load(position), at: hole)
            store(0, at: position)
            count -= 1
        }
        guard count <= 1 else { return }
        var rest: UInt64 = 0
        for number in 0..<8 where load(last + number * 8) != 0 { rest = load(last + number * 8) }
        giveOverflow((end - last) / 64 - 1)
        store(rest, at: link)
    }

    /// Empties a slot, and moves nothing: for walks over many.
    @inlinable public func remove(_ shard: Int, at slot: SlotOffset, isItem: Bool = true) {
        store(0, at: slot)
        if isItem { addItems(shard, -1) }
        let used = heads.uint64(at: shard &<< 6 &+ 32)
        heads.store(used &- 1, at: shard &<< 6 &+ 32)
    }

    @inlinable func didInsert(_ shard: Int) {
        let used = heads.uint64(at: shard &<< 6 &+ 32) &+ 1
        heads.store(used, at: shard &<< 6 &+ 32)
        // 7/8 of the slots, 87 %: then about a quarter of the buckets have an overflow bucket.
        if Int(truncatingIfNeeded: used) > bucketCount(shard) &* 7 { grow(shard) }
    }

    func takeOverflow() -> Int? {
        let lock = Lock(heads, at: common + 8)
        lock.lock()
        defer { lock.unlock() }
        let free = Int(heads.uint64(at: common + 24))
        if free != 0 {
            let at = overflowOffset(free - 1)
            heads.store(load(at), at: common + 24)
            buckets.zero(at, 64)
            overflowInUse.addOwned(1)
            return free - 1
        }
        let fresh = Int(overflowUsed.loadRelaxed())
        guard rowsTouched << rowShift + (fresh + 1) * 64 <= end else { return nil }
        overflowUsed.storeRelaxed(UInt64(fresh + 1))
        overflowInUse.addOwned(1)
        return fresh
    }

    /// Overflow buckets ever used, and in use now. Changed under the overflow lock only.
    private var overflowUsed: AtomicWord64 { heads.atomic64(at: common + 16) }
    private var overflowInUse: AtomicWord64 { heads.atomic64(at: common + 32) }

    /// Rows that some shard has reached. Changed under the overflow lock only.
    private var rowsTouched: Int { Int(heads.atomic64(at: common).loadRelaxed()) }

    /// Whether as much is free as what is appended next may need.
    var hasReserve: Bool {
        let inUse = Int(overflowInUse.loadRelaxed())
        return rowsTouched << rowShift + inUse * 64 + Int(heads.uint64(at: common + 48)) <= end
    }

    /// Makes sure that row `count` may be used, if memory allows.
    func takeRow(_ count: Int) -> Bool {
        if count < rowsTouched { return true }
        guard count < rowsMax else { return false }
        let lock = Lock(heads, at: common + 8)
        lock.lock()
        defer { lock.unlock() }
        if count < rowsTouched { return true }
        let fresh = Int(overflowUsed.loadRelaxed())
        let overflow = max(fresh * 64, Int(heads.uint64(at: common + 56)))
        guard (count + 1) << rowShift + overflow <= end else { return false }
        heads.atomic64(at: common).storeRelaxed(UInt64(count + 1))
        return true
    }

    func giveOverflow(_ bucket: Int) {
        let lock = Lock(heads, at: common + 8)
        lock.lock()
        store(heads.uint64(at: common + 24), at: overflowOffset(bucket))
        heads.store(UInt64(bucket + 1), at: common + 24)
        overflowInUse.addOwned(UInt64.max)
        lock.unlock()
    }

    /// Adds a bucket to the group whose turn it is: a share of each of the group's buckets moves
    /// there. Does nothing if there is no row left.
    @usableFromInline func grow(_ shard: Int) {
        let count = bucketCount(shard)
        guard takeRow(count) else { return }
        let (group, size) = spread.next(count)
        for member in 0..<size { buckets.prefetch(offset(shard, spread.row(group, member))) }
        var high = ChainWriter(at: offset(shard, count))
        var (lost, lostItems) = (0, 0)
        for member in 0..<size {
            let source = offset(shard, spread.row(group, member))
            var low = ChainWriter(at: source)
            divide(source, size, &low, &high)
            lost += low.lost
            lostItems += low.lostItems
        }
        lost += high.lost
        lostItems += high.lostItems
        if lost > 0 {
            let used = heads.uint64(at: shard << 6 + 32)
            heads.store(used &- UInt64(lost), at: shard << 6 + 32)
            addItems(shard, -lostItems)
            setMayHide(shard)
            close(shard)
        }
        heads.atomic64(at: shard << 6 + 16).storeRelaxed(UInt64(count + 1))
    }

    /// Rewrites a chain in place without the slots that move. Slots are read a bucket ahead of
    /// what is written; overflow buckets are given back first and taken again at need.
    private func divide(
        _ source: Int, _ size: Int, _ low: inout ChainWriter, _ high: inout ChainWriter
    ) {
        var chain = source
        var isFirst = true
        while true {
            let link = load(chain + 56)
            let hasLink = layout.isLink(link)
            let slots = (
                load(chain), load(chain + 8), load(chain + 16), load(chain + 24),
                load(chain + 32), load(chain + 40), load(chain + 48), hasLink ? 0 : link
            )
            if isFirst {
                buckets.zero(source, 64)
            } else {
                giveOverflow((end - chain) / 64 - 1)
            }
            isFirst = false
            place(slots.0, size, &low, &high)
            place(slots.1, size, &low, &high)
            place(slots.2, size, &low, &high)
            place(slots.3, size, &low, &high)
            place(slots.4, size, &low, &high)
            place(slots.5, size, &low, &high)
            place(slots.6, size, &low, &high)
            place(slots.7, size, &low, &high)
            guard hasLink else { return }
            chain = overflowOffset(layout.linked(link))
        }
    }

    /// Where a split puts its next slot.
    private struct ChainWriter {
        var at: Int
        var number = 0
        var lost = 0
        /// Of these, what was no removal.
        var lostItems = 0
        init(at offset: Int) { at = offset }
    }

    private func place(
        _ slot: UInt64, _ size: Int, _ low: inout ChainWriter, _ high: inout ChainWriter
    ) {
        guard slot != 0 else { return }
        if spread.member(layout.spreadBits(slot), size: size + 1) == size {
            append(slot, &high)
        } else {
            append(slot, &low)
        }
    }

    private func append(_ slot: UInt64, _ chain: inout ChainWriter) {
        if chain.number < 8 {
            store(slot, at: chain.at + chain.number * 8)
            chain.number += 1
            return
        }
        guard let bucket = takeOverflow() else {
            heads.atomic64(at: common + 40).add(1)
            chain.lost += 1
            if !SlotLayout.isRemoval(slot) { chain.lostItems += 1 }
            return
        }
        let next = overflowOffset(bucket)
        store(load(chain.at + 56), at: next)
        store(slot, at: next + 8)
        store(layout.link(to: bucket), at: chain.at + 56)
        chain.at = next
        chain.number = 2
    }

    // MARK: Size

    /// Memory that the buckets may have touched, in bytes.
    public func touchedBytes() -> Int {
        let rows = Int(heads.atomic64(at: common).loadRelaxed())
        let overflow = Int(overflowUsed.loadRelaxed()) * 64
        return (rows << rowShift) + overflow
    }
    /// Share of the index's memory that is taken, in percent: rows, and overflow buckets in use.
    public func filledPercent() -> Int {
        let overflow = Int(overflowInUse.loadRelaxed()) * 64
        return (rowsTouched << rowShift + overflow) * 100 / end
    }
    /// Slots lost because the index was full.
    public func displacedCount() -> UInt64 { heads.atomic64(at: common + 40).loadRelaxed() }

    /// Buckets of a shard, without their overflow.
    public func buckets(_ shard: Int) -> Int { bucketCount(shard) }

    /// Calls `body` with every used slot of some buckets of a shard, which the caller has locked.
    public func forEach(
        _ shard: Int, buckets: Range<Int>, _ body: (SlotOffset, UInt64) -> Void
    ) {
        for bucket in buckets.clamped(to: 0..<bucketCount(shard)) {
            var at = offset(shard, bucket)
            // The next ones lie in other pages.
            self.buckets.prefetch(offset(shard, bucket &+ 8))
            chain: while true {
                for number in 0..<8 {
                    let slot = load(at + number * 8)
                    if number == 7, layout.isLink(slot) {
                        at = overflowOffset(layout.linked(slot))
                        continue chain
                    }
                    if slot != 0 { body(at + number * 8, slot) }
                }
                break
            }
        }
    }
}
