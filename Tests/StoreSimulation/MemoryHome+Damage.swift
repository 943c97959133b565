// MemoryHome+Damage: bytes of the files change between two lives: of values, of pages of the trees,
// of the metadata, of the orders file.

import Store

extension MemoryHome {
    /// Damages a value; answers which.
    package func damage() -> String? {
        if chance.below(4) == 0 { return chance.below(4) == 0 ? damageKey() : damagePage() }
        if chance.below(2) == 0, let what = damageRecordKeys() { return what }
        let table = [0, 1, 2, 2][chance.below(4)]
        let entries = durable.tables[table].entries
        guard !entries.isEmpty else { return nil }
        let (key, value) = entries[chance.below(entries.count)]
        guard !value.bytes.isEmpty else { return nil }
        let at = chance.below(value.bytes.count)
        value.bytes[at] ^= UInt8(1 + chance.below(255))
        return "byte \(at) of \(key.first >> (table == 0 ? 10 : 0)) in table \(table)"
    }

    /// Damages what lies beside the values: a block of the orders file, or a number of the
    /// metadata; answers which.
    package func damageNumbers() -> String? {
        if chance.below(2) == 0 {
            let number = [3, 4, 6, 7][chance.below(4)] as UInt64
            // Where no store was begun there is no metadata.
            guard !durable.tables[StoreTable.meta.rawValue].entries.isEmpty else { return nil }
            damage(meta: number)
            return "number \(number) of the metadata"
        }
        guard let count = blocks?.count, count > 0 else { return nil }
        let (number, at) = (chance.below(count), chance.below(40))
        blocks?[number][at] ^= UInt8(1 + chance.below(255))
        return "byte \(at) of block \(number)"
    }

    /// Damages the first value of a table; answers whether there was one.
    package func damageFirst(_ table: StoreTable) -> Bool {
        guard let value = durable.tables[table.rawValue].entries.first?.value else { return false }
        value.bytes[value.bytes.count / 2] ^= 1
        return true
    }

    /// Changes a bit in the hash of every entry of every directory, or changes it back; answers how
    /// many directories there are.
    @discardableResult
    package func damageHashes() -> Int {
        let entries = durable.tables[StoreTable.directories.rawValue].entries
        for entry in entries {
            for at in stride(from: 40, to: entry.value.bytes.count, by: 24) {
                entry.value.bytes[at] ^= 1
            }
        }
        return entries.count
    }

    /// The page of a table on which its first value lies, or its last, cannot be read until
    /// `repair`.
    package func hide(_ table: StoreTable, last: Bool) {
        let entries = durable.tables[table.rawValue].entries
        guard let key = (last ? entries.last : entries.first)?.key else { return }
        durable.tables[table.rawValue].damaged = key...key
    }

    /// All pages can be read again.
    package func repair() {
        for table in durable.tables.indices { durable.tables[table].damaged = nil }
    }

    /// Gives the first value of a table, or the last, a key that no segment can have; answers
    /// whether there was one.
    package func damageKey(_ table: StoreTable, last: Bool, to number: UInt64) -> Bool {
        let entries = durable.tables[table.rawValue].entries
        guard let key = (last ? entries.last : entries.first)?.key else { return false }
        move(key, of: table.rawValue, to: number)
        return true
    }

    /// Whether a table has a value under a number.
    package func hasKey(_ number: UInt64, in table: StoreTable) -> Bool {
        durable.tables[table.rawValue].entries.contains { $0.key.first == number }
    }

    private func move(_ key: TableKey, of table: Int, to number: UInt64) {
        guard let value = durable.tables[table].remove(key) else { return }
        durable.tables[table].put(TableKey(first: number, second: key.second), value)
    }

    /// Changes a bit in the keys of a segment's records, which most bytes that are drawn miss; of
    /// one that leaves soon.
    private func damageRecordKeys() -> String? {
        let entries = durable.tables[StoreTable.segments.rawValue].entries
        guard !entries.isEmpty else { return nil }
        let (key, value) = entries[chance.below(entries.count / 3 + 1)]
        let text = Array("key:".utf8)
        // A digit, so that it is another key, which there may be.
        let found = Self.places(of: text, in: value.bytes).map { $0 + text.count }
        let bit = UInt8(1 << chance.below(3))
        for at in found where at < value.bytes.count { value.bytes[at] ^= bit }
        return found.isEmpty ? nil : "\(found.count) records' keys in \(key.first >> 10)"
    }

    private static func places(of text: [UInt8], in bytes: [UInt8]) -> [Int] {
        guard let first = text.first, bytes.count >= text.count else { return [] }
        return (0...bytes.count - text.count).filter {
            bytes[$0] == first && bytes[$0..<$0 + text.count].elementsEqual(text)
        }
    }

    /// Changes bits of a byte in all segments that hold this text, `distance` bytes from where it
    /// begins; answers how many there are.
    package func flip(_ bits: UInt8, near text: String, at distance: Int = 0) -> Int {
        var count = 0
        for entry in durable.tables[StoreTable.segments.rawValue].entries {
            for place in Self.places(of: Array(text.utf8), in: entry.value.bytes) {
                entry.value.bytes[place + distance] ^= bits
                count += 1
            }
        }
        return count
    }

    /// The writes of the newest segment that holds this text were lost, as far as they went to one
    /// table: it holds what the oldest with that text holds there. Answers whether there are two
    /// of one size.
    package func loseWrite(of text: String, in table: StoreTable) -> Bool {
        let segments = durable.tables[StoreTable.segments.rawValue].entries
        let found = segments.filter {
            !Self.places(of: Array(text.utf8), in: $0.value.bytes).isEmpty
        }
        guard let first = found.first, let last = found.last, first.key < last.key else {
            return false
        }
        guard table == .segments else {
            let directories = durable.tables[table.rawValue]
            guard let old = directories.find(TableKey(first: first.key.first >> 10)),
                let new = directories.find(TableKey(first: last.key.first >> 10)),
                old.bytes.count == new.bytes.count, old.bytes != new.bytes
            else { return false }
            new.bytes = old.bytes
            return true
        }
        func value(_ key: TableKey, _ part: UInt64) -> StoredValue? {
            durable.tables[table.rawValue].find(TableKey(first: key.first + part))
        }
        var part: UInt64 = 0
        while let old = value(first.key, part), let new = value(last.key, part) {
            guard old.bytes.count == new.bytes.count, old.bytes != new.bytes else { return false }
            new.bytes = old.bytes
            part += 1
        }
        return part > 0
    }

    /// Sets one of the highest bits in a key of segments, stretches or directories.
    private func damageKey() -> String? {
        let table = chance.below(3)
        let entries = durable.tables[table].entries
        guard !entries.isEmpty else { return nil }
        let key = entries[chance.below(entries.count)].key
        let bit = (table == 0 ? 58 : 48) + chance.below(table == 0 ? 6 : 16)
        move(key, of: table, to: key.first | 1 << bit)
        return "bit \(bit) of the key \(key.first) in table \(table)"
    }

    /// Damages a page of the tree of directories or segments, with all keys on it.
    private func damagePage() -> String? {
        let table = [0, 2][chance.below(2)]
        let entries = durable.tables[table].entries
        guard !entries.isEmpty else { return nil }
        let first = chance.below(entries.count)
        let last = min(first + chance.below(6), entries.count - 1)
        let keys = entries[first].key...entries[last].key
        durable.tables[table].damaged = keys
        return "the page of \(keys.lowerBound.first)...\(keys.upperBound.first) in table \(table)"
    }

    /// Damages a number of the metadata: 3 orders, 4 the flush mark, 5 the second of a delayed
    /// flush_all, 6 the bytes of a frame, 7 the distrust mark.
    package func damage(
        meta number: UInt64, to bytes: [UInt8] = [UInt8](repeating: 0xFF, count: 8)
    ) {
        durable.tables[StoreTable.meta.rawValue].put(
            TableKey(first: number), StoredValue(bytes, page: nil))
    }
}
