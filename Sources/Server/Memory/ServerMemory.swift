// ServerMemory: what the network side of the process takes out of `-m`, written out as a sum.
//
// The store gets the rest. What the sum leaves out (stacks, the rings' own pages, the heap of the
// start) is the fixed part that the documentation states.

internal import Primitives
internal import Store

/// The division of `-m`.
public struct ServerMemory: BitwiseCopyable, Sendable, Equatable {
    public let workers: Int
    /// Connections one worker can have. The acceptor hands each socket to the worker with the
    /// fewest, so none ever has more than its share and one; slots that are just being closed
    /// need some more.
    public let connectionsPerWorker: Int
    /// Provided receive buffers of one worker: a 64th of the memory, over all workers.
    public let receiveBuffers: Int
    /// Pool blocks of one worker: a 32nd, 8 MiB at most; twice the receive buffers, so that all of
    /// those can be lent while the pool is empty.
    public let poolBlocks: Int
    /// Bytes of all workers together.
    public let networkBytes: Int
    /// Bytes for the store.
    public let storeBytes: Int

    static let receiveBuffersRange = 16...256
    static let poolBlocksMin = 32
    static let poolBlocksMax = 512

    public init(memoryBytes: Int, connectionsMax: Int, workers: Int) {
        self.workers = workers
        let block = ServerLimits.blockBytes
        connectionsPerWorker = Self.slots(connectionsMax: connectionsMax, workers: workers)
        let wanted = memoryBytes / 64 / block / workers
        var buffers = Self.receiveBuffersRange.lowerBound
        while buffers * 2 <= wanted, buffers < Self.receiveBuffersRange.upperBound { buffers *= 2 }
        receiveBuffers = buffers
        poolBlocks = min(
            max(memoryBytes / 32 / block / workers, Self.poolBlocksMin), Self.poolBlocksMax)
        let blocks = Blocks.entries(receivedCount: receiveBuffers, poolCount: poolBlocks)
        let perWorker =
            receiveBuffers * (block + ServerLayout.ringBufferEntryBytes)
            + poolBlocks * block
            + Table<Block>.byteCount(of: blocks + poolBlocks)
            + poolBlocks * MemoryLayout<Lodging>.stride
            + ServerLimits.outputBytes
            + Table<Entry>.byteCount(of: ServerLimits.batchEntriesMax)
            + ServerLimits.partCount(connectionsMax: 0)
            * (EntryPool<Part>.entryBytes + ServerLimits.partInlineBytes)
            + EntryPool<ReadSlot>.byteCount(of: ServerLimits.readSlots)
            + ServerLimits.readSlots * ReadSlot.memoryBytes
            + Mailbox.byteCount(connectionsMax: connectionsMax)
            + Counters.rowBytes
            + Self.tablesBytes(slots: connectionsPerWorker)
            + LatencyRow.bytes + TurnLatency.bytes
        networkBytes = perWorker * workers
        storeBytes = max(memoryBytes - networkBytes, 4 << 20)
    }

    /// Connections that one worker has places for.
    private static func slots(connectionsMax: Int, workers: Int) -> Int {
        let connections = (connectionsMax + workers - 1) / workers + 1
        return connections + connections / 8 + 8
    }

    /// Bytes of one worker's tables that have an entry for each connection, as they are laid out.
    private static func tablesBytes(slots: Int) -> Int {
        EntryPool<Connection>.byteCount(of: slots)
            + ServerLimits.connectionLists * ConnectionList.byteCount(slots: slots)
            + ConnectionRoll.byteCount(slots: slots)
            + slots * ServerLayout.lodgingBytes
            + Transfers.byteCount(connectionsMax: slots)
            + slots * ServerLimits.partsPerConnection
            * (EntryPool<Part>.entryBytes + ServerLimits.partInlineBytes)
    }

    /// The same for all workers.
    static func connectionsBytes(connectionsMax: Int, workers: Int) -> Int {
        workers * tablesBytes(slots: slots(connectionsMax: connectionsMax, workers: workers))
    }
}
