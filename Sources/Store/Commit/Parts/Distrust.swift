// Distrust: what may leave the disk only without leaving tombstones, and what keeps the records
// that it has overtaken from coming back.

internal import SegmentLog

/// What recovery has met that cannot be read.
struct Damage {
    /// Sequences of segments whose directory is unreadable.
    var sequences: [UInt64] = []
    /// It may have overtaken what earlier runs left.
    var mayHaveOvertaken = false
}

/// Segments that cannot say which older records they have overtaken.
///
/// A segment whose directory or records cannot be read leaves no tombstones. It may be readable at
/// the next start, and so may what it has overtaken: neither may lie there alone. So the metadata
/// gets a mark in the transaction that deletes the first of them, or before: no later start
/// believes a segment with a sequence below it. What is below is deleted in any order then.
///
/// ```text
///                    nothing else is left below its overlap
///   aside ────────────────────────────────────────────────────► below the mark ──► gone
///                    recovery has ended: all of earlier runs            ▲
///   met unreadable by recovery ─────────────────────────────────────────┘
/// ```
struct Distrust {
    /// A segment whose slots are gone, and which stays until nothing that it may have overtaken
    /// is left.
    struct Aside {
        var resident: Residency.Resident
        /// Only segments below this sequence were open together with it, or before.
        var overlap: UInt64
    }

    /// Segments below this sequence are not to be believed by any later start; never falls.
    private(set) var mark: UInt64 = 0
    private(set) var aside: [Aside] = []

    mutating func raise(to sequence: UInt64) { mark = max(mark, sequence) }
    mutating func setAside(_ resident: Residency.Resident, overlap: UInt64) {
        aside.append(Aside(resident: resident, overlap: max(overlap, resident.sequence + 1)))
    }

    /// Once nothing else is left below it, what is aside may go; nil: there is nothing.
    var limit: UInt64? { aside.map(\.overlap).max() }

    /// Nothing else is left below the limit: what was aside is below the mark now.
    mutating func releaseAside() -> [Residency.Resident] {
        guard let limit else { return [] }
        raise(to: limit)
        defer { aside = [] }
        return aside.map(\.resident)
    }

    /// What must hold between two steps; a sentence if it does not.
    func check(_ log: SegmentLog) -> String? {
        for resident in aside.map(\.resident)
        where log.segments.sequence(resident.segment) != resident.sequence
            || log.segments.state(resident.segment) != .dying
        {
            return "segment \(resident.sequence) is aside and "
                + "\(log.segments.state(resident.segment))"
        }
        return nil
    }
}
