// PageFormat: LMDB's pages as they lie in the data file (format version 1, 64-bit, 0.9.x).
//
// Only what the file check and the places of values need; nothing here writes.

/// Numbers of the format.
///
/// ```text
/// page header    byte 0          8         10      12       14       16
///                     | number   | unused  | flags | lower  | upper  | node offsets (2 bytes) …
///   overflow page     | number   | unused  | flags | page count      | value …
/// node           byte 0          2         4       6        8
///   in a leaf         | bytes lo | bytes hi| flags | key n. | key … value or its page number …
///   in a branch       | page lo  | page mid| p. hi | key n. | key …
/// ```
enum PageFormat {
    static let headerBytes = 16
    static let nodeHeaderBytes = 8
    static let keyBytesMax = 511
    static let levelsMax = 32

    // Page flags. Others exist in memory only; one of those in a file would make LMDB write to
    // its map.
    static let branch: UInt16 = 1
    static let leaf: UInt16 = 2
    static let overflow: UInt16 = 4
    static let meta: UInt16 = 8

    // Node flags.
    static let onOverflow: UInt16 = 1
    static let database: UInt16 = 2

    /// Pages that a value of so many bytes takes when it has pages of its own.
    static func overflowPages(_ byteCount: Int, pageBytes: Int) -> Int {
        (headerBytes - 1 + byteCount) / pageBytes + 1
    }
}

/// Bytes of the file, read in whole; every access is checked.
struct PageBytes {
    var bytes: [UInt8]

    func uint16(_ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
    }
    func uint32(_ offset: Int) -> UInt32 {
        UInt32(uint16(offset)) | UInt32(uint16(offset + 2)) << 16
    }
    func uint64(_ offset: Int) -> UInt64 {
        UInt64(uint32(offset)) | UInt64(uint32(offset + 4)) << 32
    }
}

/// One database as the file describes it.
///
/// ```text
/// byte  0    4       6       8          16         24         32         40     48
///       | pad | flags | depth | branch p. | leaf p. | overfl. p. | entries | root |
/// ```
struct StoredDatabase {
    static let byteCount = 48
    static let noRoot = UInt64.max

    let pad: UInt32
    let flags: UInt16
    let depth: Int
    let root: UInt64

    init(_ page: PageBytes, at offset: Int) {
        pad = page.uint32(offset)
        flags = page.uint16(offset + 4)
        depth = Int(page.uint16(offset + 6))
        root = page.uint64(offset + 40)
    }

    /// MDB_INTEGERKEY is the only flag that this module gives a database.
    var hasIntegerKeys: Bool { flags == 8 }
    var hasKnownFlags: Bool { flags == 8 || flags == 0 }
    var isEmpty: Bool { root == StoredDatabase.noRoot && depth == 0 }
}

/// A meta page: where the trees of one committed state begin.
///
/// ```text
/// byte  16      20        24        32      40          88       136      144         152
///       | magic | version | address | map n.| free pages | main   | last p.| transaction |
/// ```
struct MetaPage {
    static let byteCount = 152
    static let magic: UInt32 = 0xBEEF_C0DE
    static let freeRootOffset = 80
    static let transactionOffset = 144

    let kind: UInt16
    let magic: UInt32
    let version: UInt32
    let free: StoredDatabase
    let main: StoredDatabase
    let lastPage: UInt64
    let transaction: UInt64
    /// The free-page database's pad field holds the page size.
    var pageBytes: Int { Int(free.pad) }

    init(_ page: PageBytes) {
        kind = page.uint16(10)
        magic = page.uint32(16)
        version = page.uint32(20)
        free = StoredDatabase(page, at: 40)
        main = StoredDatabase(page, at: 88)
        lastPage = page.uint64(136)
        transaction = page.uint64(Self.transactionOffset)
    }
}
