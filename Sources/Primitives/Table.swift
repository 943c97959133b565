// Table: a fixed number of plain values in mapped memory.
//
// What a worker keeps per connection, per buffer or per request lies in tables that are sized and
// mapped once. Links between entries are indices. What it does not do: know which entries are in
// use, or order accesses of several threads.

public import CPrimitives

/// A table of `count` elements, every byte of them zero at birth.
///
/// A plain value: copies name the same memory, which is never unmapped. One thread uses a table
/// at a time. All zeros must be a valid `Element`, or the owner writes an entry before reading it.
@safe public struct Table<Element: BitwiseCopyable>: BitwiseCopyable, @unchecked Sendable {
    // Sendable: the handle is immutable; one thread at a time is the owner's rule.
    @usableFromInline let base: UnsafeMutablePointer<Element>
    /// How many elements there are; indices run from 0.
    public let count: Int

    /// Maps a table; pages are taken from the system when first written.
    public init(count: Int) throws(MemoryError) {
        precondition(count > 0)
        precondition(MemoryLayout<Element>.alignment <= 4096)
        let (bytes, isTooLarge) = MemoryLayout<Element>.stride.multipliedReportingOverflow(
            by: count)
        guard !isTooLarge else { throw .refused(byteCount: .max) }
        let region = try Region.map(byteCount: max(bytes, 1))
        // SAFETY: a fresh mapping of at least `bytes`, page aligned, of which this is the only
        // handle; zeroed, which the element's type allows (see above).
        unsafe base = region.uncheckedAddress(at: 0, count: bytes)
            .bindMemory(to: Element.self, capacity: count)
        self.count = count
    }

    /// Bytes that a table of `count` elements maps.
    public static func byteCount(of count: Int) -> Int {
        (MemoryLayout<Element>.stride * count + 4095) / 4096 * 4096
    }

    /// The element at `index`, in place.
    @inlinable public subscript(index: Int) -> Element {
        @inline(__always) _read {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
            // SAFETY: in bounds (above), bound and initialised at birth.
            yield unsafe base[index]
        }
        @inline(__always) nonmutating _modify {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
            // SAFETY: as above.
            yield unsafe &base[index]
        }
    }

    /// Asks the core for the element at `index`; an index out of bounds is ignored.
    @inlinable @inline(__always)
    public func prefetch(_ index: Int) {
        guard index >= 0, index < count else { return }
        // SAFETY: in bounds (above); a prefetch reads nothing into the program.
        unsafe cprim_prefetch(base + index)
    }
}
