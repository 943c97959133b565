// WriteTransaction: the one writer's changes, all or nothing. Ends in `commit`, or aborts when it
// goes out of scope.

internal import CLMDB
internal import Glibc

/// Changes that become visible and durable together.
///
/// Stays on the thread that began it. After a thrown `mapFull`, `noSpace` or `io` the only thing
/// to do is to let it go; the environment remains usable.
public struct WriteTransaction: ~Copyable, Transaction {
    public let handle: TransactionHandle
    private var isOver = false
    /// Databases whose handle exists only if this transaction commits.
    private var opened: [UInt32] = []

    init(_ handle: TransactionHandle) { self.handle = handle }

    deinit {
        guard !isOver else { return }
        // SAFETY: begun once, and neither committed nor aborted yet.
        unsafe mdb_txn_abort(handle.pointer)
        handle.environment.forget(opened)
        handle.environment.writerEnded()
    }

    /// Writes the changes and syncs; when it returns they are on the disk.
    ///
    /// - Throws: `noSpace`, `io`: nothing was changed. If it was the meta page that could not be
    ///   written, every later transaction throws `panic` until the environment is reopened.
    public consuming func commit() throws(LMDBError) {
        // SAFETY: begun once and not over; LMDB ends the transaction whether or not it succeeds.
        let code = unsafe mdb_txn_commit(handle.pointer)
        isOver = true
        if code != 0 { handle.environment.forget(opened) }
        handle.environment.writerEnded()
        try LMDBError.check(code)
    }

    /// Forgets the changes.
    public consuming func abort() {}

    /// Opens a database by name. The handle is good after this transaction has committed, too.
    ///
    /// - Throws: `notFound` unless `create` or it is there; `other` (MDB_INCOMPATIBLE) if it has
    ///   the other kind of keys; `other` (MDB_DBS_FULL) beyond `databasesMax`.
    public mutating func openDatabase(
        _ name: String, integerKeys: Bool, create: Bool
    ) throws(LMDBError) -> Database {
        var index: MDB_dbi = 0
        var flags = UInt32(create ? MDB_CREATE : 0)
        if integerKeys { flags |= UInt32(MDB_INTEGERKEY) }
        // SAFETY: the transaction is open; the name is nul-terminated for the time of the call.
        unsafe try LMDBError.check(mdb_dbi_open(handle.pointer, name, flags, &index))
        if !handle.environment.isOpen(index) { opened.append(index) }
        // LMDB takes the flags from the file and says nothing if they differ.
        var stored: UInt32 = 0
        unsafe try LMDBError.check(mdb_dbi_flags(handle.pointer, index, &stored))
        guard stored == (integerKeys ? UInt32(MDB_INTEGERKEY) : 0) else {
            throw .other(code: MDB_INCOMPATIBLE)
        }
        return handle.environment.remember(index, hasIntegerKeys: integerKeys)
    }

    // MARK: Put

    /// Stores a copy of `bytes` under `key`, replacing what is there.
    ///
    /// - Parameter append: promises that `key` lies above all others: faster, packs pages full.
    /// - Throws: `keyExists` if that promise is broken; `mapFull`.
    public mutating func put(
        _ database: Database, key: UInt64, bytes: Span<UInt8>, append: Bool = false
    ) throws(LMDBError) {
        handle.environment.check(database, integerKeys: true)
        if !append { try makeWay(database, key: key, byteCount: bytes.count) }
        let code = unsafe withKey(key) { key in
            unsafe store(database, key, bytes, append: append)
        }
        try LMDBError.check(code)
    }

    /// Stores a copy of `bytes` under `key`, 1 to 511 bytes, replacing what is there.
    public mutating func put(
        _ database: Database, key: Span<UInt8>, bytes: Span<UInt8>, append: Bool = false
    ) throws(LMDBError) {
        handle.environment.check(database, integerKeys: false)
        if !append { try makeWay(database, key: key, byteCount: bytes.count) }
        let code = unsafe withKey(key) { key in
            unsafe store(database, key, bytes, append: append)
        }
        try LMDBError.check(code)
    }

    @unsafe private func store(
        _ database: Database, _ key: UnsafeMutablePointer<MDB_val>, _ bytes: Span<UInt8>,
        append: Bool
    ) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            var data = unsafe MDB_val(
                mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            let flags = UInt32(append ? MDB_APPEND : 0)
            // SAFETY: the transaction is open; LMDB copies the bytes before it returns.
            return unsafe mdb_put(handle.pointer, database.index, key, &data, flags)
        }
    }

    /// Makes room for `byteCount` bytes under `key` and lets `fill` write them straight into the
    /// page that will be written to disk. What `fill` leaves out becomes zero.
    public mutating func reserve(
        _ database: Database, key: UInt64, byteCount: Int, append: Bool = false,
        fill: (inout ValueWriter) -> Void
    ) throws(LMDBError) {
        handle.environment.check(database, integerKeys: true)
        precondition(byteCount >= 0)
        if !append { try makeWay(database, key: key, byteCount: byteCount) }
        var data = unsafe MDB_val(mv_size: byteCount, mv_data: nil)
        let flags = UInt32(MDB_RESERVE | (append ? MDB_APPEND : 0))
        let code = unsafe withKey(key) { key in
            unsafe mdb_put(handle.pointer, database.index, key, &data, flags)
        }
        try LMDBError.check(code)
        guard byteCount > 0 else { return }
        guard let base = unsafe data.mv_data else { throw .corrupted }
        // SAFETY: LMDB gives `byteCount` bytes that are ours until the next change, and `self` is
        // exclusively held until `fill` returns.
        var writer = unsafe ValueWriter(base: base, byteCount: byteCount)
        fill(&writer)
        writer.finish()
    }

    // MARK: Delete

    /// Removes `key`; answers whether it was there.
    @discardableResult
    public mutating func delete(_ database: Database, key: UInt64) throws(LMDBError) -> Bool {
        handle.environment.check(database, integerKeys: true)
        let found = try Value.find(handle, database, key)
        guard let found else { return false }
        try checkPages(of: found, keyBytes: 8)
        let code = unsafe withKey(key) { key in
            unsafe mdb_del(handle.pointer, database.index, key, nil)
        }
        try LMDBError.check(code)
        return true
    }

    /// Removes `key`, 1 to 511 bytes; answers whether it was there.
    @discardableResult
    public mutating func delete(
        _ database: Database, key: Span<UInt8>
    ) throws(LMDBError) -> Bool {
        handle.environment.check(database, integerKeys: false)
        let found = try Value.find(handle, database, key)
        guard let found else { return false }
        try checkPages(of: found, keyBytes: key.count)
        let code = unsafe withKey(key) { key in
            unsafe mdb_del(handle.pointer, database.index, key, nil)
        }
        try LMDBError.check(code)
        return true
    }

    /// Removes every key; the database stays.
    public mutating func empty(_ database: Database) throws(LMDBError) {
        // As with one value: look at every page count that LMDB is going to believe.
        try withCursor(database) { cursor throws(LMDBError) in
            while try cursor.next() { _ = try cursor.fileOffset() }
        }
        // SAFETY: the transaction is open.
        unsafe try LMDBError.check(mdb_drop(handle.pointer, database.index, 0))
    }

    /// Prepares to replace what is under `key`. LMDB would leave a shorter value the pages of the
    /// longer one; deleting first keeps every value on exactly as many pages as it needs, so
    /// that a damaged page count can be told.
    private mutating func makeWay(
        _ database: Database, key: UInt64, byteCount: Int
    ) throws(LMDBError) {
        let found = try Value.find(handle, database, key)
        if try replaceable(found, keyBytes: 8, byteCount: byteCount) { return }
        try delete(database, key: key)
    }

    private mutating func makeWay(
        _ database: Database, key: Span<UInt8>, byteCount: Int
    ) throws(LMDBError) {
        let found = try Value.find(handle, database, key)
        if try replaceable(found, keyBytes: key.count, byteCount: byteCount) { return }
        try delete(database, key: key)
    }

    private func replaceable(
        _ found: Value?, keyBytes: Int, byteCount: Int
    ) throws(LMDBError) -> Bool {
        guard let found else { return true }
        let pageBytes = handle.environment.pageBytes
        let place = try found.place(keyBytes: keyBytes, in: handle.environment)
        guard place != nil else { return true }
        return PageFormat.overflowPages(found.byteCount, pageBytes: pageBytes)
            == PageFormat.overflowPages(byteCount, pageBytes: pageBytes)
    }

    /// LMDB frees as many pages as the header in front of a value says: look before it does.
    private func checkPages(of found: Value, keyBytes: Int) throws(LMDBError) {
        _ = try found.place(keyBytes: keyBytes, in: handle.environment)
    }
}
