// OwnReads: how many reads from disk a connection has begun, and how far they are.
//
// A small machine without effects: DiskReads begins reads and decides them, PostponedReads gives
// their slots up and takes them again, DiskAnswers has them leave.

/// The reads from disk of a connection: how many it has, and may have.
///
/// ```text
///            begin           decided, short          leave
///   (a get) ───────► open ─────────────────► known ────────► (answered)
///                    │  ▲       └──── both are parts ────┘
///           postpone │  │ takeUp
///                    ▼  │
///                  postponed ──── answered without a read: endPostponed, close ────►
/// ```
///
/// A read is open until its answer can change no more, whether it has a slot or not.
struct OwnReads: BitwiseCopyable {
    /// Gets whose answer may still change: not decided, or to be sent from where it was read to.
    private(set) var open = 0
    /// Parts that are reads, each with a slot.
    private(set) var parts = 0
    /// Parts that wait for a slot of their own (PostponedReads).
    private(set) var postponed = 0
    /// The read that the next change waits for.
    private(set) var change = nobody
    /// Gets that wait for a slot.
    private(set) var wanted: UInt8 = 0
    /// How many slots it may have while others wait for some: one after a large value, and one more
    /// with each short one that was read.
    private var shareMax = UInt8(ServerLimits.readsPerConnectionMax)

    /// How many slots the connection may have; `isScarce`: others wait for some.
    func max(isScarce: Bool) -> Int {
        isScarce ? Int(shareMax) : ServerLimits.readsPerConnectionMax
    }

    /// So many gets wait for a slot.
    mutating func want(_ gets: Int) { wanted = UInt8(clamping: gets) }

    /// A get's read begins, as a part of the queue.
    mutating func begin() {
        open += 1
        parts += 1
    }

    /// A part is no read any more: it leaves, or has become text.
    mutating func leave() { parts -= 1 }

    /// A part's slot is given up.
    mutating func postpone() {
        parts -= 1
        postponed += 1
    }

    /// A part has a slot again.
    mutating func takeUp() { parts += 1 }

    /// A part waits for no slot any more.
    mutating func endPostponed() { postponed -= 1 }

    /// The answer of a get cannot change any more. True: that was the last one.
    mutating func close() -> Bool {
        open -= 1
        return open == 0
    }

    /// The next change waits for a read, or for none any more.
    mutating func wait(for read: UInt32) { change = read }

    /// The queue is gone.
    mutating func forgetParts() {
        let change = change
        self = OwnReads()
        self.change = change
    }

    /// Traps if it contradicts itself.
    func check() {
        precondition(open >= 0 && parts >= 0 && postponed >= 0)
        precondition(open <= parts + postponed)
        precondition(postponed <= open)
    }

    /// What was read is known.
    mutating func note(isLarge: Bool) {
        guard !isLarge else {
            shareMax = 1
            return
        }
        if shareMax < ServerLimits.readsPerConnectionMax { shareMax += 1 }
    }
}
