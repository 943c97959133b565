// LockFile: LMDB's own lock file ("lock.mdb": readers and the writer of one environment) has its
// place on the disk before LMDB maps it.
//
// LMDB makes the file by its length alone and writes to it through the mapping: where the disk
// has no room for the page then, the process ends with SIGBUS. What the file holds stays LMDB's
// business. It assumes that the caller holds the directory's `StoreLock`, and that no environment
// is open in it: closing the file gives up every lock that this process has on it.

internal import Glibc

enum LockFile {
    static let name = "lock.mdb"

    /// Makes the file if it is missing, and gives it its place.
    ///
    /// - Throws: `noSpace` if there is none.
    static func reserve(directory: String, readersMax: Int) throws(LMDBError) {
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe open(
            directory + "/" + name, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        defer { _ = close(descriptor) }
        let byteCount = byteCount(readersMax: readersMax)
        guard try lacksBlocks(descriptor, below: byteCount) else { return }
        var code: Int32
        repeat { code = posix_fallocate(descriptor, 0, off_t(byteCount)) } while code == EINTR
        try LMDBError.check(code)
    }

    /// What LMDB may write to, or more: its head, and 64 bytes for each reader.
    private static func byteCount(readersMax: Int) -> Int {
        (512 + 64 * readersMax + 4095) / 4096 * 4096
    }

    /// Some file systems want room even to reserve what is reserved already, so they are asked
    /// only if they have to be.
    private static func lacksBlocks(
        _ descriptor: Int32, below byteCount: Int
    ) throws(LMDBError) -> Bool {
        var status = stat()
        // SAFETY: the struct is the call's own.
        guard unsafe fstat(descriptor, &status) == 0 else { throw LMDBError(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .irregular }
        return Int(status.st_blocks) * 512 < max(byteCount, Int(status.st_size))
    }
}
