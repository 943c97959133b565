// KeyHasher: the keyed 64-bit hash that places keys in the index.
//
// Folded multiplication (the high half of a 128-bit product xored onto the low half) over 16
// bytes at a time, with a secret of 32 random bytes: without the secret nobody can choose keys
// that fall together. The secret is kept with the store, because hashes on disk depend on it.
// Not a cryptographic hash.

/// A keyed hash function; a plain value, usable from any thread.
@safe public struct KeyHasher: BitwiseCopyable, Sendable {
    @usableFromInline let a: UInt64
    @usableFromInline let b: UInt64
    @usableFromInline let c: UInt64
    @usableFromInline let d: UInt64

    /// Bytes of a secret.
    public static var secretBytes: Int { 32 }

    /// A hasher with this secret; every bit pattern is allowed.
    public init(secret: (UInt64, UInt64, UInt64, UInt64)) {
        // Odd and never zero, so that no factor vanishes.
        a = secret.0 | 1
        b = secret.1 | 1
        c = secret.2 | 1
        d = secret.3 | 1
    }

    @inlinable @inline(__always)
    static func fold(_ x: UInt64, _ y: UInt64) -> UInt64 {
        let product = x.multipliedFullWidth(by: y)
        return product.high ^ product.low
    }

    /// The hash of `key`, 0 bytes or more.
    @inlinable @inline(__always) public func hash(_ key: Span<UInt8>) -> UInt64 {
        let count = key.count
        var state = c ^ UInt64(truncatingIfNeeded: count)
        // SAFETY: every load below stays within `count` bytes of the span.
        unsafe key.withUnsafeBufferPointer { bytes in
            guard let start = unsafe UnsafeRawPointer(bytes.baseAddress) else { return }
            var position = 0
            while count &- position > 16 {
                unsafe state = Self.fold(
                    Self.word(start, position) ^ a ^ state,
                    Self.word(start, position &+ 8) ^ b)
                position &+= 16
            }
            let rest = count &- position
            var low: UInt64 = 0
            var high: UInt64 = 0
            if count >= 8, rest > 8 {
                unsafe low = Self.word(start, position)
                unsafe high = Self.word(start, count &- 8)
            } else if count >= 8 {
                // The last eight bytes, some of which may have been taken before.
                unsafe low = Self.word(start, count &- 8)
            } else {
                while position < count {
                    unsafe low =
                        low << 8
                        | UInt64(
                            start.load(
                                fromByteOffset: position, as: UInt8.self))
                    position &+= 1
                }
            }
            state = Self.fold(low ^ a ^ state, high ^ d)
        }
        return Self.fold(state ^ d, c ^ UInt64(truncatingIfNeeded: count))
    }

    @inlinable @inline(__always)
    static func word(_ start: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        unsafe start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
