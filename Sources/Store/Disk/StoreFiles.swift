// StoreFiles: what the store needs of its files: four tables, changed all at once and durably, and
// the bytes of a segment at a fixed place of one file.
//
// LMDB is one implementation (`LMDBFiles`); the other lives with the tests, in memory, and fails by
// plan. Only the threads of the disk tier come here: a worker reads through its ring, from the
// descriptor and the offset that it was told.

package import LMDB
package import Primitives

/// The tables. `stretches` has keys of two numbers, the others of one.
package enum StoreTable: Int, CaseIterable, Sendable {
    /// Sealed segments: sequence << 10 | part → the segment's bytes. Only a record larger than a
    /// segment has parts other than 0.
    case segments
    /// What open segments held at a commit: sequence, offset → bytes from there on.
    case stretches
    /// Key directories: sequence → see `Directory`.
    case directories
    /// `MetaKey` → eight bytes, the secret thirty-two.
    case meta
}

/// Where a store lies: what outlives a run of it.
package protocol StoreHome: AnyObject, Sendable {
    /// Opens the files, or makes them if there are none.
    ///
    /// - Parameters:
    ///   - sizeBytes: what they may grow to; what they have grown to already, if that is more.
    ///   - reserveBytes: so much more, above either.
    func open(sizeBytes: Int, reserveBytes: Int) throws(LMDBError) -> any StoreFiles
    /// Where segments can be read at their offset, once the files are open; below 0: nowhere.
    func openForReading() -> Int32
    /// What a new store hashes its keys with.
    func newSecret() -> (UInt64, UInt64, UInt64, UInt64)
    /// Takes the files away so that new ones can be made; answers what they are called now, nil if
    /// there were none. When this returns, no later start finds them.
    func moveAside(at unixSeconds: UInt32) throws(LMDBError) -> String?
    /// Starts in a row that ended by a fault of their own while they looked at the files.
    var markedStarts: Int { get }
    /// The calling thread begins to look at them, and ends that.
    func raiseMarker()
    func clearMarker()
    /// Opens the blocks beside the files, or makes them of zeros; again after an error. They are
    /// overwritten in place, and stay when the files are moved aside.
    func openBlocks(_ count: Int) throws(LMDBError)
    func read(block number: Int) throws(LMDBError) -> [UInt8]
    /// Overwrites a block; when this returns, it is on the disk.
    ///
    /// - Throws: it may hold what was there, what was written, or some of both.
    func write(block number: Int, _ bytes: [UInt8]) throws(LMDBError)
    /// Nothing is used any more.
    func close()
}

extension StoreHome {
    /// Takes the files away, and says so; false: there were none.
    @discardableResult
    func moveAside(
        because reason: String, _ events: EventLog, at unixSeconds: UInt32
    ) throws(LMDBError) -> Bool {
        guard let target = try moveAside(at: unixSeconds) else { return false }
        events.warning(.storeMovedAside, "reason=\(quoted: reason) to=\(quoted: target)")
        return true
    }
}

/// Open files. Any thread may use them; one transaction at a time writes.
package protocol StoreFiles: AnyObject, Sendable {
    /// Begins a read of the last committed state. Keep it short: pages freed since stay unusable.
    func beginRead() throws(LMDBError) -> any StoreReading
    func beginWrite() throws(LMDBError) -> any StoreWriting
    /// The number of a state that was damaged, and put right when they were opened.
    var mendedNumber: MendedNumber? { get }
}

extension StoreFiles {
    package var mendedNumber: MendedNumber? { nil }
}

/// A state of the files. Ends with its last reference. Bytes are lent inside a call.
package protocol StoreReading: AnyObject {
    /// Lends the value under `key` to `body`; nil if there is none.
    func get<R>(
        _ table: StoreTable, key: UInt64, _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R?
    /// Where a segment's bytes lie in the file; nil if it is not there, or so small that it may
    /// move. They stay there until the segment is deleted or put again.
    func fileOffset(segment key: UInt64) throws(LMDBError) -> UInt64?
    func firstKey(_ table: StoreTable) throws(LMDBError) -> UInt64?
    func lastKey(_ table: StoreTable) throws(LMDBError) -> UInt64?
    func entryCount(_ table: StoreTable) throws(LMDBError) -> Int
    /// Lends every key and value from `start` up, in ascending order, until `body` answers false.
    func forEach(
        _ table: StoreTable, from start: UInt64,
        _ body: (UInt64, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError)
    /// The same for `stretches`.
    func forEachStretch(
        from start: PairKey, _ body: (PairKey, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError)
    /// Lends the stretch with the highest key that is not above `key`; nil if there is none.
    func stretch<R>(
        atOrBelow key: PairKey, _ body: (PairKey, Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R?
}

/// Changes that become visible and durable together, or not at all: what is dropped without a
/// `commit` never was. After a thrown error the only thing to do is to drop it.
package protocol StoreWriting: StoreReading {
    /// Stores a copy of `bytes` under `key`, replacing what is there.
    func put(_ table: StoreTable, key: UInt64, bytes: Span<UInt8>) throws(LMDBError)
    func put(stretch key: PairKey, bytes: Span<UInt8>) throws(LMDBError)
    /// Stores `count` bytes of `region` as a segment, and zeros up to `byteCount`.
    ///
    /// - Parameter append: promises that `key` lies above all others; if not: `keyExists`.
    func put(
        segment key: UInt64, byteCount: Int, append: Bool, from region: Region, at offset: Int,
        count: Int
    ) throws(LMDBError)
    /// Removes `key`; answers whether it was there.
    func delete(_ table: StoreTable, key: UInt64) throws(LMDBError) -> Bool
    func delete(stretch key: PairKey) throws(LMDBError) -> Bool
    /// Writes the changes and syncs; when it returns they are on the disk.
    ///
    /// - Throws: nothing was changed; after `io` or `noSpace` it may be found at the next start
    ///   that all was, and if `panic` follows the files must be opened again.
    func commit() throws(LMDBError)
}

extension StoreReading {
    func forEach(
        _ table: StoreTable, _ body: (UInt64, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        try forEach(table, from: 0, body)
    }
}

extension StoreReading {
    /// A number of the metadata; nil if it is not there. One that has not its eight bytes was
    /// damaged: the highest, which is none that any of them can be.
    func word(_ key: MetaKey) throws(LMDBError) -> UInt64? {
        try get(.meta, key: key.rawValue) { bytes -> UInt64 in
            bytes.count == 8 ? bytes.word(at: 0) : .max
        }
    }

    /// The highest key that is not above `limit`; nil if there is none. Looks at few keys, and not
    /// at what lies above them unless `limit` is needed.
    func lastKey(_ table: StoreTable, atMost limit: UInt64) throws(LMDBError) -> UInt64? {
        guard let last = try lastKey(table) else { return nil }
        guard last > limit else { return last }
        guard var low = try firstKey(table), low <= limit else { return nil }
        var high = limit
        while low < high {
            let middle = high - (high - low) / 2
            var found: UInt64?
            try forEach(table, from: middle) { key, _ in
                found = key
                return false
            }
            if let found, found <= high { low = found } else { high = middle - 1 }
        }
        return low
    }
}

extension StoreWriting {
    func put(_ key: MetaKey, _ word: UInt64) throws(LMDBError) {
        let bytes = word.bytes
        try put(.meta, key: key.rawValue, bytes: bytes.span)
    }
}

extension LMDBError {
    /// Whether what was asked for is damaged; if not, the same call may succeed later.
    var isDamage: Bool {
        switch self {
        case .corrupted, .invalid, .versionMismatch, .notFound, .keyExists: true
        // All but "too many readers", which end.
        case .other(let code): code != -30790
        case .mapFull, .panic, .irregular, .noSpace, .io, .busy: false
        }
    }
}

/// Runs `body`; nil if it met damage. What may succeed later is thrown on.
func unlessDamaged<R>(_ body: () throws(LMDBError) -> R?) throws(LMDBError) -> R? {
    do throws(LMDBError) {
        return try body()
    } catch {
        guard error.isDamage else { throw error }
        return nil
    }
}

/// Keys of the segments table.
enum SegmentKey {
    /// Parts that a key has room for.
    static let partsMax = 1024
    /// No store numbers so many segments: at a thousand a second, it would take 8,900 years. Such
    /// a number was damaged, and what is computed from those below it does not overflow.
    static let sequenceMax: UInt64 = 1 << 48

    static func make(_ sequence: UInt64, part: Int = 0) -> UInt64 {
        sequence << 10 | UInt64(part)
    }
    static func sequence(_ key: UInt64) -> UInt64 { key >> 10 }
}
