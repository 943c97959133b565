// StoreConfiguration: what a store is told when it is made, and why it may refuse.

internal import SegmentLog

/// The disk tier of a store.
public struct DiskConfiguration: Sendable, Equatable {
    /// Made if it is missing, with its parents.
    public var directory: String
    /// What the file may grow to, in bytes; at least `sizeBytesMin`.
    public var sizeBytes: Int
    /// Whether replies to changes wait for their commit.
    public var isAcknowledging: Bool
    /// Milliseconds between commits while there is something to commit, 1 to 60,000.
    public var flushIntervalMilliseconds: Int

    /// Orders that are reserved on the disk at a time. Fewer in simulations, which give out few.
    package var ordersAhead: UInt64 = 1 << 28

    public static let sizeBytesMin = 64 << 20

    public init(
        directory: String, sizeBytes: Int, isAcknowledging: Bool = false,
        flushIntervalMilliseconds: Int = 100
    ) {
        self.directory = directory
        self.sizeBytes = sizeBytes
        self.isAcknowledging = isAcknowledging
        self.flushIntervalMilliseconds = flushIntervalMilliseconds
    }
}

/// A store's share of the process.
public struct StoreConfiguration: Sendable, Equatable {
    /// Bytes that the store may use: `-m` less what connections and buffers take.
    public var memoryBytes: Int
    public var workers: Int
    /// The largest value, in bytes; at most half of the memory.
    public var itemBytesMax: Int
    /// Nil: memory alone.
    public var disk: DiskConfiguration?
    /// Whether items make room for others: without a disk only may that be false.
    public var mayEvict: Bool

    public init(
        memoryBytes: Int, workers: Int, itemBytesMax: Int, disk: DiskConfiguration? = nil,
        mayEvict: Bool = true
    ) {
        self.memoryBytes = memoryBytes
        self.workers = workers
        self.itemBytesMax = itemBytesMax
        self.disk = disk
        self.mayEvict = mayEvict
    }
}

extension StoreConfiguration {
    /// How the memory is divided.
    func geometry(frameBytesWanted: Int? = nil, segmentsFound: Int = 0) -> Geometry {
        // Behind the workers' writers: maintenance's, and with a disk the committer's.
        Geometry(
            memoryBytes: memoryBytes - (disk == nil ? 0 : Disk.memoryBytes),
            writers: workers + (disk == nil ? 1 : 2), diskBytes: disk?.sizeBytes ?? 0,
            frameBytesWanted: frameBytesWanted, segmentsFound: segmentsFound, mayEvict: mayEvict)
    }

    /// The largest value, in bytes, that a new store with this memory can take.
    public var itemBytesPossible: Int { Self.itemBytesMax(geometry()) }

    static func itemBytesMax(_ geometry: Geometry) -> Int {
        geometry.recordBytesMax - Record.overheadBytesMax - Record.keyBytesMax
    }
}

/// Why a store could not be opened.
public enum StoreError: Error, Equatable, Sendable {
    /// The kernel refused memory.
    case memory(byteCount: Int)
    /// Another process holds the store.
    case inUse(directory: String, processId: Int32?)
    /// The directory cannot be made, read or written: what the system said.
    case directory(String, reason: String)
    /// The disk is full, so that no store can be begun in the directory, or the one that is there
    /// cannot be opened. Orders up to this one are reserved by earlier runs, as far as is known.
    case noSpace(directory: String, orders: UInt64)
    /// A thread could not be started.
    case thread(errno: Int32)
}
