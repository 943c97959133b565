// MemoryDisk: what LMDB's data file is to the store, in memory: sorted tables, pages that are used
// again two transactions after they were freed, values at fixed places, and states that replace
// one another as a whole.
//
// It knows which state is durable, nothing of faults: those are `MemoryFiles`' business.

import LMDB

/// A key of one or two numbers.
struct TableKey: Comparable, Hashable {
    var first: UInt64
    var second: UInt32 = 0

    static func < (one: TableKey, other: TableKey) -> Bool {
        one.first != other.first ? one.first < other.first : one.second < other.second
    }
}

/// Bytes that were put. Changed only by damage.
final class StoredValue {
    var bytes: [UInt8]
    /// Its first page; nil if it is small and lies in a page of the tree.
    let page: Int?

    init(_ bytes: [UInt8], page: Int?) {
        self.bytes = bytes
        self.page = page
    }

    static func pages(_ count: Int) -> Int { (count + 16 + 4095) / 4096 }
    /// LMDB keeps two such values in one page.
    static func isSmall(_ count: Int) -> Bool { count < 2000 }
}

/// One table, ascending.
struct StoredTable {
    private(set) var entries: [(key: TableKey, value: StoredValue)] = []
    /// Bytes of small values, with their keys.
    private(set) var smallBytes = 0
    /// These keys lie on a page of the tree that is damaged.
    var damaged: ClosedRange<TableKey>?

    func isDamaged(_ key: TableKey) -> Bool { damaged?.contains(key) ?? false }

    /// Where `key` is or would be.
    func position(_ key: TableKey) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func find(_ key: TableKey) -> StoredValue? {
        let at = position(key)
        return at < entries.count && entries[at].key == key ? entries[at].value : nil
    }

    mutating func put(_ key: TableKey, _ value: StoredValue) {
        let at = position(key)
        if value.page == nil { smallBytes += value.bytes.count + 40 }
        if at < entries.count, entries[at].key == key {
            if entries[at].value.page == nil { smallBytes -= entries[at].value.bytes.count + 40 }
            entries[at].value = value
        } else {
            entries.insert((key, value), at: at)
        }
    }

    mutating func remove(_ key: TableKey) -> StoredValue? {
        let at = position(key)
        guard at < entries.count, entries[at].key == key else { return nil }
        let value = entries.remove(at: at).value
        if value.page == nil { smallBytes -= value.bytes.count + 40 }
        return value
    }
}

/// A state of the file: what one transaction has left.
struct StoredState {
    var tables = [StoredTable](repeating: StoredTable(), count: 4)
    var number = 0
    /// Pages of the trees themselves.
    var treePages: [Int] = []
    /// Pages that transactions freed, by their numbers.
    var freed: [(number: Int, pages: [Int])] = []
    var isUsed: [Bool] = []

    var treePagesWanted: Int { tables.reduce(6) { $0 + $1.smallBytes / 2800 + 1 } }

    /// Takes a run of free pages below `limit`; nil if there is none.
    mutating func take(_ count: Int, limit: Int) -> Int? {
        var start = 2
        var run = 0
        var page = 2
        while page < limit {
            if page < isUsed.count, isUsed[page] {
                run = 0
                start = page + 1
            } else {
                run += 1
                if run == count { break }
            }
            page += 1
        }
        guard run == count else { return nil }
        while isUsed.count < start + count { isUsed.append(false) }
        for page in start..<start + count { isUsed[page] = true }
        return start
    }

    /// Pages between the start of the file and its last used one.
    var fileBytes: Int { ((isUsed.lastIndex(of: true) ?? 1) + 1) * 4096 }
}

/// The bytes of the file, wherever a state wants them.
struct PageContents {
    private var owners: [(value: StoredValue?, index: Int)] = []

    mutating func write(_ value: StoredValue) {
        guard let first = value.page else { return }
        let count = StoredValue.pages(value.bytes.count)
        while owners.count < first + count { owners.append((nil, 0)) }
        for index in 0..<count { owners[first + index] = (value, index) }
    }

    /// What a read of `count` bytes at `offset` of the file brings.
    func read(at offset: Int, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let at = offset + bytes.count
            let page = at / 4096
            let wanted = min(count - bytes.count, 4096 - at % 4096)
            guard page < owners.count, let value = owners[page].value else {
                bytes += [UInt8](repeating: 0xEE, count: wanted)
                continue
            }
            let start = owners[page].index * 4096 + at % 4096 - 16
            let here = max(min(value.bytes.count - start, wanted), 0)
            if start >= 0, here > 0 { bytes += value.bytes[start..<start + here] }
            let missing = wanted - (start >= 0 ? here : 0)
            if missing > 0 { bytes += [UInt8](repeating: 0xEE, count: missing) }
        }
        return bytes
    }
}
