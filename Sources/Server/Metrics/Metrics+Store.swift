// Metrics+Store: what is kept, in memory and on disk, and what became of the rest.

internal import Store

extension SharedState {
    func addStore(_ store: StoreStatistics, to metrics: inout MetricsBuilder) {
        addMemory(store, to: &metrics)
        addEviction(store, to: &metrics)
        addDisk(store, to: &metrics)
        addCommits(store, to: &metrics)
    }

    private func addMemory(_ store: StoreStatistics, to metrics: inout MetricsBuilder) {
        let network = UInt64(facts.current.memory?.networkBytes ?? 0)
        metrics.gauge(
            "memory_bytes", "What -m is divided into.", by: "part",
            [
                ("items", store.frames &* store.segmentBytes), ("index", store.indexBytes),
                ("ghosts", store.ghostBytes), ("network", network),
                ("committer", settings.store == nil ? 0 : UInt64(StoreLayout.committerBytes)),
            ])
        metrics.gauge(
            "items", "Keys, by where their values are; estimated.", by: "region",
            [
                (
                    "log",
                    Self.less(store.items, store.itemsPromoted &+ store.itemsResting)
                ),
                ("promotion", store.itemsPromoted), ("disk", store.itemsResting),
            ])
        metrics.gauge(
            "item_bytes", "Bytes of live items, by where they are; estimated.", by: "region",
            [
                ("log", Self.less(store.bytes, store.bytesPromoted &+ store.bytesResting)),
                ("promotion", store.bytesPromoted), ("disk", store.bytesResting),
            ])
        metrics.gauge(
            "frames", "Frames of memory, by what is in them.", by: "state",
            [
                ("free", store.framesFree), ("log", store.framesLog),
                ("promotion", store.framesPromotion),
            ])
        metrics.gauge("frames_dirty", "Frames that are not on disk yet.", store.framesDirty)
        metrics.gauge("frames_pinned", "Frames that replies are sent from.", store.framesPinned)
        metrics.gauge(
            "dirty_bytes", "What a crash now would cost, at most.",
            store.framesDirty &* store.segmentBytes)
        metrics.gauge("index_bytes", "Memory that the index has taken.", store.indexBytes)
        metrics.gauge(
            "index_load_ratio", "How full the index is, of what it can ever hold.",
            real: Double(store.indexFilledPercent) / 100)
        metrics.gauge(
            "index_displaced", "Slots of the index that are not where they would be.",
            store.indexDisplaced)
        metrics.gauge(
            "oldest_item_age_seconds", "Age of the oldest segment with live items.", by: "region",
            [
                ("log", store.logAgeSeconds), ("promotion", store.promotionAgeSeconds),
                ("all", store.ageSeconds),
            ])
    }

    private func addEviction(_ store: StoreStatistics, to metrics: inout MetricsBuilder) {
        metrics.counter(
            "evictions", "Items that made room for others.", by: "fetched",
            [
                ("true", Self.less(store.evictions, store.evictedUnfetched)),
                ("false", store.evictedUnfetched),
            ])
        metrics.counter(
            "expired", "Items whose time was over when their memory was taken.", by: "fetched",
            [
                ("true", Self.less(store.expired, store.expiredUnfetched)),
                ("false", store.expiredUnfetched),
            ])
        metrics.counter(
            "promotions", "Items that were read from disk and are in memory again.",
            store.promotions)
        metrics.counter(
            "recirculations", "Items that were kept because they had been hit.",
            store.recirculations)
        metrics.counter(
            "ghost_hits", "Sets of keys that had been evicted not long before.", store.ghostHits)
        metrics.counter(
            "segments_cleaned", "Segments whose frame was taken.", store.segmentsCleaned)
    }

    private func addDisk(_ store: StoreStatistics, to metrics: inout MetricsBuilder) {
        metrics.gauge("disk_bytes", "Bytes of the segments on disk.", store.diskBytes)
        metrics.gauge(
            "disk_limit_bytes", "The store's budget (--store-size).", store.diskLimitBytes)
        metrics.gauge("disk_segments", "Segments on disk.", store.diskSegments)
        metrics.gauge("disk_failing", "Whether commits fail.", store.isDiskFailing)
        metrics.counter(
            "disk_reads", "Reads from disk, by what they brought.", by: "result",
            [
                ("hit", total(.diskHits)), ("other_key", total(.diskOthers)),
                ("gone", Self.less(total(.diskMisses), total(.diskDamaged))),
                ("damaged", Self.less(total(.diskDamaged), total(.diskErrors))),
                ("error", total(.diskErrors)),
            ])
        metrics.counter("disk_read_bytes", "Bytes of those reads.", total(.diskReadBytes))
        metrics.histogram(
            "disk_read_duration_seconds",
            "How long such a read takes, from asking for a record to having what it needs.",
            by: nil, [("", histogram(.read))])
        metrics.counter(
            "disk_loads", "Values brought back by the committer, too large for a read.",
            total(.diskLoads))
        let counts: [(String, String, UInt64)] = [
            ("disk_written_bytes", "Bytes written to the store.", store.bytesWritten),
            ("disk_written_records", "Records written to the store.", store.recordsWritten),
            ("disk_segments_written", "Segments written to the store.", store.segmentsWritten),
            ("disk_segments_deleted", "Segments that left the store.", store.segmentsDeleted),
            ("disk_records_deleted", "Live records that left with them.", store.recordsDeleted),
            ("disk_rescues", "Records that were kept when their segment left.", store.rescues),
            (
                "disk_given_up_segments", "Segments that left memory unwritten.",
                store.segmentsGivenUp
            ),
            ("disk_given_up_records", "Live records in them.", store.recordsGivenUp),
        ]
        for (name, help, value) in counts { metrics.counter(name, help, value) }
    }

    private func addCommits(_ store: StoreStatistics, to metrics: inout MetricsBuilder) {
        metrics.counter(
            "commits", "Commits, by how they ended.", by: "result",
            [("success", store.commits), ("failure", store.failedCommits)])
        metrics.histogram(
            "commit_duration_seconds", "How long commits take that complete.",
            bounds: CommitDurations.bounds, counts: store.commitDurations.counts,
            sum: store.commitNanoseconds)
        metrics.gauge(
            "commit_duration_max_seconds", "The longest commit of this run.",
            real: Double(store.commitNanosecondsMax) / 1e9)
        metrics.gauge(
            "last_commit_timestamp_seconds", "When the last completed commit began.",
            real: Double(store.completedCommitBegan) / 1e9)
        metrics.gauge("recovering", "Whether the index is being refilled.", store.isRecovering)
        metrics.gauge(
            "recovery_duration_seconds", "How long that took.",
            real: Double(store.recoveryMilliseconds) / 1e3)
        metrics.gauge("recovered_items", "Items that a start found.", store.recoveredItems)
        metrics.gauge("recovered_segments", "Segments that a start found.", store.recoveredSegments)
        metrics.gauge(
            "damaged_segments", "Segments that a start could not read.", store.damagedSegments)
        metrics.gauge(
            "orphan_parts", "Parts of unfinished large values that a start deleted.",
            store.orphanParts)
    }
}
