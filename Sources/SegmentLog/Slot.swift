// Slot: eight bytes of the index: a key's tag and where its newest record lies.
//
// The widths of tag and segment number depend on the geometry; `SlotLayout` knows them.

/// Reads and makes slots.
///
/// ```text
/// bit 63        20+n 19+n    20   19    18  17 16            0
///     |     tag      | segment n | rem. | hits | offset / 8   |
/// ```
/// An empty slot is 0: no record lies in segment 0. The last slot of a bucket is a link to an
/// overflow bucket if its segment number is all ones; the tag and offset bits then hold the
/// bucket's index. rem.: a removal, kept while recovery may still meet an older record.
public struct SlotLayout: BitwiseCopyable, Sendable {
    @usableFromInline let segmentMask: UInt64
    @usableFromInline let tagShift: UInt64
    /// Hash bits below this choose the group of buckets; the tag begins here.
    @usableFromInline let tagStart: UInt64

    @inlinable public static var hitShift: UInt64 { Place.offsetBits }
    @inlinable public static var hitMask: UInt64 { 3 << hitShift }
    @inlinable public static var removalBit: UInt64 { 1 << 19 }
    @inlinable static var segmentShift: UInt64 { 20 }

    public init(segmentBits: Int, tagStart: Int) {
        segmentMask = (1 << UInt64(segmentBits)) - 1
        tagShift = Self.segmentShift + UInt64(segmentBits)
        self.tagStart = UInt64(tagStart)
    }

    @inlinable @inline(__always) public func tag(_ hash: UInt64) -> UInt64 {
        (hash &>> tagStart) &<< tagShift
    }
    @inlinable @inline(__always) public func matches(_ slot: UInt64, _ tag: UInt64) -> Bool {
        (slot ^ tag) &>> tagShift == 0
    }
    @inlinable @inline(__always) public func segment(_ slot: UInt64) -> Int {
        Int(truncatingIfNeeded: slot &>> Self.segmentShift & segmentMask)
    }
    @inlinable @inline(__always) public func offset(_ slot: UInt64) -> Int {
        Place.offset(slot)
    }
    @inlinable @inline(__always) public func place(_ slot: UInt64) -> Place {
        Place(segment: segment(slot), offset: offset(slot))
    }
    @inlinable @inline(__always) public func slot(tag: UInt64, _ place: Place, hits: UInt64 = 0)
        -> UInt64
    {
        tag | UInt64(place.segment) &<< Self.segmentShift | hits &<< Self.hitShift
            | place.offsetField
    }
    /// The same key at another place, with fresh hit bits.
    @inlinable @inline(__always) public func moved(
        _ slot: UInt64, to place: Place, hits: UInt64 = 0
    ) -> UInt64 {
        self.slot(tag: (slot &>> tagShift) &<< tagShift, place, hits: hits)
    }
    /// Whether both name the same key at the same place, whatever their hit bits.
    @inlinable public func isSame(_ slot: UInt64, _ other: UInt64) -> Bool {
        (slot ^ other) & ~(Self.hitMask | Self.removalBit) == 0
    }
    @inlinable @inline(__always) public static func hits(_ slot: UInt64) -> UInt64 {
        slot &>> hitShift & 3
    }
    @inlinable @inline(__always) public static func isRemoval(_ slot: UInt64) -> Bool {
        slot & removalBit != 0
    }

    @inlinable @inline(__always) public func isLink(_ slot: UInt64) -> Bool {
        slot &>> Self.segmentShift & segmentMask == segmentMask
    }
    @inlinable public func link(to bucket: Int) -> UInt64 {
        segmentMask &<< Self.segmentShift | UInt64(bucket) & Place.offsetMask
            | (UInt64(bucket) &>> Place.offsetBits) &<< tagShift
    }
    @inlinable public func linked(_ slot: UInt64) -> Int {
        Int(truncatingIfNeeded: slot & Place.offsetMask | (slot &>> tagShift) &<< Place.offsetBits)
    }
    /// The hash bits right above the group's: which bucket of the group; known from the tag.
    @inlinable public func spreadBits(_ slot: UInt64) -> Int {
        Int(truncatingIfNeeded: slot &>> tagShift) & Spread.mask
    }
}
