// ServerLayout: sizes of what one connection and one worker take out of `-m`, for whoever shows
// them (docs/memory-layout.md is compared with them). The sum is ServerMemory's.

internal import Primitives
internal import Store

/// Bytes, as the tables are laid out.
public enum ServerLayout {
    /// A connection's state, and its places in the lists.
    public static let connectionBytes = EntryPool<Connection>.entryBytes
    public static let connectionListBytes = ServerLimits.connectionLists * ConnectionList.linkBytes
    /// What it borrows while a large value comes, with room for its key; while one leaves; and
    /// while it is answered with a list.
    public static let incomingBytes = EntryPool<Incoming>.entryBytes + ServerLimits.keyBytes
    public static let outgoingBytes = EntryPool<Outgoing>.entryBytes
    public static let listingBytes = EntryPool<Listing>.entryBytes
    /// What `stats conns` shows of it.
    public static let rollBytes = 8
    /// What is known of a block of its input that lies in the cache's memory.
    public static let lodgingBytes = MemoryLayout<Lodging>.stride + MemoryLayout<Block>.stride
    /// A part of a deferred reply, and the text that needs no block.
    public static let partBytes = EntryPool<Part>.entryBytes
    public static let partTextBytes = ServerLimits.partInlineBytes
    public static let partsPerConnection = ServerLimits.partsPerConnection
    /// A receive buffer or a block of the pool, and what is known of it.
    public static let blockBytes = ServerLimits.blockBytes
    public static let blockEntryBytes = MemoryLayout<Block>.stride
    /// The same of a pool's block and of the small ones it may be cut into.
    public static let poolEntryBytes =
        Blocks.entries(receivedCount: 0, poolCount: 1) * MemoryLayout<Block>.stride
    /// What the kernel is told of a lent receive buffer.
    public static let ringBufferEntryBytes = 16
    public static let outputBytes = ServerLimits.outputBytes
    public static let batchEntries = ServerLimits.batchEntriesMax
    public static let batchEntryBytes = MemoryLayout<Entry>.stride
    public static let readSlots = ServerLimits.readSlots
    public static let readSlotBytes =
        EntryPool<ReadSlot>.entryBytes + ReadSlot.memoryBytes
}
