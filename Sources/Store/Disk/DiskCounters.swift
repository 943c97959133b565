// DiskCounters: what the disk tier counts; written by its threads, read by anyone.

internal import Primitives

/// Counters of the disk tier, each an atomic word.
struct DiskCounters: Sendable {
    enum Name: Int, CaseIterable {
        case segments, bytes, segmentsWritten, segmentsDeleted, bytesWritten, bytesDeleted
        case recordsDeleted, recordsWritten, commits, failedCommits, commitNanoseconds
        case commitNanosecondsMax, isFailing, recoveredItems, recoveredSegments
        case damagedSegments, recoveryMilliseconds, limitBytes, segmentsMax
        case segmentsGivenUp, recordsGivenUp, orphanParts, fullMaps
    }
    private let region: Region

    init() throws(MemoryError) { region = try Region.map(byteCount: 4096) }

    subscript(name: Name) -> UInt64 {
        get { region.atomic64(at: name.rawValue * 8).loadRelaxed() }
        nonmutating set { region.atomic64(at: name.rawValue * 8).storeRelaxed(newValue) }
    }
    func discardMemory() { region.discardAll() }

    func add(_ name: Name, _ amount: Int) {
        region.atomic64(at: name.rawValue * 8).add(UInt64(bitPattern: Int64(amount)))
    }

    /// The counts of the durations lie behind the names'.
    private func duration(_ index: Int) -> AtomicWord64 {
        region.atomic64(at: (Name.allCases.count + index) * 8)
    }

    func add(to sum: inout StoreStatistics) {
        sum.diskLimitBytes = self[.limitBytes]
        sum.diskSegments = self[.segments]
        sum.diskSegmentsMax = self[.segmentsMax]
        sum.diskBytes = self[.bytes]
        sum.segmentsWritten = self[.segmentsWritten]
        sum.segmentsDeleted = self[.segmentsDeleted]
        sum.bytesWritten = self[.bytesWritten]
        sum.bytesDeleted = self[.bytesDeleted]
        sum.recordsDeleted = self[.recordsDeleted]
        sum.recordsWritten = self[.recordsWritten]
        sum.commits = self[.commits]
        sum.failedCommits = self[.failedCommits]
        sum.commitNanoseconds = self[.commitNanoseconds]
        sum.commitNanosecondsMax = self[.commitNanosecondsMax]
        for index in 0..<CommitDurations.buckets {
            sum.commitDurations[index] = duration(index).loadRelaxed()
        }
        sum.isDiskFailing = self[.isFailing]
        sum.recoveredItems = self[.recoveredItems]
        sum.recoveredSegments = self[.recoveredSegments]
        sum.damagedSegments = self[.damagedSegments]
        sum.segmentsGivenUp = self[.segmentsGivenUp]
        sum.recordsGivenUp = self[.recordsGivenUp]
        sum.orphanParts = self[.orphanParts]
        sum.fullMaps = self[.fullMaps]
        sum.recoveryMilliseconds = self[.recoveryMilliseconds]
    }

    /// A commit has succeeded, and took so long.
    func countCommit(_ nanoseconds: UInt64) {
        add(.commitNanoseconds, Int(clamping: nanoseconds))
        duration(CommitDurations.bucket(of: nanoseconds)).add(1)
        self[.commitNanosecondsMax] = max(self[.commitNanosecondsMax], nanoseconds)
    }
}
