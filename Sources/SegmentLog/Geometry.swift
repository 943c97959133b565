// Geometry: how memory is divided, computed once from what the process may use.
//
// Everything is a sum written out here, so that `-m` can be held: frames, index, segment table
// and ghosts come out of one number of bytes.

/// Sizes and counts of one log; never change while it lives.
public struct Geometry: BitwiseCopyable, Sendable, Equatable {
    /// Bytes that frames, index, tables and ghosts may use together.
    public let memoryBytes: Int
    /// Threads that append: the workers, then the maintenance thread, then the committer.
    public let writers: Int
    public let hasDisk: Bool
    /// Frame size, a power of two.
    public let frameBytes: Int
    /// What a segment holds: LMDB puts 16 bytes in front of a value, so that with them a full
    /// segment is whole pages.
    public let segmentBytes: Int
    /// Frames if the index stays at its smallest.
    public let frameCount: Int
    /// Frames the log region may keep once memory is full.
    public let logFrames: Int
    /// Frames to keep free: every writer can open its segments while more are being freed.
    public let freeFramesMin: Int
    /// Segment numbers, 1 ..< segmentCount.
    public let segmentCount: Int
    public let segmentBits: Int
    public let shardBits: Int
    /// Groups of buckets, as a power of two: see `Spread`.
    public let groupBits: Int
    /// Rows of buckets (one bucket per shard) at the start and at most.
    public let rowsAtStart: Int
    public let rowsMax: Int
    /// Rows and overflow buckets together.
    public let indexBytesMax: Int
    public let ghostCount: Int
    public var ghostBytes: Int { ghostCount * 2 }
    /// Whether live records may leave memory for want of room. Only without a disk may they not.
    public let mayEvict: Bool

    public static let slotsPerBucket = 8
    public static let bucketBytes = 64
    public static let offsetBits = 17
    public static let segmentBitsMax = 20
    public static let frameBytesMax = 1 << 20
    public static let frameBytesMin = 64 << 10
    /// Frames are smaller where there would be fewer: those that are kept free, and the open ones
    /// that are half full, hold no records.
    static let framesWanted = 256
    /// Whether frames can have so many bytes.
    public static func isFrameSize(_ byteCount: Int) -> Bool {
        byteCount >= frameBytesMin && byteCount <= frameBytesMax
            && byteCount & (byteCount - 1) == 0
    }
    public static let diskPrefixBytes = 16
    /// Below this a log cannot hold its open segments.
    public static let memoryBytesMin = 4 << 20

    /// - Parameter frameBytesWanted: the frame size that a store on disk was written with; kept
    ///   if the memory holds enough of them, so that every record fits where it came from. What
    ///   is no frame size is not.
    /// - Parameter segmentsFound: segments that lie on disk already, maybe smaller ones. As the
    ///   disk says: it may be any number.
    public init(
        memoryBytes requested: Int, writers: Int, diskBytes: Int,
        frameBytesWanted: Int? = nil, segmentsFound: Int = 0, mayEvict: Bool = true
    ) {
        precondition(writers > 0 && (mayEvict || diskBytes == 0))
        self.mayEvict = mayEvict
        let memory = max(requested, Self.memoryBytesMin)
        memoryBytes = memory
        self.writers = writers
        hasDisk = diskBytes > 0

        // Shards: about one per 256 KiB, so that a lock covers few keys.
        var shardBits = 4
        while shardBits < 12, (256 << 10) << (shardBits + 1) <= memory { shardBits += 1 }
        self.shardBits = shardBits
        let rowBytes = Self.bucketBytes << shardBits

        // The index may take half of `-m`, which is about 11 parts in 20 of what connections and
        // transactions leave. At 87 % load a quarter of the buckets have an overflow bucket.
        let rows = max(memory / 20 * 11 / rowBytes, 4)
        rowsMax = rows
        indexBytesMax = rows * rowBytes
        var groupBits = 0
        while Spread.sizeAtStart << (groupBits + 1) <= rows / 16 { groupBits += 1 }
        self.groupBits = groupBits
        rowsAtStart = Spread.sizeAtStart << groupBits
        let start = rowsAtStart

        // Ghosts only without a disk: two bytes each, as many as memory holds items of 128 bytes
        // with all their overhead.
        ghostCount = hasDisk ? 0 : max(memory / 128, 1024) & ~3
        let ghostBytes = ghostCount * 2

        let available = memory - start * rowBytes - ghostBytes
        var frame = Self.frameBytesMax
        let framesWanted = max(30 * writers, Self.framesWanted)
        while frame > Self.frameBytesMin, available / frame < framesWanted { frame /= 2 }
        if let wanted = frameBytesWanted, Self.isFrameSize(wanted), wanted > frame,
            available / wanted >= 6 * writers
        {
            frame = wanted
        }
        frameBytes = frame
        segmentBytes = frame - Self.diskPrefixBytes
        let frames = max(available / frame - 1, 4 * writers)
        frameCount = frames
        logFrames = max(frames / 10, 2 * writers)
        // Without a disk only maintenance opens promotion segments.
        freeFramesMin = min(max(hasDisk ? 2 * writers : writers + 2, frames / 64), 12)

        // Segments that were sealed early are smaller than a frame: some numbers more. At most
        // so many that a tag keeps 24 bits.
        let onDisk = max(diskBytes / frame, min(segmentsFound, 1 << Self.segmentBitsMax))
        let disk = diskBytes > 0 ? onDisk * 5 / 4 + 256 : 0
        segmentCount = min(frames + disk + 64, (1 << Self.segmentBitsMax) - 2)
        var bits = 8
        while (1 << bits) < segmentCount + 2 { bits += 1 }
        segmentBits = bits
    }

    public var shardCount: Int { 1 << shardBits }
    /// Bytes of the index that stay free while segments are opened, if nothing may be evicted:
    /// every record that fits into the open segments has its slot, even if each needs a bucket.
    var indexReserveBytes: Int {
        guard !mayEvict else { return 0 }
        let records = writers * segmentBytes / Record.bytesMin + frameCount
        return min(records * Self.bucketBytes, indexBytesMax / 4)
    }
    /// Bytes that rows of the index leave to overflow buckets then.
    var overflowBytesMin: Int { mayEvict ? 0 : indexBytesMax / 3 + indexReserveBytes }
    public var rowBytes: Int { Self.bucketBytes << shardBits }
    /// The largest record that shares a segment with others; larger ones get frames of their own.
    public var sharedRecordBytesMax: Int { segmentBytes / 2 }
    /// Frames that a large record may not count on: both open segments of every writer, of every
    /// worker one that the small rooms of each use share, and one to spare.
    public var framesHeldMax: Int { 2 * writers + framesSharedMax + 1 }
    /// Of these, the frames that small rooms share.
    var framesSharedMax: Int { SharedFrames.count * max(writers - (hasDisk ? 2 : 1), 0) }
    /// Records up to this many bytes may be overwritten where they lie, and values up to this many
    /// are copied under a shard's lock. What is larger is pinned while it is sent, or copied to a
    /// draft without the lock: safe only because it is never overwritten in place.
    @inlinable public static var copyBytesMax: Int { 16 << 10 }
    /// So many used frames are to be free while others were never touched: what the worker takes
    /// until maintenance, on the same core, has had its turn three times. 32 MiB at most.
    public var renewedFramesMin: Int { max(freeFramesMin, min(frameCount / 64, 32)) }
    /// With no more frames free than this, a worker that opens a segment may be the last that can.
    public var freeFramesFew: Int { min(writers, freeFramesMin / 2) }
    /// So many sealed segments are worth a commit of their own.
    public var sealedSegmentsMax: Int { max(min(8, frameCount / 16), 1) }
    /// Frames that one record may take: so many parts its key on disk can number.
    public static let chainFramesMax = 1024
    /// The largest record that memory can take once everything else has left it.
    public var recordBytesMax: Int {
        min(frameCount - framesHeldMax, Self.chainFramesMax) * segmentBytes
    }
    /// Whether memory can ever hold a record of so many bytes: what may be stored is held to the
    /// same, so that whatever was stored can be read back.
    public func canHold(_ recordBytes: Int) -> Bool { recordBytes <= recordBytesMax }
    /// Frames that a record of so many bytes needs if it does not share.
    public func framesNeeded(_ bytes: Int) -> Int { (bytes + segmentBytes - 1) / segmentBytes }
}
