// Waiting: what keeps a connection from being served, and since when.
//
// A small machine without effects: WorkerLists begins and ends waits, and knows the lists that
// those who wait are in; WaitQueues says whose turn it is.

internal import Memcache

/// What keeps a connection from being served.
enum Wait: UInt8, BitwiseCopyable {
    case nothing
    /// Memory of the store: `News.frames`.
    case frames
    /// The same for a value on its way in that is small: it need not wait for large ones.
    case place
    /// A value that the store's own thread must load: `News.loads`.
    case loads
    /// A slot to read from disk with.
    case readSlot
    /// Its own reads from disk, before a change.
    case reads
    /// Its own deferred replies, before a large value or more of them.
    case parts
    /// The disk read of the change that comes next.
    case change
    /// A pin on a large value.
    case pin
    /// Blocks of the pool, or parts, which others have to give back.
    case blocks
    /// Room for a text that is longer than other replies: looked for with each alarm, as a queue
    /// would stand behind it.
    case text
    /// The time after which a refused try to sign in is answered.
    case penalty
    /// Something that a watcher is to be told, or more of a list that the store makes.
    case events

    /// Whether the request can be answered without what it waits for: a get by a miss, others by an
    /// error.
    var isRefusable: Bool {
        switch self {
        case .frames, .place, .loads, .readSlot, .pin, .change, .text: true
        case .nothing, .reads, .parts, .blocks, .penalty, .events: false
        }
    }

    /// Whether it ends by what the connection's own peer does, or its own reads.
    var isOwn: Bool { self == .parts || self == .reads }

    /// Whether frames of the store are what it waits for.
    var isForFrames: Bool { self == .frames || self == .place }
}

/// The wait of a connection's next request.
///
/// ```text
///             begin                   end: it has come, or may have
///   served ─────────────► waiting ────────────────────────────────► trying ───┐
///     ▲                    ▲ ▲  │                                    │   │    │
///     │                    │ └──┘ begin: for something else          │   │    │
///     │                    └──────────────── begin: in vain ─────────┘   │    │
///     └──────────────── done: executed, or answered without ─────────────┴────┘
/// ```
///
/// However often it was tried in vain, it has waited since it began. But only what it can be
/// answered without is held against it: that clock runs while it waits for such a thing, and begins
/// anew when it has waited for its own peer.
struct Waiting: BitwiseCopyable {
    /// When the wait began, in nanoseconds of the monotonic clock; 0 if there is none.
    private(set) var since: UInt64 = 0
    /// For how long it has waited for what it can be answered without, in nanoseconds, until
    /// `deniedAt`; from there on it goes on, unless that is 0.
    private var deniedFor: UInt64 = 0
    private var deniedAt: UInt64 = 0
    /// For a place: bytes of the value that is to have it.
    private(set) var wantedBytes: UInt32 = 0
    /// What it waits for; nothing while it is served, or tries.
    private(set) var reason = Wait.nothing
    /// It has waited longest for what came free, and may take some before others (WaitQueues).
    private(set) var isNext = false

    /// Whether a request has waited, which was not executed since.
    @inline(__always) var hasBegun: Bool { since != 0 }

    /// The request must wait. Answers whether it has waited before.
    mutating func begin(_ reason: Wait, at now: UInt64) -> Bool {
        precondition(reason != .nothing)
        self.reason = reason
        isNext = false
        stopClock(at: now)
        if reason.isOwn { deniedFor = 0 }
        if reason.isRefusable { deniedAt = max(now, 1) }
        guard since == 0 else { return true }
        since = max(now, 1)
        return false
    }

    /// The place that is waited for is to hold so many bytes.
    mutating func want(bytes: UInt32) { wantedBytes = bytes }

    /// It is to be tried again: when its peer has taken what comes before, say.
    mutating func end(at now: UInt64) {
        reason = .nothing
        stopClock(at: now)
    }

    private mutating func stopClock(at now: UInt64) {
        deniedFor = denied(at: now)
        deniedAt = 0
    }

    /// The request was executed, or answered without what it waited for.
    @inline(__always) mutating func done() {
        since = 0
        deniedFor = 0
        deniedAt = 0
    }

    /// Another request waits than the one before: its time begins now.
    mutating func restart(at now: UInt64) {
        done()
        since = max(now, 1)
        if reason.isRefusable { deniedAt = since }
    }

    /// For how long it has waited for what it can be answered without, in nanoseconds.
    func denied(at now: UInt64) -> UInt64 {
        deniedAt == 0 || now <= deniedAt ? deniedFor : deniedFor &+ (now - deniedAt)
    }

    /// It shall count as having waited so long for what it can be answered without, if it has not.
    mutating func age(to nanoseconds: UInt64) {
        precondition(hasBegun)
        deniedFor = max(deniedFor, nanoseconds)
    }

    /// Its turn has come, or is over.
    mutating func call() { isNext = true }
    mutating func uncall() { isNext = false }

    /// Traps if it contradicts itself.
    func check() {
        precondition(reason == .nothing || hasBegun)
        precondition(hasBegun || denied(at: .max) == 0)
        precondition(reason.isRefusable == (deniedAt != 0))
    }
}
