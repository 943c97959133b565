// Counters: what a worker counts while it measures.

/// Sums over requests that were answered. One thread writes; copies are summed at the end.
public struct Counters: BitwiseCopyable, Equatable, Sendable {
    /// Requests answered, by command.
    public var requests = CommandCounts()
    /// Keys asked for, stored, deleted, touched or counted: a get of K keys is K operations.
    public var operations: UInt64 = 0
    public var hits: UInt64 = 0
    public var misses: UInt64 = 0
    /// Keys that were set because a get had missed them, and counters that were added because
    /// they were not there; part of the operations.
    public var setsOnMiss: UInt64 = 0
    /// Connections that were closed after their share of requests and opened again.
    public var reconnections: UInt64 = 0
    /// Error lines that the server answered.
    public var errors: UInt64 = 0
    public var receivedBytes: UInt64 = 0
    public var sentBytes: UInt64 = 0
    /// Turns of the loop, and system calls that entered the ring: what batching there was.
    public var turns: UInt64 = 0
    public var enters: UInt64 = 0

    public init() {}

    /// Requests answered, all commands together.
    public var requestCount: UInt64 { requests.sum }

    @inline(__always)
    mutating func countRequest(_ command: LoadCommand, keys: UInt64) {
        requests[command] &+= 1
        operations &+= keys
    }

    /// Requests of one command.
    public func requests(of command: LoadCommand) -> UInt64 { requests[command] }

    public static func += (sum: inout Counters, part: Counters) {
        sum.requests += part.requests
        sum.operations &+= part.operations
        sum.hits &+= part.hits
        sum.misses &+= part.misses
        sum.setsOnMiss &+= part.setsOnMiss
        sum.reconnections &+= part.reconnections
        sum.errors &+= part.errors
        sum.receivedBytes &+= part.receivedBytes
        sum.sentBytes &+= part.sentBytes
        sum.turns &+= part.turns
        sum.enters &+= part.enters
    }
}
