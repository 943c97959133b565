// Written: what the metadata on disk holds, and the highest key of the segments table, as far as
// is known.

/// The metadata as it was committed last: what is known of each number.
///
/// ```text
///               forgetFlushAt: another second is about to be written
/// flushAt known ────────────────────────────────────────────────────► unknown ──┐ note: could
///      ▲                                                                ▲   │   │ not be read
///      └─────────────── note: read behind a transaction ────────────────┼───┘   │
///                                                                       └───────┘
/// ```
/// The other numbers only rise: the highest that was read or written counts.
struct Written {
    private(set) var orders: UInt64 = 0
    private(set) var flushMark: UInt64 = 0
    /// Nil: not known, as a transaction with another one may be durable.
    private(set) var flushAt: UInt64? = 0
    private(set) var distrustMark: UInt64 = 0
    /// Seconds that the cache's time was ahead of the system's clock; nil as with `flushAt`.
    private(set) var secondsAhead: Int32? = 0
    /// How many changes that no record tells of were covered.
    private(set) var changes: UInt64 = 0
    /// Whether this run's frame size is there.
    private(set) var hasFrameBytes = false
    /// No key of the segments table is higher.
    private(set) var lastKey: UInt64 = 0

    /// What was found at the start.
    mutating func begin(_ meta: Meta) {
        orders = meta.orders
        flushMark = meta.flushMark
        flushAt = meta.flushAt
        secondsAhead = meta.secondsAhead
    }

    /// This was read after a transaction; nil: it could not be.
    mutating func note(orders: UInt64?, flushMark: UInt64?, flushAt: UInt64?, changes: UInt64) {
        self.orders = max(orders ?? 0, self.orders)
        self.flushMark = max(flushMark ?? 0, self.flushMark)
        self.flushAt = flushAt
        self.changes = changes
        hasFrameBytes = true
    }

    /// Another one is about to be written.
    mutating func forgetFlushAt() { flushAt = nil }
    mutating func forgetSecondsAhead() { secondsAhead = nil }

    mutating func note(secondsAhead seconds: Int32?) { secondsAhead = seconds }

    /// What to write of the cache's time, so much ahead of the system's clock now; nil: what is
    /// there is as good.
    func lead(ofNanoseconds ahead: Int64) -> ClockLead? {
        guard let secondsAhead else { return ClockLead(nanoseconds: ahead) }
        let change = ahead &- Int64(secondsAhead) * 1_000_000_000
        return change.magnitude < ClockLead.changeNanosecondsMin
            ? nil : ClockLead(nanoseconds: ahead)
    }

    mutating func note(flushMark mark: UInt64) { flushMark = max(mark, flushMark) }
    mutating func note(distrustMark mark: UInt64) { distrustMark = max(mark, distrustMark) }

    /// A key was written, or may have been.
    mutating func note(key: UInt64) { lastKey = max(key, lastKey) }

    /// What must hold between two steps; a sentence if it does not.
    ///
    /// - Parameters:
    ///   - reserved: Orders that are reserved on disk, there or in the orders file.
    ///   - distrust: The mark that is to be there.
    ///   - owed: The flush mark that is owed; 0: none.
    func check(reserved: UInt64, distrust: UInt64, owed: UInt64) -> String? {
        if orders > reserved { return "the metadata reserves more orders than count as reserved" }
        if distrustMark > distrust { return "a distrust mark is on disk that nobody has set" }
        return owed == 0 || owed > flushMark ? nil : "a flush mark is owed that is on disk"
    }
}
