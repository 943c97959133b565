// Ghosts: fingerprints of keys that left memory, for a log without a disk.
//
// A key that comes back while its ghost is here has proved that it is wanted: its record starts
// with a hit and so survives the log region (the ghost queue of S3-FIFO; Yang et al., SOSP 2023).
// One fingerprint of four bytes per place, the newest wins; a race loses a ghost, no more.

internal import Primitives

/// A lossy set of fingerprints; a handle that all threads share without a lock.
public struct Ghosts: BitwiseCopyable, Sendable {
    private let region: Region
    private let sets: UInt64

    init(_ geometry: Geometry) throws(MemoryError) {
        sets = UInt64(geometry.ghostCount / 16)
        region = try Region.map(byteCount: max(geometry.ghostCount * 4, 4096))
    }

    public var isEmpty: Bool { sets == 0 }

    private func set(_ hash: UInt64) -> Int {
        Int(hash.multipliedFullWidth(by: sets).high) * 64
    }
    private func fingerprint(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash) | 1 }

    /// Notes that a key has left.
    public func insert(_ hash: UInt64) {
        guard sets > 0 else { return }
        // The place within the set: what the hash says, so that no pointer need be kept.
        let place = Int(hash >> 32 & 15) * 4
        region.atomic32(at: set(hash) + place).storeRelaxed(fingerprint(hash))
    }

    /// Whether a key has left lately; forgets it.
    public func take(_ hash: UInt64) -> Bool {
        guard sets > 0 else { return false }
        let word = region.atomic32(at: set(hash) + Int(hash >> 32 & 15) * 4)
        guard word.loadRelaxed() == fingerprint(hash) else { return false }
        word.storeRelaxed(0)
        return true
    }
}
