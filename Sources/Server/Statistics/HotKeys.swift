// HotKeys: about how often the keys that are asked for most were asked for, in bounded memory:
// Space-Saving (Metwally 2005). A new key takes the place, and the count, of the least.
//
// It is counted under a lock, by workers: so a step takes as much time whatever has been counted,
// and allocates nothing. Keys are told apart by their keyed hash; which requests are counted is not
// decided here.

internal import Primitives

struct HotKeys {
    static let keysMax = 256
    private static let keyBytesMax = 256
    private static let bucketCount = 512
    private static let none = UInt16.max

    /// A key that is counted; its bytes lie in `names`.
    private struct Entry: BitwiseCopyable {
        var hash: UInt64
        /// The next in its bucket of hashes.
        var next: UInt16
        var rank: UInt16
        var group: UInt16
        var keyBytes: UInt16
    }

    /// Entries of the same count, whose ranks are side by side.
    private struct Group: BitwiseCopyable {
        var count: UInt64
        var firstRank: UInt16
        var size: UInt16
        /// Of a group that nobody is in: the next like it.
        var next: UInt16
    }

    private let entries: Table<Entry>
    private let groups: Table<Group>
    /// The first entry of each bucket of hashes.
    private let heads: Table<UInt16>
    /// The entries by their count, the highest first.
    private let order: Table<UInt16>
    private let names: Region
    private var freeGroup = Self.none
    private var used = 0

    init() throws(MemoryError) {
        entries = try Table(count: Self.keysMax)
        groups = try Table(count: Self.keysMax)
        heads = try Table(count: Self.bucketCount)
        order = try Table(count: Self.keysMax)
        names = try Region.map(byteCount: Self.keysMax * Self.keyBytesMax)
        removeAll()
    }

    mutating func removeAll() {
        used = 0
        for bucket in 0..<Self.bucketCount { heads[bucket] = Self.none }
        freeGroup = Self.none
        for group in (0..<Self.keysMax).reversed() { giveGroup(UInt16(group)) }
    }

    /// Counts a key once more.
    mutating func count(_ key: Span<UInt8>, hash: UInt64) {
        guard key.count <= Self.keyBytesMax else { return }
        let bucket = Self.bucket(hash)
        var entry = heads[bucket]
        while entry != Self.none, entries[Int(entry)].hash != hash {
            entry = entries[Int(entry)].next
        }
        guard entry == Self.none else { return raise(entry) }
        let isNew = used < Self.keysMax
        entry = isNew ? UInt16(truncatingIfNeeded: used) : order[Self.keysMax &- 1]
        if !isNew { unlink(entry) }
        let place = Int(entry)
        entries[place].hash = hash
        entries[place].next = heads[bucket]
        entries[place].keyBytes = UInt16(truncatingIfNeeded: key.count)
        heads[bucket] = entry
        names.store(key, at: place &* Self.keyBytesMax)
        if isNew { begin(entry) } else { raise(entry) }
    }

    // MARK: Entries

    private static func bucket(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash &>> 20) & (bucketCount &- 1)
    }

    /// Takes an entry out of its bucket.
    private func unlink(_ entry: UInt16) {
        let bucket = Self.bucket(entries[Int(entry)].hash)
        let next = entries[Int(entry)].next
        var before = heads[bucket]
        guard before != entry else {
            heads[bucket] = next
            return
        }
        while entries[Int(before)].next != entry { before = entries[Int(before)].next }
        entries[Int(before)].next = next
    }

    /// Gives one more entry the count 1, behind all others.
    private mutating func begin(_ entry: UInt16) {
        let last = used > 0 ? entries[Int(order[used &- 1])].group : Self.none
        order[used] = entry
        entries[Int(entry)].rank = UInt16(truncatingIfNeeded: used)
        used &+= 1
        if last != Self.none, groups[Int(last)].count == 1 {
            groups[Int(last)].size &+= 1
            entries[Int(entry)].group = last
        } else {
            open(1, rank: used &- 1, entry)
        }
    }

    /// Adds one to an entry, in front of all that had as many.
    private mutating func raise(_ entry: UInt16) {
        let group = Int(entries[Int(entry)].group)
        let rank = Int(groups[group].firstRank)
        exchange(entry, withRank: rank)
        let count = groups[group].count &+ 1
        let above = rank > 0 ? Int(entries[Int(order[rank &- 1])].group) : group
        if groups[above].count == count {
            groups[above].size &+= 1
            entries[Int(entry)].group = UInt16(truncatingIfNeeded: above)
        } else if groups[group].size == 1 {
            groups[group].count = count
            return
        } else {
            open(count, rank: rank, entry)
        }
        groups[group].firstRank &+= 1
        groups[group].size &-= 1
        if groups[group].size == 0 { giveGroup(UInt16(truncatingIfNeeded: group)) }
    }

    private func exchange(_ entry: UInt16, withRank rank: Int) {
        let old = Int(entries[Int(entry)].rank)
        let other = order[rank]
        order[old] = other
        entries[Int(other)].rank = UInt16(truncatingIfNeeded: old)
        order[rank] = entry
        entries[Int(entry)].rank = UInt16(truncatingIfNeeded: rank)
    }

    // MARK: Groups

    /// Makes a group of one entry. There are as many groups as entries, so one is free.
    private mutating func open(_ count: UInt64, rank: Int, _ entry: UInt16) {
        let group = freeGroup
        freeGroup = groups[Int(group)].next
        groups[Int(group)] = Group(
            count: count, firstRank: UInt16(truncatingIfNeeded: rank), size: 1, next: Self.none)
        entries[Int(entry)].group = group
    }

    private mutating func giveGroup(_ group: UInt16) {
        groups[Int(group)].next = freeGroup
        freeGroup = group
    }

    // MARK: What is told

    private func count(rank: Int) -> Int {
        Int(groups[Int(entries[Int(order[rank])].group)].count)
    }

    /// All counts, the highest first.
    var countsInOrder: [Int] { (0..<used).map { count(rank: $0) } }

    /// All keys with their counts, the highest first; of the same count in the order of their
    /// bytes.
    var all: [(key: [UInt8], count: Int)] {
        let keys = (0..<used).map { rank in
            let entry = Int(order[rank])
            let key = (0..<Int(entries[entry].keyBytes)).map {
                names.uint8(at: entry * Self.keyBytesMax + $0)
            }
            return (key: key, count: count(rank: rank))
        }
        return keys.sorted {
            $0.count != $1.count
                ? $0.count > $1.count : $0.key.lexicographicallyPrecedes($1.key)
        }
    }
}
