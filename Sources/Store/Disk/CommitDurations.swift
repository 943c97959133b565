// CommitDurations: how many commits took how long; a plain value. DiskCounters counts them.

/// Counts of commits by their durations.
public struct CommitDurations: BitwiseCopyable, Sendable {
    /// Upper bounds in nanoseconds: 1, 2.5 and 5 of each decade from 100 µs to 10 s.
    public static let bounds: [UInt64] = {
        var bounds: [UInt64] = []
        var decade: UInt64 = 100_000
        for _ in 0..<5 {
            bounds += [decade, decade / 2 * 5, decade * 5]
            decade *= 10
        }
        return bounds + [decade]
    }()

    /// One more than there are bounds: for what took longer than all of them.
    static let buckets = 17

    private var values = [17 of UInt64](repeating: 0)

    /// One for each bound, and one for what is beyond them.
    public var counts: [UInt64] { (0..<Self.buckets).map { values[$0] } }

    subscript(index: Int) -> UInt64 {
        get { values[index] }
        set { values[index] = newValue }
    }

    static func bucket(of nanoseconds: UInt64) -> Int {
        bounds.firstIndex { $0 >= nanoseconds } ?? bounds.count
    }
}
