// Ghosts: fingerprints of keys that left memory, for a log without a disk.
//
// A key that comes back while its ghost is here has proved that it is wanted: its record starts
// with a hit and so survives the log region (the ghost queue of S3-FIFO; Yang et al., SOSP 2023).
// Lossy, but not by chance alone: a ghost has a date, the oldest of a group of four gives way,
// and one that is older than a cache's worth of departures proves nothing and does not count. What
// is small may be away for longer: to keep it costs little, and what large values drive out, many
// at a time, is asked for as often as they are.

public import Primitives

/// A lossy set of fingerprints; a handle that all threads share without a lock. A race loses a
/// ghost, no more.
///
/// ```text
/// group, 8 bytes:  | f | d | f | d | f | d | f | d |
/// ```
/// f: fingerprint, never 0 but in an empty place. d: date, the epoch in which the key left, of a
/// small record `smallEpochs` later. It has a byte, and would look young again after some 200
/// epochs: in each epoch a part of the groups is cleared of what does not count any more.
public struct Ghosts: BitwiseCopyable, Sendable {
    // The groups; behind them, in a cache line of their own: 0 epoch, 8 departures until the next,
    // 16 the mean size of what left lately, in 256ths of a byte.
    private let region: Region
    private let groups: UInt64
    private let common: Int

    /// A ghost counts for so many epochs.
    private static let epochsMax: UInt8 = 16
    /// That of a record of less than half the mean size counts for so many more.
    private static let smallEpochs: UInt8 = 48

    /// None yet. Memory of `geometry.ghostCount` entries of two bytes, until `discardMemory`.
    public init(_ geometry: Geometry) throws(MemoryError) {
        groups = UInt64(geometry.ghostCount / 4)
        common = (geometry.ghostCount / 4 * 8 + 63) / 64 * 64
        region = try Region.map(byteCount: common + 64)
    }

    public func discardMemory() { region.discardAll() }

    public var isEmpty: Bool { groups == 0 }

    private func group(_ hash: UInt64) -> Int {
        Int(hash.multipliedFullWidth(by: groups).high) * 8
    }
    private func word(_ offset: Int) -> AtomicWord64 { region.atomic64(at: offset) }
    private func fingerprint(_ hash: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: hash) | 1 }
    private var epoch: UInt8 { UInt8(truncatingIfNeeded: word(common).loadRelaxed()) }

    /// Epochs since the date, and `smallEpochs`, which it may lie ahead.
    private func age(of ghost: UInt16, in epoch: UInt8) -> UInt8 {
        epoch &- UInt8(ghost >> 8) &+ Self.smallEpochs
    }

    /// Clears a 128th of the groups of what is too old to count.
    private func forgetOld() {
        let now = epoch
        let part = UInt64(now & 127)
        let (from, to) = (Int(groups * part / 128), Int(groups * (part + 1) / 128))
        for group in from..<to {
            var ghosts = word(group * 8).loadRelaxed()
            guard ghosts != 0 else { continue }
            for place in 0..<4 as Range<UInt64> {
                let ghost = UInt16(truncatingIfNeeded: ghosts >> (place * 16))
                guard age(of: ghost, in: now) > Self.epochsMax + Self.smallEpochs else { continue }
                ghosts &= ~(0xFFFF << (place * 16))
            }
            word(group * 8).storeRelaxed(ghosts)
        }
    }

    /// Whether a record is small among those that leave, and counts it as one of them.
    private func isSmall(_ bytes: Int) -> Bool {
        let mean = Int(word(common + 16).loadRelaxed())
        let more = mean == 0 ? bytes << 8 : mean + bytes - mean / 256
        word(common + 16).storeRelaxed(UInt64(max(more, 0)))
        return bytes * 2 < mean / 256
    }

    /// Notes that a key has left. Maintenance only.
    ///
    /// - Parameters:
    ///   - bytes: of its record.
    ///   - lifetime: how many keys may leave before this one is forgotten; asked for once in an
    ///     epoch.
    public func insert(_ hash: UInt64, bytes: Int, lifetime: () -> Int) {
        guard groups > 0 else { return }
        let date = epoch &+ (isSmall(bytes) ? Self.smallEpochs : 0)
        let left = word(common + 8).loadRelaxed()
        if left == 0 {
            word(common).storeRelaxed(UInt64(epoch &+ 1))
            forgetOld()
            word(common + 8).storeRelaxed(UInt64(lifetime() / Int(Self.epochsMax)))
        } else {
            word(common + 8).storeRelaxed(left - 1)
        }
        let now = epoch
        let group = group(hash)
        let ghosts = word(group).loadRelaxed()
        var oldest: UInt64 = 0
        var oldestAge = -1
        for place in 0..<4 as Range<UInt64> {
            let ghost = UInt16(truncatingIfNeeded: ghosts >> (place * 16))
            let age = ghost == 0 ? 256 : Int(age(of: ghost, in: now))
            if age > oldestAge { (oldest, oldestAge) = (place * 16, age) }
        }
        let ghost = UInt64(date) << 8 | UInt64(fingerprint(hash))
        word(group).storeRelaxed(ghosts & ~(0xFFFF << oldest) | ghost << oldest)
    }

    /// Whether a key has left lately; forgets it.
    public func take(_ hash: UInt64) -> Bool {
        guard groups > 0 else { return false }
        let group = group(hash)
        let ghosts = word(group).loadRelaxed()
        for place in 0..<4 as Range<UInt64> {
            let ghost = UInt16(truncatingIfNeeded: ghosts >> (place * 16))
            guard UInt8(truncatingIfNeeded: ghost) == fingerprint(hash),
                age(of: ghost, in: epoch) <= Self.epochsMax + Self.smallEpochs
            else { continue }
            word(group).storeRelaxed(ghosts & ~(0xFFFF << (place * 16)))
            return true
        }
        return false
    }
}
