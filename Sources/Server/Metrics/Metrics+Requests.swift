// Metrics+Requests: what clients asked for, what they got, and how long it took.

internal import Store

extension SharedState {
    func addRequests(to metrics: inout MetricsBuilder) {
        metrics.add(
            "requests",
            "Requests by what they do (a meta command is what it is like), and how they ended. A"
                + " storage command that found no memory, or would have made too large an item,"
                + " is a set and an error.",
            .counter,
            (storageCounts + otherCounts).map { command, result, count in
                MetricSample(
                    labels: [
                        MetricSample.Label(name: "command", value: command),
                        MetricSample.Label(name: "result", value: result),
                    ], value: .integer(count))
            })
        metrics.counter(
            "items_stored", "Items that commands have stored.",
            storageCounts.reduce(0) { $1.1 == "stored" ? $0 &+ $1.2 : $0 })
        metrics.counter(
            "meta_requests", "Requests that were meta commands; they are in brim_requests, too.",
            total(.metaCommands))
        let hits = total(.getHits)
        let read = min(total(.diskHits), hits)
        metrics.counter(
            "get_hits", "Gets that found a value, by where it was.", by: "tier",
            [("memory", hits - read), ("disk", read)])
        let causes: [(String, Counter)] = [
            ("expired", .getExpired), ("flushed", .getFlushed), ("timeout", .missesTimedOut),
            ("damaged", .missesDamaged),
        ]
        let known = causes.map { ($0.0, total($0.1)) }
        metrics.counter(
            "get_misses", "Gets that found none, by what became of the value.", by: "cause",
            [("absent", Self.less(total(.getMisses), known.reduce(0) { $0 &+ $1.1 }))] + known)
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
                ("bad_data", total(.badValues)), ("key_too_long", total(.longKeys)),
                ("unauthenticated", total(.unsignedRequests)),
            ])
        metrics.counter(
            "receive_bytes", "Bytes received from clients.", by: "transport",
            byTransport(.bytesRead, local: .bytesReadLocal))
        metrics.counter(
            "transmit_bytes", "Bytes sent to clients.", by: "transport",
            byTransport(.bytesWritten, local: .bytesWrittenLocal))
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

    /// A plain set's are what remains of all; the others have counters of their own.
    private var storageCounts: [(String, String, UInt64)] {
        let others = [
            ("add", "stored", total(.addsStored)), ("add", "not_stored", total(.addsRefused)),
            ("replace", "stored", total(.replacesStored)),
            ("replace", "not_stored", total(.replacesRefused)),
            ("append", "stored", total(.appendsStored)),
            ("append", "not_stored", total(.appendsRefused)),
            ("prepend", "stored", total(.prependsStored)),
            ("prepend", "not_stored", total(.prependsRefused)),
            ("cas", "stored", total(.casHits)), ("cas", "exists", total(.casBadValues)),
            ("cas", "not_found", total(.casMisses)),
            ("set", "error", total(.storesFailed) &+ total(.storeTooLarge)),
        ]
        let stored = Self.less(total(.setCommands), others.reduce(0) { $0 &+ $1.2 })
        return [("set", "stored", stored)] + others
    }

    private var otherCounts: [(String, String, UInt64)] {
        let (gatHits, gatMisses) = (total(.touchedGetHits), total(.touchedGetMisses))
        return [
            ("get", "hit", total(.getHits)), ("get", "miss", total(.getMisses)),
            ("gat", "hit", gatHits), ("gat", "miss", gatMisses),
            ("touch", "hit", Self.less(total(.touchHits), gatHits)),
            ("touch", "miss", Self.less(total(.touchMisses), gatMisses)),
            ("delete", "hit", total(.deleteHits)), ("delete", "miss", total(.deleteMisses)),
            ("incr", "hit", total(.incrHits)), ("incr", "miss", total(.incrMisses)),
            ("decr", "hit", total(.decrHits)), ("decr", "miss", total(.decrMisses)),
            ("flush", "ok", total(.flushCommands)), ("stats", "ok", total(.statsCommands)),
            ("other", "ok", total(.otherCommands)),
        ]
    }

    /// What is counted of all connections, and of those through unix sockets.
    func byTransport(_ all: Counter, local: Counter) -> [(String, UInt64)] {
        let unix = total(local)
        return [("tcp", Self.less(total(all), unix)), ("unix", unix)]
    }

    /// The counters are read one after the other: a part may be ahead of its whole.
    static func less(_ whole: UInt64, _ part: UInt64) -> UInt64 {
        whole > part ? whole - part : 0
    }
}
