// Door: one worker's way into the store. All a worker's requests pass here.

public import Primitives

/// One worker's door; made by the store, used by that worker's thread only.
///
/// A turn is bracketed by `beginTurn` and `endTurn`; between them the worker may hold a `Found`,
/// outside it is quiescent and frames may be reused. Nothing here waits or makes a system call.
public struct Door: ~Copyable {
    /// The memory that offsets of `Found`, `Pin` and `Staging` refer to.
    public let memory: Region
    /// The file to read from, or -1 without a disk tier.
    public let diskDescriptor: Int32 = -1
    /// Size of a first read; buffers for disk reads have at least this many bytes.
    public static var firstReadBytes: Int { 4096 }
    /// Values above this are pinned, not copied under the lock.
    public static var copyBytesMax: Int { 16 << 10 }
    /// Whether replies to changes wait for their commit.
    public let isAcknowledging: Bool = false

    public init(memory: Region) { self.memory = memory }

    // MARK: Turns
    public mutating func beginTurn(now: UInt32) {}
    public mutating func endTurn() {}
    public func news() -> News { News() }
    /// The commit that will cover every change made so far by this worker.
    public func barrier() -> UInt64 { 0 }

    // MARK: Reading
    public func hash(_ key: Span<UInt8>) -> UInt64 { 0 }
    public func prefetchBucket(_ hash: UInt64) {}
    public func prefetchRecord(_ hash: UInt64) {}
    public mutating func find(_ key: Span<UInt8>, hash: UInt64, except: Differing) -> Lookup {
        .miss
    }
    public mutating func release(_ found: Found) {}
    /// Keeps a large value's memory beyond the turn; the caller still releases `found`.
    /// Nil when too much is pinned already: release, and try again in a later turn.
    public mutating func pin(_ found: Found) -> Pin? { nil }
    /// The contiguous bytes of the value from `index` on, as offset and count in `memory`.
    public func piece(_ pin: Pin, from index: Int) -> (offset: Int, count: Int) { (0, 0) }
    public mutating func unpin(_ pin: Pin) {}

    // MARK: Reads from disk
    /// Looks at what a read brought: `count` bytes (or a negated errno) at `offset` of `region`.
    public mutating func examine(
        _ read: DiskRead, key: Span<UInt8>, in region: Region, at offset: Int, count: Int
    ) -> Examined { .dead }
    /// Ends a read for a get: the record may be promoted, if its slot is unchanged.
    public mutating func finish(_ read: DiskRead, _ record: DiskRecord?, in region: Region) {}
    /// Ends a read for a change: brings the record into memory. False: no room now, the read has
    /// not ended; call again when `News.frames` has changed, or `finish` it.
    public mutating func bring(_ read: DiskRead, _ record: DiskRecord, in region: Region) -> Bool {
        true
    }
    /// Ends a read whose record is dead or damaged: the slot goes, if it is unchanged.
    public mutating func drop(_ read: DiskRead, isDamaged: Bool) {}
    /// Asks for a value that spans segments to be loaded into memory in the background; ends
    /// the read.
    public mutating func requestLoad(_ read: DiskRead) {}
    /// Contiguous memory (of `memory`) for reading a record of more than `firstReadBytes`.
    /// Nil: none now, try again when `News.frames` has changed. End with `closeReadRoom`.
    public mutating func openReadRoom(bytes: Int) -> Staging? { nil }
    public func readRoomOffset(_ room: Staging) -> Int { 0 }
    public mutating func closeReadRoom(_ room: Staging) {}

    // MARK: Changes
    /// A storage command whose value is at hand. `expiry`: absolute seconds, 0 for never;
    /// `isExpired`: the value is dead on arrival (it still replaces).
    public mutating func store(
        _ mode: StoreMode, key: Span<UInt8>, hash: UInt64, value: Span<UInt8>, flags: UInt32,
        expiry: UInt32, isExpired: Bool, cas: UInt64, except: Differing
    ) -> Outcome { .notStored }
    /// Room for a value that will arrive in pieces. Nil: none now (see `News.frames`).
    public mutating func openStaging(
        key: Span<UInt8>, hash: UInt64, valueBytes: Int, flags: UInt32, expiry: UInt32
    ) -> Staging? { nil }
    /// Where the value's bytes from `index` on go: offset and contiguous count in `memory`.
    public func piece(_ staging: Staging, from index: Int) -> (offset: Int, count: Int) { (0, 0) }
    /// Executes the storage command of a staged value that is complete.
    public mutating func store(
        _ mode: StoreMode, staging: Staging, isExpired: Bool, cas: UInt64, except: Differing
    ) -> Outcome { .notStored }
    public mutating func abandon(_ staging: Staging) {}
    /// delete; also what a refused set leaves behind.
    public mutating func remove(_ key: Span<UInt8>, hash: UInt64, except: Differing) -> Outcome {
        .notFound
    }
    public mutating func add(
        _ delta: UInt64, isDecrement: Bool, key: Span<UInt8>, hash: UInt64, except: Differing
    ) -> Outcome { .notFound }
    public mutating func touch(
        _ key: Span<UInt8>, hash: UInt64, expiry: UInt32, isExpired: Bool, except: Differing
    ) -> Outcome { .notFound }
    /// flush_all: at once (nil), or at that absolute second.
    public mutating func flushAll(at second: UInt32?) {}
}
