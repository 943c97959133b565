// Maintenance: the thread that keeps frames free, takes back expired records, and carries out a
// delayed flush_all. It may wait; the workers may not.

internal import Primitives
internal import SegmentLog

/// The maintenance thread's work. Used by that thread only.
struct Maintenance: ~Copyable {
    private let store: TieredStore
    private let wake: @Sendable (Int) -> Void
    private var reclaimer: Reclaimer
    private var seenNews: UInt64
    private var seenWaits: UInt64 = 0
    /// When the next crawl begins, in nanoseconds of the monotonic clock.
    private var nextCrawl: UInt64 = 0
    private var isCrawling = false

    /// - Parameter waitsInPlace: of a thread: see `Reclaimer`.
    init(
        _ store: TieredStore, number: Int, waitsInPlace: Bool = false,
        wake: @escaping @Sendable (Int) -> Void
    ) {
        self.store = store
        self.wake = wake
        reclaimer = Reclaimer(store.log, number: number, tap: store.evictionTap)
        reclaimer.waitsInPlace = waitsInPlace
        seenNews = store.log.frames.news.loadAcquire()
    }

    /// Buckets that a crawl looks at before frames are looked after again.
    private static let crawlBuckets = 4096
    private static let nanosecondsBetweenCrawls: UInt64 = 2_000_000_000

    /// One round.
    mutating func step(at reading: ClockReading) -> NextStep {
        let signals = store.signals
        guard signals.stopping.loadAcquire() == 0 else { return .ended }
        let now = reading.unixSeconds
        flushIfDue(now)
        let didRenew = reclaimer.renew(now: now)
        var isBusy = reclaimer.isNeeded || reclaimer.waitsForTurns || didRenew
        isBusy = isBusy || store.log.frames.releasableCount > 0
        let didWork = isBusy && reclaimer.step(now: now) || didRenew
        tellWaiting()
        if reclaimer.isNeeded, !didWork, store.log.geometry.hasDisk {
            // What is left is not on disk yet.
            if reclaimer.isShort { signals.framesLacking.storeRelease(1) }
            signals.committer.wake()
        }
        if isCrawling || reading.nanoseconds >= nextCrawl
            || store.log.earliestExpiry.loadRelaxed() == 0
        {
            isCrawling = reclaimer.crawl(now: now, bucketLimit: Self.crawlBuckets)
            if !isCrawling { nextCrawl = reading.nanoseconds + Self.nanosecondsBetweenCrawls }
            isBusy = isBusy || isCrawling
        }
        if didWork { return .nothing }
        guard isBusy else { return .bell(until: reading.nanoseconds + 500_000_000) }
        let isSoon = isCrawling || reclaimer.waitsForTurns
        return .time(reading.nanoseconds + (isSoon ? 50_000 : 200_000))
    }

    /// What must hold between two steps; a sentence if it does not. For simulations.
    func check() -> String? { reclaimer.check() }

    /// Wakes the workers when frames have come free and somebody waited for them.
    private mutating func tellWaiting() {
        let news = store.log.frames.news.loadAcquire()
        let waits = store.log.counter(.waits).loadRelaxed()
        guard news != seenNews else { return }
        seenNews = news
        let frames = store.log.frames
        guard waits != seenWaits || frames.wanted.loadRelaxed() != 0 else { return }
        seenWaits = waits
        for worker in 0..<store.configuration.workers { wake(worker) }
    }

    private func flushIfDue(_ now: UInt32) {
        store.signals.flushIfDue(store.log, now: now)
        let due = store.signals.flushedAt.exchange(0)
        guard due != 0 else { return }
        let order = store.log.flushMark.loadRelaxed()
        let late = UInt64(now) - min(due, UInt64(now))
        store.events.info(.flushedAtTime, "order=\(order) seconds_late=\(late)")
    }
}
