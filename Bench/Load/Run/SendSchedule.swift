// SendSchedule: when the requests of a connection are due, whatever the server does.
//
// An open loop asks as users do, who do not wait for each other: each request has an intended
// time, fixed before the run, and its latency counts from there. A request that finds its
// connection full, or the generator late, is sent as soon as it can be, in its order; its
// intended time does not move, so the whole wait is counted and no later request is shifted.
// After a stall the overdue requests therefore follow as fast as the depth allows; without one
// they never come in bunches, because the connections take turns.

internal import Glibc

/// How intended times are spread.
public enum Arrivals: String, Sendable, CaseIterable {
    /// Equal gaps, the connections one after the other.
    case even
    /// Exponential gaps, drawn for each connection by itself: together a Poisson process, as that
    /// of many users who know nothing of each other.
    case poisson
}

/// The intended times of one connection, one by one. A value; the same arguments give the same
/// times.
public struct SendSchedule: BitwiseCopyable, Sendable {
    /// When the next request is due, in nanoseconds of the monotonic clock.
    public private(set) var due: UInt64
    private let start: UInt64
    /// From the start to `due`, and from one operation to the next, in nanoseconds.
    private var offset: Double
    private let gap: Double
    private let isRandom: Bool
    private var random: RandomStream

    /// A third of a century: what lies beyond is never.
    private static let nanosecondsMax = 1e18

    /// - Parameters:
    ///   - rate: Operations a second over all connections, above 0.
    ///   - connection: Its number in 0..<connectionCount.
    ///   - start: When the first request of the first connection is due.
    ///   - seed: Of the random gaps; the keys have streams of their own.
    public init(
        rate: Double, arrivals: Arrivals, connection: Int, connectionCount: Int, start: UInt64,
        seed: UInt64
    ) {
        precondition(rate > 0)
        precondition(connection < connectionCount)
        self.start = start
        gap = 1e9 / rate * Double(connectionCount)
        isRandom = arrivals == .poisson
        random = RandomStream(seed: ~seed, stream: UInt64(connection))
        offset = 1e9 / rate * Double(connection)
        due = start
        if isRandom {
            offset = 0
            advance(operations: 1)
        } else {
            moveDue()
        }
    }

    /// Goes on to the next request; the one that was due had so many operations.
    public mutating func advance(operations: UInt64) {
        var step = gap * Double(operations)
        if isRandom { step *= -log(1 - random.nextUnit()) }
        offset = min(offset + step, Self.nanosecondsMax)
        moveDue()
    }

    /// About how many operations are due in so many nanoseconds.
    func operations(in nanoseconds: UInt64) -> Double { Double(nanoseconds) / gap }

    private mutating func moveDue() { due = start &+ UInt64(min(offset, Self.nanosecondsMax)) }
}
