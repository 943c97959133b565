// Maintenance: the thread that keeps frames free, takes back expired records, and carries out a
// delayed flush_all. It may wait; the workers may not.

internal import Primitives
internal import SegmentLog

/// The maintenance thread's work. Used by that thread only, once it runs.
final class Maintenance: Sendable {
    private let store: TieredStore
    private let number: Int
    private let wake: @Sendable (Int) -> Void

    init(_ store: TieredStore, number: Int, wake: @escaping @Sendable (Int) -> Void) {
        self.store = store
        self.number = number
        self.wake = wake
    }

    /// Buckets that a crawl looks at before frames are looked after again.
    private static let crawlBuckets = 4096
    private static let secondsBetweenCrawls: UInt32 = 2

    func run() {
        var reclaimer = Reclaimer(store.log, number: number)
        var seenNews = store.log.frames.news.loadAcquire()
        var seenWaits: UInt64 = 0
        var nextCrawl: UInt32 = 0
        var isCrawling = false
        let signals = store.signals
        while signals.stopping.loadAcquire() == 0 {
            let now = UInt32(clamping: Clock.unixSeconds())
            flushIfDue(now)
            var isBusy = reclaimer.isNeeded || store.log.frames.releasableCount > 0
            let didWork = isBusy && reclaimer.step(now: now)
            tellWaiting(&seenNews, &seenWaits)
            if reclaimer.isNeeded, !didWork, store.log.geometry.hasDisk {
                // What is left is not on disk yet.
                signals.committer.ring()
            }
            if isCrawling || now >= nextCrawl || store.log.earliestExpiry.loadRelaxed() == 0 {
                isCrawling = reclaimer.crawl(now: now, bucketLimit: Self.crawlBuckets)
                if !isCrawling { nextCrawl = now &+ Self.secondsBetweenCrawls }
                isBusy = isBusy || isCrawling
            }
            if didWork { continue }
            if isBusy {
                Pause.sleep(nanoseconds: isCrawling ? 50_000 : 200_000)
            } else {
                signals.maintenance.wait(nanoseconds: 500_000_000)
            }
        }
    }

    /// Wakes the workers when frames have come free and somebody waited for them.
    private func tellWaiting(_ seenNews: inout UInt64, _ seenWaits: inout UInt64) {
        let news = store.log.frames.news.loadAcquire()
        let waits = store.log.counter(.waits).loadRelaxed()
        guard news != seenNews else { return }
        seenNews = news
        guard waits != seenWaits || store.log.frames.wanted.loadRelaxed() != 0 else { return }
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
