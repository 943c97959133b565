// Metrics+Operation: what the server was told from outside, and what it said: signing in, reloads,
// the log.

internal import Primitives
internal import Synchronization

extension SharedState {
    func addOperation(to metrics: inout MetricsBuilder, at now: Moment) {
        addSigningIn(to: &metrics)
        let reloads = reloads.withLock { $0 }
        metrics.counter(
            "config_reloads", "Times that the settings were read again.", by: "result",
            [("success", reloads.successes), ("failure", reloads.failures)])
        metrics.gauge(
            "config_last_reload_successful", "Whether the last of them could be used.",
            reloads.isLastGood ? 1 : 0)
        metrics.gauge(
            "config_last_reload_success_timestamp_seconds",
            "When settings were last read: at the start, or by a reload.",
            max(reloads.lastGoodSeconds, UInt64(startedAt.systemSeconds)))
        metrics.gauge(
            "config_restart_pending", "Settings of the file that wait for a restart.",
            reloads.pendingCount)
        metrics.counter(
            "log_lines", "Events for the log.", by: "level",
            EventLog.Level.allCases.map { ("\($0)", UInt64(events.counts.lines($0))) })
        metrics.counter(
            "log_lines_dropped", "Lines that standard error did not take.",
            UInt64(events.counts.dropped))
        metrics.counter(
            "drains", "Times that the server began to drain, or to stop.", drainCount)
        metrics.gauge(
            "drain_seconds", "For how long it has drained; 0 while it serves.",
            real: Double(drainNanoseconds(at: now)) / 1e9)
        metrics.counter(
            "admin_restarts", "Times that the admin port had to listen anew.", adminRestarts)
        metrics.add(
            "hot_key_share_ratio",
            "The part of the requests that the most wanted keys have; 0 while none are counted.",
            .gauge,
            [1, 10, 100].map { rank in
                MetricSample(
                    labels: [MetricSample.Label(name: "rank", value: "\(rank)")],
                    value: .real(observers.shareOfHottest(rank)))
            })
    }
    private func addSigningIn(to metrics: inout MetricsBuilder) {
        let sasl = (all: total(.saslSignIns), failures: total(.saslSignInErrors))
        let text = (
            all: Self.less(total(.signIns), sasl.all),
            failures: Self.less(total(.signInErrors), sasl.failures)
        )
        metrics.add(
            "auth_attempts", "Clients that tried to sign in.", .counter,
            [("text", text), ("sasl", sasl)].flatMap { method, counts in
                [("success", Self.less(counts.all, counts.failures)), ("failure", counts.failures)]
                    .map { result, count in
                        MetricSample(
                            labels: [
                                MetricSample.Label(name: "method", value: method),
                                MetricSample.Label(name: "result", value: result),
                            ], value: .integer(count))
                    }
            })
    }
}
