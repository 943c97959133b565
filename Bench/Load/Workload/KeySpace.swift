// KeySpace: which key numbers are data, which are never set, and which are counters.

/// Three stretches of key numbers, of `count` each: data, then keys that are asked for and never
/// set, then counters. Those that a plan does not need are never used.
struct KeySpace: BitwiseCopyable, Sendable {
    let count: UInt64

    /// The key beside a data key that is never set.
    @inline(__always)
    func absent(_ key: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: UInt64(key) &+ count) }
    /// The counter beside a data key.
    @inline(__always)
    func counter(_ key: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: UInt64(key) &+ 2 &* count)
    }

    @inline(__always)
    func isData(_ key: UInt32) -> Bool { UInt64(key) < count }
    @inline(__always)
    func isCounter(_ key: UInt32) -> Bool { UInt64(key) >= 2 &* count }
    /// Which of the counters a key is, from 0 on.
    @inline(__always)
    func counterIndex(_ key: UInt32) -> Int { Int(UInt64(key) &- 2 &* count) }
}
