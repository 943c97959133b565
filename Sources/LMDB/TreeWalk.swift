// TreeWalk: reads every page of every tree of a data file and checks all that LMDB takes for
// granted: that a page is there, is what points to it, is used once, and that its nodes lie
// inside it with keys in order. It changes nothing and repairs nothing.

/// One walk over the newest committed state.
struct TreeWalk {
    let file: FileReader
    let meta: MetaPage
    let includingValues: Bool
    let pageBytes: Int
    /// Whole pages that the file holds.
    let filePages: UInt64
    /// One bit per page of the file: in use, or listed as free.
    private var taken: [UInt64]
    /// Pages beyond the end of the file that are listed as free.
    private var freeBeyondEnd: UInt64 = 0
    private var databases: [StoredDatabase] = []

    init(file: FileReader, meta: MetaPage, includingValues: Bool) {
        self.file = file
        self.meta = meta
        self.includingValues = includingValues
        pageBytes = meta.pageBytes
        filePages = UInt64(file.byteCount / meta.pageBytes)
        taken = Array(repeating: 0, count: Int(filePages / 64) + 1)
    }

    mutating func run() throws(LMDBError) {
        try take(0, count: 2)
        try walk(meta.main, as: .main)
        for database in databases { try walk(database, as: .named) }
        try walk(meta.free, as: .free)
        let pages = meta.lastPage + 1
        guard pages <= filePages || freeBeyondEnd == pages - filePages else { throw .corrupted }
    }

    private enum Role { case free, main, named }

    private mutating func walk(_ database: StoredDatabase, as role: Role) throws(LMDBError) {
        if database.isEmpty { return }
        guard database.hasKnownFlags, database.depth >= 1,
            database.depth <= PageFormat.levelsMax
        else { throw .corrupted }
        try walk(database.root, level: database.depth, database, role)
    }

    private mutating func walk(
        _ number: UInt64, level: Int, _ database: StoredDatabase, _ role: Role
    ) throws(LMDBError) {
        try take(number, count: 1)
        guard let page = try file.read(Int(number) * pageBytes, pageBytes) else {
            throw .corrupted
        }
        guard page.uint64(0) == number,
            page.uint16(10) == (level > 1 ? PageFormat.branch : PageFormat.leaf)
        else { throw .corrupted }
        let nodes = try self.nodes(page, isBranch: level > 1, database, role)
        for node in nodes {
            if level > 1 {
                try walk(node.page, level: level - 1, database, role)
            } else {
                try leaf(page, node, role)
            }
        }
    }

    private struct Node {
        /// Where its value (or the value's page number) begins in the page.
        var valueOffset: Int
        var valueBytes: Int
        var flags: UInt16
        /// The child of a branch node.
        var page: UInt64
    }

    /// Checks the page's own layout and the order of its keys.
    private func nodes(
        _ page: PageBytes, isBranch: Bool, _ database: StoredDatabase, _ role: Role
    ) throws(LMDBError) -> [Node] {
        let lower = Int(page.uint16(12))
        let upper = Int(page.uint16(14))
        guard lower >= PageFormat.headerBytes, lower & 1 == 0, lower <= upper, upper <= pageBytes
        else { throw .corrupted }
        let count = (lower - PageFormat.headerBytes) / 2
        guard count >= (isBranch && role != .free ? 2 : 1) else { throw .corrupted }
        var nodes: [Node] = []
        nodes.reserveCapacity(count)
        var previous: ArraySlice<UInt8>?
        for index in 0..<count {
            let start = Int(page.uint16(PageFormat.headerBytes + 2 * index))
            guard start >= upper, start & 1 == 0, start <= pageBytes - PageFormat.nodeHeaderBytes
            else { throw .corrupted }
            let keyBytes = Int(page.uint16(start + 6))
            let keyStart = start + PageFormat.nodeHeaderBytes
            let isLowest = isBranch && index == 0
            guard keyBytes <= PageFormat.keyBytesMax, keyBytes > 0 || isLowest,
                !database.hasIntegerKeys || keyBytes == 8 || isLowest && keyBytes == 0,
                keyBytes <= pageBytes - keyStart
            else { throw .corrupted }
            // The lowest key of a branch page means "below everything" and is never compared.
            if !isLowest {
                let key = page.bytes[keyStart..<keyStart + keyBytes]
                if let previous {
                    guard isBelow(previous, key, asIntegers: database.hasIntegerKeys) else {
                        throw .corrupted
                    }
                }
                previous = key
            }
            let word = UInt64(page.uint32(start))
            let flags = page.uint16(start + 4)
            nodes.append(
                Node(
                    valueOffset: keyStart + keyBytes, valueBytes: Int(word), flags: flags,
                    page: word | UInt64(flags) << 32))
        }
        return nodes
    }

    private func isBelow(
        _ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>, asIntegers: Bool
    ) -> Bool {
        asIntegers
            ? low.reversed().lexicographicallyPrecedes(high.reversed())
            : low.lexicographicallyPrecedes(high)
    }

    private mutating func leaf(
        _ page: PageBytes, _ node: Node, _ role: Role
    ) throws(LMDBError) {
        let room = pageBytes - node.valueOffset
        switch node.flags {
        case PageFormat.onOverflow:
            guard room >= 8 else { throw .corrupted }
            let first = page.uint64(node.valueOffset)
            let pages = PageFormat.overflowPages(node.valueBytes, pageBytes: pageBytes)
            try take(first, count: UInt64(pages))
            if includingValues || role == .free { try head(of: first, pages: pages) }
            if role == .free { try freeList(onPage: first, byteCount: node.valueBytes) }
        case PageFormat.database:
            guard role == .main, node.valueBytes == StoredDatabase.byteCount,
                room >= StoredDatabase.byteCount
            else { throw .corrupted }
            databases.append(StoredDatabase(page, at: node.valueOffset))
        case 0:
            guard room >= node.valueBytes else { throw .corrupted }
            if role == .free { try freeList(page, node.valueOffset, node.valueBytes) }
        default:
            throw .corrupted
        }
    }

    /// The header in front of a value with pages of its own.
    private func head(of first: UInt64, pages: Int) throws(LMDBError) {
        guard
            let head = try file.read(Int(first) * pageBytes, PageFormat.headerBytes),
            head.uint64(0) == first, head.uint16(10) == PageFormat.overflow,
            Int(head.uint32(12)) == pages
        else { throw .corrupted }
    }

    private mutating func freeList(onPage first: UInt64, byteCount: Int) throws(LMDBError) {
        let offset = Int(first) * pageBytes + PageFormat.headerBytes
        guard let list = try file.read(offset, byteCount) else { throw .corrupted }
        try freeList(list, 0, byteCount)
    }

    /// A count, then so many page numbers; the list may be longer than its count says.
    private mutating func freeList(
        _ bytes: PageBytes, _ offset: Int, _ byteCount: Int
    ) throws(LMDBError) {
        guard byteCount >= 8 else { throw .corrupted }
        let count = bytes.uint64(offset)
        guard count <= UInt64(byteCount / 8 - 1) else { throw .corrupted }
        var above = UInt64.max
        for index in 0..<Int(count) {
            let page = bytes.uint64(offset + 8 + 8 * index)
            guard page >= 2, page < above, page <= meta.lastPage else { throw .corrupted }
            above = page
            if page >= filePages {
                freeBeyondEnd += 1
            } else {
                try take(page, count: 1)
            }
        }
    }

    /// Pages must be in the file, below the last page, and used once.
    private mutating func take(_ first: UInt64, count: UInt64) throws(LMDBError) {
        guard first <= meta.lastPage, count <= meta.lastPage + 1 - first,
            first < filePages, count <= filePages - first
        else { throw .corrupted }
        // Values of hundreds of pages are most of a file: a word of bits at a time.
        var page = first
        while page < first + count {
            let offset = page & 63
            let here = min(64 - offset, first + count - page)
            let bits = (UInt64.max >> (64 - here)) << offset
            guard taken[Int(page >> 6)] & bits == 0 else { throw .corrupted }
            taken[Int(page >> 6)] |= bits
            page += here
        }
    }
}
