// Index+Looking: finding the slots of a hash: in one bucket, or along its whole chain.
//
// Nothing here changes a slot; what does is in Index.

public import Primitives

extension Index {
    /// The first slot of a bucket whose tag matches; it may be a link. Without the lock it may be
    /// torn from its chain, and is good for a prefetch only.
    @inlinable @inline(__always)
    func first(in bucket: Int, _ tag: UInt64) -> (at: SlotOffset, slot: UInt64)? {
        let line = buckets.line(at: bucket)
        for number in 0..<8 {
            let slot = line.loadRelaxed(number)
            if layout.matches(slot, tag), slot != 0 { return (bucket &+ number &<< 3, slot) }
        }
        return nil
    }

    /// Whether a bucket is linked to others. Its shard is locked.
    @inlinable @inline(__always) func hasLink(_ bucket: Int) -> Bool {
        layout.isLink(load(bucket &+ 56))
    }

    /// A walk over the slots of a chain whose tag matches the hash.
    public struct Matches: BitwiseCopyable {
        @usableFromInline var next: Int
        @usableFromInline var end: Int
        @usableFromInline let tag: UInt64
        @usableFromInline init(next: Int, tag: UInt64) {
            self.next = next
            end = next &+ 64
            self.tag = tag
        }
    }

    @inlinable public func matches(_ hash: UInt64) -> Matches {
        Matches(next: start(hash), tag: layout.tag(hash))
    }

    /// The next matching slot: where it lies and what it holds.
    @inlinable public func next(_ walk: inout Matches) -> (at: SlotOffset, slot: UInt64)? {
        while walk.next < walk.end {
            let at = walk.next
            let slot = load(at)
            walk.next = at &+ 8
            if walk.next == walk.end, layout.isLink(slot) {
                walk.next = overflowOffset(layout.linked(slot))
                walk.end = walk.next &+ 64
                continue
            }
            if slot != 0, layout.matches(slot, walk.tag) { return (at, slot) }
        }
        return nil
    }

    /// The slot that names exactly this place.
    public func find(_ hash: UInt64, _ place: Place) -> (at: SlotOffset, slot: UInt64)? {
        var walk = matches(hash)
        while let found = next(&walk) {
            if layout.place(found.slot) == place { return found }
        }
        return nil
    }
}
