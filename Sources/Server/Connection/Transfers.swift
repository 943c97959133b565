// Transfers: large values on their way in and out of one connection, and lists it is answered with.
//
// A connection keeps two small machines: `Arrival`, how far a value on its way in has come, and
// `Tail`, what is owed behind one that was sent. What else is known of such a value is an entry
// that the connection borrows from its worker as long as it lasts (`Transfers`). Nothing is
// received or sent here: that is LargeValues.

internal import Memcache
internal import Primitives
internal import Store

/// How far a large value on its way in has come.
///
/// ```text
///          begin            all is here, text          line end
///   none ────────► filling ───────────────► lineEnd ────────────► storing ──┐
///    ▲                │ all is here, binary                         ▲       │
///    │                └─────────────────────────────────────────────┘       │
///    └──────────────── end, from any of them ◄──────────────────────────────┘
/// ```
struct Arrival: BitwiseCopyable {
    enum Phase: UInt8, BitwiseCopyable {
        case none
        /// Its bytes are still arriving.
        case filling
        /// Complete but for its line end.
        case lineEnd
        /// Complete; the store has yet to take it.
        case storing
    }

    private(set) var phase = Phase.none
    private var hasLineEnd = false
    private var totalBytes: UInt32 = 0
    private var arrivedCount: UInt32 = 0

    /// Bytes that the value has in all; 0 if there is none.
    var valueBytes: Int { Int(totalBytes) }
    var arrivedBytes: Int { Int(arrivedCount) }
    var missingBytes: Int { Int(totalBytes &- arrivedCount) }
    @inline(__always) var isActive: Bool { phase != .none }
    /// Whether its peer owes some of it.
    var isOwed: Bool { phase == .filling || phase == .lineEnd }

    /// A value of so many bytes has its place.
    mutating func begin(valueBytes: UInt32, hasLineEnd: Bool) {
        precondition(phase == .none)
        self.hasLineEnd = hasLineEnd
        totalBytes = valueBytes
        phase = .filling
        endIfWhole()
    }

    /// So many bytes of it have come.
    mutating func add(_ bytes: Int) {
        precondition(phase == .filling && bytes > 0 && bytes <= missingBytes)
        arrivedCount += UInt32(bytes)
        endIfWhole()
    }

    private mutating func endIfWhole() {
        if missingBytes == 0 { phase = hasLineEnd ? .lineEnd : .storing }
    }

    mutating func passLineEnd() {
        precondition(phase == .lineEnd)
        phase = .storing
    }

    mutating func end() {
        precondition(isActive)
        self = Arrival()
    }

    /// Traps if it contradicts itself.
    func check() {
        precondition(arrivedCount <= totalBytes)
        precondition((phase == .filling) == (missingBytes > 0))
        precondition(isActive || totalBytes == 0)
    }
}

/// What is known of a value on its way in besides how far it has come. Its key has a place of its
/// own (`Transfers.keyPlace`).
struct Incoming: BitwiseCopyable {
    /// Where it goes; nil if there is no place for it, or none any more.
    var staging: Staging?
    /// The command, whose key begins at its place.
    var request: Request
    var meta: StagedMeta
}

/// A large value on its way out.
struct Outgoing: BitwiseCopyable {
    /// Where it lies.
    enum Source: BitwiseCopyable {
        /// In pinned memory.
        case pin(Pin)
        /// In the memory that its record was read into, from an offset of the store's memory on.
        case place(Staging, offset: Int)
    }

    let source: Source
    let valueBytes: Int
    private(set) var sentBytes = 0
    /// END follows its line end.
    var endsKeys = false
    /// The commit that it waits for; 0 if it may be sent.
    var barrier: UInt64 = 0

    init(_ source: Source, valueBytes: Int) {
        self.source = source
        self.valueBytes = valueBytes
    }

    var isPinned: Bool {
        if case .pin = source { return true }
        return false
    }

    /// Whether all of it has left.
    var isSent: Bool { sentBytes == valueBytes }

    mutating func add(_ bytes: Int) {
        precondition(barrier == 0 && bytes <= valueBytes - sentBytes)
        sentBytes += bytes
    }

    /// Traps if it contradicts itself: who has left is forgotten at once.
    func check() { precondition(sentBytes < valueBytes) }
}

/// What is owed behind a large value that was sent from elsewhere, before anything else.
enum Tail: UInt8, BitwiseCopyable {
    case nothing
    case lineEnd
    /// And END behind it.
    case lineEndAndEnd

    @inline(__always) var isOwed: Bool { self != .nothing }
}

/// What a worker's connections borrow while values or lists are on their way. Copies name the same
/// memory.
struct Transfers: BitwiseCopyable {
    var incoming: EntryPool<Incoming>
    var outgoing: EntryPool<Outgoing>
    var listings: EntryPool<Listing>
    /// Room for the key of each incoming value, and behind them for one that is being decoded.
    let keys: Region
    private let connectionsMax: Int

    init(connectionsMax: Int) throws(MemoryError) {
        incoming = try EntryPool(count: connectionsMax)
        outgoing = try EntryPool(count: connectionsMax)
        listings = try EntryPool(count: connectionsMax)
        keys = try Region.map(byteCount: Self.keysBytes(connectionsMax))
        self.connectionsMax = connectionsMax
    }

    private static func keysBytes(_ connectionsMax: Int) -> Int {
        (connectionsMax + 1) * ServerLimits.keyBytes
    }

    static func byteCount(connectionsMax: Int) -> Int {
        EntryPool<Incoming>.byteCount(of: connectionsMax)
            + EntryPool<Outgoing>.byteCount(of: connectionsMax)
            + EntryPool<Listing>.byteCount(of: connectionsMax) + keysBytes(connectionsMax)
    }

    /// Where the key of an incoming value lies, and behind it an opaque token.
    func keyPlace(_ id: UInt32) -> Location {
        Location(region: keys, offset: Int(id) * ServerLimits.keyBytes)
    }

    /// Where a key lies that was decoded last.
    var decodedPlace: Location {
        Location(region: keys, offset: connectionsMax * ServerLimits.keyBytes)
    }

    /// Whether a large value is on its way.
    var isMovingValues: Bool { incoming.takenCount > 0 || outgoing.takenCount > 0 }

    var isUnused: Bool {
        incoming.takenCount == 0 && outgoing.takenCount == 0 && listings.takenCount == 0
    }

    /// Traps unless a connection holds what its state says.
    func check(_ connection: Connection) {
        connection.arrival.check()
        if connection.phase == .open {
            precondition(connection.arrival.isActive == (connection.incoming != nobody))
            precondition(connection.listing.isActive == (connection.listingEntry != nobody))
        }
        if connection.incoming != nobody {
            precondition(incoming.isTaken(connection.incoming))
        }
        if connection.outgoing != nobody {
            precondition(outgoing.isTaken(connection.outgoing))
            precondition(!connection.tail.isOwed)
            outgoing[connection.outgoing].check()
        }
        if connection.listingEntry != nobody {
            precondition(listings.isTaken(connection.listingEntry))
        }
    }

    /// Traps if what is vacant contradicts what is counted.
    func check() {
        incoming.check()
        outgoing.check()
        listings.check()
    }
}
