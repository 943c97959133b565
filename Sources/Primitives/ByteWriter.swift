// ByteWriter: appends bytes to a stretch of a region, never past its end.
//
// Replies and requests are encoded through it. It is a value: keep it in a local, and read
// `count` when done. An append that does not fit writes nothing and sets `overflowed`; callers
// reserve the longest reply beforehand, so an overflow is our own mistake and is checked there.

public import CPrimitives

/// A bounded cursor over memory that it does not own.
@safe public struct ByteWriter: BitwiseCopyable {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    /// Bytes that fit in all.
    public let capacity: Int
    @usableFromInline var filled: Int
    @usableFromInline var refused: Bool

    /// Bytes written so far.
    @inlinable public var count: Int { filled }
    /// Whether an append was refused.
    @inlinable public var overflowed: Bool { refused }

    /// A writer over `capacity` bytes of `region` from `offset` on.
    @inlinable public init(_ region: Region, at offset: Int, capacity: Int) {
        // SAFETY: bounds are checked by the region; its memory is never unmapped.
        unsafe self.init(
            base: region.uncheckedAddress(at: offset, count: capacity)
                .assumingMemoryBound(to: UInt8.self), capacity: capacity)
    }

    @usableFromInline init(base: UnsafeMutablePointer<UInt8>, capacity: Int) {
        unsafe self.base = base
        self.capacity = capacity
        filled = 0
        refused = false
    }

    /// Bytes that still fit.
    @inlinable public var room: Int { capacity &- count }

    @inlinable @inline(__always)
    mutating func reserve(_ bytes: Int) -> Bool {
        guard bytes <= capacity &- count else {
            refused = true
            return false
        }
        return true
    }
    @inlinable @inline(__always) mutating func advance(_ bytes: Int) { filled &+= bytes }

    @inlinable @inline(__always)
    public mutating func append(_ byte: UInt8) {
        guard reserve(1) else { return }
        // SAFETY (all appends): `reserve` checked that the bytes fit.
        unsafe base[count] = byte
        advance(1)
    }

    /// Appends an ASCII literal.
    @inlinable @inline(__always)
    public mutating func append(_ text: StaticString) {
        let bytes = text.utf8CodeUnitCount
        guard reserve(bytes) else { return }
        unsafe UnsafeMutableRawPointer(base + count).copyMemory(
            from: text.utf8Start, byteCount: bytes)
        advance(bytes)
    }

    @inlinable @inline(__always)
    public mutating func append(_ source: Span<UInt8>) {
        let bytes = source.count
        guard bytes > 0, reserve(bytes) else { return }
        unsafe source.withUnsafeBufferPointer { buffer in
            unsafe cprim_copy(base + count, buffer.baseAddress.unsafelyUnwrapped, bytes)
        }
        advance(bytes)
    }

    /// Appends bytes of a region.
    @inlinable @inline(__always)
    public mutating func append(_ region: Region, _ offset: Int, _ bytes: Int) {
        guard bytes > 0, reserve(bytes) else { return }
        unsafe UnsafeMutableRawPointer(base + count).copyMemory(
            from: region.uncheckedAddress(at: offset, count: bytes), byteCount: bytes)
        advance(bytes)
    }

    /// Appends `source` between two short texts, with one check, if there is room for eight bytes
    /// on either side of it; otherwise it appends nothing and answers false.
    @inlinable @inline(__always)
    public mutating func append(
        _ head: ShortText, _ source: Span<UInt8>, _ tail: ShortText
    ) -> Bool {
        let bytes = source.count
        guard bytes &+ 16 <= capacity &- filled else { return false }
        // SAFETY: eight bytes, `source` and eight more fit (above); a short text counts at most
        // eight, so that what is written for the tail begins no later.
        unsafe source.withUnsafeBufferPointer { buffer in
            let start = unsafe UnsafeMutableRawPointer(base + filled)
            unsafe start.storeBytes(of: head.bits, as: UInt64.self)
            if let first = buffer.baseAddress {
                unsafe cprim_copy(start + head.count, first, bytes)
            }
            unsafe (start + head.count + bytes).storeBytes(of: tail.bits, as: UInt64.self)
        }
        filled &+= head.count &+ bytes &+ tail.count
        return true
    }

    /// Writes `source` between two short texts, `bytes` of a region and an end where an append
    /// would, with one check, and leaves the writer as it is. Returns how many bytes that are; 0 if
    /// there is no room for three times eight bytes besides.
    @inlinable @inline(__always)
    public func write(
        _ head: ShortText, _ source: Span<UInt8>, _ tail: ShortText, _ region: Region,
        _ offset: Int, _ bytes: Int, _ end: ShortText
    ) -> Int {
        let sourceBytes = source.count
        guard bytes >= 0, bytes <= capacity &- filled,
            sourceBytes &+ 24 <= capacity &- filled &- bytes
        else { return 0 }
        let value = unsafe region.uncheckedAddress(at: offset, count: bytes)
        // SAFETY: `source`, `bytes` and three times eight bytes fit (above); a short text counts at
        // most eight, so that what is written behind it begins no later.
        unsafe source.withUnsafeBufferPointer { buffer in
            let start = unsafe UnsafeMutableRawPointer(base + filled)
            unsafe start.storeBytes(of: head.bits, as: UInt64.self)
            if let first = buffer.baseAddress {
                unsafe cprim_copy(start + head.count, first, sourceBytes)
            }
            let second = unsafe start + head.count + sourceBytes
            unsafe second.storeBytes(of: tail.bits, as: UInt64.self)
            unsafe (second + tail.count).copyMemory(from: value, byteCount: bytes)
            unsafe (second + tail.count + bytes).storeBytes(of: end.bits, as: UInt64.self)
        }
        return head.count &+ sourceBytes &+ tail.count &+ bytes &+ end.count
    }

    /// The same with one short text before the bytes of the region.
    @inlinable @inline(__always)
    public func write(
        _ head: ShortText, _ region: Region, _ offset: Int, _ bytes: Int, _ end: ShortText
    ) -> Int {
        guard bytes >= 0, bytes <= capacity &- filled, 16 <= capacity &- filled &- bytes else {
            return 0
        }
        let value = unsafe region.uncheckedAddress(at: offset, count: bytes)
        // SAFETY: `bytes` and twice eight bytes fit (above), as in the other.
        let start = unsafe UnsafeMutableRawPointer(base + filled)
        unsafe start.storeBytes(of: head.bits, as: UInt64.self)
        unsafe (start + head.count).copyMemory(from: value, byteCount: bytes)
        unsafe (start + head.count + bytes).storeBytes(of: end.bits, as: UInt64.self)
        return head.count &+ bytes &+ end.count
    }

    /// Appends a short text, if there is room for eight bytes; otherwise answers false.
    @inlinable @inline(__always)
    public mutating func append(_ text: ShortText) -> Bool {
        guard capacity &- filled >= 8 else { return false }
        // SAFETY: eight bytes fit (above).
        unsafe UnsafeMutableRawPointer(base + filled).storeBytes(of: text.bits, as: UInt64.self)
        filled &+= text.count
        return true
    }

    /// Appends the eight bytes of `word`, its highest first.
    @inlinable @inline(__always)
    public mutating func append(bigEndian word: UInt64) {
        guard reserve(8) else { return }
        unsafe UnsafeMutableRawPointer(base + count).storeBytes(
            of: word.bigEndian, as: UInt64.self)
        advance(8)
    }

    /// Appends `value` in decimal, 1 to 20 digits.
    @inlinable @inline(__always)
    public mutating func append(decimal value: UInt64) {
        guard value < 1000 else { return append(longDecimal: value) }
        let digits = value < 10 ? 1 : value < 100 ? 2 : 3
        guard reserve(digits) else { return }
        let small = UInt32(truncatingIfNeeded: value)
        let last = count &+ digits &- 1
        unsafe base[last] = UInt8(truncatingIfNeeded: 48 &+ small % 10)
        if digits > 1 {
            unsafe base[last &- 1] = UInt8(truncatingIfNeeded: 48 &+ small / 10 % 10)
        }
        if digits > 2 { unsafe base[last &- 2] = UInt8(truncatingIfNeeded: 48 &+ small / 100) }
        advance(digits)
    }

    @inlinable
    mutating func append(longDecimal value: UInt64) {
        var digits = 1
        var bound: UInt64 = 10
        while digits < 20, value >= bound {
            digits &+= 1
            bound = digits < 20 ? bound &* 10 : .max
        }
        guard reserve(digits) else { return }
        var rest = value
        var position = count &+ digits
        repeat {
            position &-= 1
            unsafe base[position] = UInt8(truncatingIfNeeded: 48 &+ rest % 10)
            rest /= 10
        } while rest != 0
        advance(digits)
    }
}

/// Up to eight bytes of text in a word, the first byte lowest; what is beyond them is zero.
public struct ShortText: BitwiseCopyable, Sendable {
    @usableFromInline let bits: UInt64
    /// 0 to 8.
    @usableFromInline let count: Int

    @inlinable @inline(__always)
    public init(bits: UInt64, count: Int) {
        precondition(count >= 0 && count <= 8)
        self.bits = bits.littleEndian
        self.count = count
    }
}
