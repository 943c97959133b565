// Cursor: a place in a database that moves in key order. It reads; it does not write.

internal import CLMDB
internal import Glibc

/// A place in a database. Lent by `Transaction.withCursor`, and gone when that returns.
///
/// The functions that move answer whether there is an entry where they went; if not, the place
/// is not to be read.
@safe public struct Cursor: ~Copyable {
    private let bits: UInt
    private let handle: TransactionHandle
    /// Whether keys are 64-bit integers.
    public let hasIntegerKeys: Bool

    init(
        _ handle: TransactionHandle, _ database: UInt32, hasIntegerKeys: Bool
    ) throws(LMDBError) {
        var opened: OpaquePointer?
        // SAFETY: the caller borrows the transaction for as long as the cursor lives.
        unsafe try LMDBError.check(mdb_cursor_open(handle.pointer, database, &opened))
        guard let pointer = unsafe opened else { throw .io(errno: ENOMEM) }
        bits = UInt(bitPattern: pointer)
        self.handle = handle
        self.hasIntegerKeys = hasIntegerKeys
    }

    deinit {
        // SAFETY: opened in init, closed here only, before its transaction ends.
        unsafe mdb_cursor_close(pointer)
    }

    @unsafe private var pointer: OpaquePointer {
        unsafe OpaquePointer(bitPattern: bits).unsafelyUnwrapped
    }

    /// Goes to the lowest key.
    public func first() throws(LMDBError) -> Bool { try move(MDB_FIRST) }
    /// Goes to the highest key.
    public func last() throws(LMDBError) -> Bool { try move(MDB_LAST) }
    /// Goes one up; to the lowest key from nowhere.
    public func next() throws(LMDBError) -> Bool { try move(MDB_NEXT) }
    /// Goes one down; to the highest key from nowhere.
    public func previous() throws(LMDBError) -> Bool { try move(MDB_PREV) }

    /// Goes to the lowest key that is not below `key`.
    public func seek(atOrAbove key: UInt64) throws(LMDBError) -> Bool {
        precondition(hasIntegerKeys)
        var data = unsafe MDB_val()
        return try found(
            unsafe withKey(key) { unsafe mdb_cursor_get(pointer, $0, &data, MDB_SET_RANGE) })
    }

    /// Goes to the lowest key that is not below `key`, which has at least one byte.
    public func seek(atOrAbove key: Span<UInt8>) throws(LMDBError) -> Bool {
        precondition(!hasIntegerKeys && key.count > 0)
        var data = unsafe MDB_val()
        return try found(
            unsafe withKey(key) { unsafe mdb_cursor_get(pointer, $0, &data, MDB_SET_RANGE) })
    }

    /// The integer key here.
    public func key() throws(LMDBError) -> UInt64 {
        precondition(hasIntegerKeys)
        return try entry().key.lend { bytes throws(LMDBError) in
            guard bytes.count == 8 else { throw .corrupted }
            var key: UInt64 = 0
            for index in 0..<8 { key |= UInt64(bytes[index]) << (8 * UInt64(index)) }
            return key
        }
    }

    /// Lends the key here.
    public func withKeyBytes<R>(
        _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        try entry().key.lend(body)
    }

    /// Lends the value here.
    public func withValue<R>(
        _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        try entry().value.lend(body)
    }

    /// Size of the value here.
    public func valueBytes() throws(LMDBError) -> Int { try entry().value.byteCount }

    /// Where the value here lies in the data file; see `Transaction.fileOffset`.
    public func fileOffset() throws(LMDBError) -> FilePlace? {
        let here = try entry()
        return try here.value.place(keyBytes: here.key.byteCount, in: handle.environment)
    }

    private func move(_ operation: MDB_cursor_op) throws(LMDBError) -> Bool {
        var key = unsafe MDB_val()
        var data = unsafe MDB_val()
        // SAFETY: the cursor is open; both values are this call's own.
        return try found(unsafe mdb_cursor_get(pointer, &key, &data, operation))
    }

    private func found(_ code: Int32) throws(LMDBError) -> Bool {
        if code == MDB_NOTFOUND { return false }
        try LMDBError.check(code)
        return true
    }

    private func entry() throws(LMDBError) -> (key: Value, value: Value) {
        var key = unsafe MDB_val()
        var data = unsafe MDB_val()
        // SAFETY: as above.
        unsafe try LMDBError.check(mdb_cursor_get(pointer, &key, &data, MDB_GET_CURRENT))
        handle.environment.noteMapped(unsafe data.mv_size)
        return unsafe (Value(key), Value(data))
    }
}
