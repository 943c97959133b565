// Counters: what a worker counts while it measures.

/// Sums over requests that were answered. One thread writes; copies are summed at the end.
public struct Counters: BitwiseCopyable, Equatable, Sendable {
    /// Requests answered, by command (`LoadCommand.rawValue`).
    public var requests: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    /// Keys asked for, stored, deleted or touched: a get of K keys is K operations.
    public var operations: UInt64 = 0
    public var hits: UInt64 = 0
    public var misses: UInt64 = 0
    /// Error lines that the server answered.
    public var errors: UInt64 = 0
    public var receivedBytes: UInt64 = 0
    public var sentBytes: UInt64 = 0
    /// Turns of the loop, and system calls that entered the ring: what batching there was.
    public var turns: UInt64 = 0
    public var enters: UInt64 = 0

    public init() {}

    /// Requests answered, all commands together.
    public var requestCount: UInt64 { requests.0 &+ requests.1 &+ requests.2 &+ requests.3 }

    @inline(__always)
    mutating func countRequest(_ command: LoadCommand, keys: UInt64) {
        switch command {
        case .get: requests.0 &+= 1
        case .set: requests.1 &+= 1
        case .delete: requests.2 &+= 1
        case .touch: requests.3 &+= 1
        }
        operations &+= keys
    }

    /// Requests of one command.
    public func requests(of command: LoadCommand) -> UInt64 {
        switch command {
        case .get: requests.0
        case .set: requests.1
        case .delete: requests.2
        case .touch: requests.3
        }
    }

    public static func += (sum: inout Counters, part: Counters) {
        sum.requests.0 &+= part.requests.0
        sum.requests.1 &+= part.requests.1
        sum.requests.2 &+= part.requests.2
        sum.requests.3 &+= part.requests.3
        sum.operations &+= part.operations
        sum.hits &+= part.hits
        sum.misses &+= part.misses
        sum.errors &+= part.errors
        sum.receivedBytes &+= part.receivedBytes
        sum.sentBytes &+= part.sentBytes
        sum.turns &+= part.turns
        sum.enters &+= part.enters
    }

    public static func == (one: Counters, other: Counters) -> Bool {
        one.requests == other.requests && one.operations == other.operations
            && one.hits == other.hits && one.misses == other.misses
            && one.errors == other.errors && one.receivedBytes == other.receivedBytes
            && one.sentBytes == other.sentBytes && one.turns == other.turns
            && one.enters == other.enters
    }
}
