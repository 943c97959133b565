// MapBudget: how many bytes of the map live segments may take, and what a map that was found full
// has taught.

/// Bytes that may be on disk, and bytes that one transaction may carry.
///
/// ```text
///         didFindMapFull: the budget is lower, transactions are shorter
/// fine ──────────────────────────────────────────────────────────────► full
///  ▲ ▲                                                                  │ │ didFailToDelete
///  │ └─ didSucceed: little by little the budget rises ◄─────────────────┘ ▼
///  └──────────────────── didFindMapFull, with a reserve ◄──────────── exhausted
/// ```
struct MapBudget {
    private let map: Int
    /// Bytes that one transaction carries, unless the map was full.
    private let transactionBytes: Int
    /// Bytes by which the budget turned out to be too large, as the map was full below it.
    private var shortfall = 0
    /// Bytes of segments that one transaction carries: less after one found the map full.
    private(set) var batchBytes: Int
    /// Commits in a row that were tried again at once.
    private var retries = 0
    /// There was no page left, not even for a deletion.
    private(set) var isExhausted = false

    /// As many, and whoever waits for a commit learns that it failed.
    private static let retriesMax = 64
    /// A commit gives back one part of the shortfall in so many.
    private static let regainParts = 1024

    init(mapBytes: Int, transactionBytes: Int) {
        map = mapBytes
        self.transactionBytes = transactionBytes
        batchBytes = transactionBytes
    }

    /// What segments may take at most. Free are kept: what a transaction writes, what the last one
    /// has freed (LMDB uses that from the second after on), and a 16th, for the pages of the trees
    /// and for runs of free pages that are too short for the next value.
    private var most: Int { max(map - map / 16 - 2 * transactionBytes, map / 4) }

    /// Bytes that live segments may take: less than `most` if the map was found full before.
    var bytes: Int { max(most - shortfall, map / 16) }

    /// What may be in the file while a commit writes, with what is to leave and is still read.
    var writtenBytesMax: Int { bytes + (map - most) / 2 }

    /// A commit that finds the map full may be tried again without a word.
    var mayRetry: Bool { retries < Self.retriesMax }
    mutating func didRetry() { retries += 1 }

    /// The map is full with so much in it: the budget shrinks below that, and so do transactions.
    ///
    /// - Parameter bytesOnDisk: nil if that is not known: then the budget stays as it is.
    mutating func didFindMapFull(bytesOnDisk: Int?, segmentBytes: Int) {
        if let bytesOnDisk {
            let excess = bytes - bytesOnDisk + transactionBytes / 4
            shortfall = min(max(shortfall, shortfall + excess), map)
        }
        batchBytes = max(batchBytes / 4, segmentBytes)
        isExhausted = false
    }

    /// A deletion failed.
    mutating func didFailToDelete(isExhausted: Bool) { self.isExhausted = isExhausted }

    /// What had filled the map may be gone: little by little the budget rises again.
    mutating func didSucceed() {
        retries = 0
        batchBytes = transactionBytes
        shortfall -= (shortfall + Self.regainParts - 1) / Self.regainParts
    }

    /// What must hold between two steps; a sentence if it does not.
    func check() -> String? {
        guard shortfall >= 0, shortfall <= map else { return "the budget is short of \(shortfall)" }
        guard batchBytes > 0, bytes <= map else { return "the budget is larger than the map" }
        return nil
    }
}
