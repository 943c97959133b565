// TurnOutput: the memory in which the replies of one turn lie side by side until they are sent, and
// how far it is filled.
//
// Who may write there is Pool's business (`ReplySpace`), whose bytes are where is Output's.

internal import Primitives

/// The output of a worker. Copies name the same memory.
struct TurnOutput: BitwiseCopyable {
    let memory: Region
    private(set) var filled = 0
    /// Bytes of these that were handed to the kernel.
    private var queued = 0
    /// Connections that have replies there.
    private(set) var runCount = 0
    /// Reply bytes that one connection may have in this turn.
    private(set) var quota = ServerLimits.replyBytesPerTurnMax
    /// There is no room for another reply, or enough was copied: the turn ends early.
    private(set) var isFull = false

    static let byteCount = ServerLimits.outputBytes

    init() throws(MemoryError) { memory = try Region.map(byteCount: Self.byteCount) }

    @inline(__always) var isEmpty: Bool { filled == 0 }

    /// Where the next reply begins.
    @inline(__always) var end: Location { Location(region: memory, offset: filled) }

    /// A writer over what is left.
    @inline(__always) var writer: ByteWriter {
        ByteWriter(memory, at: filled, capacity: Self.byteCount &- filled)
    }

    /// Whether one more reply of any length has room.
    @inline(__always) var hasRoom: Bool { filled <= Self.filledMax }
    static var filledMax: Int { byteCount - ServerLimits.replyBytesMax }

    @inline(__always)
    func hasRoom(for bytes: Int) -> Bool { filled <= Self.byteCount &- bytes }

    /// Large blocks that are needed if no socket takes anything: whole ones, and the last block of
    /// each connection, which is small while there are so many.
    @inline(__always)
    func blocksNeeded(smallFreeCount: Int) -> Int {
        whole(ServerLimits.blockBytes)
            &+ (runCount <= smallFreeCount
                ? min(runCount, whole(ServerLimits.smallBlockBytes)) : runCount)
    }

    /// How many blocks of so many bytes are full; an unsigned division, which is one shift.
    @inline(__always)
    private func whole(_ blockBytes: Int) -> Int {
        Int(bitPattern: UInt(bitPattern: filled) / UInt(bitPattern: blockBytes))
    }

    /// A turn begins; a connection may have so many bytes in it.
    mutating func begin(quota: Int) {
        filled = 0
        queued = 0
        runCount = 0
        self.quota = quota
        isFull = false
    }

    /// Another connection's replies begin here.
    @inline(__always) mutating func beginRun() { runCount &+= 1 }

    /// So many bytes were written at the end.
    @inline(__always) mutating func keep(_ bytes: Int) { filled &+= bytes }

    /// So many bytes leave.
    @inline(__always) mutating func queue(_ bytes: Int) { queued &+= bytes }

    /// Nothing more is executed in this turn.
    mutating func close() { isFull = true }

    /// Traps if it contradicts itself.
    func check() {
        precondition(filled <= Self.byteCount)
        // What is there leaves once.
        precondition(queued <= filled)
        precondition(filled == 0 || runCount > 0)
    }
}
