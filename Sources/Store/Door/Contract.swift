// Contract: the values that pass between the server's worker and the store.
//
// All of them are plain coordinates; what they point to is memory of `Door.memory` or a place on
// disk. None may be kept longer than its comment says.

/// A value that was found in memory. The key's shard is locked until `Door.release`.
public struct Found: BitwiseCopyable {
    /// Where the value begins in `Door.memory`; meaningless if `isChained`.
    public var valueOffset: Int
    public var valueBytes: Int
    public var flags: UInt32
    public var cas: UInt64
    /// Absolute unix seconds, 0 for never.
    public var expiry: UInt32
    /// Whether the value lies in several pieces: pin it and ask for them.
    public var isChained: Bool
    @usableFromInline var shard: Int
    /// Where its record lies: while it is pinned, no other can be there.
    public var recordOffset: Int

    @inlinable @inline(__always) init(
        valueOffset: Int, valueBytes: Int, flags: UInt32, cas: UInt64, expiry: UInt32,
        isChained: Bool, shard: Int, recordOffset: Int
    ) {
        self.valueOffset = valueOffset
        self.valueBytes = valueBytes
        self.flags = flags
        self.cas = cas
        self.expiry = expiry
        self.isChained = isChained
        self.shard = shard
        self.recordOffset = recordOffset
    }
}

/// A hold on the memory of one large value while it is being sent, over any number of turns.
/// Must end in `Door.unpin`.
public struct Pin: BitwiseCopyable {
    public var valueBytes: Int
    @usableFromInline var frame: Int
    /// Where the value begins in the (first) frame.
    @usableFromInline var start: Int
    @usableFromInline init(valueBytes: Int, frame: Int, start: Int) {
        self.valueBytes = valueBytes
        self.frame = frame
        self.start = start
    }
}

/// A read from disk that has begun: the segment cannot leave the disk until it ends, in exactly
/// one of `Door.finish`, `Door.bring` (when it answers true), `Door.drop`, `Door.exclude`,
/// `Door.requestLoad` and `Door.abandon`.
public struct DiskRead: BitwiseCopyable {
    /// Where to read in the file `Door.diskDescriptor`.
    public var fileOffset: UInt64
    /// How many bytes to read first, at most `Door.firstReadBytes`.
    public var firstBytes: Int
    /// Its segment has no known place in the file, so nobody but the store's own thread can read
    /// the record: call `Door.requestLoad` instead of reading, and execute the
    /// command again when `News.loads` has changed.
    public var isLoad: Bool
    public var hash: UInt64
    @usableFromInline var slot: UInt64
    /// Flush mark and clock when the command was executed: what decides whether it answers.
    @usableFromInline var flushMark: UInt64
    @usableFromInline var now: UInt32
    @usableFromInline init(
        fileOffset: UInt64, firstBytes: Int, isLoad: Bool, hash: UInt64, slot: UInt64,
        flushMark: UInt64, now: UInt32
    ) {
        self.fileOffset = fileOffset
        self.firstBytes = firstBytes
        self.isLoad = isLoad
        self.hash = hash
        self.slot = slot
        self.flushMark = flushMark
        self.now = now
    }
}

/// A record as it lies in a read buffer.
public struct DiskRecord: BitwiseCopyable {
    /// Where the value begins in the region that was examined.
    public var valueOffset: Int
    public var valueBytes: Int
    public var flags: UInt32
    public var cas: UInt64
    public var expiry: UInt32
    /// Where the whole record begins, and its length.
    @usableFromInline var recordOffset: Int
    @usableFromInline var recordBytes: Int
    @usableFromInline init(
        valueOffset: Int, valueBytes: Int, flags: UInt32, cas: UInt64, expiry: UInt32,
        recordOffset: Int, recordBytes: Int
    ) {
        self.valueOffset = valueOffset
        self.valueBytes = valueBytes
        self.flags = flags
        self.cas = cas
        self.expiry = expiry
        self.recordOffset = recordOffset
        self.recordBytes = recordBytes
    }
}

/// What the bytes of a disk read turned out to be.
public enum Examined: BitwiseCopyable {
    /// The key's record, checked and alive when the command was executed.
    case record(DiskRecord)
    /// So many bytes from the same file offset are needed (more than were read).
    case more(totalBytes: Int)
    /// Another key with the same tag: `exclude` this slot and execute the command again.
    case other
    /// The key's record, but removed, expired or flushed: a miss.
    case dead(Death)
    /// The key's record, perhaps, but larger than this run's segments: a miss, and `requestLoad`
    /// has it moved to where the next command finds it.
    case beyond
    /// A read error or a checksum mismatch: a miss.
    case damaged
}

/// Slots known to belong to other keys, so that a command executed again passes over them: two at
/// most, `Door.exclude` sees to what is beyond.
public struct Differing: BitwiseCopyable {
    @usableFromInline var first: UInt64 = 0
    @usableFromInline var second: UInt64 = 0
    @inlinable public init() {}
    /// Remembers one more slot; false if there is no place for it.
    mutating func add(_ slot: UInt64) -> Bool {
        guard second == 0 else { return false }
        second = first
        first = slot
        return true
    }
}

/// Why a record that is there does not count.
public enum Death: UInt8, BitwiseCopyable, Sendable {
    /// A tombstone.
    case removed
    case expired
    /// At or below the flush mark.
    case flushed
}

/// What looking for a key came to.
public enum Lookup: BitwiseCopyable {
    case miss
    /// A miss whose record is still in memory.
    case dead(Death)
    case memory(Found)
    case disk(DiskRead)
}

/// What looking for a value and touching it, in one step, came to.
public enum TouchedLookup: BitwiseCopyable {
    case miss
    /// A miss whose record is still in memory.
    case dead(Death)
    /// The value, touched. The shard is locked until `Door.release`.
    case found(Found)
    /// A value that is not copied under the lock; it is not touched yet. The shard is locked: pin
    /// the value, release it, and `touch` it if it still has this cas.
    case large(Found)
    case wait, noOrder
    case read(DiskRead)
}

/// Which of memcached's storage commands.
public enum StoreMode: UInt8, BitwiseCopyable, Sendable {
    case set, add, replace, append, prepend, cas
}

/// What a change came to.
public enum Outcome: BitwiseCopyable {
    case stored, notStored, exists, notFound, deleted, touched
    /// incr and decr: the new number.
    case number(UInt64)
    case notNumeric
    /// The combined value of an append is too large, or would never fit.
    case tooLarge
    /// Memory is full of what is not yet on disk: execute again when `News.frames` has changed.
    case wait
    /// No order may be given out: nothing is changed, and waiting does not help.
    case noOrder
    /// The record must be seen first: read it, `bring` (or `drop`, or exclude) it, execute again.
    case read(DiskRead)
}

/// Room for a value that arrives in pieces, outside the log until it is complete.
/// Must end in `Door.store(staging:…)` (any outcome but `wait`, `noOrder` and `read`) or
/// `Door.abandon`.
public struct Staging: BitwiseCopyable {
    public var valueBytes: Int
    public var hash: UInt64
    @usableFromInline var frame: Int
    /// Where the record begins in the (first) frame.
    @usableFromInline var start: Int
    @usableFromInline var keyBytes: Int
    @usableFromInline var valueStart: Int
    @usableFromInline var isChained: Bool
    @usableFromInline init(
        valueBytes: Int, hash: UInt64, frame: Int, start: Int, keyBytes: Int, valueStart: Int,
        isChained: Bool
    ) {
        self.valueBytes = valueBytes
        self.hash = hash
        self.frame = frame
        self.start = start
        self.keyBytes = keyBytes
        self.valueStart = valueStart
        self.isChained = isChained
    }
}

/// Memory for input that waits (`openInputRoom`).
public struct InputRoom: BitwiseCopyable {
    let frame: UInt32
    let start: UInt32
}

/// What changed since a worker looked last; compare with the previous one.
public struct News: BitwiseCopyable, Equatable {
    /// Commits completed so far: replies whose barrier is at or below this may leave.
    public var commits: UInt64 = 0
    /// The newest barrier whose commit failed: connections that wait for it (or an older one that
    /// is not completed) must be closed.
    public var failedCommits: UInt64 = 0
    /// Grows when frames became free: what waited for memory may try again.
    public var frames: UInt64 = 0
    /// Grows when a requested load ended.
    public var loads: UInt64 = 0
    @inlinable public init() {}
}
