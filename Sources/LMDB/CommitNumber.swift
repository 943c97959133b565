// CommitNumber: which of a data file's two states is the newest. LMDB goes by the number in a meta
// page, which nothing covers: with a bit changed, the state before the last commit would be taken.
//
// But a state knows its number: a commit lists the pages that it has freed under it, and frees one
// at least, the root of the main tree, which it copies. Only one state has another on purpose: when
// a meta page cannot be written, LMDB puts the old number back beside the new trees. That is a
// whole commit, too, for as long as no later one has used its pages.

internal import Glibc

/// A meta page got a number that it did not say before.
public struct MendedNumber: Equatable, Sendable {
    public let from: UInt64
    public let to: UInt64
}

extension DataFile {
    /// The newer state must have the number that it says; a commit into an empty file frees
    /// nothing.
    static func checkNumber(
        _ newer: MetaPage, beside older: MetaPage, _ file: FileReader
    ) throws(LMDBError) {
        if older.main.isEmpty { return }
        guard try file.lastFreedBy(newer) == newer.transaction else { throw .invalid }
    }

    /// If what is said to be the older state is the one that comes after the other, it gets its
    /// number; if it is not sound, it loses its list of free pages, so that it is not taken for the
    /// newest later, when its pages hold something else. Before a file is opened. What is damaged
    /// otherwise is left to `check`. Answers with the number that was put right.
    static func settleNewest(directory: String) throws(LMDBError) -> MendedNumber? {
        let path = directory + "/" + name
        // SAFETY: a nul-terminated path for the time of the call. A pipe holds nobody up.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        guard let file = try? FileReader(descriptor), let metas = try? metaPages(file) else {
            return nil
        }
        let (older, newer) = (metas.older, metas.newer)
        guard let number = try file.lastFreedBy(older), number > older.transaction else {
            return nil
        }
        let page = older.transaction & 1 == 0 ? 0 : older.pageBytes
        if number == newer.transaction &+ 1, isSound(older, file) {
            try write(number, at: page + MetaPage.transactionOffset, path)
            return MendedNumber(from: older.transaction, to: number)
        }
        try write(StoredDatabase.noRoot, at: page + MetaPage.freeRootOffset, path)
        return nil
    }

    private static func isSound(_ meta: MetaPage, _ file: FileReader) -> Bool {
        var walk = TreeWalk(file: file, meta: meta, includingValues: false)
        do throws(LMDBError) {
            try checkHead(meta)
            try walk.run()
            return true
        } catch {
            return false
        }
    }

    /// Overwrites eight bytes; when this returns, they are on the disk.
    private static func write(_ word: UInt64, at offset: Int, _ path: String) throws(LMDBError) {
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        defer { _ = close(descriptor) }
        var bytes = word.littleEndian
        // SAFETY: the word's own eight bytes, for the time of the call.
        let count = unsafe pwrite(descriptor, &bytes, 8, off_t(offset))
        guard count == 8, fdatasync(descriptor) == 0 else {
            throw LMDBError(code: count >= 0 && count < 8 ? EIO : errno)
        }
    }
}

extension FileReader {
    /// The number of the commit that has freed pages last, by the list of a state; nil if nothing
    /// is listed, or the list cannot be followed.
    func lastFreedBy(_ meta: MetaPage) throws(LMDBError) -> UInt64? {
        let (list, pageBytes) = (meta.free, meta.pageBytes)
        guard list.depth <= PageFormat.levelsMax else { return nil }
        var number = list.root
        for level in stride(from: list.depth, to: 0, by: -1) {
            guard number < UInt64(byteCount / pageBytes),
                let page = try read(Int(number) * pageBytes, pageBytes),
                page.uint64(0) == number,
                page.uint16(10) == (level > 1 ? PageFormat.branch : PageFormat.leaf)
            else { return nil }
            // Behind the last of the nodes' offsets.
            let lower = Int(page.uint16(12))
            guard lower > PageFormat.headerBytes, lower & 1 == 0, lower <= pageBytes else {
                return nil
            }
            let node = Int(page.uint16(lower - 2))
            let key = node + PageFormat.nodeHeaderBytes
            guard key + 8 <= pageBytes else { return nil }
            guard level > 1 else { return page.uint16(node + 6) == 8 ? page.uint64(key) : nil }
            number = UInt64(page.uint32(node)) | UInt64(page.uint16(node + 4)) << 32
        }
        return nil
    }
}
