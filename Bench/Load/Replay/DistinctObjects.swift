// DistinctObjects: how many objects a stream touches, and their bytes, in bounded memory.
//
// Exact while the objects fit in the table; from then on an estimate by adaptive sampling
// (Wegman; analysed by Flajolet, "On adaptive sampling", Computing 43, 1990): only objects whose
// hash has so many zero bits at its low end are kept, one bit more whenever the table is full.

internal import Primitives

/// Counts objects by their numbers; one thread.
public struct DistinctObjects: BitwiseCopyable, Sendable {
    private struct Slot: BitwiseCopyable {
        /// The object's number, mixed; 0 where nothing is.
        var mixed: UInt64
        /// Key and value as last seen with a known size.
        var bytes: UInt64
    }

    /// Objects that are counted exactly, unless a test asks for fewer.
    public static let exactMax = 1 << 20

    private let slots: Table<Slot>
    private let limit: Int
    private var kept = 0
    private var keptBytes: UInt64 = 0
    /// Bits that must be zero in the hash of an object that is kept.
    private var level: UInt64 = 0

    /// - Parameter exactMax: Objects up to which the count is exact; an estimate is then kept
    ///   over half as many or more, so its standard error is some 1.2 / √exactMax.
    public init(exactMax: Int = Self.exactMax) throws(ArgumentFault) {
        precondition(exactMax >= 16 && exactMax <= 1 << 28)
        limit = exactMax
        var count = 64
        while count < 2 * exactMax { count *= 2 }
        guard let slots = try? Table<Slot>(count: count) else {
            throw ArgumentFault("no memory to count different objects")
        }
        self.slots = slots
    }

    /// Whether `count` and `bytes` are exact.
    public var isExact: Bool { level == 0 }
    /// Different objects so far.
    public var count: UInt64 { UInt64(kept) << level }
    /// Bytes of key and value of all of them, of each as it was last.
    public var bytes: UInt64 { keptBytes << level }

    /// Sees an object; `bytes` is nil where its size is not known.
    public mutating func see(_ object: UInt64, bytes: UInt64?) {
        // A mixed number of 0 would look like a free slot.
        let mixed = RandomStream.mix(object &+ RandomStream.step) | 1 << 63
        guard isKept(mixed) else { return }
        var index = place(mixed)
        while slots[index].mixed != 0 {
            if slots[index].mixed == mixed {
                guard let bytes else { return }
                keptBytes = keptBytes &- slots[index].bytes &+ bytes
                slots[index].bytes = bytes
                return
            }
            index = (index + 1) & (slots.count - 1)
        }
        slots[index] = Slot(mixed: mixed, bytes: bytes ?? 0)
        kept += 1
        keptBytes &+= bytes ?? 0
        while kept > limit { thin() }
    }

    private func isKept(_ mixed: UInt64) -> Bool {
        mixed & ((1 << level) &- 1) == 0
    }

    /// The bits above those that decide whether it is kept choose the place.
    private func place(_ mixed: UInt64) -> Int {
        Int(truncatingIfNeeded: mixed >> 32) & (slots.count - 1)
    }

    /// Asks for one more zero bit, and puts those that still have a place back in it.
    private mutating func thin() {
        level &+= 1
        var start = 0
        while slots[start].mixed != 0 { start = (start + 1) & (slots.count - 1) }
        // From behind a free slot on, so that no run of neighbours is cut.
        for step in 1...slots.count {
            let index = (start + step) & (slots.count - 1)
            let slot = slots[index]
            guard slot.mixed != 0 else { continue }
            slots[index] = Slot(mixed: 0, bytes: 0)
            guard isKept(slot.mixed) else {
                kept -= 1
                keptBytes &-= slot.bytes
                continue
            }
            var target = place(slot.mixed)
            while slots[target].mixed != 0 { target = (target + 1) & (slots.count - 1) }
            slots[target] = slot
        }
    }
}
