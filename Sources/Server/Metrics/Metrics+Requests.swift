// Metrics+Requests: what clients asked for, what they got, and how long it took.

internal import Store

extension SharedState {
    func addRequests(to metrics: inout MetricsBuilder) {
        let commands: [(String, String, UInt64)] = [
            ("get", "hit", total(.getHits)), ("get", "miss", total(.getMisses)),
            ("set", "ok", Self.less(total(.setCommands), casCommands)),
            ("cas", "stored", total(.casHits)), ("cas", "exists", total(.casBadValues)),
            ("cas", "not_found", total(.casMisses)),
            ("delete", "hit", total(.deleteHits)), ("delete", "miss", total(.deleteMisses)),
            ("incr", "hit", total(.incrHits)), ("incr", "miss", total(.incrMisses)),
            ("decr", "hit", total(.decrHits)), ("decr", "miss", total(.decrMisses)),
            ("touch", "hit", total(.touchHits)), ("touch", "miss", total(.touchMisses)),
            ("flush", "ok", total(.flushCommands)),
        ]
        metrics.add(
            "requests",
            "Requests by what they do (gat is a touch, a meta command what it is like), and how"
                + " they ended.",
            .counter,
            commands.map { command, result, count in
                MetricSample(
                    labels: [
                        MetricSample.Label(name: "command", value: command),
                        MetricSample.Label(name: "result", value: result),
                    ], value: .integer(count))
            })
        metrics.counter(
            "meta_requests", "Requests that were meta commands; they are in brim_requests, too.",
            total(.metaCommands))
        let hits = total(.getHits)
        let read = min(total(.diskHits), hits)
        metrics.counter(
            "get_hits", "Gets that found a value, by where it was.", by: "tier",
            [("memory", hits - read), ("disk", read)])
        let (expired, flushed) = (total(.getExpired), total(.getFlushed))
        metrics.counter(
            "get_misses", "Gets that found none, by what became of the value.", by: "cause",
            [
                ("absent", Self.less(total(.getMisses), expired &+ flushed)),
                ("expired", expired), ("flushed", flushed),
            ])
        metrics.counter(
            "stale_hits", "Meta gets of an item that is stale (X).", total(.staleHits))
        metrics.counter(
            "recache_wins", "Meta gets that are to renew the item (W).", total(.recacheWins))
        metrics.counter(
            "recache_refusals", "Meta gets of an item that another renews (Z).",
            total(.recacheRefusals))
        metrics.counter(
            "protocol_errors", "Requests that could not be understood.", by: "kind",
            [
                ("unknown_command", total(.unknownCommands)), ("bad_format", total(.badFormats)),
                ("bad_data", total(.badValues)), ("unauthenticated", total(.unsignedRequests)),
            ])
        metrics.counter("receive_bytes", "Bytes received from clients.", total(.bytesRead))
        metrics.counter("transmit_bytes", "Bytes sent to clients.", total(.bytesWritten))
        metrics.counter(
            "item_too_large", "Values refused for their size.", total(.storeTooLarge))
        metrics.counter(
            "item_no_memory", "Values refused for want of memory.", total(.storeNoMemory))
    }

    func addLatency(to metrics: inout MetricsBuilder) {
        let classes = LatencyClass.allCases.filter(\.isRequest)
        metrics.histogram(
            "request_duration_seconds",
            "From the turn that saw the request to the end of the one that handed its reply on;"
                + " without the network.",
            by: "class", classes.map { ("\($0.name)", histogram($0)) })
    }

    private var casCommands: UInt64 {
        total(.casHits) &+ total(.casBadValues) &+ total(.casMisses)
    }

    /// The counters are read one after the other: a part may be ahead of its whole.
    static func less(_ whole: UInt64, _ part: UInt64) -> UInt64 {
        whole > part ? whole - part : 0
    }
}
