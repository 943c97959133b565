// ReplaySchedule: the trace's whole seconds as moments at which requests are due.

/// Turns timestamps into due times; a value, one thread.
///
/// Traces count whole seconds. Requests of one second are spread over it, as if there were as
/// many of them as in the second before; if there are more, the rest follow closer and closer to
/// its end. Time never goes back.
public struct ReplaySchedule: BitwiseCopyable, Sendable {
    private let speed: ReplaySpeed
    private var hasBegun = false
    private var first: UInt64 = 0
    /// The second of the trace, from its first one, and the requests in it and in the last one.
    public private(set) var second: UInt64 = 0
    private var count: UInt64 = 0
    private var lastCount: UInt64 = 0

    public init(_ speed: ReplaySpeed) { self.speed = speed }

    /// Nanoseconds after the first request at which the next one is due; 0 at full speed.
    public mutating func due(_ time: UInt64) -> UInt64 {
        if !hasBegun {
            hasBegun = true
            first = time
        }
        let offset = time > first ? time &- first : 0
        if offset > second {
            lastCount = offset == second &+ 1 ? count : 0
            second = offset
            count = 0
        }
        guard case .times(let times) = speed else { return 0 }
        let part = Double(count) / Double(max(lastCount, count &+ 1))
        count &+= 1
        // A second with nothing before it begins at once.
        let seconds = Double(second) + (lastCount == 0 ? 0 : part)
        return UInt64(min(seconds / times * 1e9, 9e18))
    }

    /// Seconds of the trace from its first request to its last.
    public var span: UInt64 { second }
    /// The trace's second now.
    public var time: UInt64 { first &+ second }
}
