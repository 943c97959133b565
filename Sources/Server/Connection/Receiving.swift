// Receiving: the receives that a connection has the kernel make for it, one at a time.
//
// A small machine without effects: it says what may be asked of the kernel, and keeps what was. Who
// is received from, and when, is decided by Output (`updateReceive`), Scarcity and LargeValues.

/// The receive of a connection.
///
/// ```text
///              fill             arm               cancel
///  filling ◄──────── idle ─────────────► armed ─────────────► cancelling
///     │               ▲ ▲                 │ ▲                  │      │
///     └─── filled ────┘ └────── end ──────┘ └────── told ──────┘      │ end
///                     ▲                                               ▼
///                     └───────────────────── told ─────────────── cancelled
/// ```
///
/// A cancel and what it cancels end by completions of their own, in any order.
struct Receiving: BitwiseCopyable {
    private enum State: UInt8, BitwiseCopyable {
        case idle
        /// The cancel is still owed, and nothing else.
        case cancelled
        /// A receive straight into the store.
        case filling
        /// Into buffers of the ring.
        case armed
        /// The same, while it is being cancelled.
        case cancelling
    }

    /// When it was armed last.
    private(set) var since: UInt64 = 0
    private var state = State.idle
    /// It takes one buffer only, because they are scarce: one turn of those who stand in line.
    private var isTurn = false
    /// From a unix socket: its bytes are counted apart.
    var isLocal = false
    /// How many more receives take one buffer only because a large value may come, which shall not
    /// fill buffers on its way to its place.
    private var singlesLeft: UInt8 = 0

    /// Whether nothing is owed, so that another receive may begin.
    @inline(__always) var isIdle: Bool { state == .idle }
    /// Whether it may bring bytes in buffers of the ring.
    @inline(__always) var isArmed: Bool { state == .armed || state == .cancelling }
    @inline(__always) var isFilling: Bool { state == .filling }
    /// Whether there is something to cancel.
    @inline(__always) var mayCancel: Bool { state == .armed }

    /// A large value has begun: another may follow it.
    mutating func expectLarge() { singlesLeft = ServerLimits.singleReceives }

    /// A receive begins; answers whether it is to take one buffer only.
    mutating func arm(isScarce: Bool, at now: UInt64) -> Bool {
        precondition(state == .idle)
        state = .armed
        since = now
        isTurn = isScarce
        guard singlesLeft > 0 else { return isScarce }
        singlesLeft -= 1
        return true
    }

    /// It brings no more. False: there was none.
    @inline(__always)
    mutating func end() -> Bool {
        guard isArmed else { return false }
        state = state == .armed ? .idle : .cancelled
        return true
    }

    /// Whether it was one turn of the line; only the first time.
    mutating func takeTurn() -> Bool {
        defer { isTurn = false }
        return isTurn
    }

    mutating func cancel() {
        precondition(state == .armed)
        state = .cancelling
    }

    /// A cancel is completed, which may be one of something else.
    mutating func told() {
        switch state {
        case .cancelling: state = .armed
        case .cancelled: state = .idle
        case .idle, .filling, .armed: break
        }
    }

    mutating func fill() {
        precondition(state == .idle)
        state = .filling
    }

    mutating func filled() {
        precondition(state == .filling)
        state = .idle
    }
}
