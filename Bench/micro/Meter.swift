// Meter: marks where a measured stretch begins and ends, and says what was measured.
//
// It counts nothing itself: the program runs under callgrind, which writes its counters at every
// mark and begins anew (Bench/instructions.py). A stretch is a plain loop between two marks, so
// what came before, the start of the process included, is not in it.

internal import Primitives

/// The order of the stretches of this run. Used by the one thread there is.
struct Meter: ~Copyable {
    /// What the loops came to: printed, so that no compiler can leave their work out.
    var sum: UInt64 = 0
    private let word: AtomicWord64

    init() throws(MemoryError) {
        word = try Region.map(byteCount: 4096).atomic64(at: 0)
    }

    func begin() { callgrindDump(word) }

    /// - Parameter operations: how often the loop did what the name says.
    func end(_ name: String, operations: Int) {
        callgrindDump(word)
        _ = TextFile.writeToStandardOutput("\(name) \(operations)\n")
    }
}

/// Found by its name from outside, which must not share words with the module's: a mangled name
/// would abbreviate them. The addition keeps the call from being left out.
@inline(never) func callgrindDump(_ word: AtomicWord64) { word.add(1) }
