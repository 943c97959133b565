// LatencyRun: counts requests that took equally long, so that one record serves them all.

/// Requests in a row that took equally long: sent together, answered in one turn.
struct LatencyRun: BitwiseCopyable {
    /// Where they are counted as well, for the live line.
    let meter: Meter
    private var sentAt: UInt64 = 0
    private var nanoseconds: UInt64 = 0
    private var count: UInt64 = 0
    private var command = LoadCommand.get

    init(meter: Meter) { self.meter = meter }

    @inline(__always)
    mutating func add(
        _ command: LoadCommand, sentAt: UInt64, now: UInt64, into latencies: inout Latencies
    ) {
        if sentAt != self.sentAt || command != self.command { flush(into: &latencies) }
        self.sentAt = sentAt
        self.command = command
        nanoseconds = now > sentAt ? now &- sentAt : 0
        count &+= 1
    }

    mutating func flush(into latencies: inout Latencies) {
        guard count > 0 else { return }
        latencies.record(command, nanoseconds: nanoseconds, count: count)
        meter.record(nanoseconds: nanoseconds, count: count)
        count = 0
    }
}
