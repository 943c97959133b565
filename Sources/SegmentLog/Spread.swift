// Spread: which bucket of a shard an item belongs to while the shard grows bucket by bucket.
//
// Plain linear hashing splits one bucket in two, so for most of the time some buckets are twice as
// full as others. Here buckets form groups, a power of two of them; each group grows from n to
// n + 1 buckets, taking a like share from all of its members, and the groups take turns (partial
// expansions; Larson, "Linear hashing with partial expansions", VLDB 1980). No bucket is fuller
// than another by more than one part in the group's size.

public import Primitives

/// Maps hashes to buckets; the same for all shards. A handle to a table that never changes.
public struct Spread: BitwiseCopyable, Sendable {
    /// Parts that a group's items are dealt in.
    static let parts = 4096
    @usableFromInline static let mask = 4095
    static let sizeAtStart = 2

    @usableFromInline let groupBits: UInt64
    // For each size of a group, from 1: the member that each part belongs to.
    @usableFromInline let table: Region

    /// - Parameter groupBits: there are 1 << groupBits groups.
    init(groupBits: Int, rowsMax: Int) throws(MemoryError) {
        self.groupBits = UInt64(groupBits)
        let sizeMax = (rowsMax >> groupBits) + 1
        precondition(sizeMax < 256)
        table = try Region.map(byteCount: (sizeMax + 1) * Self.parts)
        dealAll(sizeMax: max(sizeMax, 2))
    }

    @inlinable @inline(__always) var groupShift: Int { Int(truncatingIfNeeded: groupBits) }
    @inlinable @inline(__always) var groupMask: Int { (1 &<< groupShift) &- 1 }

    func discardMemory() { table.discardAll() }

    /// Fills in the rows, each from the one for a member less: the newcomer takes from each of the
    /// others what it has too much. Only what moves is looked at: that is done at each start.
    private func dealAll(sizeMax: Int) {
        var owned = [Array(0..<UInt16(Self.parts))]
        for size in 2...sizeMax {
            let newcomer = size - 1
            let row = size * Self.parts
            table.copy(from: table, at: row - Self.parts, to: row, count: Self.parts)
            var taken: [UInt16] = []
            taken.reserveCapacity(Self.parts / size + 1)
            for member in 0..<newcomer {
                // An even share, rounded so that all parts are dealt out.
                let share = Self.parts * (member + 1) / size - Self.parts * member / size
                while owned[member].count > share, let part = owned[member].popLast() {
                    table.store(UInt8(newcomer), at: row + Int(part))
                    taken.append(part)
                }
            }
            owned.append(taken)
        }
    }

    /// The member of a group of `size` that a part belongs to.
    @inlinable @inline(__always) func member(_ part: Int, size: Int) -> Int {
        Int(table.uint8(at: size &<< 12 &+ part))
    }

    /// The bucket of a hash in a shard of `count` buckets.
    @inlinable @inline(__always) func bucket(_ hash: UInt64, count: Int) -> Int {
        let group = Int(truncatingIfNeeded: hash) & groupMask
        let isAhead = group < count & groupMask
        let size = count &>> groupShift &+ (isAhead ? 1 : 0)
        let part = Int(truncatingIfNeeded: hash &>> groupBits) & Self.mask
        return row(group, member(part, size: size))
    }

    @inlinable @inline(__always) func row(_ group: Int, _ member: Int) -> Int {
        member &<< groupShift &+ group
    }

    /// The group that grows next in a shard of `count` buckets, and its size now.
    @inlinable func next(_ count: Int) -> (group: Int, size: Int) {
        (count & groupMask, count &>> groupShift)
    }
}
