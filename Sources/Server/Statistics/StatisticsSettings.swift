// StatisticsSettings: `stats settings`, with every name that tools look for.
//
// What memcached can set and this server has no use for is shown as switched off.

internal import Memcache

extension SharedState {
    func addSettings(to lines: inout StatisticsLines) {
        let tcp = settings.listenAddresses
        lines.add("maxbytes", memoryLimit)
        lines.add("maxconns", connectionsMax)
        lines.add("tcpport", tcp.first?.port ?? 0)
        lines.add("udpport", 0)
        lines.add(
            "inter",
            tcp.isEmpty ? "NULL" : tcp.map(\.description).joined(separator: ","))
        lines.add("verbosity", verbosity)
        lines.add("oldest", 0)
        lines.add("evictions", settings.refused.contains(.evicting) ? "off" : "on")
        lines.add("domain_socket", settings.unixSocketPath ?? "NULL")
        lines.add("umask", String(settings.unixSocketMask, radix: 8))
        lines.add("shutdown_command", settings.allowed.contains(.shutdown))
        lines.add("growth_factor", "1.25")
        lines.add("chunk_size", 48)
        lines.add("num_threads", settings.workers)
        lines.add("num_threads_per_udp", 0)
        lines.add("stat_key_prefix", String(UnicodeScalar(observers.prefixEnd)))
        lines.add("detail_enabled", observers.countsPrefixes)
        lines.add("reqs_per_event", requestsPerTurnMax)
        lines.add("cas_enabled", !settings.isCasDisabled)
        lines.add("tcp_backlog", settings.backlog)
        lines.add("binding_protocol", bindingProtocol)
        lines.add("auth_enabled_sasl", settings.sasl.isEnabled)
        lines.add("auth_enabled_ascii", settings.authFile ?? "no")
        lines.add("item_size_max", settings.itemBytesMax)
        lines.add("maxconns_fast", true)
        lines.add("hashpower_init", 0)
        lines.add("slab_reassign", false)
        lines.add("slab_automove", 0)
        lines.add("slab_automove_ratio", "0.80")
        lines.add("slab_automove_window", 30)
        lines.add("slab_chunk_max", 524_288)
        addMaintenance(to: &lines)
        addStoreSettings(to: &lines)
    }

    /// In memcached's words.
    private var bindingProtocol: String {
        switch settings.dialects {
        case .any: "auto-negotiate"
        case .text: "ascii"
        case .binary: "binary"
        }
    }

    private func addMaintenance(to lines: inout StatisticsLines) {
        lines.add("lru_crawler", false)
        lines.add("lru_crawler_sleep", 100)
        lines.add("lru_crawler_tocrawl", 0)
        lines.add("tail_repair_time", 0)
        lines.add("flush_enabled", !settings.refused.contains(.flushing))
        lines.add("dump_enabled", !settings.refused.contains(.dumping))
        lines.add("hash_algorithm", "keyed")
        lines.add("lru_maintainer_thread", false)
        lines.add("lru_segmented", true)
        lines.add("hot_lru_pct", 10)
        lines.add("warm_lru_pct", 90)
        lines.add("hot_max_factor", "0.20")
        lines.add("warm_max_factor", "2.00")
        lines.add("temp_lru", false)
        lines.add("temporary_ttl", 61)
        lines.add("idle_timeout", idleTimeoutSeconds)
        lines.add("watcher_logbuf_size", Watchers.bufferBytes)
        lines.add("worker_logbuf_size", 0)
        lines.add("read_buf_mem_limit", 0)
        lines.add("track_sizes", false)
        lines.add("inline_ascii_response", false)
        lines.add("drop_privileges", settings.user != nil)
    }

    private func addStoreSettings(to lines: inout StatisticsLines) {
        if let store = settings.store {
            lines.add("ext_path", store.directory)
            lines.add("ext_limit_maxbytes", store.sizeBytes)
            lines.add("brim_durability", store.durability.rawValue)
            lines.add(
                "brim_flush_interval",
                tuning[.flushIntervalMilliseconds] ?? store.flushIntervalMilliseconds)
        }
        lines.add("ssl_enabled", false)
        lines.add("proxy_enabled", false)
        lines.add("proxy_uring_enabled", false)
        lines.add("num_napi_ids", "(null)")
        lines.add("memory_file", "(null)")
        lines.add("client_flags_size", 4)
    }
}
