// StatisticsStore: the store in the statistics: as one slab class, under memcached's extstore
// names, and under our own.

internal import Primitives
internal import Store
internal import Uring

extension SharedState {
    /// There are no slab classes here; what is stored is shown as class 1.
    func addItems(to lines: inout StatisticsLines) {
        let store = storeStatistics()
        guard store.items > 0 else { return }
        func add(_ name: String, _ value: UInt64) { lines.add("items:1:\(name)", value) }
        add("number", store.items)
        // Hot is the log region, warm the promotion region, cold what lies on disk only.
        add("number_hot", store.items - store.itemsPromoted - store.itemsResting)
        add("number_warm", store.itemsPromoted)
        add("number_cold", store.itemsResting)
        add("number_temp", 0)
        add("age_hot", store.logAgeSeconds)
        add("age_warm", store.promotionAgeSeconds)
        add("age", store.ageSeconds)
        add("mem_requested", store.bytes)
        add("evicted", store.evictions)
        for name in ["evicted_nonzero", "evicted_time", "outofmemory", "tailrepairs"] {
            add(name, 0)
        }
        add("reclaimed", store.expired)
        add("expired_unfetched", store.expiredUnfetched)
        add("evicted_unfetched", store.evictedUnfetched)
        for name in ["evicted_active", "crawler_reclaimed", "crawler_items_checked"] {
            add(name, 0)
        }
        for name in ["lrutail_reflocked", "moves_to_cold"] { add(name, 0) }
        add("moves_to_warm", store.promotions)
        add("moves_within_lru", store.recirculations)
        for name in ["direct_reclaims", "hits_to_hot", "hits_to_warm"] { add(name, 0) }
        add("hits_to_cold", total(.getHits))
        add("hits_to_temp", 0)
    }

    /// Class 1 again: its pages are the frames of the memory tier.
    func addSlabs(to lines: inout StatisticsLines) {
        let store = storeStatistics()
        if store.items > 0 {
            func add(_ name: String, _ value: UInt64) { lines.add("1:\(name)", value) }
            let used = store.frames &- min(store.framesFree, store.frames)
            add("chunk_size", store.segmentBytes)
            add("chunks_per_page", 1)
            add("total_pages", store.frames)
            add("total_chunks", store.frames)
            add("used_chunks", used)
            add("free_chunks", store.framesFree)
            add("free_chunks_end", 0)
            add("get_hits", total(.getHits))
            add("cmd_set", total(.setCommands))
            add("delete_hits", total(.deleteHits))
            add("incr_hits", total(.incrHits))
            add("decr_hits", total(.decrHits))
            add("cas_hits", total(.casHits))
            add("cas_badval", total(.casBadValues))
            add("touch_hits", total(.touchHits))
        }
        lines.add("active_slabs", store.items > 0 ? 1 : 0)
        lines.add("total_malloced", store.memoryBytes)
    }

    /// The disk tier under the names that dashboards know. A page is a segment.
    func addExtstore(_ store: StoreStatistics, to lines: inout StatisticsLines) {
        lines.add("extstore_compact_lost", 0)
        lines.add("extstore_compact_rescues", store.rescues)
        lines.add("extstore_compact_skipped", 0)
        lines.add("extstore_page_allocs", store.segmentsWritten)
        lines.add("extstore_page_evictions", store.segmentsDeleted)
        lines.add("extstore_page_reclaims", store.segmentsDeleted)
        lines.add(
            "extstore_pages_free",
            store.diskSegmentsMax > store.diskSegments
                ? store.diskSegmentsMax - store.diskSegments : 0)
        lines.add("extstore_pages_used", store.diskSegments)
        lines.add("extstore_objects_evicted", store.recordsDeleted)
        lines.add("extstore_objects_read", total(.diskHits))
        lines.add("extstore_objects_written", store.recordsWritten)
        lines.add(
            "extstore_objects_used",
            store.recordsWritten > store.recordsDeleted
                ? store.recordsWritten - store.recordsDeleted : 0)
        lines.add("extstore_bytes_evicted", store.bytesDeleted)
        lines.add("extstore_bytes_written", store.bytesWritten)
        lines.add("extstore_bytes_read", total(.diskReads) &* 4096)
        lines.add("extstore_bytes_used", store.diskBytes)
        lines.add("extstore_bytes_fragmented", 0)
        lines.add("extstore_limit_maxbytes", store.diskLimitBytes)
        lines.add("extstore_io_queue", 0)
    }

    /// `stats brim`: what has no name elsewhere.
    func addOwn(_ store: StoreStatistics, to lines: inout StatisticsLines) {
        let known = facts.current
        for (number, mailbox) in mailboxes.enumerated() {
            lines.add("brim_worker_\(number)_connections", mailbox.connectionCount)
        }
        if let memory = known.memory {
            lines.add("brim_network_bytes", memory.networkBytes)
            lines.add("brim_store_bytes", memory.storeBytes)
        }
        lines.add("brim_engine", known.engine.rawValue)
        let features = known.ringFeatures
        lines.add("brim_ring_features", features.isEmpty ? "-" : features)
        addLoop(to: &lines)
        addRest(store, to: &lines)
        lines.add("brim_frames", store.frames)
        lines.add("brim_frames_free", store.framesFree)
        lines.add("brim_frames_log", store.framesLog)
        lines.add("brim_frames_promotion", store.framesPromotion)
        lines.add("brim_frames_dirty", store.framesDirty)
        lines.add("brim_frames_pinned", store.framesPinned)
        lines.add("brim_index_bytes", store.indexBytes)
        lines.add("brim_index_filled_percent", store.indexFilledPercent)
        lines.add("brim_index_displaced", store.indexDisplaced)
        lines.add("brim_promotions", store.promotions)
        lines.add("brim_recirculations", store.recirculations)
        lines.add("brim_taken_unread", store.takenUnread)
        lines.add("brim_ghost_hits", store.ghostHits)
        lines.add("brim_store_waits", store.waits)
        if settings.store != nil { addDisk(store, to: &lines) }
    }

    /// What memcached prints among its general statistics, and nothing that we know of reads.
    private func addRest(_ store: StoreStatistics, to lines: inout StatisticsLines) {
        let buffers = (facts.current.memory?.receiveBuffers ?? 0) * workerCount
        lines.add("read_buf_count", buffers)
        lines.add("read_buf_bytes", buffers * ServerLimits.blockBytes)
        lines.add("read_buf_oom", total(.closedPoolDry))
        lines.add("reserved_fds", workerCount * 2 + 8)
        lines.add("hash_power_level", 64 - max(store.indexBytes / 8, 1).leadingZeroBitCount - 1)
        lines.add("slabs_moved", store.segmentsCleaned)
        lines.add("slab_global_page_pool", store.framesFree)
    }

    private func addLoop(to lines: inout StatisticsLines) {
        lines.add("brim_turns", total(.turns))
        lines.add("brim_batches", total(.batches))
        let (sent, skipped) = observers.watchers.totals
        lines.add("brim_log_watcher_sent", sent)
        lines.add("brim_log_watcher_skipped", skipped)
        lines.add("brim_receive_buffers_exhausted", total(.buffersExhausted))
        lines.add("brim_receives_cancelled", total(.receivesCancelled))
        lines.add("brim_short_sends", total(.shortSends))
        lines.add("brim_accept_errors", total(.acceptErrors))
        lines.add("brim_waits_for_memory", total(.waitsForMemory))
        lines.add("brim_waits_for_load", total(.waitsForLoad))
        lines.add("brim_waits_for_read_slot", total(.waitsForReadSlot))
        lines.add("brim_waits_for_pin", total(.waitsForPin))
        lines.add("brim_waits_for_blocks", total(.waitsForBlocks))
        lines.add("brim_waits_for_receive_buffers", total(.receivesStarved))
        lines.add("brim_waits_expired", total(.waitsExpired))
        lines.add("brim_closed_by_peer", total(.closedByPeer))
        lines.add("brim_closed_by_request", total(.closedByRequest))
        lines.add("brim_closed_by_fault", total(.closedByFault))
        lines.add("brim_closed_by_error", total(.closedByError))
        lines.add("brim_closed_stalled", total(.closedStalledInput))
        lines.add("brim_closed_stalled_for_others", total(.closedStalledForOthers))
        lines.add("brim_closed_pool_dry", total(.closedPoolDry))
        lines.add("brim_closed_unread", total(.closedUnread))
        lines.add("brim_closed_failed_commit", total(.closedFailedCommit))
        lines.add("brim_closed_idle", total(.idleKicks))
        lines.add("brim_closed_draining", total(.closedDraining))
        lines.add("brim_closed_by_sign_in", total(.closedBySignIn))
        lines.add("brim_closed_by_browser", total(.closedByBrowser))
    }

    private func addDisk(_ store: StoreStatistics, to lines: inout StatisticsLines) {
        lines.add("brim_disk_loads", total(.diskLoads))
        lines.add("brim_disk_other_keys", total(.diskOthers))
        lines.add("brim_disk_damaged_reads", store.damagedReads)
        lines.add("brim_disk_segments_given_up", store.segmentsGivenUp)
        lines.add("brim_disk_records_given_up", store.recordsGivenUp)
        lines.add("brim_disk_orphan_parts", store.orphanParts)
        lines.add("brim_commits", store.commits)
        lines.add("brim_commits_failed", store.failedCommits)
        lines.add("brim_commits_map_full", store.fullMaps)
        lines.add("brim_commit_microseconds", store.commitNanoseconds / 1000)
        lines.add("brim_commit_microseconds_max", store.commitNanosecondsMax / 1000)
        lines.add("brim_last_commit_began_us", store.completedCommitBegan / 1000)
        lines.add("brim_recovered_items", store.recoveredItems)
        lines.add("brim_recovered_segments", store.recoveredSegments)
        lines.add("brim_damaged_segments", store.damagedSegments)
        lines.add("brim_recovery_milliseconds", store.recoveryMilliseconds)
    }
}
