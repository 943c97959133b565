// Sending: how the rest of replies leaves a connection, once its socket was full; and how fast.
//
// Two small machines without effects. `Sending` says what the worker has to do next; Output does
// it. `Pace` says whether a peer takes its replies fast enough to be waited for while others wait.

/// The sends of a connection that is behind: one at a time, and a wait for room when the socket is
/// full.
///
/// ```text
///              next: send              took all, or room meanwhile
///   idle ──────────────────► handed ──────────────────────────────► idle
///     ▲                        │ took less           an immediate send came short (from idle)
///     │ told                   ▼                      │
///   waiting ◄───────────────  full ◄──────────────────┘
///              next: await
/// ```
struct Sending: BitwiseCopyable {
    enum State: UInt8, BitwiseCopyable {
        case idle
        /// The kernel has a send, which completes in the next submit.
        case handed
        /// The socket took less than it was given.
        case full
        /// For room.
        case waiting
    }

    /// What to do for a connection that is behind.
    enum Step: BitwiseCopyable {
        case nothing, send
        case await(repeatedly: Bool)
    }

    /// Bytes of the send that the kernel has.
    private var handedBytes = 0
    private(set) var state = State.idle
    /// The kernel owes word of room.
    private(set) var isArmed = false
    /// There was word of room since the send was handed over, or since there was nothing to send.
    private var hasNews = false
    /// And before it.
    private var wasTold = false
    /// Word of room came, and there was none: the peer sends no more, and a wait must be repeated.
    private var isVain = false
    /// This turn's replies were handed to the kernel, whose word on them comes in the next one.
    private(set) var isQueued = false

    @inline(__always) mutating func beginTurn() { isQueued = false }

    /// This turn's replies leave: they do so once, however often the turn's end looks at the
    /// connection.
    @inline(__always) mutating func queue() { isQueued = true }

    /// The end of a turn. Who is to send says what it sends (`hand`).
    mutating func next() -> Step {
        switch state {
        case .idle:
            return .send
        case .full:
            state = .waiting
            guard !isArmed else { return .nothing }
            isArmed = true
            return .await(repeatedly: isVain)
        case .handed, .waiting:
            return .nothing
        }
    }

    /// So many bytes are handed to the kernel.
    mutating func hand(_ bytes: Int) {
        precondition(state == .idle && bytes > 0)
        state = .handed
        handedBytes = bytes
        hasNews = false
    }

    /// An immediate send came short.
    mutating func fill() {
        precondition(state == .idle)
        // Word that came meanwhile may be of room since then.
        if !hasNews { state = .full }
        hasNews = false
    }

    /// The send is completed.
    mutating func sent(_ bytes: Int) {
        precondition(state == .handed && bytes <= handedBytes)
        state = bytes == handedBytes || hasNews ? .idle : .full
        handedBytes = 0
        isVain = bytes == 0 && wasTold
        wasTold = false
    }

    /// Traps if it contradicts itself.
    func check(isBehind: Bool) {
        precondition((state == .handed) == (handedBytes > 0))
        precondition(state != .waiting || isArmed)
        precondition(state == .idle || isBehind)
    }

    /// Word of room, which may be vain; `isArmed`: more will come.
    mutating func told(isArmed: Bool) {
        self.isArmed = isArmed
        switch state {
        case .waiting, .full:
            state = .idle
            wasTold = true
        case .handed, .idle:
            hasNews = true
        }
    }
}

/// How fast a peer takes a reply: each byte that it has taken pays for some time, from the moment
/// the reply began. Who has no time left is slow.
///
/// A peer may take much at once and then nothing for a while, because its system opens a closed
/// window late; that is why it is not the last byte that counts.
struct Pace: BitwiseCopyable {
    /// Bytes that the socket holds or held since the reply began, whenever they were sent.
    private var sent = 0
    /// Bytes of these that the peer is known to have taken.
    private var taken = 0
    /// When it began last, while it runs, or ended.
    private var changedAt: UInt64 = 0
    private var lookedAt: UInt64 = 0
    /// When it was last seen that the peer has taken something, in nanoseconds.
    private(set) var takenAt: UInt64 = 0
    /// Until when what was taken is fast enough.
    private(set) var paidUntil: UInt64 = 0
    private(set) var isRunning = false

    /// The rest of a reply is to leave. What follows another without a pause is one with it.
    mutating func begin(at now: UInt64) {
        guard !isRunning else { return }
        if now &- changedAt > ServerLimits.replyPauseNanosecondsMax { self = Pace() }
        isRunning = true
        takenAt = now
        changedAt = now
        paidUntil = max(paidUntil, now)
    }

    /// All of it has left.
    mutating func end(at now: UInt64) {
        isRunning = false
        changedAt = now
    }

    mutating func add(sent bytes: Int) { sent += bytes }

    /// How long the window of a peer that has taken so much may stay shut while it goes on reading,
    /// slowly: its system says that there is room again when it is an eighth of what it holds, at
    /// the latest.
    var shutNanosecondsMax: UInt64 {
        let eighth = UInt64(max(taken, 0)) / 8 * 1_000_000_000
        return min(
            eighth / UInt64(ServerLimits.readBytesPerSecondMin),
            ServerLimits.shutNanosecondsMax)
    }

    /// Whether it has begun so lately that the peer's window need not have opened since, if what it
    /// was sent before has shut it.
    func mayBeShut(at now: UInt64) -> Bool {
        isRunning && now &- changedAt < ServerLimits.firstWindowNanosecondsMax
    }

    /// Whether a look at what the socket holds may tell something new.
    func isDue(at now: UInt64) -> Bool {
        isRunning && now &- lookedAt >= ServerLimits.paceNanosecondsMin
    }

    /// The socket holds so many bytes that the peer has not taken.
    mutating func note(held: Int, at now: UInt64) {
        let fresh = sent - held - taken
        lookedAt = now
        guard fresh > 0 else {
            // It holds some that was sent at once, which counts from now on.
            sent -= fresh
            return
        }
        taken += fresh
        takenAt = now
        let paid = UInt64(fresh) * 1_000_000_000 / UInt64(ServerLimits.readBytesPerSecondMin)
        paidUntil = min(max(paidUntil, 1) &+ paid, now &+ ServerLimits.pacePaidNanosecondsMax)
    }
}
