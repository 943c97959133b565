// MapBudget: how many bytes of the map live segments may take, and what a map that was found full
// has taught.

/// Bytes that may be on disk, and bytes that one transaction may carry.
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
    var isExhausted = false

    /// As many, and whoever waits for a commit learns that it failed.
    private static let retriesMax = 64

    init(mapBytes: Int, transactionBytes: Int) {
        map = mapBytes
        self.transactionBytes = transactionBytes
        batchBytes = transactionBytes
    }

    /// Bytes that live segments may take: 85 % of the map less three transactions, or less if the
    /// map was found full before.
    var bytes: Int {
        let most = max(map / 100 * 85 - 3 * transactionBytes, map / 4)
        return max(most - shortfall, map / 16)
    }

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

    mutating func didSucceed() {
        retries = 0
        batchBytes = transactionBytes
    }

    /// What must hold between two steps; a sentence if it does not.
    func check() -> String? {
        guard shortfall >= 0, shortfall <= map else { return "the budget is short of \(shortfall)" }
        guard batchBytes > 0, bytes <= map else { return "the budget is larger than the map" }
        return nil
    }
}
