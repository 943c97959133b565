// ServerLimits: every bound of the loop, by name, and why it has that size.
//
// What an operator may choose is in Settings.swift; what memory these add up to is in
// ServerMemory.swift.

internal import Store

/// Bounds of one worker.
enum ServerLimits {
    /// A provided receive buffer and a block of the pool: one burst of a fast peer, and room for
    /// any request that is not received straight into the store.
    static let blockBytes = 16 << 10
    /// Requests parsed before they are executed: enough to hide the memory's latency.
    static let batchEntriesMax = 64
    /// Requests of one connection in a turn, at least.
    static let requestsPerTurnMin = 64
    /// Reply bytes of one connection in a turn, after which it yields.
    static let replyBytesPerTurnMax = 64 << 10
    /// Replies of one turn, all connections together.
    static let outputBytes = 256 << 10
    /// The longest reply to one request that is written in one go: a value that is copied, its
    /// line, its line end, and the END behind it.
    static let replyBytesMax = Door.copyBytesMax + 512
    /// Unparsed bytes of a connection beyond which it is no longer received from.
    static let inputBytesHigh = 32 << 10
    /// And at or below which it is received from again.
    static let inputBytesLow = 16 << 10
    /// Deferred reply bytes of one connection beyond which it is no longer served.
    static let deferredBytesMax = 64 << 10
    /// Reads from disk that one connection may have begun.
    static let readsPerConnectionMax = 32
    /// Reads from disk that one worker may have begun.
    static let readSlots = 64
    /// Bytes of a deferred reply that need no block of the pool.
    static let partInlineBytes = 128
    /// Longest key with room to align.
    static let keyBytes = 256
    /// How long a request waits for memory, for a disk or for others, before it is answered with
    /// an error or a miss.
    static let waitNanosecondsMax: UInt64 = 5_000_000_000
    /// How long a large value may stand still on its way in.
    static let stallNanosecondsMax: UInt64 = 30_000_000_000
    /// How long a peer may leave its replies unread before its connection is closed.
    static let unreadNanosecondsMax: UInt64 = 120_000_000_000
    /// How long a stopping worker goes on answering what has arrived.
    static let drainNanosecondsMax: UInt64 = 2_000_000_000
    /// Connections looked at per second for idleness, at most.
    static let idleScanMax = 1 << 16
    /// Longest counted send.
    static let sendBytesMax = 1 << 20

    /// Parts of deferred replies that a worker has: a commit and a text for every connection, and
    /// some around each read.
    static func partCount(connectionsMax: Int) -> Int {
        2 * connectionsMax + 4 * readSlots
    }
}
