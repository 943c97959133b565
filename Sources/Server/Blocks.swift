// Blocks: the buffers that bytes lie in between a socket and a request, and their chains.
//
// There are two kinds, told apart by number: the provided receive buffers of the ring come first,
// the worker's own pool follows. Both are `blockBytes` long, so a chain may hold both. A provided
// buffer belongs to a connection within one turn only; what is left of it at the end of the turn
// moves to the pool. Who owns which chain is the connection's business.

internal import Primitives

/// No block, no connection, no part: the end of every list of indices.
let nobody = UInt32.max

/// A run of bytes in one block: `start..<end`, and the block that follows in the chain.
struct Block: BitwiseCopyable {
    var next: UInt32
    var start: UInt32
    var end: UInt32
    /// Bytes at the end that are copies of what lies just before the next block's start.
    var borrowed: UInt32

    var count: Int { Int(end) &- Int(start) }
}

/// Blocks in order, by first and last.
struct Chain: BitwiseCopyable {
    var head = nobody
    var tail = nobody

    var isEmpty: Bool { head == nobody }
}

/// Where bytes lie: a region and an offset.
struct Place: BitwiseCopyable {
    var region: Region
    var offset: Int
}

/// All blocks of one worker.
struct Blocks: ~Copyable {
    private let received: Region
    /// The pool's memory.
    let pool: Region
    private let blocks: Table<Block>
    /// Numbers below this are provided buffers.
    let receivedCount: Int
    let poolCount: Int
    private var free: UInt32
    private(set) var freeCount: Int

    private static var bytes: Int { ServerLimits.blockBytes }

    init(received: Region, receivedCount: Int, poolCount: Int) throws(MemoryError) {
        let pool = try Region.map(byteCount: poolCount * Self.bytes)
        let blocks = try Table<Block>(count: receivedCount + poolCount)
        self.received = received
        self.receivedCount = receivedCount
        self.poolCount = poolCount
        self.pool = pool
        self.blocks = blocks
        free = nobody
        freeCount = poolCount
        for index in (0..<poolCount).reversed() {
            let id = UInt32(receivedCount + index)
            blocks[Int(id)].next = free
            free = id
        }
    }

    @inline(__always)
    subscript(id: UInt32) -> Block {
        _read { yield blocks[Int(id)] }
        nonmutating _modify { yield &blocks[Int(id)] }
    }

    @inline(__always)
    func isReceived(_ id: UInt32) -> Bool { Int(id) < receivedCount }

    /// Where the block's first byte lies, whatever its run is.
    @inline(__always)
    func place(_ id: UInt32) -> Place {
        Int(id) < receivedCount
            ? Place(region: received, offset: Int(id) &* Self.bytes)
            : Place(region: pool, offset: (Int(id) &- receivedCount) &* Self.bytes)
    }

    /// An empty block of the pool; nil if all are taken.
    mutating func take() -> UInt32? {
        guard free != nobody else { return nil }
        let id = free
        free = blocks[Int(id)].next
        freeCount -= 1
        blocks[Int(id)] = Block(next: nobody, start: 0, end: 0, borrowed: 0)
        return id
    }

    /// Gives a block of the pool back.
    mutating func give(_ id: UInt32) {
        precondition(!isReceived(id))
        blocks[Int(id)].next = free
        free = id
        freeCount += 1
    }

    /// Adds a block behind a chain.
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
    mutating func append(_ source: Place, count: Int, to chain: inout Chain) -> Int {
        var copied = 0
        while copied < count {
            if chain.tail == nobody || Int(self[chain.tail].end) == Self.bytes {
                guard let id = take() else { break }
                append(id, to: &chain)
            }
            let tail = chain.tail
            let end = Int(self[tail].end)
            let part = min(count - copied, Self.bytes - end)
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
}
