// StoreDirectory: the directory around a data file: making it, marks in it, moving a bad file
// aside, a descriptor to read from. Every change here survives a power cut once it returned.
//
// It assumes that the caller holds the directory's `StoreLock`.

internal import CLMDB
internal import Glibc

/// Changes to names in a store's directory.
public enum StoreDirectory {
    /// Makes `path` and what is missing above it, for this user only.
    public static func make(_ path: String) throws(LMDBError) {
        var above = path.hasPrefix("/") ? "/" : "."
        var made = path.hasPrefix("/") ? "" : "."
        for piece in path.split(separator: "/", omittingEmptySubsequences: true) {
            made += "/" + piece
            // SAFETY (all calls here): a nul-terminated path for the time of the call.
            if unsafe mkdir(made, 0o700) == 0 {
                try sync(above)
            } else if errno != EEXIST {
                throw LMDBError(code: errno)
            }
            above = made
        }
    }

    /// Makes the names in a directory durable: files created, renamed, removed.
    public static func sync(_ path: String) throws(LMDBError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else { throw LMDBError(code: errno) }
    }

    /// Whether the directory holds a file `mark`.
    public static func hasMark(_ mark: String, in path: String) -> Bool {
        unsafe access(path + "/" + mark, F_OK) == 0
    }

    /// Leaves an empty file `mark`: something has begun that must be known of after a crash.
    public static func set(mark: String, in path: String) throws(LMDBError) {
        let descriptor = unsafe open(path + "/" + mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        let code = fsync(descriptor)
        let refusal = errno
        _ = close(descriptor)
        guard code == 0 else { throw LMDBError(code: refusal) }
        try sync(path)
    }

    /// Removes `mark`, if it is there.
    public static func clear(mark: String, in path: String) throws(LMDBError) {
        if unsafe unlink(path + "/" + mark) != 0, errno != ENOENT {
            throw LMDBError(code: errno)
        }
        try sync(path)
    }
}

extension DataFile {
    /// Renames the data file so that a new one can begin; answers the new path, or nil if there
    /// was no file, or an empty one. One of that name makes way. Not while it is open.
    @discardableResult
    public static func moveAside(
        directory: String, to target: String
    ) throws(LMDBError) -> String? {
        let (path, aside) = (directory + "/" + name, directory + "/" + target)
        var status = stat()
        // SAFETY (all calls here): nul-terminated paths for the time of the call.
        var code = unsafe stat(path, &status)
        if code == 0, status.st_size == 0 { return nil }
        if code == 0 { code = unsafe rename(path, aside) }
        guard code == 0 else {
            guard errno == ENOENT else { throw LMDBError(code: errno) }
            return nil
        }
        _ = unsafe unlink(directory + "/" + LockFile.name)
        try StoreDirectory.sync(directory)
        return aside
    }

    /// Makes the data file if it is missing, empty, and gives the pages of its first transactions
    /// their place. Where there is room for half of them only, a transaction fails with EIO, as if
    /// the disk were broken. Not while it is open.
    static func reserve(directory: String) throws(LMDBError) {
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe Glibc.open(
            directory + "/" + name, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        defer { _ = close(descriptor) }
        let byteCount = reservedPages * max(sysconf(Int32(_SC_PAGESIZE)), 4096)
        // The length stays: it tells LMDB that the file is new. A file system that cannot do that
        // is left to itself.
        guard fallocate(descriptor, keepLength, 0, off_t(byteCount)) != 0 else { return }
        guard [ENOSPC, EDQUOT, EFBIG].contains(errno) else { return }
        throw .noSpace
    }

    private static let reservedPages = 16
    /// FALLOC_FL_KEEP_SIZE.
    private static let keepLength: Int32 = 1

    /// Nothing is left in the data file, if there is one. Not while it is open.
    static func empty(directory: String) {
        // SAFETY: a nul-terminated path for the time of the call.
        _ = unsafe truncate(directory + "/" + name, 0)
    }

    /// Opens the data file for reads at the places that `fileOffset` tells. The caller closes the
    /// descriptor. It keeps naming the same file if that is moved aside.
    public static func openForReading(directory: String) throws(LMDBError) -> Int32 {
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe open(directory + "/" + name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        return descriptor
    }
}
