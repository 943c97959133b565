// Replies: where a connection's replies are: in this turn's output, in blocks, or in its queue.
//
// Three small machines without effects. Output and Deferral move the bytes, and hold them to the
// order: what is unsent leaves first, then the large value that is on its way, then the queue,
// then what this turn adds.

internal import Primitives

/// What a connection has in the current turn.
///
/// ```text
///   the worker's output: … others │ replies │ replies from a change on │ … │ others
///                                 ▲ offset  ▲ changeOffset             ▲ offset + count
/// ```
///
/// With `ack`, what follows a change leaves after a commit: it is taken off again when the turn
/// ends, or when something must be queued behind it.
struct Replies: BitwiseCopyable {
    private var turn: UInt64 = 0
    /// Requests begun in this turn.
    private(set) var requests = 0
    /// Where its replies lie in the worker's output.
    private(set) var offset = 0
    private(set) var count = 0
    /// Where the first reply to a change begins, counted from `offset`; -1 if there is none.
    private var changeOffset = -1

    /// Whether some of it must wait for a commit.
    @inline(__always) var hasChanges: Bool { changeOffset >= 0 }

    /// The connection is looked at in a turn. False: it was before.
    @inline(__always)
    mutating func begin(turn number: UInt64) -> Bool {
        guard turn != number else { return false }
        turn = number
        requests = 0
        count = 0
        changeOffset = -1
        return true
    }

    @inline(__always) mutating func addRequest() { requests &+= 1 }

    /// So many bytes are added at the end of the output, which is `filled` so far. True: they are
    /// the first.
    @inline(__always)
    mutating func add(_ bytes: Int, at filled: Int) -> Bool {
        let isFirst = count == 0
        if isFirst { offset = filled }
        precondition(offset &+ count == filled)
        count &+= bytes
        return isFirst
    }

    /// The next reply is one to a change.
    @inline(__always)
    mutating func noteChange() { if changeOffset < 0 { changeOffset = count } }

    /// Takes off what follows a change; where it lies in the output, and how much that is.
    mutating func takeChanges() -> (offset: Int, count: Int) {
        precondition(hasChanges && changeOffset <= count)
        let taken = (offset: offset + changeOffset, count: count - changeOffset)
        count = changeOffset
        changeOffset = -1
        return taken
    }

    /// Traps if it contradicts itself; between turns.
    func check(turn number: UInt64, _ output: TurnOutput) {
        precondition(!hasChanges)
        guard turn == number, count > 0 else { return }
        precondition(offset + count <= output.filled)
    }
}

/// What a socket did not take of replies, in blocks of the pool: it leaves before anything else.
struct Unsent: BitwiseCopyable {
    private(set) var chain = Chain()
    private(set) var count = 0

    @inline(__always) var isEmpty: Bool { count == 0 }

    /// So many bytes more are kept; the chain is what it has become.
    mutating func keep(_ bytes: Int, in chain: Chain) {
        self.chain = chain
        count += bytes
    }

    /// So many bytes of the first block have left. Gives it back if those were the last.
    mutating func take(_ bytes: Int, _ blocks: inout Blocks) {
        let id = chain.head
        precondition(bytes <= blocks[id].count)
        count -= bytes
        blocks[id].start += UInt32(bytes)
        if blocks[id].count == 0 { blocks.giveHead(of: &chain) }
    }

    /// The connection is gone.
    mutating func free(_ blocks: inout Blocks) {
        blocks.give(&chain)
        count = 0
    }

    /// Traps if it contradicts itself.
    func check(_ blocks: borrowing Blocks) {
        precondition(chain.isEmpty == isEmpty)
        precondition(blocks.bytes(in: chain) == count)
    }
}

/// The queue of replies that must not leave yet (Deferral): by its first and last part.
///
/// All text of the parts that is too long to stand beside them shares one chain of blocks.
struct Deferred: BitwiseCopyable {
    private(set) var first = nobody
    private(set) var last = nobody
    private(set) var chain = Chain()
    /// Bytes of text, wherever they are.
    private(set) var count = 0
    /// The newest commit that a part waits for.
    private(set) var barrier: UInt64 = 0
    /// With `ack`: the commit of the first of the changes that have succeeded without a reply since
    /// the last noop, whose reply says that they are done; 0: there are none.
    var quietFrom: UInt64 = 0

    @inline(__always) var isEmpty: Bool { first == nobody }

    /// Adds a part at the end.
    mutating func append(_ part: UInt32, _ parts: EntryPool<Part>) {
        if last == nobody { first = part } else { parts[Int(last)].next = part }
        last = part
    }

    /// Takes off the first part.
    mutating func removeFirst(_ parts: EntryPool<Part>) -> UInt32 {
        precondition(!isEmpty)
        let part = first
        first = parts[Int(part)].next
        if isEmpty { last = nobody }
        return part
    }

    /// So many bytes of text are added, or have left.
    mutating func add(_ bytes: Int) { count += bytes }
    mutating func take(_ bytes: Int) { count -= bytes }
    /// Text in blocks was added or has left.
    mutating func keep(in chain: Chain) { self.chain = chain }

    /// Whether the queue does not wait yet for a commit, which it then does.
    mutating func needs(barrier number: UInt64) -> Bool { isEmpty || barrier < number }
    mutating func wait(for number: UInt64) { barrier = number }

    /// The connection is gone, and all parts are.
    mutating func free(_ blocks: inout Blocks) {
        precondition(isEmpty)
        blocks.give(&chain)
        count = 0
    }

    /// Traps if it contradicts itself.
    func check(_ blocks: borrowing Blocks, _ parts: EntryPool<Part>) {
        precondition(isEmpty == (last == nobody))
        var (part, before, shared, text) = (first, nobody, 0, 0)
        while part != nobody {
            let entry = parts[Int(part)]
            shared += entry.sharedBytes
            text += entry.textBytes(blocks)
            (part, before) = (entry.next, part)
        }
        precondition(before == last)
        precondition(blocks.bytes(in: chain) == shared)
        precondition(text == count)
    }
}
