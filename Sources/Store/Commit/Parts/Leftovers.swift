// Leftovers: what lies on disk and is of no use to anybody, to be deleted some at a time.

internal import LMDB

/// Keys to be deleted.
///
/// ```text
/// add ──► orphans, stretches, impossible keys ──────────────────────► deleted, some at a time
///                ▲
///                └─ releaseDamaged: nothing older is left ── damaged ◄── learn: recovery has ended
/// ```
struct Leftovers {
    /// Keys of values in the segments table that nothing names.
    private(set) var orphans: [UInt64] = []
    /// Keys that no segment can have, with their table: they were damaged.
    private(set) var impossible: [(table: StoreTable, key: UInt64)] = []
    /// Stretches of segments that are sealed, or were given up.
    private(set) var stretches: [PairKey] = []
    /// Segments whose directory is damaged: deleted when nothing older is left.
    private(set) var damaged: [UInt64] = []
    /// Recovery has ended, and what a damaged directory may have overtaken is condemned.
    private(set) var isDamageKnown = false

    mutating func add(orphans keys: [UInt64]) { orphans += keys }
    mutating func add(stretches keys: [PairKey]) { stretches += keys }
    mutating func add(impossible key: UInt64, in table: StoreTable) {
        impossible.append((table, key))
    }

    /// Segments of which something may be left on disk: stretches, and what a commit that failed
    /// has left of those that this run has given up.
    ///
    /// - Parameter first: the first sequence of this run.
    func sequences(from first: UInt64) -> [UInt64] {
        guard !stretches.isEmpty || !orphans.isEmpty else { return [] }
        let givenUp = orphans.lazy.map { SegmentKey.sequence($0) }.filter { $0 >= first }
        return Array(Set(givenUp).union(stretches.map(\.first)))
    }

    mutating func didDeleteStretches() { stretches = [] }
    mutating func didDeleteImpossible() { impossible = [] }
    /// The last ones are gone.
    mutating func didDelete(orphans count: Int) { orphans.removeLast(count) }

    /// Recovery has ended with these.
    mutating func learn(damaged sequences: [UInt64]) {
        damaged += sequences
        isDamageKnown = true
    }

    /// Nothing older is left: the values of the damaged are orphans now.
    mutating func releaseDamaged(_ keys: [UInt64]) {
        orphans += keys
        damaged = []
    }

    /// What must hold between two steps; a sentence if it does not.
    func check() -> String? {
        damaged.isEmpty || isDamageKnown ? nil : "damage is known before recovery has ended"
    }
}
