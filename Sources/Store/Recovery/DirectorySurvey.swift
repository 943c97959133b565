// DirectorySurvey: what recovery must know of all directories before it reads the first: their
// sequences, up to where each overlaps others, and about how many keys they name. And the search
// for what no directory names. Both go through the file a piece at a time.

internal import LMDB
internal import Primitives
internal import SegmentLog

/// Reads and checks all directories, oldest first, and keeps their heads.
struct DirectorySurvey {
    struct Head {
        var sequence: UInt64
        /// No segment with this or a later sequence was open before this one was sealed. A bound:
        /// above all, if that is not known.
        var overlap: UInt64
        /// Its directory is damaged.
        var isDamaged = false
    }

    private static let headsPerStepMax = 256
    /// Of so many keys, one by its hash, the distinct ones are counted.
    private static let sampling: UInt64 = 1024

    private var heads: [Head] = []
    private var next: UInt64
    private var sample: Set<UInt64> = []
    /// A page of the tree is damaged: of the directories from this sequence on nothing is known,
    /// and they may have overtaken everything.
    private(set) var unreadableFrom: UInt64?

    /// About how many keys the directories name, each counted once.
    var keysEstimated: Int { sample.count * Int(Self.sampling) }

    /// - Parameter sequence: the distrust mark: what lies below is not read.
    init(from sequence: UInt64) { next = sequence }

    /// Reads some heads; false when all have been read.
    ///
    /// - Parameter directory: room for one of them.
    /// - Throws: nothing was read, and can be later.
    mutating func step(
        _ files: any StoreFiles, below end: UInt64, _ directory: Region
    ) throws(LMDBError) -> Bool {
        var found: [Head] = []
        var sampled: [UInt64] = []
        do throws(LMDBError) {
            let transaction = try files.beginRead()
            try transaction.forEach(.directories, from: next) { sequence, bytes in
                guard sequence < end, found.count < Self.headsPerStepMax else { return false }
                let count = min(bytes.count, directory.byteCount)
                directory.store(bytes.extracting(0..<count), at: 0)
                guard let view = Directory.View(directory, byteCount: count, of: sequence) else {
                    found.append(Head(sequence: sequence, overlap: .max, isDamaged: true))
                    return true
                }
                let overlap = view.overlap & ~Segments.returnedBit
                found.append(Head(sequence: sequence, overlap: overlap))
                for number in 0..<view.count {
                    let hash = view[number].hash
                    if hash % Self.sampling == 0 { sampled.append(hash) }
                }
                return true
            }
        } catch {
            guard error.isDamage else { throw error }
            heads += found
            unreadableFrom = found.last.map { $0.sequence + 1 } ?? next
            return false
        }
        heads += found
        sample.formUnion(sampled)
        guard let last = found.last else { return false }
        next = last.sequence + 1
        return true
    }

    /// All heads, ascending, with those of what the last run had open.
    mutating func takeHeads(unsealed: [UInt64], overlap: UInt64) -> [Head] {
        let known = Set(heads.map(\.sequence))
        for sequence in unsealed where !known.contains(sequence) {
            heads.append(Head(sequence: sequence, overlap: overlap))
        }
        defer { heads = [] }
        return heads.sorted { $0.sequence < $1.sequence }
    }
}

/// Looks for what no directory names, or none that is believed: parts of large records, because the
/// process died between their transactions; what lies below the distrust mark; and segments whose
/// directory lies on a damaged page of the tree.
struct OrphanScan {
    /// The distrust mark.
    let believedFrom: UInt64
    private static let keysPerStepMax = 4096
    private var next: UInt64 = 0
    private(set) var count = 0

    init(believedFrom: UInt64) { self.believedFrom = believedFrom }

    struct Found {
        /// Keys of parts.
        var orphans: [UInt64] = []
        /// Sequences of segments whose directory cannot be read.
        var unreadable: [UInt64] = []
    }

    /// Some of what there is; nil when all keys have been looked at.
    ///
    /// - Throws: nothing was looked at, and can be later.
    mutating func step(
        _ files: any StoreFiles, below end: UInt64
    ) throws(LMDBError) -> Found? {
        let transaction = try files.beginRead()
        let start = next
        let keys = try unlessDamaged { () throws(LMDBError) -> [UInt64]? in
            var keys: [UInt64] = []
            try transaction.forEach(.segments, from: start) { key, _ in
                guard key < SegmentKey.make(end), keys.count < Self.keysPerStepMax else {
                    return false
                }
                keys.append(key)
                return true
            }
            return keys
        }
        guard let keys, let last = keys.last else { return nil }
        var found = Found()
        var seen: (sequence: UInt64, isOrphan: Bool) = (0, false)
        for key in keys {
            let sequence = SegmentKey.sequence(key)
            if sequence < believedFrom {
                seen = (sequence, true)
            } else if sequence != seen.sequence {
                do throws(LMDBError) {
                    let named = try transaction.get(.directories, key: sequence) { _ in true }
                    seen = (sequence, named == nil)
                } catch {
                    guard error.isDamage else { throw error }
                    seen = (sequence, false)
                    found.unreadable.append(sequence)
                }
            }
            if seen.isOrphan { found.orphans.append(key) }
        }
        next = last + 1
        count += found.orphans.count
        return found
    }
}
