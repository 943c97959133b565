// Chance: the luck of all tests, seeded: the same seed, the same run, on every machine.
//
// Not for the shipped code: the load generators have a recurrence of their own, RandomStream.

/// A small seeded generator (SplitMix64).
public struct Chance: RandomNumberGenerator, BitwiseCopyable, Sendable {
    @usableFromInline var state: UInt64

    @inlinable public init(seed: UInt64) { state = seed }

    @inlinable public mutating func next() -> UInt64 {
        // A counter in steps of the golden ratio, scrambled.
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A number in 0..<bound.
    @inlinable public mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0)
        return Int(truncatingIfNeeded: next() >> 1) % bound
    }

    /// True so many times in a thousand.
    @inlinable public mutating func happens(perMille: Int) -> Bool {
        perMille > 0 && below(1000) < perMille
    }
}
