// DataFile: whether a data file can be mapped and used without crashing the process.
//
// LMDB has no checksums and trusts what it maps: a truncated file is a SIGBUS, a flipped bit in a
// page a wild read. So before it is mapped, both meta pages and every page of the trees are read
// and compared with what points to them. Values are not read (unless asked for): who stored them
// has its own checksums.

internal import Glibc

/// What `DataFile.check` found where it did not throw.
public enum DataFileState: Equatable, Sendable {
    /// There is no file, or an empty one: LMDB will begin it.
    case absent
    /// Safe to open. The last page used and the number of the last transaction.
    case sound(lastPage: Int, transaction: UInt64)
}

/// The file "data.mdb" of a directory that is not open.
public enum DataFile {
    public static let name = "data.mdb"

    /// Reads the file's structure: a few pages per thousand values, before anything is mapped.
    ///
    /// A file may rightly be shorter than its last page number says (pages that were taken and
    /// given back within one transaction are never written), so it is the pages in use that must
    /// be there, and all pages beyond its end that must be listed as free.
    ///
    /// - Parameter includingValues: look at the page in front of every large value, too: one
    ///   more read each.
    /// - Throws: `invalid` if it is no LMDB file or a meta page is damaged, `versionMismatch`,
    ///   `corrupted` if pages are missing or contradict each other, `irregular`, `io`.
    public static func check(
        directory: String, includingValues: Bool = false
    ) throws(LMDBError) -> DataFileState {
        let path = directory + "/" + name
        // SAFETY: a nul-terminated path for the time of the call.
        // To open a pipe would wait for somebody who writes to it.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0 {
            guard errno == ENOENT else { throw LMDBError(code: errno) }
            return .absent
        }
        defer { _ = close(descriptor) }
        let file = try FileReader(descriptor)
        if file.byteCount == 0 { return .absent }
        let metas = try metaPages(file)
        // The older one may be half undone after a failed write; only the newer one counts.
        let meta = metas.newer
        try checkHead(meta)
        var walk = TreeWalk(file: file, meta: meta, includingValues: includingValues)
        try walk.run()
        try checkNumber(meta, beside: metas.older, file)
        return .sound(lastPage: Int(meta.lastPage), transaction: meta.transaction)
    }

    /// Both meta pages.
    struct MetaPages {
        let first: MetaPage
        let second: MetaPage
        var newer: MetaPage { first.transaction < second.transaction ? second : first }
        var older: MetaPage { first.transaction < second.transaction ? first : second }
    }

    /// Both meta pages must be whole, agree with each other, and belong where they are.
    static func metaPages(_ file: FileReader) throws(LMDBError) -> MetaPages {
        let first = try meta(file, at: 0)
        let pageBytes = first.pageBytes
        guard pageBytes >= 512, pageBytes <= 65536, pageBytes & (pageBytes - 1) == 0 else {
            throw .invalid
        }
        let second = try meta(file, at: pageBytes)
        guard second.pageBytes == pageBytes else { throw .invalid }
        // Commits alternate between the pages: even ones on the first, odd ones on the second.
        let low = min(first.transaction, second.transaction)
        let high = max(first.transaction, second.transaction)
        let isNew = high == 0
        guard isNew || high - low == 1 else { throw .invalid }
        guard first.transaction & 1 == 0, isNew || second.transaction & 1 == 1 else {
            throw .invalid
        }
        return MetaPages(first: first, second: second)
    }

    /// Where a state's trees begin.
    static func checkHead(_ meta: MetaPage) throws(LMDBError) {
        guard meta.lastPage >= 1, meta.lastPage < 1 << 40 else { throw .invalid }
        for database in [meta.free, meta.main] {
            guard database.depth <= PageFormat.levelsMax else { throw .invalid }
            guard
                database.isEmpty
                    || database.depth > 0 && database.root >= 2 && database.root <= meta.lastPage
            else { throw .invalid }
        }
        guard meta.free.hasIntegerKeys, meta.main.flags == 0 else { throw .invalid }
    }

    private static func meta(_ file: FileReader, at offset: Int) throws(LMDBError) -> MetaPage {
        guard let bytes = try file.read(offset, MetaPage.byteCount) else { throw .invalid }
        let meta = MetaPage(bytes)
        guard meta.kind == PageFormat.meta, meta.magic == MetaPage.magic else { throw .invalid }
        guard meta.version == 1 else { throw .versionMismatch }
        return meta
    }
}

/// Positioned reads of an open file.
struct FileReader {
    let descriptor: Int32
    let byteCount: Int

    init(_ descriptor: Int32) throws(LMDBError) {
        var status = stat()
        // SAFETY: the struct is the call's own.
        guard unsafe fstat(descriptor, &status) == 0 else { throw LMDBError(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .irregular }
        self.descriptor = descriptor
        byteCount = Int(status.st_size)
    }

    /// The bytes there; nil if the file ends before they do.
    func read(_ offset: Int, _ count: Int) throws(LMDBError) -> PageBytes? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            // SAFETY: the buffer is `count` bytes long and lives through the call.
            let result = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe pread(
                    descriptor, buffer.baseAddress.unsafelyUnwrapped + filled, count - filled,
                    off_t(offset + filled))
            }
            if result == 0 { return nil }
            if result < 0 {
                guard errno == EINTR else { throw LMDBError(code: errno) }
                continue
            }
            filled += result
        }
        return PageBytes(bytes: bytes)
    }
}
