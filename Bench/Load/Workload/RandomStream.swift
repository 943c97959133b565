// RandomStream: the numbers that choose keys and commands (the SplitMix64 recurrence).
//
// One per connection, so that what a connection asks for depends on the seed and its number
// alone: not on the threads, the timing or the server.

/// A stream of 64-bit numbers; a value, two streams of one seed are equal.
public struct RandomStream: BitwiseCopyable, Equatable, Sendable {
    private var state: UInt64

    @inlinable public init(seed: UInt64, stream: UInt64) {
        self.init(state: RandomStream.mix(seed) &+ RandomStream.mix(~stream))
    }

    @usableFromInline init(state: UInt64) { self.state = state }

    /// The next number; all values are equally likely.
    public mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mix(state)
    }

    /// A number in 0..<bound.
    public mutating func next(below bound: UInt64) -> UInt64 {
        next().multipliedFullWidth(by: bound).high
    }

    /// A number in 0..<1, of 53 bits.
    public mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// What lies between one state and the next.
    static var step: UInt64 { 0x9E37_79B9_7F4A_7C15 }
    /// What `mix` multiplies by.
    static var factors: (UInt64, UInt64) { (0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB) }

    @usableFromInline static func mix(_ value: UInt64) -> UInt64 {
        var mixed = (value ^ value >> 30) &* factors.0
        mixed = (mixed ^ mixed >> 27) &* factors.1
        return mixed ^ mixed >> 31
    }
}
