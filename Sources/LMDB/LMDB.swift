// LMDB: the system's liblmdb as Swift types: environment, transactions, cursors, file checks.
//
// Everything that is unsafe about LMDB stays inside this module: no MDB_val, pointer or C handle
// leaves it, bytes are lent as spans inside a call, and every end is a `deinit`. It knows nothing
// of caching, of threads (beyond "one writer") or of what the bytes mean.

internal import CLMDB
internal import Glibc

/// What LMDB or the file system refused.
public enum LMDBError: Error, Equatable, Sendable {
    /// The key is there already, or an appended key does not lie above the last one.
    case keyExists
    case notFound
    /// No free page in the map. The transaction can only be aborted; the environment lives on.
    case mapFull
    /// A write of the meta page failed earlier: close the environment and open it again.
    case panic
    /// The file contradicts itself: a page is missing, torn or not what points to it.
    case corrupted
    /// Not an LMDB file, or its meta pages are damaged.
    case invalid
    case versionMismatch
    /// Where the file should be is a directory, a pipe or a device.
    case irregular
    /// The file system is full, or a quota is.
    case noSpace
    /// The system refused; the errno.
    case io(errno: Int32)
    /// In use: the environment is open in this process, or a write transaction is.
    case busy
    /// Any other code of LMDB's (negative).
    case other(code: Int32)

    /// The system has no memory for what was to be done.
    public static var outOfMemory: LMDBError { .io(errno: ENOMEM) }

    /// What the system answered to one of its calls.
    public init(errno: Int32) { self.init(code: errno) }

    init(code: Int32) {
        switch code {
        case MDB_KEYEXIST: self = .keyExists
        case MDB_NOTFOUND: self = .notFound
        case MDB_MAP_FULL: self = .mapFull
        case MDB_PANIC: self = .panic
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND: self = .corrupted
        case MDB_INVALID: self = .invalid
        case MDB_VERSION_MISMATCH: self = .versionMismatch
        case ENOSPC, EDQUOT, EFBIG: self = .noSpace
        case EBUSY: self = .busy
        case 1...: self = .io(errno: code)
        default: self = .other(code: code)
        }
    }

    /// Throws unless `code` is zero.
    static func check(_ code: Int32) throws(LMDBError) {
        guard code == 0 else { throw LMDBError(code: code) }
    }
}

extension LMDBError: CustomStringConvertible {
    /// One phrase for a log line.
    public var description: String {
        switch self {
        case .keyExists: "key exists"
        case .notFound: "not found"
        case .mapFull: "map full"
        case .panic: "a write failed earlier, reopen"
        case .corrupted: "damaged file"
        case .invalid: "not a store or damaged at its head"
        case .versionMismatch: "another format version"
        case .irregular: "one of its files is no regular file"
        case .noSpace: "no space left"
        case .io(let errno): Self.text(errno)
        case .busy: "in use"
        case .other(let code): "error \(code)"
        }
    }

    /// The system's words for an errno.
    private static func text(_ errno: Int32) -> String {
        // SAFETY: strerror answers a string that ends in a zero byte, this thread's own (glibc
        // 2.32 and later) or constant; it is copied at once.
        unsafe strerror(errno).map { unsafe String(cString: $0) } ?? "system error \(errno)"
    }
}
