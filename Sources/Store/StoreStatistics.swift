// StoreStatistics: what a store has counted and holds, at one moment.

/// Sums over all threads, read without stopping them: each number is exact for its own moment.
public struct StoreStatistics: BitwiseCopyable, Sendable {
    // What is there.
    /// Keys that the index knows, in memory or on disk.
    public var items: UInt64 = 0
    /// Of these, estimated from their segments: in the promotion region, and on disk only.
    public var itemsPromoted: UInt64 = 0
    public var itemsResting: UInt64 = 0
    /// Seconds since the oldest segment with live records was opened: of all, of the log region,
    /// and of the promotion region. What a start found on disk is as old as the run.
    public var ageSeconds: UInt64 = 0
    public var logAgeSeconds: UInt64 = 0
    public var promotionAgeSeconds: UInt64 = 0
    /// Bytes of live records, estimated from each segment's average.
    public var bytes: UInt64 = 0
    /// Of these, estimated as the items are: in the promotion region, and on disk only.
    public var bytesPromoted: UInt64 = 0
    public var bytesResting: UInt64 = 0
    public var memoryBytes: UInt64 = 0
    public var segmentBytes: UInt64 = 0
    public var frames: UInt64 = 0
    public var framesFree: UInt64 = 0
    public var framesLog: UInt64 = 0
    public var framesPromotion: UInt64 = 0
    public var framesDirty: UInt64 = 0
    public var framesPinned: UInt64 = 0
    public var indexBytes: UInt64 = 0
    /// What remembers the keys that were evicted.
    public var ghostBytes: UInt64 = 0
    /// Percent of the slots that the index can ever have.
    public var indexFilledPercent: UInt64 = 0
    public var indexDisplaced: UInt64 = 0

    // What has happened in memory.
    public var evictions: UInt64 = 0
    public var evictedUnfetched: UInt64 = 0
    public var expired: UInt64 = 0
    public var expiredUnfetched: UInt64 = 0
    public var promotions: UInt64 = 0
    public var recirculations: UInt64 = 0
    public var rescues: UInt64 = 0
    public var takenUnread: UInt64 = 0
    public var segmentsDropped: UInt64 = 0
    public var segmentsCleaned: UInt64 = 0
    public var waits: UInt64 = 0
    public var ghostHits: UInt64 = 0

    // The disk tier; all 0 without one.
    public var diskLimitBytes: UInt64 = 0
    public var diskSegments: UInt64 = 0
    public var diskSegmentsMax: UInt64 = 0
    /// Bytes of the segments on disk.
    public var diskBytes: UInt64 = 0
    /// Segments and bytes ever written and deleted; bytes include directories and stretches.
    public var segmentsWritten: UInt64 = 0
    public var segmentsDeleted: UInt64 = 0
    public var bytesWritten: UInt64 = 0
    public var bytesDeleted: UInt64 = 0
    /// Live records deleted with their segment.
    public var recordsDeleted: UInt64 = 0
    public var recordsWritten: UInt64 = 0
    public var damagedReads: UInt64 = 0
    public var loads: UInt64 = 0
    public var commits: UInt64 = 0
    public var failedCommits: UInt64 = 0
    /// When the last completed commit began, in unix nanoseconds: everything acknowledged before
    /// is on disk.
    public var completedCommitBegan: UInt64 = 0
    public var commitNanoseconds: UInt64 = 0
    public var commitNanosecondsMax: UInt64 = 0
    public var commitDurations = CommitDurations()
    /// Segments that left memory unwritten because the disk took nothing, and live records in them.
    public var segmentsGivenUp: UInt64 = 0
    public var recordsGivenUp: UInt64 = 0
    /// Parts of large records that were deleted because a crash had come between their
    /// transactions.
    public var orphanParts: UInt64 = 0
    /// Commits that found the file full and were tried again once the oldest had left it.
    public var fullMaps: UInt64 = 0
    /// 1 while commits fail.
    public var isDiskFailing: UInt64 = 0

    // Recovery.
    /// 1 while the index is being refilled.
    public var isRecovering: UInt64 = 0
    public var recoveredItems: UInt64 = 0
    public var recoveredSegments: UInt64 = 0
    public var damagedSegments: UInt64 = 0
    public var recoveryMilliseconds: UInt64 = 0

    public init() {}
}
