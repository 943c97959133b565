// Loads: segments that somebody wants back in memory, in the order in which they were asked for,
// until they are there or cannot be had.

internal import Primitives

/// Segments by number. What there is no room for stays here, so that nobody has to ask again.
///
/// ```text
///           take                  in memory, or never to be had
///  asked ─────────► in hand ─────────────────────────────────────► gone
///                    ▲   │ keep: no room, or unreadable now
///                    │   ▼
///                   waiting
/// ```
struct Loads {
    private var waiting: [Int] = []

    /// Why a segment did not come back.
    enum Result {
        /// It did, or it never will: whoever wants it looks again.
        case done
        /// Frames lack, and maintenance knows how many.
        case noRoom
        /// The files have to be opened again, say.
        case unreadable
    }

    var isEmpty: Bool { waiting.isEmpty }

    /// All that wait, and what was asked for since; they are to be given to `keep` again if they
    /// have to wait on.
    mutating func take(_ asked: SlotQueue) -> [Int] {
        while let number = asked.pop() {
            let segment = Int(number)
            if !waiting.contains(segment) { waiting.append(segment) }
        }
        defer { waiting = [] }
        return waiting
    }

    mutating func keep(_ segments: [Int]) { waiting = segments }

    /// What must hold between two steps; a sentence if it does not.
    func check() -> String? {
        Set(waiting).count == waiting.count ? nil : "a segment waits twice to be loaded"
    }
}
