// Transaction: what reading and writing transactions have in common: reading.
//
// Values are lent inside a call; the closure cannot write to the transaction it reads from,
// because that one is borrowed until the closure returns.

internal import CLMDB
internal import Glibc

/// Names an open transaction inside this module; opaque outside.
public struct TransactionHandle {
    let bits: UInt
    let environment: Environment
    /// Valid until the transaction ends.
    @unsafe var pointer: OpaquePointer { unsafe OpaquePointer(bitPattern: bits).unsafelyUnwrapped }
}

/// An open transaction, reading or writing. Used by one thread at a time.
public protocol Transaction: ~Copyable {
    /// For this module's own use.
    var handle: TransactionHandle { get }
}

extension Transaction where Self: ~Copyable {
    /// Lends the value under `key` to `body`; nil if there is none.
    public func get<R>(
        _ database: Database, key: UInt64, _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        handle.environment.check(database, integerKeys: true)
        let found = try Value.find(handle, database, key)
        guard let found else { return nil }
        return try found.lend(body)
    }

    /// Lends the value under `key`, 1 to 511 bytes, to `body`; nil if there is none.
    public func get<R>(
        _ database: Database, key: Span<UInt8>, _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        handle.environment.check(database, integerKeys: false)
        let found = try Value.find(handle, database, key)
        guard let found else { return nil }
        return try found.lend(body)
    }

    /// Where the value under `key` lies in the data file; nil if there is no such key or if the
    /// value is small enough to share a page with others (and so may move at any commit).
    ///
    /// A value with a place stays there, unchanged, until it is deleted or overwritten. In a
    /// write transaction the place is where a value will be once the transaction has committed.
    ///
    /// - Throws: `corrupted` if the page in front of the value is not its own.
    public func fileOffset(
        _ database: Database, key: UInt64
    ) throws(LMDBError) -> FilePlace? {
        handle.environment.check(database, integerKeys: true)
        let found = try Value.find(handle, database, key)
        guard let found else { return nil }
        return try found.place(keyBytes: 8, in: handle.environment)
    }

    /// As `fileOffset` for a database with byte keys.
    public func fileOffset(
        _ database: Database, key: Span<UInt8>
    ) throws(LMDBError) -> FilePlace? {
        handle.environment.check(database, integerKeys: false)
        let found = try Value.find(handle, database, key)
        guard let found else { return nil }
        return try found.place(keyBytes: key.count, in: handle.environment)
    }

    /// The lowest key; nil if the database is empty.
    public func firstKey(_ database: Database) throws(LMDBError) -> UInt64? {
        try withCursor(database) { cursor throws(LMDBError) in
            try cursor.first() ? try cursor.key() : nil
        }
    }

    /// The highest key; nil if the database is empty.
    public func lastKey(_ database: Database) throws(LMDBError) -> UInt64? {
        try withCursor(database) { cursor throws(LMDBError) in
            try cursor.last() ? try cursor.key() : nil
        }
    }

    /// Lends every key and value from `start` up, in ascending order, until `body` answers false.
    public func forEach(
        _ database: Database, from start: UInt64 = 0,
        _ body: (UInt64, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        try withCursor(database) { cursor throws(LMDBError) in
            var isThere = try cursor.seek(atOrAbove: start)
            while isThere {
                let key = try cursor.key()
                let goesOn = try cursor.withValue { value throws(LMDBError) in
                    try body(key, value)
                }
                guard goesOn else { return }
                isThere = try cursor.next()
            }
        }
    }

    /// Lends a cursor that ends with the call. It stands nowhere at first.
    public func withCursor<R>(
        _ database: Database, _ body: (borrowing Cursor) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        handle.environment.check(database)
        let cursor = try Cursor(handle, database.index, hasIntegerKeys: database.hasIntegerKeys)
        return try body(cursor)
    }

    public func statistics(_ database: Database) throws(LMDBError) -> Statistics {
        handle.environment.check(database)
        var sizes = MDB_stat()
        // SAFETY: the transaction is open while it is borrowed.
        unsafe try LMDBError.check(mdb_stat(handle.pointer, database.index, &sizes))
        return Statistics(
            entries: Int(sizes.ms_entries), depth: Int(sizes.ms_depth),
            branchPages: Int(sizes.ms_branch_pages), leafPages: Int(sizes.ms_leaf_pages),
            overflowPages: Int(sizes.ms_overflow_pages))
    }
}

/// A value inside the map or a dirty page; the only form in which an MDB_val lives on after a call.
/// Never kept beyond the borrow of the transaction it was found in.
@safe struct Value {
    private let base: UnsafeRawPointer?
    let byteCount: Int

    init(_ value: MDB_val) {
        unsafe base = UnsafeRawPointer(value.mv_data)
        byteCount = unsafe value.mv_size
    }

    static func find(
        _ handle: TransactionHandle, _ database: Database, _ key: UInt64
    ) throws(LMDBError) -> Value? {
        var data = unsafe MDB_val()
        let code = unsafe withKey(key) { key in
            unsafe mdb_get(handle.pointer, database.index, key, &data)
        }
        if code == MDB_NOTFOUND { return nil }
        try LMDBError.check(code)
        handle.environment.noteLook(unsafe data.mv_size)
        return unsafe Value(data)
    }

    static func find(
        _ handle: TransactionHandle, _ database: Database, _ key: Span<UInt8>
    ) throws(LMDBError) -> Value? {
        var data = unsafe MDB_val()
        let code = unsafe withKey(key) { key in
            unsafe mdb_get(handle.pointer, database.index, key, &data)
        }
        if code == MDB_NOTFOUND { return nil }
        try LMDBError.check(code)
        handle.environment.noteLook(unsafe data.mv_size)
        return unsafe Value(data)
    }

    func lend<R>(_ body: (Span<UInt8>) throws(LMDBError) -> R) throws(LMDBError) -> R {
        // SAFETY: LMDB keeps the bytes unchanged until the transaction ends or writes, and the
        // transaction is borrowed until `body` returns.
        let bytes = unsafe UnsafeBufferPointer(
            start: base?.assumingMemoryBound(to: UInt8.self), count: byteCount)
        return try body(unsafe Span(_unsafeElements: bytes))
    }

    /// Whether the value has pages of its own: LMDB keeps it in the leaf if at least two such
    /// nodes fit a page.
    func isOverflow(keyBytes: Int, pageBytes: Int) -> Bool {
        let nodeBytesMax = ((pageBytes - PageFormat.headerBytes) / 2 & ~1) - 2
        return PageFormat.nodeHeaderBytes + keyBytes + byteCount > nodeBytesMax
    }

    /// Reads the page header in front of a value that has pages of its own.
    func place(keyBytes: Int, in environment: Environment) throws(LMDBError) -> FilePlace? {
        let pageBytes = environment.pageBytes
        guard isOverflow(keyBytes: keyBytes, pageBytes: pageBytes), let base = unsafe base else {
            return nil
        }
        // SAFETY: a value with pages of its own is preceded by the header of the first of them,
        // in the map as in a changed copy.
        let start = unsafe base - PageFormat.headerBytes
        let page = unsafe start.loadUnaligned(as: UInt64.self)
        let flags = unsafe start.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
        let pages = unsafe start.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
        let needed = PageFormat.overflowPages(byteCount, pageBytes: pageBytes)
        guard flags & PageFormat.overflow != 0, Int(pages) == needed, page < 1 << 40 else {
            throw .corrupted
        }
        let address = UInt(bitPattern: start)
        if environment.map.holds(address) {
            let distance = page.multipliedReportingOverflow(by: UInt64(pageBytes))
            guard flags == PageFormat.overflow, !distance.overflow,
                distance.partialValue == UInt64(address - environment.map.start)
            else { throw .corrupted }
        }
        return FilePlace(
            offset: page * UInt64(pageBytes) + UInt64(PageFormat.headerBytes),
            byteCount: byteCount)
    }
}

/// Lends an integer key to a C call.
@unsafe func withKey(_ key: UInt64, _ body: (UnsafeMutablePointer<MDB_val>) -> Int32) -> Int32 {
    var word = key
    return unsafe withUnsafeMutableBytes(of: &word) { bytes in
        var value = unsafe MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
        return unsafe withUnsafeMutablePointer(to: &value) { unsafe body($0) }
    }
}

/// Lends key bytes to a C call, which only reads them.
@unsafe func withKey(
    _ key: Span<UInt8>, _ body: (UnsafeMutablePointer<MDB_val>) -> Int32
) -> Int32 {
    unsafe key.withUnsafeBytes { bytes in
        var value = unsafe MDB_val(
            mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        return unsafe withUnsafeMutablePointer(to: &value) { unsafe body($0) }
    }
}
