// StoreEvents: what the store tells the log. The names are stable: docs/operating/log.md lists them
// with their fields, and a test compares.

internal import Primitives

extension Event {
    // MARK: Start

    /// The store's file cannot be used, or this run has to go on without it, so that what it holds
    /// will be out of date. It was renamed, and a new store begins, or does at the next start.
    /// `reason`, `to`.
    static let storeMovedAside = Event("store.moved_aside")

    /// The store's file could not be read at start; this run serves from memory alone, and the file
    /// is moved aside. `reason`, `directory`.
    static let storeUnreadable = Event("store.unreadable")

    /// The disk is full: no store could be begun, or the one that is there not be opened, which is
    /// moved aside then. This run serves from memory alone. `directory`.
    static let storeWithoutSpace = Event("store.without_space")

    /// What tells up to which order all was removed is damaged: all up to `order` is gone. `order`.
    static let flushMarkDamaged = Event("store.flush_mark_damaged")

    /// What tells the size of the last run's segments is damaged, so this run chooses its own: the
    /// first get of a record that is too large for that misses, and moves it. `bytes` (what is
    /// there).
    static let frameSizeDamaged = Event("store.frame_size_damaged")

    /// What tells how far the last run's time was ahead of the system's clock is damaged: this run
    /// goes by that clock. `word` (what is there).
    static let clockLeadDamaged = Event("store.clock_lead_damaged")

    /// The list of keys of one segment could not be read, nor be made from the segment. What is
    /// older is deleted, since it may have been overtaken. `sequence`, `later` (if those behind it
    /// cannot be read either).
    static let keyDirectoryUnreadable = Event("store.key_directory_unreadable")

    /// More segments are on disk than this run has numbers for: this one, and what is older, is
    /// deleted. `sequence`, `records` (that it holds).
    static let segmentUnnumbered = Event("store.segment_unnumbered")

    /// A number of the file was damaged, and was put right from what the file holds beside it:
    /// without that, the state before the last commit would have been read. `from`, `to`.
    static let commitNumberMended = Event("store.commit_number_mended")

    /// Part of what the last run wrote last is damaged. It may have overtaken anything, so all
    /// that is older than `order` is gone. `sequence`, `order`.
    static let lastRunDamaged = Event("store.last_run_damaged")

    /// What tells how old the disk's contents are is damaged: nothing below `sequence` is believed.
    /// `reason` (`distrust_mark`, `orders` or `segment_number`: what is damaged), `sequence`.
    static let earlierRunsDistrusted = Event("store.earlier_runs_distrusted")

    /// A segment should leave the disk, and something of it cannot be read. It stays until all that
    /// it may have replaced has left. `sequence`.
    static let segmentSetAside = Event("store.segment_set_aside")

    /// There was no memory to read what the disk holds; it stays there, and misses. `bytes`.
    static let recoveryWithoutMemory = Event("store.recovery_without_memory")

    /// The server stops while recovery still runs: the next start begins it again. `segments` (that
    /// were read).
    static let recoveryCutShort = Event("store.recovery_cut_short")

    /// The index holds what the disk had. `items`, `segments`, `damaged` (segments), `orphans`
    /// (parts of values whose writing was not finished, or of what an earlier start distrusted),
    /// `refused` (records for which the index had no room), `distrusted` (segments that something
    /// unreadable may have overtaken), `unsealed` (segments that have to be written whole before
    /// they can be read), `milliseconds`.
    static let storeRecovered = Event("store.recovered")

    // MARK: Commits

    /// Orders could not be reserved in the file for that. If commits fail as well, changes are
    /// refused above `order` until one of the two succeeds; if the file could not be made because
    /// the disk is full, they are not. `reason`, `order`.
    static let ordersUnreserved = Event("store.orders_unreserved")

    /// A commit failed, and the one before it had not: serving goes on from memory. `reason`,
    /// `segments` (that wait to be written).
    static let commitFailed = Event("store.commit_failed")

    /// The first commit after failed ones has succeeded. `failed` (commits), `milliseconds` (since
    /// the first of them).
    static let commitsResumed = Event("store.commits_resumed")

    /// The environment of LMDB had to be closed and opened again. `failing_milliseconds`.
    static let storeReopened = Event("store.reopened")

    /// No page was left in the store's file, not even for a deletion: it may grow by `bytes` above
    /// its size, so that the oldest segments can leave it.
    static let reserveUsed = Event("store.reserve_used")

    /// A worker did not say how far its open segment is complete, so the commit is put off.
    /// `worker`, `milliseconds` (that it was waited for).
    static let workerSilent = Event("store.worker_silent")

    /// The server stops, and the last commit did not succeed in time. `segments` (that were not
    /// written whole), `failing_milliseconds` (0: the last commit was not a failure).
    static let stoppedUncommitted = Event("store.stopped_uncommitted")

    // MARK: Space

    /// Memory is full of what the disk does not take; the oldest of it is given up from now on.
    /// `segments` (that wait to be written), `failing_milliseconds`.
    static let givingUp = Event("store.giving_up")

    /// What is older than `order` will be, or is being, removed from the store. `order`, `reason`:
    /// `given_up_too_much` (there is no room for the removals that must be written) or `map_full`
    /// (there is none in the file).
    static let flushMarkOwed = Event("store.flush_mark_owed")

    /// The store is empty up to `order`; a start will find what is written from now on. `order`.
    static let flushMarkWritten = Event("store.flush_mark_written")

    /// The index has no room for all that the disk could hold, so the oldest segments leave it
    /// early. `filled_percent`, `segments` (on disk), `memory_mib_wanted`.
    static let indexFull = Event("store.index_full")

    // MARK: Commands

    /// A flush_all with a delay took effect. `order`, `seconds_late`.
    static let flushedAtTime = Event("store.flushed_at_time")
}
