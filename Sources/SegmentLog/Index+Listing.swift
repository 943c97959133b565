// Index+Listing: a walk over all slots that meets each key once, however the index grows
// meanwhile.
//
// A key's bucket changes as its shard grows; its group of buckets does not, nor which part of the
// group's items it is one of (`Spread`). So who looks at each part of each group under the lock,
// once, has met every key that was there all the time, and none twice.

extension Index {
    /// Groups of buckets in each shard.
    public var groupCount: Int { 1 << spread.groupShift }
    /// Parts that a group's items are dealt in.
    public static var partCount: Int { Spread.parts }

    /// Calls `body` with every used slot of some parts of a group. The shard is locked.
    public func forEach(
        _ shard: Int, group: Int, parts: Range<Int>, _ body: (UInt64) -> Void
    ) {
        let count = bucketCount(shard)
        var bucket = group
        while bucket < count {
            forEach(shard, buckets: bucket..<bucket + 1) { _, slot in
                if parts.contains(layout.spreadBits(slot)) { body(slot) }
            }
            bucket += groupCount
        }
    }
}
