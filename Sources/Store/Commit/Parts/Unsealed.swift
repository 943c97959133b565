// Unsealed: what the last run had open, and has not been written whole yet.

internal import LMDB

/// Segments of the last run that lie on disk as stretches only.
///
/// ```text
/// add ──► as stretches, which recovery reads where they lie ── didRebuild ──► on disk whole
///          ▲                                               │
///          └── the transaction failed: the next commit ◄───┘
/// ```
struct Unsealed {
    /// Stretches by segment, ascending; of each segment the offsets ascend.
    private(set) var segments: [(sequence: UInt64, stretches: [PairKey])] = []

    var isEmpty: Bool { segments.isEmpty }
    var sequences: [UInt64] { segments.map(\.sequence) }

    /// One more stretch was found; they come ascending.
    mutating func add(_ key: PairKey) {
        if segments.last?.sequence == key.first {
            segments[segments.count - 1].stretches.append(key)
        } else {
            segments.append((key.first, [key]))
        }
    }

    /// So many of the first are on disk whole.
    mutating func didRebuild(_ count: Int) { segments.removeFirst(count) }

    /// What must hold between two steps; a sentence if it does not.
    func check() -> String? {
        for (one, next) in zip(segments, segments.dropFirst()) where one.sequence >= next.sequence {
            return "what was open is not in order: \(one.sequence), \(next.sequence)"
        }
        for (sequence, stretches) in segments {
            let offsets = stretches.map(\.second)
            guard !offsets.isEmpty, zip(offsets, offsets.dropFirst()).allSatisfy({ $0 < $1 }),
                stretches.allSatisfy({ $0.first == sequence })
            else { return "stretches of \(sequence) do not follow one another" }
        }
        return nil
    }
}
