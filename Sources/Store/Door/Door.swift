// Door: one worker's way into the store. All a worker's requests pass here.
//
// This file holds the door itself and its turns; reading, changing and reading from disk are in
// its extensions. A door knows commands and their outcomes, but nothing of the wire.

public import Primitives
public import SegmentLog

/// One worker's door; made by the store, used by that worker's thread only.
///
/// A turn is bracketed by `beginTurn` and `endTurn`; between them the worker may hold a `Found`,
/// outside it is quiescent and frames may be reused. Nothing here waits or makes a system call,
/// but for a futex wake when another thread of the store sleeps and has something to do.
public struct Door: ~Copyable {
    @usableFromInline var writer: Writer
    @usableFromInline let log: SegmentLog
    @usableFromInline let worker: Int
    let signals: Signals
    let loads: SlotQueue
    /// Bytes of large records that were copied under way to a new version of theirs.
    public internal(set) var draftedBytes = 0
    /// Unix seconds of this turn.
    @usableFromInline var now: UInt32 = 0
    /// The marks of a record that is read in this second.
    @usableFromInline var accessMarks: UInt16 = 0
    /// After so long somebody else may win what was won and not renewed; 0: never.
    public var winTimeoutSeconds: UInt32 = 0
    /// The CAS and the value's length of what `publish` published last.
    var lastCas: UInt64 = 0
    var lastValueBytes = 0
    let itemBytesMax: Int
    /// Frames that large values on their way out may pin: half of all, so that what is written
    /// and received has the rest.
    let pinnedFramesMax: Int
    /// In plays: asked while recovery runs, between a command's look and its change.
    let interleaving: Interleaving?
    /// With more frames free, what is read from disk is kept in memory also if it is wanted once.
    let plentyFrames: Int
    private let freeFramesMin: Int
    private let renewedFramesMin: Int
    /// The segment that was open at the end of this worker's last turn.
    private var lastOpen = 0
    private let sealedSegmentsMax: Int

    /// The memory that offsets of `Found`, `Pin` and `Staging` refer to.
    public let memory: Region
    /// The file to read from, or -1 without a disk tier.
    public let diskDescriptor: Int32
    /// Whether replies to changes wait for their commit.
    public let isAcknowledging: Bool

    /// Size of a first read; buffers for disk reads have at least this many bytes.
    public static var firstReadBytes: Int { 4096 }
    /// Values above this are pinned, not copied under the lock.
    @inlinable public static var copyBytesMax: Int { Geometry.copyBytesMax }

    init(
        _ log: SegmentLog, worker: Int, signals: Signals, loads: SlotQueue, itemBytesMax: Int,
        diskDescriptor: Int32, isAcknowledging: Bool, interleaving: Interleaving? = nil
    ) {
        self.log = log
        self.worker = worker
        self.signals = signals
        self.loads = loads
        self.itemBytesMax = itemBytesMax
        self.diskDescriptor = diskDescriptor
        self.isAcknowledging = isAcknowledging
        self.interleaving = interleaving
        writer = Writer(log, number: worker)
        if log.geometry.hasDisk { writer.keepReadingFrame() }
        writer.keepReserve()
        memory = log.frames.memory
        pinnedFramesMax = max(log.geometry.frameCount / 2, 2)
        plentyFrames = max(log.geometry.frameCount / 4, 4)
        freeFramesMin = log.geometry.mayEvict ? log.geometry.freeFramesMin : 0
        renewedFramesMin = log.geometry.mayEvict ? log.geometry.renewedFramesMin : 0
        sealedSegmentsMax = log.geometry.sealedSegmentsMax
    }

    /// The marks of a record that is written in this second.
    @inline(__always) var freshMarks: UInt16 { accessMarks & ~Record.Mark.fetched }

    // MARK: Who writes little

    /// Whether a change that is made now may have what is kept for those who write little while
    /// memory is short.
    public var isReserveGranted: Bool {
        get { writer.reserve.isGranted }
        set { writer.reserve.isGranted = newValue }
    }
    /// Whether a change has found no memory that it could have if the reserve was granted to it.
    public mutating func takeWithheld() -> Bool { writer.reserve.takeWithheld() }
    /// Whether the reserve has room for what a request of so many bytes writes, if that is no more
    /// than it brings.
    public func hasReserve(requestBytes: Int) -> Bool {
        requestBytes + Record.overheadBytesMax <= writer.reservedBytes
    }

    // MARK: Turns

    /// The worker begins a turn; `now` is unix seconds.
    @inlinable public mutating func beginTurn(now: UInt32) {
        if now != self.now { beginSecond(now) }
        log.frames.beginTurn(worker)
    }

    /// The clock of the day was moved while the worker is in a turn.
    public mutating func retime(now: UInt32) { beginSecond(now) }

    /// What holds from this second on does so before its first request.
    @usableFromInline mutating func beginSecond(_ now: UInt32) {
        self.now = now
        accessMarks = Record.Mark.access(at: now)
        log.segments.tell(now)
        signals.flushIfDue(log, now: now)
    }

    /// The worker ends its turn; it holds nothing but pins, stagings and reads from disk.
    public mutating func endTurn() {
        writer.answerCut()
        log.frames.endTurn(worker)
        if log.frames.freeCount < freeFramesMin || log.frames.wanted.loadRelaxed() != 0 {
            signals.maintenance.wake()
        } else if writer.main.segment != lastOpen {
            // Before memory grows, something that is dead may give its frames.
            lastOpen = writer.main.segment
            if log.frames.untouchedCount > 0, log.frames.reusableCount < renewedFramesMin {
                signals.maintenance.wake()
            }
        }
        if log.geometry.hasDisk, log.sealed.count >= sealedSegmentsMax { signals.committer.wake() }
    }

    /// The worker ends: what it has written will be committed. Call it last, outside a turn.
    public mutating func close() {
        writer.close()
        signals.committer.wake()
    }

    /// What has happened that a waiting connection may care about.
    public mutating func news() -> News {
        var news = News()
        news.commits = signals.completed.loadAcquire()
        news.failedCommits = signals.failed.loadAcquire()
        news.frames = log.frames.news.loadAcquire()
        news.loads = signals.loads.loadAcquire()
        return news
    }

    /// The commit that will cover every change made so far by this worker.
    public var nextCommit: UInt64 { signals.begun.add(0) + 1 }

    /// The same. Asks for it.
    public mutating func barrier() -> UInt64 {
        let barrier = nextCommit
        while true {
            let seen = signals.awaited.loadRelaxed()
            if seen >= barrier { return barrier }
            if signals.awaited.replace(seen, with: barrier) { break }
        }
        signals.committer.wake()
        return barrier
    }

    /// Nothing may be evicted, and there is nothing to free for who waits for memory.
    public var isExhausted: Bool { log.frames.exhausted.loadRelaxed() != 0 }

    // MARK: Hashes

    /// The keyed hash of a key: compute it once per request. (A call would copy the door first.)
    @inlinable @inline(__always) public func hash(_ key: Span<UInt8>) -> UInt64 {
        log.hasher.hash(key)
    }
    /// Asks the core for what tells where this key's bucket is.
    @inlinable @inline(__always) public func prefetchShard(_ hash: UInt64) {
        log.index.prefetchShard(hash)
    }
    /// Asks the core for the key's bucket, which it names; the shard should have arrived.
    @inlinable @inline(__always) public func prefetchBucket(_ hash: UInt64) -> Int {
        log.index.prefetch(hash)
    }
    /// Asks the core for the record; the bucket should have arrived. Returns a hint for `find`.
    @inlinable @inline(__always)
    public mutating func prefetchRecord(_ hash: UInt64, in bucket: Int) -> Int {
        writer.prefetchRecord(hash, in: bucket)
    }
}
