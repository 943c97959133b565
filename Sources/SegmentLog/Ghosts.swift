// Ghosts: fingerprints of keys that left memory, for a log without a disk.
//
// A key that comes back while its ghost is here has proved that it is wanted: its record starts
// with a hit and so survives the log region (the ghost queue of S3-FIFO; Yang et al., SOSP 2023).
// One fingerprint of two bytes per place, the newest wins; a race loses a ghost, no more.

internal import Primitives

/// A lossy set of fingerprints; a handle that all threads share without a lock.
public struct Ghosts: BitwiseCopyable, Sendable {
    private let region: Region
    private let places: UInt64

    init(_ geometry: Geometry) throws(MemoryError) {
        places = UInt64(geometry.ghostCount)
        region = try Region.map(byteCount: max(geometry.ghostCount * 2, 4096))
    }

    public var isEmpty: Bool { places == 0 }

    private func place(_ hash: UInt64) -> Int {
        Int(hash.multipliedFullWidth(by: places).high) * 2
    }
    private func fingerprint(_ hash: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: hash) | 1 }

    /// Notes that a key has left.
    public func insert(_ hash: UInt64) {
        guard places > 0 else { return }
        region.store(fingerprint(hash), at: place(hash))
    }

    /// Whether a key has left lately; forgets it.
    public func take(_ hash: UInt64) -> Bool {
        guard places > 0 else { return false }
        let place = place(hash)
        guard region.uint16(at: place) == fingerprint(hash) else { return false }
        region.store(UInt16(0), at: place)
        return true
    }
}
