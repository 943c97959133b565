// MemcachedMetrics: the names that the exporter for memcached gives, so that its dashboards and
// alerts go on working. The names are its own; what has no meaning here is left out or zero.

internal import Primitives
internal import Store

extension SharedState {
    /// The exporter's families, from the same counters as `stats`.
    public func memcachedFamilies(at now: Moment) -> [MetricFamily] {
        var metrics = MetricsBuilder(prefix: "memcached_")
        let store = storeStatistics()
        let usage = ProcessUsage.coreMicroseconds()
        metrics.gauge("up", "Could the server be reached.", 1)
        metrics.gauge(
            "uptime_seconds", "Seconds since the start.",
            (now.nanoseconds &- startedAt.nanoseconds) / 1_000_000_000)
        metrics.gauge("time_seconds", "The server's time.", UInt64(now.systemSeconds))
        metrics.info("version", "The version.", [("version", ProtocolLevel.versionText)])
        metrics.counter(
            "process_user_cpu_seconds", "Time in the program.", seconds: Double(usage.user) / 1e6)
        metrics.counter(
            "process_system_cpu_seconds", "Time in the kernel.",
            seconds: Double(usage.system) / 1e6)
        addCommands(to: &metrics)
        addExporterConnections(to: &metrics)
        addExporterItems(store, to: &metrics)
        return metrics.families
    }

    private func addCommands(to metrics: inout MetricsBuilder) {
        let commands: [(String, String, UInt64)] = [
            ("get", "hit", total(.getHits)), ("get", "miss", total(.getMisses)),
            ("delete", "hit", total(.deleteHits)), ("delete", "miss", total(.deleteMisses)),
            ("incr", "hit", total(.incrHits)), ("incr", "miss", total(.incrMisses)),
            ("decr", "hit", total(.decrHits)), ("decr", "miss", total(.decrMisses)),
            ("touch", "hit", total(.touchHits)), ("touch", "miss", total(.touchMisses)),
            ("cas", "hit", total(.casHits)), ("cas", "miss", total(.casMisses)),
            ("cas", "badval", total(.casBadValues)), ("set", "hit", total(.setCommands)),
            ("flush", "hit", total(.flushCommands)),
        ]
        metrics.add(
            "commands", "Requests by command and outcome.", .counter,
            commands.map { command, status, count in
                MetricSample(
                    labels: [
                        MetricSample.Label(name: "command", value: command),
                        MetricSample.Label(name: "status", value: status),
                    ], value: .integer(count))
            })
        metrics.counter("read_bytes", "Bytes received.", total(.bytesRead))
        metrics.counter("written_bytes", "Bytes sent.", total(.bytesWritten))
    }

    private func addExporterConnections(to metrics: inout MetricsBuilder) {
        metrics.gauge("current_connections", "Open connections.", UInt64(connectionCount))
        metrics.gauge(
            "max_connections", "Connections that may be open.", UInt64(connectionsMax))
        metrics.counter("connections", "Connections so far.", total(.totalConnections))
        metrics.counter(
            "connections_rejected", "Connections refused at the limit.",
            total(.rejectedConnections))
        metrics.counter(
            "connections_yielded", "Times that a connection gave way.", total(.connectionYields))
        metrics.counter(
            "connections_listener_disabled", "Times that accepting stopped.",
            total(.listenDisabled))
        metrics.gauge(
            "accepting_connections", "Whether new connections are accepted.",
            isAccepting ? 1 : 0)
    }

    private func addExporterItems(_ store: StoreStatistics, to metrics: inout MetricsBuilder) {
        metrics.gauge("current_bytes", "Bytes of the items.", store.bytes)
        metrics.gauge("limit_bytes", "Memory that may be used.", UInt64(memoryLimit))
        metrics.gauge("current_items", "Items now.", store.items)
        metrics.counter("items", "Items stored so far.", total(.setCommands))
        metrics.counter("items_evicted", "Items that made room.", store.evictions)
        metrics.counter("items_reclaimed", "Expired items whose memory was taken.", store.expired)
        metrics.counter(
            "item_too_large", "Values refused for their size.", total(.storeTooLarge))
        metrics.counter(
            "item_no_memory", "Values refused for want of memory.", total(.storeNoMemory))
        let slab = "slab"
        metrics.gauge("slab_current_items", "Items now.", by: slab, [("1", store.items)])
        metrics.counter(
            "slab_items_outofmemory", "Values refused for want of memory.", by: slab,
            [("1", total(.storeNoMemory))])
        metrics.counter(
            "slab_items_evicted", "Items that made room.", by: slab, [("1", store.evictions)])
        metrics.gauge(
            "slab_items_age_seconds", "Age of the oldest item.", by: slab, [("1", store.ageSeconds)]
        )
        metrics.gauge(
            "slab_chunk_size_bytes", "Bytes of a segment.", by: slab, [("1", store.segmentBytes)])
        metrics.gauge("slab_current_pages", "Frames.", by: slab, [("1", store.frames)])
        metrics.gauge(
            "malloced_bytes", "Memory of the frames.", store.memoryBytes)
    }
}
