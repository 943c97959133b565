// RepeatRule: keeps a line that comes again and again from filling the log.

package import Primitives

/// Which records are written: the same one at most ten times in a second; the rest is summed up.
package struct RepeatRule {
    package static let perSecondMax = 10
    package static let summaryNanoseconds: UInt64 = 60_000_000_000

    private struct Count {
        var level: EventLog.Level
        var begun: UInt64
        var written = 0
        var held = 0
        var heldSince: UInt64 = 0
    }
    /// By line.
    private var counts: [String: Count] = [:]
    private static let countsMax = 256

    package init() {}

    /// Whether this line is to be written now.
    package mutating func admits(
        _ line: String, _ level: EventLog.Level, at now: UInt64
    ) -> Bool {
        if counts.count >= Self.countsMax { counts = counts.filter { $0.value.held > 0 } }
        guard counts.count < Self.countsMax || counts[line] != nil else { return true }
        var count = counts[line] ?? Count(level: level, begun: now)
        defer { counts[line] = count }
        if now &- count.begun >= 1_000_000_000 {
            count.begun = now
            count.written = 0
        }
        count.level = level
        guard count.held == 0, count.written < Self.perSecondMax else {
            if count.held == 0 { count.heldSince = now }
            count.held += 1
            return false
        }
        count.written += 1
        return true
    }

    /// Sums of what was held back for a minute, or of all.
    package mutating func sums(
        at now: UInt64, all: Bool = false
    ) -> [(level: EventLog.Level, line: String)] {
        var sums: [(EventLog.Level, String)] = []
        for (line, count) in counts.sorted(by: { $0.key < $1.key }) where count.held > 0 {
            guard all || now &- count.heldSince >= Self.summaryNanoseconds else { continue }
            sums.append((count.level, "\(line) repeated=\(count.held)"))
            counts[line] = nil
        }
        return sums
    }
}
