// ClockLead: how far the cache's time is ahead of the system's clock, as the metadata has it.
//
// Lives end by a time that no setting of the system's clock moves (`Clock.cacheNanoseconds`). Once
// that clock has been set, the two differ, and the next run has to go on where this one has been.

internal import Primitives

/// Some seconds, fewer than none if the clock was set forward, with a checksum: a bit that flips
/// here would give life to what is dead.
package struct ClockLead: BitwiseCopyable, Equatable {
    /// What differs less is not written again: clocks that are kept right move by little.
    static let changeNanosecondsMin: UInt64 = 1_000_000_000

    package let seconds: Int32

    /// The nearest.
    package init(nanoseconds: Int64) {
        let half: Int64 = nanoseconds < 0 ? -500_000_000 : 500_000_000
        let rounded = nanoseconds.addingReportingOverflow(half)
        seconds = Int32(
            clamping: (rounded.overflow ? nanoseconds : rounded.partialValue) / 1_000_000_000)
    }

    /// Nil: the word was damaged.
    package init?(_ word: UInt64) {
        let bits = UInt32(truncatingIfNeeded: word)
        guard word >> 32 == UInt64(CRC32C.of(UInt64(bits))) else { return nil }
        seconds = Int32(bitPattern: bits)
    }

    /// As it is written.
    package var word: UInt64 {
        let bits = UInt64(UInt32(bitPattern: seconds))
        return UInt64(CRC32C.of(bits)) << 32 | bits
    }
}
