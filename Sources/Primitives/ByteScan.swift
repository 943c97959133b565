// ByteScan: finds the next newline, blank or end of a word, eight bytes at a time.
//
// The parsers look at every byte of a command line once or twice; this is how they do it without
// a check and a branch for each. It reads spans and keeps nothing. It knows no protocol: only
// which bytes end a line and which cannot stand in a word.

public import CPrimitives

/// Searches over lent bytes; every function answers `bytes.count` where nothing was found.
///
/// Threads: values in, values out. Errors: none; a `start` outside 0...count is our own mistake.
@safe public enum ByteScan {
    @usableFromInline static let ones: UInt64 = 0x0101_0101_0101_0101
    @usableFromInline static let tops: UInt64 = 0x8080_8080_8080_8080

    /// The offset of the first `\n` at or after `start`.
    @inlinable @inline(__always)
    public static func newline(in bytes: Span<UInt8>, from start: Int) -> Int {
        scan(bytes, from: start) { word in zeros(word ^ ones &* 0x0a) }
    }

    /// The offset of the first byte at or after `start` that is not a blank (0x20).
    @inlinable @inline(__always)
    public static func nonBlank(in bytes: Span<UInt8>, from start: Int) -> Int {
        precondition(start >= 0)
        var position = start
        while position < bytes.count, bytes[position] == 0x20 { position &+= 1 }
        return position
    }

    /// The offset of the first byte at or after `start` that ends a word: a blank, a control
    /// character (below 0x20) or 0x7f. Bytes of 0x80 and above (UTF-8) are part of a word.
    @inlinable @inline(__always)
    public static func wordEnd(in bytes: Span<UInt8>, from start: Int) -> Int {
        let count = bytes.count
        precondition(start >= 0 && start <= count)
        var position = start
        // SAFETY: 16 bytes are left at every position that is looked at; the pointer does not
        // leave the closure.
        let found = unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let base = unsafe UnsafeRawPointer(buffer.baseAddress) else { return false }
            while position &+ 16 <= count {
                let ends = unsafe cprim_word_ends(base + position)
                if ends != 0 {
                    position &+= ends.trailingZeroBitCount
                    return true
                }
                position &+= 16
            }
            return false
        }
        return found ? position : wordEndNearEnd(in: bytes, from: position)
    }

    /// The same where fewer than 16 bytes are left.
    @inlinable
    static func wordEndNearEnd(in bytes: Span<UInt8>, from start: Int) -> Int {
        scan(bytes, from: start) { word in
            // Below 0x21 (exact in the lowest byte that is marked), or equal to 0x7f.
            (word &- ones &* 0x21) & ~word & tops | zeros(word ^ ones &* 0x7f)
        }
    }

    /// The eight bytes at `start` as a little-endian word, zero where the span has ended.
    @inlinable @inline(__always)
    public static func word(in bytes: Span<UInt8>, at start: Int) -> UInt64 {
        precondition(start >= 0 && start <= bytes.count)
        let left = bytes.count &- start
        // SAFETY: `left` bytes from `start` on lie inside the span (above), which is initialised;
        // the pointer does not leave the closure.
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe tail(UnsafeRawPointer(buffer.baseAddress), start, left)
        }
    }

    /// Which of a word's bytes, the lowest first, is the first `byte`; 8 if none is.
    @inlinable @inline(__always)
    public static func first(_ byte: UInt8, in word: UInt64) -> Int {
        zeros(word ^ (ones &* UInt64(byte))).trailingZeroBitCount / 8
    }

    /// Marks the top bit of every zero byte; exact in the lowest byte that is marked.
    @inlinable @inline(__always)
    static func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & tops }

    /// Applies `marks` to one word after the other until it marks a byte.
    @inlinable @inline(__always)
    static func scan(
        _ bytes: Span<UInt8>, from start: Int, _ marks: (UInt64) -> UInt64
    ) -> Int {
        let count = bytes.count
        precondition(start >= 0 && start <= count)
        // SAFETY: every load lies in [start, count): eight bytes where eight are left, otherwise
        // `tail`, which takes what is left; the pointer does not leave the closure.
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let base = unsafe UnsafeRawPointer(buffer.baseAddress) else { return count }
            var position = start
            while position &+ 16 <= count {
                let first = unsafe marks(
                    UInt64(
                        littleEndian: base.loadUnaligned(
                            fromByteOffset: position, as: UInt64.self)))
                let second = unsafe marks(
                    UInt64(
                        littleEndian: base.loadUnaligned(
                            fromByteOffset: position &+ 8, as: UInt64.self)))
                if first | second != 0 {
                    return first != 0
                        ? position &+ first.trailingZeroBitCount / 8
                        : position &+ 8 &+ second.trailingZeroBitCount / 8
                }
                position &+= 16
            }
            if position &+ 8 <= count {
                let word = unsafe UInt64(
                    littleEndian: base.loadUnaligned(fromByteOffset: position, as: UInt64.self))
                let found = marks(word)
                if found != 0 { return position &+ found.trailingZeroBitCount / 8 }
                position &+= 8
            }
            guard position < count else { return count }
            let found = unsafe marks(tail(base, position, count &- position))
            // A mark beyond the end is made by the zeros that fill the word.
            return min(count, position &+ (found == 0 ? 8 : found.trailingZeroBitCount / 8))
        }
    }

    /// Up to eight of the `left` bytes at `start`, zero-filled at the top.
    ///
    /// - Important: `base` must have `start + left` readable bytes.
    @unsafe @inlinable @inline(__always)
    static func tail(_ base: UnsafeRawPointer?, _ start: Int, _ left: Int) -> UInt64 {
        guard let base = unsafe base, left > 0 else { return 0 }
        if left >= 8 {
            return unsafe UInt64(
                littleEndian: base.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        if start &+ left >= 8 {
            // The last eight bytes hold them; what stands before is shifted out.
            let last = unsafe UInt64(
                littleEndian: base.loadUnaligned(
                    fromByteOffset: start &+ left &- 8, as: UInt64.self))
            return last >> UInt64(truncatingIfNeeded: 64 &- 8 &* left)
        }
        var word: UInt64 = 0
        var index = left
        while index > 0 {
            index &-= 1
            word =
                unsafe word << 8
                | UInt64(base.load(fromByteOffset: start &+ index, as: UInt8.self))
        }
        return word
    }
}
