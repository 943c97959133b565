// HotKeys: about how often the keys that are asked for most were asked for, in bounded memory:
// Space-Saving (Metwally 2005). A new key takes the place, and the count, of the least.
//
// It is counted under a lock, by workers: so a step takes some hundred instructions and allocates
// nothing. Keys are told apart by their keyed hash; which requests are counted is not decided here.

internal import Primitives

struct HotKeys {
    static let keysMax = 256
    private static let keyBytesMax = 256
    private static let bucketCount = 512
    private static let none = UInt16.max

    // An entry, 32 bytes: 0 hash, 8 count, 16 the next of its bucket, 18 rank, 20 key bytes.
    // Behind the entries: for each bucket of hashes its first entry; the entries by their count,
    // the highest first; and the keys.
    private static let headsOffset = keysMax * 32
    private static let orderOffset = headsOffset + bucketCount * 2
    private static let namesOffset = orderOffset + keysMax * 2
    private let table: Region
    private var used = 0

    init() throws(MemoryError) {
        table = try Region.map(byteCount: Self.namesOffset + Self.keysMax * Self.keyBytesMax)
        removeAll()
    }

    mutating func removeAll() {
        used = 0
        for bucket in 0..<Self.bucketCount {
            table.store(Self.none, at: Self.headsOffset + bucket * 2)
        }
    }

    /// Counts a key once more.
    mutating func count(_ key: Span<UInt8>, hash: UInt64) {
        guard key.count <= Self.keyBytesMax else { return }
        let head = Self.head(hash)
        var entry = table.uint16(at: head)
        while entry != Self.none, table.uint64(at: Self.offset(entry)) != hash {
            entry = table.uint16(at: Self.offset(entry) + 16)
        }
        if entry == Self.none { entry = take(key, hash, head) }
        raise(entry)
    }

    // MARK: Entries

    private static func offset(_ entry: UInt16) -> Int { Int(entry) * 32 }
    private static func name(_ entry: UInt16) -> Int { namesOffset + Int(entry) * keyBytesMax }
    private static func head(_ hash: UInt64) -> Int {
        headsOffset + Int(truncatingIfNeeded: hash &>> 20) & (bucketCount - 1) * 2
    }
    private func count(_ entry: UInt16) -> UInt64 { table.uint64(at: Self.offset(entry) + 8) }
    private func entry(rank: Int) -> UInt16 { table.uint16(at: Self.orderOffset + rank * 2) }
    private func set(rank: Int, _ entry: UInt16) {
        table.store(entry, at: Self.orderOffset + rank * 2)
        table.store(UInt16(rank), at: Self.offset(entry) + 18)
    }

    /// An entry for a new key.
    private mutating func take(_ key: Span<UInt8>, _ hash: UInt64, _ head: Int) -> UInt16 {
        let entry: UInt16
        if used < Self.keysMax {
            entry = UInt16(used)
            set(rank: used, entry)
            used += 1
            table.store(UInt64(0), at: Self.offset(entry) + 8)
        } else {
            entry = self.entry(rank: Self.keysMax - 1)
            unlink(entry)
        }
        let at = Self.offset(entry)
        table.store(hash, at: at)
        table.store(UInt16(key.count), at: at + 20)
        table.store(key, at: Self.name(entry))
        table.store(table.uint16(at: head), at: at + 16)
        table.store(entry, at: head)
        return entry
    }

    /// Takes an entry out of its bucket.
    private func unlink(_ entry: UInt16) {
        let at = Self.offset(entry)
        var link = Self.head(table.uint64(at: at))
        while table.uint16(at: link) != entry {
            link = Self.offset(table.uint16(at: link)) + 16
        }
        table.store(table.uint16(at: at + 16), at: link)
    }

    /// Adds one to an entry, in front of all that had as many.
    private func raise(_ entry: UInt16) {
        let count = count(entry)
        let rank = Int(table.uint16(at: Self.offset(entry) + 18))
        var low = 0
        var high = rank
        while low < high {
            let middle = (low + high) / 2
            if self.count(self.entry(rank: middle)) > count {
                low = middle + 1
            } else {
                high = middle
            }
        }
        set(rank: rank, self.entry(rank: low))
        set(rank: low, entry)
        table.store(count + 1, at: Self.offset(entry) + 8)
    }

    // MARK: What is told

    /// All counts, the highest first.
    var countsInOrder: [Int] { (0..<used).map { Int(count(entry(rank: $0))) } }

    /// All keys with their counts, the highest first; of the same count in the order of their
    /// bytes.
    var all: [(key: [UInt8], count: Int)] {
        let keys = (0..<used).map { rank in
            let entry = entry(rank: rank)
            let bytes = Int(table.uint16(at: Self.offset(entry) + 20))
            let key = (0..<bytes).map { table.uint8(at: Self.name(entry) + $0) }
            return (key: key, count: Int(count(entry)))
        }
        return keys.sorted {
            $0.count != $1.count
                ? $0.count > $1.count : $0.key.lexicographicallyPrecedes($1.key)
        }
    }
}
