// Input: what a connection has received and not yet parsed, and what is to be dropped of it.
//
// A small machine without effects: it keeps the chain of blocks, and how far it is parsed. Serve
// parses, Output moves blocks from the ring to the pool and gives them back.

internal import Primitives

/// The input of a connection.
///
/// ```text
///             parsed                  not parsed: cursor.left
///   ┌──────────────────────────┬─────────────────────────────────┐
///   │ first block │ … │ block of the cursor │ … │ last block     │
///   └──────────────────────────┴─────────────────────────────────┘
///    takeParsed, at the end     ▲ cursor.position                 ▲ receive
///    of the turn                │ consume ─►
///                               │ ◄─ goBack, while the turn lasts
/// ```
///
/// Between turns nothing of it is parsed, and all of it lies in blocks of the pool or lodgings.
struct Input: BitwiseCopyable {
    /// How far it is parsed.
    struct Cursor: BitwiseCopyable {
        /// The block that is parsed; nobody if there is none.
        fileprivate(set) var block = nobody
        fileprivate(set) var position: UInt32 = 0
        /// Bytes from here on.
        fileprivate(set) var left = 0
    }

    private var chain = Chain()
    private(set) var cursor = Cursor()
    /// Bytes to drop before the next request.
    private(set) var swallow: UInt64 = 0
    /// When the request began that is arriving, in nanoseconds.
    private(set) var since: UInt64 = 0
    /// Whether it ends inside a request.
    private(set) var isPartial = false

    /// Unparsed bytes.
    @inline(__always) var count: Int { cursor.left }
    /// The first and the last block; nobody if there is none.
    @inline(__always) var first: UInt32 { chain.head }
    @inline(__always) var last: UInt32 { chain.tail }

    // MARK: Arriving

    /// Bytes have arrived in a block of their own; `isRequest`: they are to be parsed.
    @inline(__always)
    mutating func receive(
        _ id: UInt32, bytes: UInt32, _ blocks: borrowing Blocks, isRequest: Bool, at now: UInt64
    ) {
        let wasEmpty = chain.isEmpty
        blocks.append(id, to: &chain)
        if wasEmpty {
            cursor.block = id
            cursor.position = 0
            if isRequest { since = now }
        }
        cursor.left += Int(bytes)
        isPartial = false
    }

    /// A request begins.
    mutating func begin(at now: UInt64) { since = now }

    /// The rest of a request is owed.
    mutating func awaitRest() { isPartial = true }

    // MARK: Parsing

    /// So many bytes are behind the cursor.
    @inline(__always)
    mutating func consume(_ bytes: Int) {
        cursor.position &+= UInt32(truncatingIfNeeded: bytes)
        cursor.left &-= bytes
    }

    /// The cursor's block is parsed: another follows, whose bytes begin at `start`.
    @inline(__always)
    mutating func moveOn(to id: UInt32, at start: UInt32) {
        cursor.block = id
        cursor.position = start
    }

    /// Back to where the cursor was before, unless it is there or has been further back.
    mutating func goBack(to earlier: Cursor) -> Bool {
        guard cursor.left < earlier.left else { return false }
        cursor = earlier
        isPartial = false
        return true
    }

    // MARK: Dropping

    /// So many bytes, from the cursor on, are no request.
    @inline(__always)
    mutating func drop(next bytes: UInt64) { swallow = bytes }

    /// Drops some bytes of the cursor's block, of which so many are left, up to what is to be
    /// swallowed; `isAll`: whatever is there.
    mutating func dropSome(of bytes: UInt32, isAll: Bool) {
        let part = isAll ? Int(bytes) : Int(min(UInt64(bytes), swallow))
        consume(part)
        swallow -= min(UInt64(part), swallow)
    }

    // MARK: Blocks

    /// Takes the first block off if all of it is parsed, and answers it.
    @inline(__always)
    mutating func takeParsed(_ blocks: borrowing Blocks) -> UInt32? {
        let id = chain.head
        guard id != nobody else { return nil }
        let next = blocks[id].next
        if id == cursor.block {
            guard cursor.position >= blocks[id].end else {
                blocks[id].start = cursor.position
                return nil
            }
            moveOn(to: next, at: next == nobody ? 0 : blocks[next].start)
        }
        chain.head = next
        if next == nobody { chain.tail = nobody }
        return id
    }

    /// Takes the first block off, parsed or not: the connection is closed.
    mutating func takeFirst(_ blocks: borrowing Blocks) -> UInt32? {
        let id = chain.head
        guard id != nobody else {
            self = Input()
            return nil
        }
        chain.head = blocks[id].next
        return id
    }

    /// What was in the first block, the cursor's, lies now in another, from its first byte on.
    mutating func replaceFirst(with id: UInt32) {
        precondition(chain.head == cursor.block && chain.head != chain.tail)
        chain.head = id
        moveOn(to: id, at: 0)
    }

    /// All bytes of the last block were moved to the one before it.
    mutating func dropLast(behind id: UInt32) { chain.tail = id }

    /// All of it lies now in these blocks.
    mutating func keep(in kept: Chain, _ blocks: borrowing Blocks) {
        chain = kept
        moveOn(to: kept.head, at: kept.head == nobody ? 0 : blocks[kept.head].start)
    }

    /// Traps if it contradicts itself; between turns, when nothing of it is parsed.
    func check(_ blocks: borrowing Blocks) {
        precondition(cursor.block == chain.head)
        precondition(chain.isEmpty == (chain.tail == nobody))
        var (id, last, bytes) = (chain.head, nobody, 0)
        while id != nobody {
            precondition(blocks[id].count > 0)
            bytes += blocks[id].count
            (id, last) = (blocks[id].next, id)
        }
        precondition(last == chain.tail)
        precondition(bytes == cursor.left)
        precondition(chain.isEmpty || cursor.position == blocks[chain.head].start)
    }
}
