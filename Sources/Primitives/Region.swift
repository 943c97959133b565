// Region: a range of anonymous memory, mapped once and never unmapped.
//
// Every table of the server (index, frames, buffers, counters) is laid out by hand inside a
// region. A region is a plain value: copies name the same memory, which outlives them all, so
// lending it costs no reference count and no lifetime. What it does not do: divide itself up
// (the owner of a table does) or order concurrent plain accesses (the owner's lock does).

public import CPrimitives
public import Synchronization

/// Memory the process could not have.
public enum MemoryError: Error {
    /// The kernel refused to map this many bytes.
    case refused(byteCount: Int)
}

/// A handle to mapped memory, checked on every access.
///
/// Every access checks its bounds and, where the width asks for it, its alignment; a wrong
/// offset is our own mistake and traps. The mapping lives until the process ends, so a copy of
/// the handle can never dangle; `discard` empties it but keeps it mapped.
@safe public struct Region: BitwiseCopyable, @unchecked Sendable {
    // Sendable: the handle is immutable; what may be touched by whom is the table owner's rule.
    @usableFromInline let base: UnsafeMutableRawPointer
    /// Size in bytes, a multiple of 4096.
    public let byteCount: Int

    @usableFromInline
    init(base: UnsafeMutableRawPointer, byteCount: Int) {
        unsafe self.base = base
        self.byteCount = byteCount
    }

    /// Maps at least `byteCount` zeroed bytes; pages are taken from the system when first touched.
    public static func map(byteCount: Int, hugePages: Bool = false) throws(MemoryError) -> Region {
        precondition(byteCount > 0)
        let unit = hugePages ? 2 << 20 : 4096
        let rounded = (byteCount + unit - 1) / unit * unit
        // SAFETY: a fresh mapping of `rounded` bytes, or null, which is refused here.
        guard let base = unsafe cprim_map(rounded, hugePages ? 1 : 0) else {
            throw .refused(byteCount: rounded)
        }
        return unsafe Region(base: base, byteCount: rounded)
    }

    /// Whether the system would map so many bytes now: what allocates as it goes along ends the
    /// process if it is refused.
    public static func mayMap(byteCount: Int) -> Bool { cprim_may_map(byteCount) != 0 }

    /// As unsigned numbers, so that each comparison refuses what is negative as well.
    @inlinable @inline(__always)
    func check(_ offset: Int, _ count: Int) {
        precondition(UInt(bitPattern: offset) <= UInt(bitPattern: byteCount))
        precondition(UInt(bitPattern: count) <= UInt(bitPattern: byteCount &- offset))
    }

    /// Checks bounds and natural alignment for one word.
    @inlinable @inline(__always)
    func word(_ offset: Int, _ count: Int) -> UnsafeMutableRawPointer {
        // A region has at least a page, so the difference is not negative.
        precondition(UInt(bitPattern: offset) <= UInt(bitPattern: byteCount &- count))
        precondition(offset & (count &- 1) == 0)
        // SAFETY: in bounds (above).
        return unsafe base.advanced(by: offset)
    }

    /// The address of a byte, for handing to the kernel.
    ///
    /// - Important: only the ring module may use it, and only for as long as it owns the bytes.
    @unsafe @inlinable public func uncheckedAddress(at offset: Int, count: Int)
        -> UnsafeMutableRawPointer
    {
        check(offset, count)
        return unsafe base.advanced(by: offset)
    }

    // MARK: Plain words

    @inlinable public func uint64(at offset: Int) -> UInt64 {
        // SAFETY: in bounds and aligned (word); every bit pattern is valid.
        unsafe word(offset, 8).load(as: UInt64.self)
    }
    @inlinable public func uint32(at offset: Int) -> UInt32 {
        // SAFETY: as above.
        unsafe word(offset, 4).load(as: UInt32.self)
    }
    @inlinable public func uint16(at offset: Int) -> UInt16 {
        // SAFETY: as above.
        unsafe word(offset, 2).load(as: UInt16.self)
    }
    @inlinable public func uint8(at offset: Int) -> UInt8 {
        // SAFETY: as above.
        unsafe word(offset, 1).load(as: UInt8.self)
    }
    @inlinable public func store(_ value: UInt64, at offset: Int) {
        // SAFETY: in bounds and aligned (word).
        unsafe word(offset, 8).storeBytes(of: value, as: UInt64.self)
    }
    @inlinable public func store(_ value: UInt32, at offset: Int) {
        // SAFETY: as above.
        unsafe word(offset, 4).storeBytes(of: value, as: UInt32.self)
    }
    @inlinable public func store(_ value: UInt16, at offset: Int) {
        // SAFETY: as above.
        unsafe word(offset, 2).storeBytes(of: value, as: UInt16.self)
    }
    /// Atomically and unordered, beside a thread that loads the word around it.
    @inlinable @inline(__always)
    public func storeRelaxed(_ value: UInt16, at offset: Int) {
        // SAFETY: as above.
        unsafe word(offset, 2).assumingMemoryBound(to: Atomic<UInt16>.self).pointee
            .store(value, ordering: .relaxed)
    }
    @inlinable public func store(_ value: UInt8, at offset: Int) {
        // SAFETY: as above.
        unsafe word(offset, 1).storeBytes(of: value, as: UInt8.self)
    }

    /// The words at `offset`, a multiple of 8, and behind it, checked once. The second is loaded
    /// atomically, unordered: another thread may change a part of it meanwhile.
    @inlinable @inline(__always)
    public func twoWords(at offset: Int) -> (UInt64, UInt64) {
        precondition(UInt(bitPattern: offset) <= UInt(bitPattern: byteCount &- 16))
        precondition(offset & 7 == 0)
        // SAFETY: 16 bytes in bounds and aligned to 8 (above); every bit pattern is valid.
        return unsafe (
            base.load(fromByteOffset: offset, as: UInt64.self),
            base.advanced(by: offset &+ 8).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
                .load(ordering: .relaxed)
        )
    }

    // MARK: Runs of bytes

    /// Lends `range` for reading; the bytes must not be written by anyone until `body` returns.
    @inlinable @inline(__always)
    public func withBytes<R, E: Error>(
        _ offset: Int, _ count: Int, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        check(offset, count)
        // SAFETY: in bounds (above), mapped for the life of the process, zeroed at birth.
        let bytes = unsafe UnsafeBufferPointer(
            start: UnsafePointer(
                base.advanced(by: offset).assumingMemoryBound(to: UInt8.self)),
            count: count)
        return try body(unsafe Span(_unsafeElements: bytes))
    }

    /// Copies `source` to `offset`.
    @inlinable @inline(__always)
    public func store(_ source: Span<UInt8>, at offset: Int) {
        let count = source.count
        check(offset, count)
        guard count > 0 else { return }
        // SAFETY: both sides in bounds (above; a span is).
        unsafe source.withUnsafeBufferPointer { bytes in
            unsafe cprim_copy(
                base.advanced(by: offset), bytes.baseAddress.unsafelyUnwrapped, count)
        }
    }

    /// Copies `count` bytes from `source`; overlapping ranges are allowed.
    @inlinable @inline(__always)
    public func copy(from source: Region, at sourceOffset: Int, to offset: Int, count: Int) {
        check(offset, count)
        source.check(sourceOffset, count)
        // SAFETY: both sides in bounds (above); copyMemory is a memmove.
        unsafe base.advanced(by: offset).copyMemory(
            from: source.base.advanced(by: sourceOffset), byteCount: count)
    }

    /// Whether the bytes at `offset` equal `other`.
    @inlinable @inline(__always)
    public func equals(_ other: Span<UInt8>, at offset: Int) -> Bool {
        let count = other.count
        check(offset, count)
        // SAFETY: both sides in bounds (above; a span is).
        return unsafe other.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return true }
            return unsafe cprim_equal(base.advanced(by: offset), start, count) != 0
        }
    }

    /// CRC-32C of `count` bytes, chained onto `seed` (0 to begin).
    @inlinable public func crc32c(_ offset: Int, _ count: Int, seed: UInt32 = 0) -> UInt32 {
        check(offset, count)
        // SAFETY: in bounds (above).
        return unsafe cprim_crc32c(seed, base.advanced(by: offset), count)
    }

    @inlinable public func zero(_ offset: Int, _ count: Int) {
        check(offset, count)
        // SAFETY: in bounds (above).
        unsafe base.advanced(by: offset).initializeMemory(
            as: UInt8.self, repeating: 0, count: count)
    }

    /// Asks the core for the cache line at `offset`; an offset out of bounds is ignored.
    @inlinable @inline(__always)
    public func prefetch(_ offset: Int) {
        guard UInt(bitPattern: offset) < UInt(bitPattern: byteCount) else { return }
        // SAFETY: in bounds (above); a prefetch reads nothing into the program.
        unsafe cprim_prefetch(base.advanced(by: offset))
    }

    /// The same for a line that will be written to, a lock's say: other cores give it up.
    @inlinable @inline(__always)
    public func prefetchToWrite(_ offset: Int) {
        guard UInt(bitPattern: offset) < UInt(bitPattern: byteCount) else { return }
        // SAFETY: in bounds (above); a prefetch changes nothing.
        unsafe cprim_prefetch_to_write(base.advanced(by: offset))
    }

    /// The same as `prefetch` for so many cache lines from there on; ignored if not all lie in the
    /// region.
    @inlinable @inline(__always)
    public func prefetch(_ offset: Int, lines: Int) {
        guard offset >= 0, lines > 0, offset < byteCount &- lines &* 64 else { return }
        // SAFETY: in bounds (above); a prefetch reads nothing into the program.
        for line in 0..<lines { unsafe cprim_prefetch(base.advanced(by: offset &+ line &* 64)) }
    }

    /// Gives whole pages back to the system; the range then reads as zero.
    public func discardAll() { discard(0, byteCount) }
    /// The same for `count` bytes from `offset` on.
    public func discard(_ offset: Int, _ count: Int) {
        check(offset, count)
        precondition(offset % 4096 == 0)
        // SAFETY: in bounds (above); our own anonymous mapping.
        _ = unsafe cprim_discard(base.advanced(by: offset), count)
    }
    /// Has the system give memory to `count` bytes from `offset` on, a multiple of the page, before
    /// anybody touches them; what they hold stays, whoever changes it meanwhile. Takes as long as
    /// clearing them.
    public func populate(_ offset: Int, _ count: Int) {
        check(offset, count)
        precondition(offset % 4096 == 0)
        // SAFETY: in bounds (above); our own anonymous mapping, of which nothing changes.
        unsafe cprim_populate(base.advanced(by: offset), count)
    }

    // MARK: Atomic words

    @inlinable @inline(__always)
    public func atomic64(at offset: Int) -> AtomicWord64 {
        // SAFETY: in bounds and aligned; a word used atomically is used only so (owner's rule).
        unsafe AtomicWord64(pointer: word(offset, 8).assumingMemoryBound(to: Atomic<UInt64>.self))
    }
    @inlinable @inline(__always)
    public func atomic32(at offset: Int) -> AtomicWord32 {
        // SAFETY: as above.
        unsafe AtomicWord32(pointer: word(offset, 4).assumingMemoryBound(to: Atomic<UInt32>.self))
    }
    /// So many words from `offset` on, a multiple of 8, checked once.
    public func words(at offset: Int, count: Int) -> AtomicWords {
        precondition(count >= 0 && count <= byteCount / 8)
        check(offset, count &* 8)
        precondition(offset & 7 == 0)
        // SAFETY: in bounds and aligned (above); used atomically only (owner's rule).
        return unsafe AtomicWords(
            base: base.advanced(by: offset).assumingMemoryBound(to: Atomic<UInt64>.self),
            count: count)
    }
    /// The cache line at `offset`, a multiple of 64, checked once for its eight words.
    @inlinable @inline(__always)
    public func line(at offset: Int) -> AtomicLine {
        precondition(UInt(bitPattern: offset) <= UInt(bitPattern: byteCount &- 64))
        precondition(offset & 63 == 0)
        // SAFETY: 64 bytes in bounds and aligned (above); used atomically only (owner's rule).
        return unsafe AtomicLine(
            base: base.advanced(by: offset).assumingMemoryBound(to: Atomic<UInt64>.self))
    }
}

/// Eight words of a region that lie in one cache line, read atomically.
@safe public struct AtomicLine: BitwiseCopyable {
    @usableFromInline let base: UnsafeMutablePointer<Atomic<UInt64>>
    @inlinable @inline(__always) init(base: UnsafeMutablePointer<Atomic<UInt64>>) {
        unsafe self.base = base
    }
    /// The word with this number; of the number only the lowest three bits count.
    @inlinable @inline(__always) public func loadRelaxed(_ number: Int) -> UInt64 {
        // SAFETY: the line was checked when it was named, the number is 0 to 7.
        unsafe base[number & 7].load(ordering: .relaxed)
    }
}

/// 64-bit words of a region that lie side by side, used atomically.
@safe public struct AtomicWords: BitwiseCopyable, @unchecked Sendable {
    // Sendable: every access is atomic.
    @usableFromInline let base: UnsafeMutablePointer<Atomic<UInt64>>
    public let count: Int
    init(base: UnsafeMutablePointer<Atomic<UInt64>>, count: Int) {
        unsafe self.base = base
        self.count = count
    }
    @inlinable public subscript(number: Int) -> AtomicWord64 {
        precondition(UInt(bitPattern: number) < UInt(bitPattern: count))
        // SAFETY: `count` words were checked when they were named.
        return unsafe AtomicWord64(pointer: base + number)
    }
}

/// A 64-bit word of a region, used atomically.
@safe public struct AtomicWord64: BitwiseCopyable, @unchecked Sendable {
    // Sendable: every access is atomic.
    @usableFromInline let pointer: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline init(pointer: UnsafeMutablePointer<Atomic<UInt64>>) {
        unsafe self.pointer = pointer
    }
    // SAFETY (all): the pointer was checked when the word was named and its memory is never freed.
    @inlinable public func loadRelaxed() -> UInt64 {
        unsafe pointer.pointee.load(ordering: .relaxed)
    }
    @inlinable public func loadAcquire() -> UInt64 {
        unsafe pointer.pointee.load(ordering: .acquiring)
    }
    @inlinable public func storeRelaxed(_ value: UInt64) {
        unsafe pointer.pointee.store(value, ordering: .relaxed)
    }
    @inlinable public func storeRelease(_ value: UInt64) {
        unsafe pointer.pointee.store(value, ordering: .releasing)
    }
    /// Adds, wrapping; returns the value before.
    @inlinable @discardableResult public func add(_ value: UInt64) -> UInt64 {
        unsafe pointer.pointee.wrappingAdd(value, ordering: .acquiringAndReleasing).oldValue
    }
    /// Subtracts, wrapping; returns the value before.
    @inlinable @discardableResult public func subtract(_ value: UInt64) -> UInt64 {
        unsafe pointer.pointee.wrappingSubtract(value, ordering: .acquiringAndReleasing).oldValue
    }
    @inlinable public func exchange(_ value: UInt64) -> UInt64 {
        unsafe pointer.pointee.exchange(value, ordering: .acquiringAndReleasing)
    }
    @inlinable public func replace(_ expected: UInt64, with value: UInt64) -> Bool {
        unsafe pointer.pointee.compareExchange(
            expected: expected, desired: value, ordering: .acquiringAndReleasing
        ).exchanged
    }
    /// Adds without ordering or a locked instruction: for counters with one writer at a time.
    @inlinable public func addOwned(_ value: UInt64) {
        unsafe pointer.pointee.store(
            pointer.pointee.load(ordering: .relaxed) &+ value, ordering: .relaxed)
    }
}

/// A 32-bit word of a region, used atomically; the width that futex(2) waits on.
@safe public struct AtomicWord32: BitwiseCopyable, @unchecked Sendable {
    // Sendable: every access is atomic.
    @usableFromInline let pointer: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline init(pointer: UnsafeMutablePointer<Atomic<UInt32>>) {
        unsafe self.pointer = pointer
    }
    // SAFETY (all): the pointer was checked when the word was named and its memory is never freed.
    @inlinable public func loadRelaxed() -> UInt32 {
        unsafe pointer.pointee.load(ordering: .relaxed)
    }
    @inlinable public func loadAcquire() -> UInt32 {
        unsafe pointer.pointee.load(ordering: .acquiring)
    }
    @inlinable public func storeRelaxed(_ value: UInt32) {
        unsafe pointer.pointee.store(value, ordering: .relaxed)
    }
    @inlinable public func storeRelease(_ value: UInt32) {
        unsafe pointer.pointee.store(value, ordering: .releasing)
    }
    /// A store that later loads of this thread cannot pass (the Dekker half of going to sleep).
    @inlinable public func storeSequential(_ value: UInt32) {
        unsafe pointer.pointee.store(value, ordering: .sequentiallyConsistent)
    }
    @inlinable public func loadSequential() -> UInt32 {
        unsafe pointer.pointee.load(ordering: .sequentiallyConsistent)
    }
    @inlinable @discardableResult public func add(_ value: UInt32) -> UInt32 {
        unsafe pointer.pointee.wrappingAdd(value, ordering: .acquiringAndReleasing).oldValue
    }
    @inlinable @discardableResult public func subtract(_ value: UInt32) -> UInt32 {
        unsafe pointer.pointee.wrappingSubtract(value, ordering: .acquiringAndReleasing).oldValue
    }
    @inlinable public func exchange(_ value: UInt32) -> UInt32 {
        unsafe pointer.pointee.exchange(value, ordering: .acquiringAndReleasing)
    }
    @inlinable public func replace(_ expected: UInt32, with value: UInt32) -> Bool {
        unsafe pointer.pointee.compareExchange(
            expected: expected, desired: value, ordering: .acquiringAndReleasing
        ).exchanged
    }
    /// Sleeps while the word equals `expected`, at most `nanoseconds` (negative: unbounded).
    /// May wake for no reason; the caller looks again.
    @inlinable public func wait(while expected: UInt32, nanoseconds: Int64 = -1) {
        unsafe _ = cprim_futex_wait(
            UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: UInt32.self), expected,
            nanoseconds)
    }
    @inlinable public func wake(_ count: Int32 = .max) {
        unsafe _ = cprim_futex_wake(
            UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: UInt32.self), count)
    }
}
