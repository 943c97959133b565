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
    /// A small block of the pool: the rest of a short request, some short replies.
    static let smallBlockBytes = 1 << 10
    /// Requests parsed before they are executed: enough to hide the memory's latency.
    static let batchEntriesMax = 64
    /// Requests of one connection in a turn while no other is ready, if -R allows fewer.
    static let requestsPerTurnAlone = 64
    /// Reply bytes of one connection in a turn, after which it yields; also its deferred reply
    /// bytes, beyond which it is no longer served. Less when the pool runs low.
    static let replyBytesPerTurnMax = 64 << 10
    /// A connection's share of what the pool has left: one part in so many.
    static let poolShares = 8
    /// Replies of one turn, all connections together.
    static let outputBytes = 256 << 10
    /// The longest reply to one request that is written in one go: a value that is copied, its
    /// line, its line end, and the END behind it.
    static let replyBytesMax = Door.copyBytesMax + 512
    /// The longest value whose reply fits a small block of the pool, however long its key.
    static let smallValueBytesMax = smallBlockBytes - 320
    /// The longest large value that is copied to its socket while others wait for pins: a quarter
    /// of the output.
    static let copiedLargeBytesMax = 64 << 10
    /// Unparsed bytes of a connection beyond which it is no longer received from.
    static let inputBytesHigh = 32 << 10
    /// And at or below which it is received from again.
    static let inputBytesLow = 16 << 10
    /// Bytes of a request, its value included, above which the value is received into a place of
    /// its own in the store as soon as its length is known. Longer than a line.
    static let partialBytesMax = 4 << 10
    /// Unparsed bytes of a connection that lie in small blocks.
    static let shortInputBytesMax = 4 << 10
    /// Receives into small blocks, at the end of a turn that leaves no buffer, at most.
    static let sipsPerTurnMax = 64
    /// Receives of one buffer after a large value: the next one's line may come in two pieces.
    static let singleReceives: UInt8 = 2
    /// How long after the ring had no buffer each receive takes one buffer only.
    static let scarceNanoseconds: UInt64 = 100_000_000
    /// Connections that are closed for others' input in a turn, at most.
    static let givingWayPerTurnMax = 64
    /// How long a request waits for the store before it is refused because others cannot be
    /// received at all: longer than a turn of the store's threads takes, and no longer than a
    /// small request of another connection may take.
    static let refusedNanosecondsMin: UInt64 = 40_000_000
    /// And of that, so long for what it can be answered without.
    static let deniedNanosecondsMin: UInt64 = 10_000_000
    /// Between two looks at those who are in the way of others that cannot be received at all.
    static let thirstAlarmNanoseconds: UInt64 = 10_000_000
    /// Requests that are refused for that in a turn, at most: as many receive buffers are lent.
    static let refusedPerTurnMax = 4
    /// Reads from disk that one connection may have begun.
    static let readsPerConnectionMax = 32
    /// Reads from disk that one worker may have begun.
    static let readSlots = 64
    /// Bytes of a deferred reply that need no block of the pool.
    static let partInlineBytes = 64
    /// Parts of deferred replies that a worker has for each connection.
    static let partsPerConnection = 4
    /// Parts that one request can add to a connection's queue: a commit, a text, a read, a text.
    static let partsPerRequestMax = 4
    /// Lists of connections that a worker has.
    static let connectionLists = 5 + WaitQueues.count
    /// Connections that are told to try again when frames or pins came free, in one turn.
    static let tryersPerTurnMax = 16
    /// Longest key with room to align, and behind it the opaque token of a large meta set.
    static let keyBytes = 288
    static let opaqueOffset = 256
    /// How long a request waits for memory, for a disk or for others, before it is answered with
    /// an error or a miss.
    static let waitNanosecondsMax: UInt64 = 5_000_000_000
    /// Buckets of the index that a list of items looks at in a turn, each under its shard's lock.
    static let listedBucketsMax = 256
    /// The longest line of such a list: every byte of a key takes three.
    static let listedBytesMax = 3 * 250 + 160
    /// Bytes of prefixes that the binary protocol is told of, as that is one packet.
    static let binaryDumpBytesMax = 128 << 10
    /// How long a refused try to sign in waits for its answer.
    static let penaltyNanoseconds: UInt64 = 1_000_000_000
    /// How long a large value may stand still on its way in.
    static let stallNanosecondsMax: UInt64 = 30_000_000_000
    /// And how long if another value waits for the memory that it holds.
    static let wantedStallNanosecondsMax: UInt64 = 400_000_000
    /// How long a peer may leave blocks of the pool occupied without taking or sending a byte,
    /// when others cannot be served for want of blocks.
    static let wantedBlocksNanosecondsMax: UInt64 = 500_000_000
    /// How long requests wait for blocks before one is closed that is slow, but not still.
    static let dryPoolNanosecondsMax: UInt64 = 3_000_000_000
    /// Between two looks at those who are in the way of others.
    static let alarmNanoseconds: UInt64 = 100_000_000
    /// How long a value may have had its place before it is judged by how fast it comes.
    static let judgedNanosecondsMin: UInt64 = 200_000_000
    /// A value that will have arrived in this time, at its pace, is waited for.
    static let patienceNanoseconds: UInt64 = 5_000_000_000
    /// And how long the eldest waits for a place before the slowest gives way in any case.
    static let placeNanosecondsMax: UInt64 = 2_000_000_000
    /// How long somebody waits for a pin before one gives way who has taken enough, and takes
    /// nothing now.
    static let pinNanosecondsMax: UInt64 = 500_000_000
    /// And how long it may have taken nothing, however large its system's buffer is.
    static let shutNanosecondsMax: UInt64 = 2_000_000_000
    /// Connections that are closed for others in one such look, at most.
    static let relievedPerAlarmMax = 32
    /// And of those that occupy frames, each of which frees more.
    static let relievedFramesPerAlarmMax = 8
    /// Bytes of large values that touch, append and prepend may copy in a turn, all together, after
    /// which it ends: some tenths of a millisecond.
    static let draftedBytesPerTurnMax = 512 << 10
    /// Statistics that are put together in a turn before it ends, one for each connection.
    static let textsPerTurnMax = 16
    /// A wish for memory that nobody has repeated for so long is over.
    static let wishNanosecondsMax: UInt64 = 300_000_000
    /// Who takes so many bytes of a reply in a second is never closed for others: less than the
    /// slowest of honest readers, 20 KB/s.
    static let readBytesPerSecondMin = 16_000
    /// How far ahead a peer can pay that takes much at once: as long as a system with a receive
    /// buffer of 6 MB may leave its window closed at that rate.
    static let pacePaidNanosecondsMax: UInt64 = 20_000_000_000
    /// How long the window of a peer that falls behind may stay shut, by what it was sent before,
    /// while others wait for blocks only: half a buffer of 400 KB at 50 KB/s.
    static let firstWindowNanosecondsMax: UInt64 = 4_000_000_000
    /// Between two looks at what a socket holds.
    static let paceNanosecondsMin: UInt64 = 50_000_000
    /// Replies with a longer pause between them are judged each by itself.
    static let replyPauseNanosecondsMax: UInt64 = 100_000_000
    /// How long a peer may leave its replies unread before its connection is closed.
    static let unreadNanosecondsMax: UInt64 = 120_000_000_000
    /// How long a stopping worker goes on answering what has arrived.
    static let drainNanosecondsMax: UInt64 = 2_000_000_000
    /// Connections looked at per second for idleness, at most.
    static let idleScanMax = 1 << 16
    /// Longest counted send.
    static let sendBytesMax = 1 << 20

    /// Blocks of input that may lie in the cache's memory: one for every connection that waits, and
    /// some for those that send faster.
    static func lodgingCount(connectionsMax: Int, poolBlocks: Int) -> Int {
        connectionsMax + poolBlocks
    }

    /// Parts of deferred replies that a worker has: a commit and a text for every connection and
    /// for both commits that can be under way, and some around each read.
    static func partCount(connectionsMax: Int) -> Int {
        partsPerConnection * connectionsMax + partsPerRequestMax * readSlots
    }
}
