// HistorySample: the few dozen numbers that the live page draws, as they stand now.
//
// Counters are handed out as they count; whoever keeps samples takes differences. The quantiles are
// of the time since the sample before, so one asker at a time may keep a `HistorySource`.

internal import Primitives
internal import Store

/// Takes samples of one server, one after the other. One thread's.
public struct HistorySource {
    private let shared: SharedState
    private var before: [LatencyHistogram]

    /// The names of the numbers, in the order of `next`.
    public static let names: [String] =
        [
            "get_memory", "get_disk", "get_miss", "set", "delete", "arithmetic", "touch", "flush",
            "meta", "receive_bytes", "transmit_bytes", "accepted", "rejected", "closed_peer",
            "closed_quit", "closed_protocol", "closed_error", "closed_idle", "closed_stalled",
            "closed_pool_dry", "closed_unread", "closed_failed_commit", "closed_auth",
            "waits_expired", "turns", "evictions", "expired", "promotions", "disk_written_bytes",
            "commits",
            "commit_failures", "commit_seconds", "cpu_user_seconds", "cpu_system_seconds",
        ] + gaugeNames + quantileNames

    /// Those that may go down: they are shown as they are.
    public static let gaugeNames = [
        "connections", "items", "item_bytes", "frames", "frames_free", "frames_dirty",
        "frame_bytes", "index_bytes", "network_bytes", "resident_anonymous_bytes", "disk_bytes",
        "disk_limit_bytes", "limit_bytes", "connection_limit", "recovering", "disk_failing",
    ]

    private static let measured: [LatencyClass] = [.memoryHit, .diskHit, .set]

    /// Microseconds, of the time since the sample before; 0 if there was none of that kind.
    public static let quantileNames = measured.flatMap { kind in
        ["p50", "p99", "p999"].map { "\(kind.name)_\($0)_us" }
    }

    public init(_ shared: SharedState) {
        self.shared = shared
        before = Self.measured.map(shared.histogram)
    }

    /// The numbers as they stand now.
    public mutating func next() -> [Double] {
        let store = shared.storeStatistics()
        return counters(store) + gauges(store) + quantiles()
    }

    private func counters(_ store: StoreStatistics) -> [Double] {
        func total(_ counter: Counter) -> UInt64 { shared.total(counter) }
        let hits = total(.getHits)
        let read = min(total(.diskHits), hits)
        let usage = ProcessUsage.coreMicroseconds()
        let counts: [UInt64] = [
            hits - read, read, total(.getMisses), total(.setCommands),
            total(.deleteHits) &+ total(.deleteMisses),
            total(.incrHits) &+ total(.incrMisses) &+ total(.decrHits) &+ total(.decrMisses),
            total(.touchCommands), total(.flushCommands), total(.metaCommands),
            total(.bytesRead), total(.bytesWritten), total(.totalConnections),
            total(.rejectedConnections), total(.closedByPeer), total(.closedByRequest),
            total(.closedByFault) &+ total(.closedByBrowser), total(.closedByError),
            total(.idleKicks),
            total(.closedStalledInput) &+ total(.closedStalledForOthers), total(.closedPoolDry),
            total(.closedUnread), total(.closedFailedCommit), total(.closedBySignIn),
            total(.waitsExpired),
            total(.turns), store.evictions, store.expired, store.promotions,
            store.bytesWritten, store.commits, store.failedCommits,
        ]
        return counts.map { Double($0) } + [
            Double(store.commitNanoseconds) / 1e9, Double(usage.user) / 1e6,
            Double(usage.system) / 1e6,
        ]
    }

    private func gauges(_ store: StoreStatistics) -> [Double] {
        let network = UInt64(shared.facts.current.memory?.networkBytes ?? 0)
        let values: [UInt64] = [
            UInt64(shared.connectionCount), store.items, store.bytes, store.frames,
            store.framesFree, store.framesDirty, store.frames &* store.segmentBytes,
            store.indexBytes, network, ProcessFigures.current().anonymousBytes,
            store.diskBytes, store.diskLimitBytes, UInt64(shared.memoryLimit),
            UInt64(shared.connectionsMax), store.isRecovering, store.isDiskFailing,
        ]
        return values.map { Double($0) }
    }

    private mutating func quantiles() -> [Double] {
        var found: [Double] = []
        for (index, kind) in Self.measured.enumerated() {
            let now = shared.histogram(kind)
            var since = now
            for bucket in since.counts.indices {
                since.counts[bucket] = SharedState.less(
                    now.counts[bucket], before[index].counts[bucket])
            }
            before[index] = now
            found += [0.5, 0.99, 0.999].map { Double(since.quantile($0)) / 1000 }
        }
        return found
    }
}
