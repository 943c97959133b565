// EntryPool: entries of a worker that connections borrow while they need them.
//
// A connection that waits for a command has none. Those that were given back last are taken first,
// so that pages of the others are not taken from the system. What an entry means, and whether there
// is one for everybody, is the owner's business.

internal import Primitives

/// A table whose entries are taken and given back. Copies name the same entries.
struct EntryPool<Entry: BitwiseCopyable>: BitwiseCopyable {
    let entries: Table<Entry>
    /// Of a vacant entry the next vacant one; of a taken one `taken`.
    private let links: Table<UInt32>
    private var firstVacant = nobody
    /// Entries from here on were never taken.
    private var usedCount = 0
    private(set) var takenCount = 0

    @inline(__always) var vacantCount: Int { entries.count &- takenCount }
    /// The entries that were ever taken.
    var used: Range<Int> { 0..<usedCount }

    private static var taken: UInt32 { nobody - 1 }

    init(count: Int) throws(MemoryError) {
        entries = try Table(count: count)
        links = try Table(count: count)
    }

    static func byteCount(of count: Int) -> Int {
        Table<Entry>.byteCount(of: count) + Table<UInt32>.byteCount(of: count)
    }

    /// Bytes of one entry.
    static var entryBytes: Int { MemoryLayout<Entry>.stride + MemoryLayout<UInt32>.stride }

    @inline(__always)
    subscript(id: UInt32) -> Entry {
        _read { yield entries[Int(id)] }
        nonmutating _modify { yield &entries[Int(id)] }
    }

    /// The same by a number of another kind.
    @inline(__always)
    subscript(number: Int) -> Entry {
        _read { yield entries[number] }
        nonmutating _modify { yield &entries[number] }
    }

    /// Takes an entry, of which there must be one, and writes it.
    mutating func take(_ entry: Entry) -> UInt32 {
        let id = take()
        entries[Int(id)] = entry
        return id
    }

    /// Takes an entry as it was given back; all zeros if it never was.
    mutating func take() -> UInt32 {
        var id = firstVacant
        if id != nobody {
            firstVacant = links[Int(id)]
        } else {
            precondition(usedCount < entries.count, "nobody asked whether there is one")
            id = UInt32(usedCount)
            usedCount += 1
        }
        links[Int(id)] = Self.taken
        takenCount += 1
        return id
    }

    /// Gives an entry back.
    mutating func give(_ id: UInt32) {
        precondition(links[Int(id)] == Self.taken)
        links[Int(id)] = firstVacant
        firstVacant = id
        takenCount -= 1
    }

    /// Whether an entry is somebody's.
    func isTaken(_ id: UInt32) -> Bool { Int(id) < usedCount && links[Int(id)] == Self.taken }

    /// Traps unless every entry is either vacant or taken.
    func check() {
        var vacantCount = 0
        var id = firstVacant
        while id != nobody {
            vacantCount += 1
            precondition(vacantCount <= usedCount && Int(id) < usedCount)
            id = links[Int(id)]
        }
        precondition(vacantCount + takenCount == usedCount)
    }
}
