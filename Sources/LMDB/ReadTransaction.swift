// ReadTransaction: a view of one committed state. What can be read is in Transaction.swift.

internal import CLMDB

/// A view of the state of the last commit before it began (or was renewed).
///
/// While it is open, no page freed since can be used again: end or reset it soon. It may begin
/// on one thread and end on another, but is not for two at a time.
public struct ReadTransaction: ~Copyable, Transaction {
    public let handle: TransactionHandle

    init(_ handle: TransactionHandle) { self.handle = handle }

    deinit {
        // SAFETY: open or reset; ended here only, once.
        unsafe mdb_txn_abort(handle.pointer)
    }

    /// Lets go of the state but keeps the reader slot. Reading then throws until `renew`.
    public mutating func reset() {
        // SAFETY: as above; resetting twice does nothing.
        unsafe mdb_txn_reset(handle.pointer)
    }

    /// Moves on to the last committed state.
    public mutating func renew() throws(LMDBError) {
        // SAFETY: as above; only a transaction that was reset can be renewed, so reset it first.
        unsafe mdb_txn_reset(handle.pointer)
        unsafe try LMDBError.check(mdb_txn_renew(handle.pointer))
    }

    /// Pages of the file that hold nothing and wait to be used again.
    public func freePages() throws(LMDBError) -> Int {
        // Database 0 is LMDB's own: transaction number to a counted list of page numbers.
        let cursor = try Cursor(handle, 0, hasIntegerKeys: true)
        var pages = 0
        var isThere = try cursor.first()
        while isThere {
            let listed = try cursor.withValue { list throws(LMDBError) in
                guard list.count >= 8 else { throw .corrupted }
                var count = 0
                for index in 0..<8 { count |= Int(list[index]) << (8 * index) }
                guard count >= 0, count <= list.count / 8 - 1 else { throw .corrupted }
                return count
            }
            pages += listed
            isThere = try cursor.next()
        }
        return pages
    }
}
