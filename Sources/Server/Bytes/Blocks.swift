// Blocks: the buffers that bytes lie in between a socket and a request, and their chains.
//
// Told apart by number: provided receive buffers of the ring, large and small blocks of the
// worker's pool, and lodgings, in the cache's memory, for input that waits while the pool is short.
// Small blocks are pieces of large ones: some always, others while input needs them. A provided
// buffer belongs to a connection within one turn; what is left then moves to the pool, which keeps
// a block in reserve for each that is out. Who owns which chain is the connection's business.

internal import Primitives
internal import Store

/// No block, no connection, no part: the end of every list of indices.
let nobody = UInt32.max

/// A run of bytes in one block: `start..<end`, and the block that follows in the chain.
struct Block: BitwiseCopyable {
    var next: UInt32
    var start: UInt32
    var end: UInt32
    /// Bytes at the end that are copies of what lies just before the next block's start.
    var borrowed: UInt32
    /// Holds replies, not input (blocks of the pool only).
    var isOutput = false

    var count: Int { Int(end) &- Int(start) }
}

/// Blocks in order, by first and last.
struct Chain: BitwiseCopyable {
    var head = nobody
    var tail = nobody

    var isEmpty: Bool { head == nobody }
}

/// Where bytes lie: a region and an offset.
struct Location: BitwiseCopyable {
    var region: Region
    var offset: Int
}

/// A block outside the pool, of its content's size.
struct Lodging: BitwiseCopyable {
    var room: InputRoom
    /// Where it begins in the store's memory.
    var offset: Int
}

/// All blocks of one worker.
///
/// A provided buffer is out while the ring has it or a connection holds it. Large blocks are kept
/// in reserve for all that are out, and one more to join the halves of a request in; a buffer that
/// comes back while there are too few is withheld from the ring until there are enough again.
/// Neither input nor output can take the last quarter of the pool from the other: input waits for
/// room to answer in, and must not itself be what fills it. A quarter of the small blocks is for
/// the requests of those who hold nothing, where no buffer can be lent.
struct Blocks: ~Copyable {
    private let received: Region
    /// The pool's memory: large blocks, then small ones.
    let pool: Region
    private let store: Region
    private let blocks: Table<Block>
    private let lodgings: Table<Lodging>
    /// Numbers below this are provided buffers.
    let receivedCount: Int
    /// Numbers from here on are small blocks.
    private let smallStart: Int
    /// Numbers from here on are lodgings.
    private let lodgingStart: Int
    /// The pool's size, in large blocks; and large blocks, in use or not.
    private let poolCount: Int
    private let largeCount: Int
    private var free = nobody
    /// Large blocks that nobody uses, reserved ones included.
    private(set) var freeCount: Int
    var usedCount: Int { largeCount - freeCount }
    /// Large blocks that hold output.
    private var outputCount = 0
    private var freeSmall = nobody
    private(set) var smallFreeCount: Int
    /// Of the small blocks, those from here on are only for who holds nothing (`takeShort`).
    private let reserveStart: Int
    private var freeReserve = nobody
    private var reserveFreeCount: Int
    /// Free pieces of large blocks that are cut for now, linked in both directions (`start` is the
    /// one before); a cut block's `end` counts its pieces in use.
    private var freePiece = nobody
    private var cutNowCount = 0
    private var freeLodging = nobody
    private var lodgedCount = 0
    /// Provided buffers that the ring has, or connections.
    private(set) var outCount: Int
    /// Of these, the ones that connections hold in this turn.
    private(set) var heldCount = 0
    private var withheld = nobody

    private static var bytes: Int { ServerLimits.blockBytes }
    private static var smallBytes: Int { ServerLimits.smallBlockBytes }
    private static var pieces: Int { bytes / smallBytes }

    /// - Parameters:
    ///   - poolCount: the pool's size in large blocks; an eighth of it is cut into small ones.
    ///   - lodgingCount: how many blocks may lie elsewhere.
    ///   - store: the memory that lodgings lie in.
    init(
        received: Region, receivedCount: Int, poolCount: Int, lodgingCount: Int, store: Region
    ) throws(MemoryError) {
        let cutCount = poolCount / 8
        let smallCount = cutCount * Self.pieces
        let largeCount = poolCount - cutCount
        let pool = try Region.map(byteCount: poolCount * Self.bytes)
        let blocks = try Table<Block>(
            count: Self.entries(receivedCount: receivedCount, poolCount: poolCount)
                + lodgingCount)
        let lodgings = try Table<Lodging>(count: lodgingCount)
        self.store = store
        self.lodgings = lodgings
        self.received = received
        self.receivedCount = receivedCount
        self.poolCount = poolCount
        self.largeCount = largeCount
        smallStart = receivedCount + poolCount
        lodgingStart = smallStart + poolCount * Self.pieces
        self.pool = pool
        self.blocks = blocks
        freeCount = largeCount
        let firstSmall = smallStart + largeCount * Self.pieces
        reserveFreeCount = smallCount / 4
        smallFreeCount = smallCount - reserveFreeCount
        reserveStart = firstSmall + smallFreeCount
        outCount = receivedCount
        for index in (receivedCount..<receivedCount + largeCount).reversed() {
            blocks[index].next = free
            free = UInt32(index)
        }
        for index in (firstSmall..<reserveStart).reversed() {
            blocks[index].next = freeSmall
            freeSmall = UInt32(index)
        }
        for index in (reserveStart..<firstSmall + smallCount).reversed() {
            blocks[index].next = freeReserve
            freeReserve = UInt32(index)
        }
        for index in (lodgingStart..<blocks.count).reversed() {
            blocks[index].next = freeLodging
            freeLodging = UInt32(index)
        }
    }

    /// Entries of the table for a pool of `poolCount` blocks, lodgings excepted.
    static func entries(receivedCount: Int, poolCount: Int) -> Int {
        receivedCount + poolCount * (1 + pieces)
    }

    @inline(__always)
    subscript(id: UInt32) -> Block {
        _read { yield blocks[Int(id)] }
        nonmutating _modify { yield &blocks[Int(id)] }
    }

    @inline(__always)
    mutating func isReceived(_ id: UInt32) -> Bool { Int(id) < receivedCount }
    mutating func isSmall(_ id: UInt32) -> Bool {
        Int(id) >= smallStart && Int(id) < lodgingStart
    }
    mutating func isLodging(_ id: UInt32) -> Bool { Int(id) >= lodgingStart }
    /// Whether it is a block of the pool.
    mutating func isPooled(_ id: UInt32) -> Bool {
        Int(id) >= receivedCount && Int(id) < lodgingStart
    }
    /// How many bytes it could hold; a lodging no more than it does.
    mutating func capacity(_ id: UInt32) -> Int {
        if isLodging(id) { return Int(blocks[Int(id)].end) }
        return isSmall(id) ? Self.smallBytes : Self.bytes
    }

    /// Where the block's first byte lies, whatever its run is.
    @inline(__always)
    mutating func place(_ id: UInt32) -> Location {
        let number = Int(id)
        if number < receivedCount {
            return Location(region: received, offset: number &* Self.bytes)
        }
        if number >= lodgingStart {
            return Location(region: store, offset: lodgings[number &- lodgingStart].offset)
        }
        let offset =
            number < smallStart
            ? (number &- receivedCount) &* Self.bytes
            : (number &- smallStart) &* Self.smallBytes
        return Location(region: pool, offset: offset)
    }

    // MARK: The pool

    /// Large blocks that neither input nor output may take from the other.
    private var shareCount: Int { poolCount &>> 2 }

    /// Large blocks that may be used for output.
    @inline(__always)
    var availableCount: Int {
        min(freeCount &- outCount &- 1, largeCount &- shareCount &- outputCount)
    }

    /// A large block of the pool, reserved or not; nil if all are taken.
    mutating func take() -> UInt32? {
        guard free != nobody else { return nil }
        let id = free
        free = blocks[Int(id)].next
        freeCount -= 1
        blocks[Int(id)] = Block(next: nobody, start: 0, end: 0, borrowed: 0)
        return id
    }

    /// A block for so many bytes, if there is one that holds them; else any. Short input takes
    /// small blocks only, unless it may take what is kept for those who hold nothing.
    private mutating func take(for count: Int, isOutput: Bool, usesReserve: Bool) -> UInt32? {
        let isShortInput = !isOutput && count <= ServerLimits.shortInputBytesMax
        if isShortInput {
            if let id = takePiece() { return id }
            guard freeSmall != nobody || usesReserve else { return nil }
        }
        guard isShortInput || count <= Self.smallBytes || free == nobody, freeSmall != nobody
        else {
            guard let id = take() else { return nil }
            blocks[Int(id)].isOutput = isOutput
            if isOutput { outputCount += 1 }
            return id
        }
        let id = freeSmall
        freeSmall = blocks[Int(id)].next
        smallFreeCount -= 1
        blocks[Int(id)] = Block(next: nobody, start: 0, end: 0, borrowed: 0)
        return id
    }

    /// Gives a block of the pool back.
    mutating func give(_ id: UInt32) {
        precondition(isPooled(id))
        if isPiece(id) {
            givePiece(id)
        } else if isReserve(id) {
            blocks[Int(id)].next = freeReserve
            freeReserve = id
            reserveFreeCount += 1
        } else if isSmall(id) {
            blocks[Int(id)].next = freeSmall
            freeSmall = id
            smallFreeCount += 1
        } else {
            if blocks[Int(id)].isOutput { outputCount -= 1 }
            blocks[Int(id)].next = free
            free = id
            freeCount += 1
        }
    }

    // MARK: Pieces

    /// Large blocks that input may use and that are not cut: so many buffers stay lent, for those
    /// who hold nothing, whatever beginnings of requests there are.
    private var reserveCount: Int { poolCount / 8 }

    /// Whether there is a large block to join the parts of a request in.
    var hasJoiner: Bool { freeCount > outCount }

    /// Whether the pool has room for the whole of a request that would better lie elsewhere.
    var isRoomy: Bool { freeCount &- outCount > largeCount / 2 }

    /// Whether a small block belongs to a large one that is cut for now.
    private func isPiece(_ id: UInt32) -> Bool {
        Int(id) >= smallStart && Int(id) < smallStart + largeCount * Self.pieces
    }

    /// The large block that a piece is cut from.
    private func whole(_ piece: Int) -> Int { receivedCount + (piece - smallStart) / Self.pieces }

    /// A small block to receive into, for who holds little or nothing. `pledged`: large blocks that
    /// this turn's replies may come to need.
    mutating func takeShort(pledged: Int) -> UInt32? {
        if let id = takePiece(sparing: pledged) { return id }
        guard freeReserve != nobody else { return nil }
        let id = freeReserve
        freeReserve = blocks[Int(id)].next
        reserveFreeCount -= 1
        blocks[Int(id)] = Block(next: nobody, start: 0, end: 0, borrowed: 0)
        return id
    }

    /// Whether a small block is one that nothing else takes.
    private func isReserve(_ id: UInt32) -> Bool {
        Int(id) >= reserveStart && Int(id) < lodgingStart
    }

    /// A small block for input; cuts a large one if there are enough beside those that are spared.
    private mutating func takePiece(sparing spared: Int = 0) -> UInt32? {
        if freePiece == nobody {
            let left = min(freeCount, freeCount &+ outputCount &- shareCount) &- spared
            guard left > reserveCount, let id = take() else { return nil }
            cutNowCount += 1
            let first = smallStart + (Int(id) - receivedCount) * Self.pieces
            for piece in (first..<first + Self.pieces).reversed() { link(piece) }
        }
        let piece = Int(freePiece)
        unlink(piece)
        blocks[whole(piece)].end += 1
        blocks[piece] = Block(next: nobody, start: 0, end: 0, borrowed: 0)
        return UInt32(piece)
    }

    /// Gives a piece back, and the large block if it was the last one in use.
    private mutating func givePiece(_ id: UInt32) {
        let large = whole(Int(id))
        link(Int(id))
        blocks[large].end -= 1
        guard blocks[large].end == 0 else { return }
        let first = smallStart + (large - receivedCount) * Self.pieces
        for piece in first..<first + Self.pieces { unlink(piece) }
        cutNowCount -= 1
        give(UInt32(large))
    }

    private mutating func link(_ piece: Int) {
        blocks[piece] = Block(next: freePiece, start: nobody, end: 0, borrowed: 0)
        if freePiece != nobody { blocks[Int(freePiece)].start = UInt32(piece) }
        freePiece = UInt32(piece)
    }

    private mutating func unlink(_ piece: Int) {
        let (before, next) = (blocks[piece].start, blocks[piece].next)
        if before == nobody {
            freePiece = next
        } else {
            blocks[Int(before)].next = next
        }
        if next != nobody { blocks[Int(next)].start = before }
    }

    // MARK: Lodgings

    var hasLodging: Bool { freeLodging != nobody }

    /// A block of `count` bytes in a room of the store.
    mutating func lodge(_ room: InputRoom, at offset: Int, count: Int) -> UInt32 {
        precondition(freeLodging != nobody)
        let id = freeLodging
        freeLodging = blocks[Int(id)].next
        lodgedCount += 1
        lodgings[Int(id) - lodgingStart] = Lodging(room: room, offset: offset)
        blocks[Int(id)] = Block(next: nobody, start: 0, end: UInt32(count), borrowed: 0)
        return id
    }

    /// A lodging is not used any more; its room is to be closed.
    mutating func dislodge(_ id: UInt32) -> InputRoom {
        precondition(isLodging(id))
        blocks[Int(id)].next = freeLodging
        freeLodging = id
        lodgedCount -= 1
        return lodgings[Int(id) - lodgingStart].room
    }

    /// Whether nobody holds anything.
    var isUnused: Bool {
        freeCount == largeCount
            && smallFreeCount + reserveFreeCount == (poolCount - largeCount) * Self.pieces
            && lodgedCount == 0 && heldCount == 0
    }

    /// Traps if what is free contradicts what is counted.
    mutating func check() {
        precondition(count(from: free) == freeCount && count(from: freeSmall) == smallFreeCount)
        precondition(count(from: freeReserve) == reserveFreeCount)
        precondition(freeCount + cutNowCount <= largeCount && outCount >= heldCount)
        precondition(count(from: freePiece) <= cutNowCount * Self.pieces)
        precondition(count(from: freeLodging) + lodgedCount == lodgings.count)
    }

    private func count(from first: UInt32) -> Int {
        var count = 0
        var id = first
        while id != nobody {
            count += 1
            precondition(count <= blocks.count)
            id = blocks[Int(id)].next
        }
        return count
    }

    // MARK: Provided buffers

    /// Buffers that the ring can receive into.
    var lentCount: Int { outCount - heldCount }

    /// A provided buffer has come with bytes.
    mutating func arrived() { heldCount += 1 }

    /// So many buffers may be out: about half of what input may still take, so that a burst of
    /// one connection leaves something for the next. `pledged`: large blocks that this turn's
    /// replies may come to need.
    private mutating func outMax(_ pledged: Int) -> Int {
        let left = freeCount &+ outputCount &- shareCount
        return min(
            left, (left &+ poolCount &- largeCount &+ shareCount) &>> 1,
            freeCount &- 1 &- pledged)
    }

    /// A connection lets go of a provided buffer. True: lend it to the ring; false: it is withheld.
    @inline(__always)
    mutating func departed(_ id: UInt32, pledged: Int) -> Bool {
        heldCount -= 1
        guard outCount > outMax(pledged) else { return true }
        outCount -= 1
        blocks[Int(id)].next = withheld
        withheld = id
        return false
    }

    /// A withheld buffer that may be lent again.
    mutating func takeWithheld(pledged: Int) -> UInt32? {
        guard withheld != nobody, outCount < outMax(pledged) else { return nil }
        let id = withheld
        withheld = blocks[Int(id)].next
        outCount += 1
        return id
    }

    // MARK: Chains

    /// Adds a block behind a chain.
    @inline(__always)
    func append(_ id: UInt32, to chain: inout Chain) {
        self[id].next = nobody
        if chain.tail == nobody {
            chain.head = id
        } else {
            self[chain.tail].next = id
        }
        chain.tail = id
    }

    /// Copies bytes behind a chain of pool blocks, taking blocks as needed. Returns how many
    /// found room.
    mutating func append(
        _ source: Location, count: Int, to chain: inout Chain, isOutput: Bool,
        usesReserve: Bool = false
    ) -> Int {
        var copied = 0
        while copied < count {
            if chain.tail == nobody || Int(self[chain.tail].end) == capacity(chain.tail) {
                guard
                    let id = take(
                        for: count - copied, isOutput: isOutput, usesReserve: usesReserve)
                else { break }
                append(id, to: &chain)
            }
            let tail = chain.tail
            let end = Int(self[tail].end)
            let part = min(count - copied, capacity(tail) - end)
            let target = place(tail)
            target.region.copy(
                from: source.region, at: source.offset + copied, to: target.offset + end,
                count: part)
            self[tail].end = UInt32(end + part)
            self[tail].borrowed = 0
            copied += part
        }
        return copied
    }

    /// Bytes that lie in a chain.
    func bytes(in chain: Chain) -> Int {
        var (bytes, id) = (0, chain.head)
        while id != nobody {
            bytes += self[id].count
            id = self[id].next
        }
        return bytes
    }

    /// Gives all blocks of a chain of the pool back.
    mutating func give(_ chain: inout Chain) {
        while chain.head != nobody {
            let id = chain.head
            chain.head = blocks[Int(id)].next
            give(id)
        }
        chain.tail = nobody
    }

    /// Takes the first block, which is used up, off a chain of the pool.
    mutating func giveHead(of chain: inout Chain) {
        let id = chain.head
        chain.head = blocks[Int(id)].next
        if chain.head == nobody { chain.tail = nobody }
        give(id)
    }
}
