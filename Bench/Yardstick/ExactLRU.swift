// ExactLRU: the yardstick itself: a cache of so many bytes that always lets go of the entry that
// was used longest ago, and of expired ones at the very second.
//
// It keeps no values, only what they would cost. Its answers are those of an ideal server: no
// slab that is full while another is empty, no lazily sorted list, no memory for anything else.

/// A doubly linked list over key numbers, counted in bytes.
struct ExactLRU {
    /// What an entry costs beside its key and value.
    enum Cost {
        /// So many bytes, whatever the size.
        case flat(Int)
        /// memcached's: 56 bytes of header, CAS and terminators, rounded up to a size class, and
        /// 8 bytes of hash table (memcached 1.6, `slabs_init` with the default factor 1.25).
        case classes

        func bytes(_ content: Int) -> Int {
            switch self {
            case .flat(let bytes): return content + bytes
            case .classes: return Self.rounded(content + 56) + 8
            }
        }

        private static let sizes: [Int] = {
            var sizes: [Int] = []
            var size = 96
            while size < 512 << 10 {
                sizes.append(size)
                size = (Int(Double(size) * 1.25) + 7) & ~7
            }
            return sizes
        }()

        private static func rounded(_ bytes: Int) -> Int {
            var low = 0
            var high = sizes.count
            while low < high {
                let middle = (low + high) / 2
                if sizes[middle] < bytes { low = middle + 1 } else { high = middle }
            }
            return low < sizes.count ? sizes[low] : bytes
        }
    }

    private struct Entry {
        var newer: UInt32 = 0
        var older: UInt32 = 0
        /// 0: not in the cache.
        var bytes: UInt32 = 0
        var expiry: UInt32 = 0
    }

    let capacityBytes: Int
    private let cost: Cost
    // Entry 0 is the list's head: `older` is the newest entry, `newer` the oldest.
    private var entries: [Entry]
    private var usedBytes = 0
    private(set) var count = 0
    /// Keys by the second at which they expire; some of them were set anew since.
    private var expiring: [UInt32: [UInt32]] = [:]

    /// - Parameter keyCount: Keys are numbers below this.
    init(capacityBytes: Int, cost: Cost, keyCount: Int) {
        self.capacityBytes = capacityBytes
        self.cost = cost
        entries = [Entry](repeating: Entry(), count: keyCount + 1)
    }

    /// Whether the key is there; makes it the newest.
    mutating func get(_ key: UInt32) -> Bool {
        let at = key + 1
        guard entries[Int(at)].bytes != 0 else { return false }
        unlink(at)
        link(at)
        return true
    }

    /// Stores a key whose key and value take `content` bytes. `expiry`: a second, 0 for never.
    mutating func set(_ key: UInt32, content: Int, expiry: UInt32) {
        let at = key + 1
        if entries[Int(at)].bytes != 0 { remove(at) }
        let bytes = cost.bytes(content)
        while usedBytes + bytes > capacityBytes, entries[0].newer != 0 { remove(entries[0].newer) }
        entries[Int(at)].bytes = UInt32(bytes)
        entries[Int(at)].expiry = expiry
        usedBytes += bytes
        count += 1
        link(at)
        if expiry != 0 { expiring[expiry, default: []].append(at) }
    }

    /// Lets go of what expires at this second; call it for each second in turn.
    mutating func expire(at second: UInt32) {
        for at in expiring.removeValue(forKey: second) ?? []
        where entries[Int(at)].bytes != 0 && entries[Int(at)].expiry == second {
            remove(at)
        }
    }

    private mutating func remove(_ at: UInt32) {
        unlink(at)
        usedBytes -= Int(entries[Int(at)].bytes)
        entries[Int(at)].bytes = 0
        count -= 1
    }

    private mutating func unlink(_ at: UInt32) {
        let entry = entries[Int(at)]
        entries[Int(entry.newer)].older = entry.older
        entries[Int(entry.older)].newer = entry.newer
    }

    private mutating func link(_ at: UInt32) {
        let newest = entries[0].older
        entries[Int(at)].newer = 0
        entries[Int(at)].older = newest
        entries[Int(newest)].newer = at
        entries[0].older = at
    }
}
