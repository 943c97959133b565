// Residency: which segments are on disk, oldest first, and which of them the disk could do without.
//
// How many bytes they may take is in `MapBudget`; what becomes of those that leave, in `Removals`.

/// The segments on disk.
///
/// ```text
/// add ──► on disk ── removeOldest, remove ──► leaving (`Removals`) ── didLeave ──► gone
///          │  ▲                                  ▲
///          │  └─ it holds something live again   │ a commit that began after that is complete
///          └──── idleToDrop: nothing live ──► superseded
/// ```
struct Residency {
    /// A segment on disk.
    struct Resident {
        var sequence: UInt64
        var segment: Int
        var bytes: Int
        /// The commit that wrote it; 0 if it was found on disk.
        var commit: UInt64
    }

    /// Ascending by sequence.
    private(set) var segments: [Resident] = []
    /// Sequences of segments that hold older records than their place in the log says.
    private(set) var returned: [UInt64] = []
    /// `returned` has what recovery has not reached, too.
    private(set) var knowsReturned = false
    /// Up to which sequence the oldest held nothing live when so many commits had begun.
    private var superseded: (last: UInt64, begun: UInt64)?

    var oldest: Resident? { segments.first }
    var count: Int { segments.count }

    mutating func add(_ new: Resident, isReturned: Bool) {
        var position = segments.count
        while position > 0, segments[position - 1].sequence > new.sequence { position -= 1 }
        segments.insert(new, at: position)
        if isReturned, !returned.contains(new.sequence) { returned.append(new.sequence) }
    }

    mutating func removeOldest() { segments.removeFirst() }

    /// Takes those out that `isVictim` names.
    mutating func remove(where isVictim: (Resident) -> Bool) -> [Resident] {
        defer { segments.removeAll(where: isVictim) }
        return segments.filter(isVictim)
    }

    /// A segment has left the disk.
    mutating func didLeave(_ sequence: UInt64) { returned.removeAll { $0 == sequence } }

    /// The heads of all directories have been read; these are returned.
    mutating func didLearn(returned found: [UInt64]) {
        let known = Set(returned)
        returned += found.filter { !known.contains($0) }
        knowsReturned = true
    }

    /// How many of the oldest, which are `idle` (nothing live), may go now: what took the place of
    /// their records must be on disk first, as a crash would leave neither. So they are noted, and
    /// go when a commit that began after that has completed.
    mutating func idleToDrop(
        _ idle: ArraySlice<Resident>, begun: UInt64, completed: UInt64
    ) -> Int {
        guard let last = idle.last else { return 0 }
        let noted = superseded ?? (last.sequence, begun)
        superseded = noted
        guard completed > noted.begun else { return 0 }
        superseded = nil
        return idle.prefix { $0.sequence <= noted.last }.count
    }

    /// What must hold between two steps; a sentence if it does not.
    func check() -> String? {
        for (one, next) in zip(segments, segments.dropFirst()) where one.sequence >= next.sequence {
            return "segments on disk are not in order: \(one.sequence), \(next.sequence)"
        }
        return Set(returned).count == returned.count ? nil : "a segment is returned twice"
    }
}
