// Removals: segments on their way off the disk: their slots are gone, their bytes are not.

internal import SegmentLog

/// Segments that leave the disk.
///
/// ```text
///                condemn             every tombstone      read by nobody, and what it owes
///                (slots go)          found room           is on disk, or goes along
/// on disk ────────────────► unpaid ─────────────► paid ──────────────────────────────► gone
///                            ▲  │
///                            └──┘ payDebts: no memory for a tombstone yet
/// ```
struct Removals {
    /// A segment whose slots are gone.
    struct Condemned {
        var resident: Residency.Resident
        /// The first entry of its directory whose tombstone found no room; nil: all are paid.
        var unpaid: Int?
        /// The committer's segments that hold what this one owes, the open one maybe among them.
        var owed: [Committer.Named]
        var turns: Frames.Snapshot
    }

    private(set) var condemned: [Condemned] = []
    /// Nothing is deleted before this time: it failed a moment ago.
    private var reapAt: UInt64 = 0
    /// A large record that is to come back into memory first, and how often that was tried.
    private var recalled: (sequence: UInt64, tries: Int) = (0, 0)
    /// Something is put off: the next step should come after about a millisecond.
    private(set) var isPutOff = false

    var isEmpty: Bool { condemned.isEmpty }
    var count: Int { condemned.count }
    var bytes: Int { condemned.reduce(0) { $0 + $1.resident.bytes } }
    /// What must not be given up before it is written.
    var owed: [Committer.Named] { condemned.flatMap(\.owed) }

    mutating func add(_ victim: Condemned) { condemned.append(victim) }

    /// What a further try to pay left of a victim's debt.
    mutating func didPay(_ sequence: UInt64, unpaid: Int?, owed: [Committer.Named]) {
        guard let position = condemned.firstIndex(where: { $0.resident.sequence == sequence })
        else { return }
        condemned[position].unpaid = unpaid
        condemned[position].owed = owed
    }

    /// A segment is gone, or stays for the time being.
    mutating func remove(_ sequence: UInt64) {
        condemned.removeAll { $0.resident.sequence == sequence }
    }

    // MARK: When

    func mayReap(at now: UInt64) -> Bool { !condemned.isEmpty && now >= reapAt }
    mutating func reapAtOnce() { reapAt = 0 }
    mutating func reapLater(than now: UInt64) { reapAt = now + 100_000_000 }

    mutating func putOff() { isPutOff = true }
    mutating func beginStep() { isPutOff = false }

    /// As many tries, about a millisecond from one to the next.
    private static let recallsMax = 50

    /// Counts a try to bring a victim's record back; false: that is enough.
    mutating func mayRecall(_ sequence: UInt64) -> Bool {
        if recalled.sequence != sequence { recalled = (sequence, 0) }
        recalled.tries += 1
        return recalled.tries < Self.recallsMax
    }

    /// What must hold between two steps; a sentence if it does not.
    func check(_ log: SegmentLog) -> String? {
        var seen: Set<UInt64> = []
        for victim in condemned.map(\.resident) {
            guard seen.insert(victim.sequence).inserted else {
                return "segment \(victim.sequence) leaves twice"
            }
            guard log.segments.sequence(victim.segment) == victim.sequence,
                log.segments.state(victim.segment) == .dying
            else {
                return "segment \(victim.sequence) leaves and is "
                    + "\(log.segments.state(victim.segment))"
            }
        }
        return nil
    }
}
