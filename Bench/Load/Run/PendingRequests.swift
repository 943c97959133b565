// PendingRequests: what each connection has asked and not been answered yet.
//
// One ring of them per connection, in one region, since a request may name many keys.

internal import Primitives

/// The requests under way of all connections of one worker.
///
/// A ring of `depth` entries per connection:
///
/// ```text
/// byte 0             8         12          16            20
///      | sent at (ns) | command | key count | first key's number | … | its version | …
/// ```
///
/// Bit 8 of the command says that the request follows a miss.
///
/// Versions are there only when values are verified: of a get, what was acknowledged when it was
/// sent; of a change, what it writes.
struct PendingRequests: BitwiseCopyable {
    static let headerBytes = 16
    private let memory: Region
    private let depth: Int
    private let entryBytes: Int
    private let versionOffset: Int

    init(connectionCount: Int, depth: Int, keysMax: Int, hasVersions: Bool)
        throws(MemoryError)
    {
        self.depth = depth
        versionOffset = Self.headerBytes + 4 * keysMax
        entryBytes = (versionOffset + (hasVersions ? 4 * keysMax : 0) + 7) / 8 * 8
        memory = try Region.map(byteCount: connectionCount * depth * entryBytes)
    }

    /// The place of the request `index` behind the oldest of a connection.
    @inline(__always)
    func entry(_ slot: Int, _ link: Link, _ index: Int) -> Int {
        (slot &* depth &+ link.place(index, in: depth)) &* entryBytes
    }

    @inline(__always)
    func begin(
        _ entry: Int, _ command: LoadCommand, keyCount: Int, followsMiss: Bool = false,
        at nanoseconds: UInt64
    ) {
        memory.store(nanoseconds, at: entry)
        memory.store(UInt32(command.rawValue) | (followsMiss ? 0x100 : 0), at: entry &+ 8)
        memory.store(UInt32(truncatingIfNeeded: keyCount), at: entry &+ 12)
    }

    @inline(__always)
    func setKey(_ entry: Int, _ index: Int, _ key: UInt32) {
        memory.store(key, at: entry &+ Self.headerBytes &+ 4 &* index)
    }

    func setVersion(_ entry: Int, _ index: Int, _ version: UInt32) {
        memory.store(version, at: entry &+ versionOffset &+ 4 &* index)
    }

    func version(_ entry: Int, _ index: Int) -> UInt32 {
        memory.uint32(at: entry &+ versionOffset &+ 4 &* index)
    }

    @inline(__always) func sentAt(_ entry: Int) -> UInt64 { memory.uint64(at: entry) }
    @inline(__always) func command(_ entry: Int) -> LoadCommand {
        LoadCommand(rawValue: memory.uint8(at: entry &+ 8)) ?? .get
    }
    @inline(__always) func followsMiss(_ entry: Int) -> Bool {
        memory.uint8(at: entry &+ 9) != 0
    }
    @inline(__always) func keyCount(_ entry: Int) -> Int {
        Int(memory.uint32(at: entry &+ 12))
    }
    @inline(__always) func key(_ entry: Int, _ index: Int) -> UInt32 {
        memory.uint32(at: entry &+ Self.headerBytes &+ 4 &* index)
    }
}
