// Metrics: everything that `/metrics` says, gathered from the counters when it is asked for.
//
// This file has the process, its connections and its loop; Metrics+Requests and Metrics+Store the
// rest. The names are an interface: a golden list in the tests holds them.

internal import Primitives
internal import Store
internal import Uring

extension SharedState {
    /// All families, in a fixed order; each has its series from the start.
    public func metricFamilies(at now: Moment) -> [MetricFamily] {
        var process = MetricsBuilder(prefix: "process_")
        addProcess(to: &process)
        var own = MetricsBuilder(prefix: "brim_")
        addBuild(to: &own, at: now)
        addConnections(to: &own)
        addRequests(to: &own)
        addLatency(to: &own)
        addLoop(to: &own)
        addStore(storeStatistics(), to: &own)
        addOperation(to: &own, at: now)
        return process.families + own.families
    }

    private func addProcess(to metrics: inout MetricsBuilder) {
        let usage = ProcessUsage.coreMicroseconds()
        let figures = ProcessFigures.current()
        metrics.counter(
            "cpu_seconds", "Time on a core, in the program and in the kernel for it.",
            seconds: Double(usage.user + usage.system) / 1e6)
        metrics.gauge(
            "start_time_seconds", "When the server started, in seconds since 1970.",
            UInt64(startedAt.systemSeconds))
        metrics.gauge(
            "resident_memory_bytes", "Memory in use, with the cached pages of the store's file.",
            figures.residentBytes)
        metrics.gauge(
            "virtual_memory_bytes", "Address space in use.", figures.virtualBytes)
        metrics.gauge("open_fds", "Open file descriptors.", figures.openDescriptors)
        metrics.gauge(
            "max_fds", "File descriptors that may be open.",
            DescriptorCount.current()?.soft ?? 0)
        metrics.gauge("threads", "Threads of the process.", figures.threads)
    }

    private func addBuild(to metrics: inout MetricsBuilder, at now: Moment) {
        let known = facts.current
        metrics.info(
            "build_info", "The version that runs.",
            [
                ("version", Version.number), ("protocol", ProtocolLevel.versionText),
                ("swift", Version.compiler),
            ])
        metrics.info(
            "engine_info", "How the workers talk to their sockets.",
            [("engine", known.engine.rawValue), ("ring_features", known.ringFeatures)])
        metrics.info(
            "config_info", "Settings that decide what the other numbers mean.",
            [
                ("durability", settings.store?.durability.rawValue ?? "none"),
                ("store", settings.store == nil ? "none" : "disk"),
                ("threads", "\(workerCount)"),
            ])
        let usage = ProcessUsage.coreMicroseconds()
        metrics.add(
            "cpu_seconds", "Time on a core.", .counter,
            [("user", usage.user), ("system", usage.system)].map { mode, microseconds in
                MetricSample(
                    labels: [MetricSample.Label(name: "mode", value: mode)],
                    value: .real(Double(microseconds) / 1e6))
            })
        metrics.gauge(
            "up_state", "1 for the state that the server is in.", by: "state",
            ServerPhase.allCases.map { ("\($0)", phase == $0 ? 1 : 0) })
        metrics.gauge(
            "uptime_seconds", "Seconds since the start.",
            (now.nanoseconds &- startedAt.nanoseconds) / 1_000_000_000)
        metrics.gauge(
            "resident_anonymous_bytes", "Memory in use that is no file's: what -m bounds.",
            ProcessFigures.current().anonymousBytes)
        metrics.gauge(
            "limit_bytes", "Memory that may be used (-m), as it is now.", UInt64(memoryLimit))
        metrics.gauge(
            "connection_limit", "Connections that may be open (-c), as it is now.",
            UInt64(connectionsMax))
        metrics.gauge(
            "item_size_limit_bytes", "The largest item (-I).", UInt64(settings.itemBytesMax))
    }

    private func addConnections(to metrics: inout MetricsBuilder) {
        metrics.gauge(
            "connections", "Open connections.", by: "worker",
            mailboxes.enumerated().map { ("\($0)", UInt64($1.connectionCount)) })
        metrics.counter(
            "connections_accepted", "Connections that were accepted.", by: "transport",
            byTransport(.totalConnections, local: .acceptedLocal))
        metrics.counter(
            "connections_rejected",
            "Connections that were refused: at the limit (-c), or for want of a place.",
            by: "reason",
            [
                ("limit", total(.rejectedConnections)),
                ("memory", total(.rejectedWithoutPlace)),
            ])
        let reasons: [(String, Counter)] = [
            ("peer", .closedByPeer), ("quit", .closedByRequest), ("protocol", .closedByFault),
            ("error", .closedByError), ("idle", .idleKicks), ("stalled", .closedStalledInput),
            ("stalled_for_others", .closedStalledForOthers), ("pool_dry", .closedPoolDry),
            ("unread", .closedUnread), ("failed_commit", .closedFailedCommit),
            ("draining", .closedDraining), ("auth", .closedBySignIn), ("http", .closedByBrowser),
        ]
        metrics.counter(
            "connections_closed", "Connections that ended, by who or what ended them.",
            by: "reason", reasons.map { ($0.0, total($0.1)) })
        metrics.counter("accept_errors", "Accepts that failed.", total(.acceptErrors))
        metrics.counter(
            "accept_paused", "Times that accepting stopped for want of descriptors.",
            total(.listenDisabled))
        metrics.counter(
            "accept_paused_seconds", "Time for which accepting has stopped.",
            seconds: Double(total(.listenDisabledMicroseconds)) / 1e6)
        metrics.gauge(
            "accepting", "Whether new connections are accepted.", isAccepting ? 1 : 0)
        metrics.counter(
            "connection_yields", "Times that a connection gave way to others (-R).",
            total(.connectionYields))
    }

    private func addLoop(to metrics: inout MetricsBuilder) {
        let rows = (0..<workerCount).map { ("\($0)", counters(worker: $0)) }
        metrics.counter(
            "worker_turns", "Turns of the workers' loops.", by: "worker",
            rows.map { ($0.0, $0.1.value(.turns)) })
        metrics.counter(
            "worker_batches", "Batches of requests that were executed.", by: "worker",
            rows.map { ($0.0, $0.1.value(.batches)) })
        metrics.histogram(
            "turn_duration_seconds", "Turns that had requests, from waking to handing on replies.",
            by: nil, [("", histogram(.turn))])
        metrics.add(
            "worker_busy_seconds", "Time of those turns.", .counter,
            (0..<workerCount).map { worker in
                let nanoseconds = latency(worker: worker).sum(.turn)
                return MetricSample(
                    labels: [MetricSample.Label(name: "worker", value: "\(worker)")],
                    value: .real(Double(nanoseconds) / 1e9))
            })
        metrics.counter(
            "ring_enters", "System calls that entered the ring, or waited; told each second.",
            by: "worker", rows.map { ($0.0, $0.1.value(.ringEnters)) })
        addPool(to: &metrics)
        metrics.counter(
            "receive_buffers_exhausted", "Receives that found no buffer.",
            total(.buffersExhausted))
        metrics.counter(
            "receives_cancelled", "Receives that were taken back.", total(.receivesCancelled))
        metrics.counter(
            "short_sends", "Replies that a socket did not take at once.", total(.shortSends))
        let waits: [(String, Counter)] = [
            ("memory", .waitsForMemory), ("load", .waitsForLoad),
            ("read_slot", .waitsForReadSlot), ("pin", .waitsForPin), ("blocks", .waitsForBlocks),
            ("receive_buffers", .receivesStarved),
        ]
        metrics.counter(
            "waits", "Requests that waited for something scarce.", by: "for",
            waits.map { ($0.0, total($0.1)) })
        metrics.histogram(
            "wait_duration_seconds", "How long those requests waited that were executed then.",
            by: nil, [("", histogram(.wait))])
        metrics.counter(
            "waits_expired", "Requests that waited too long and were answered without.",
            total(.waitsExpired))
    }

    private func addPool(to metrics: inout MetricsBuilder) {
        let states: [(String, Counter)] = [("used", .poolBlocksUsed), ("free", .poolBlocksFree)]
        let samples = (0..<workerCount).flatMap { worker in
            states.map { state, counter in
                MetricSample(
                    labels: [
                        MetricSample.Label(name: "worker", value: "\(worker)"),
                        MetricSample.Label(name: "state", value: state),
                    ], value: .integer(counters(worker: worker).value(counter)))
            }
        }
        metrics.add(
            "pool_blocks", "Blocks for what is not complete or not sent; told each second.",
            .gauge, samples)
    }
}
