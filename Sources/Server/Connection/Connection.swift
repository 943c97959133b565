// Connection: one client's state, as a plain value in the worker's table.
//
// A connection is a small machine: what it owes the kernel (`outstanding`), what it has received
// and not yet parsed (`input`), what it answered and could not send (`unsent`, `outgoing`), what
// it answered but must not send yet (`firstPart`), and what it waits for (`wait`). Methods here
// decide; the worker's files perform: Worker+Completions (completions), Worker+Serve (requests),
// Output (replies), Deferral (replies in waiting), LargeValues, Closing.

internal import Memcache
internal import Store

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

    /// Whether frames of the store are what it waits for.
    var isForFrames: Bool { self == .frames || self == .place }
}

/// Which life a connection's slot is in.
enum Phase: UInt8, BitwiseCopyable {
    case vacant
    /// Served.
    case open
    /// No longer served; waits until the kernel owes it nothing.
    case closing
    /// Its descriptor is being closed.
    case closed
    /// Its descriptor is closed; the slot becomes vacant when the turn ends.
    case ended
}

/// Why a connection is closed once everything is sent.
enum Leaving: UInt8, BitwiseCopyable {
    case no
    /// The peer asked for it.
    case asked
    /// What follows cannot be told apart any more.
    case lost
    /// It has tried to sign in too often.
    case refused
    /// It speaks HTTP.
    case browser
}

/// One connection.
struct Connection: BitwiseCopyable {
    // What every turn looks at.
    var descriptor: Int32
    var generation: UInt32
    var phase = Phase.open
    var wait = Wait.nothing
    /// The peer sends no more, or we shall not listen any more.
    var hasEnded = false
    /// Whether it closes once everything is sent, and why; what else arrives is dropped.
    var leaving = Leaving.no
    /// It has waited longest for what came free, and may take some before others (WaitQueues).
    var isNext = false
    /// Whether the input that is there ends inside a request.
    var isPartial = false
    /// What comes first, because the last value was sent from elsewhere.
    var tail = Tail.nothing
    /// Operations whose completion the kernel owes.
    var outstanding: UInt32 = 0
    var receiving = Receiving()

    // Input.
    var input = Chain()
    /// The block that is parsed, and how far.
    var cursor = nobody
    var position: UInt32 = 0
    /// Unparsed bytes.
    var inputBytes = 0
    /// Bytes to drop before the next request.
    var swallow: UInt64 = 0
    var parser: ClassicParser
    /// Slots that the next command passes over.
    var differing = Differing()

    // This turn.
    var turn: UInt64 = 0
    /// Requests begun in this turn.
    var requests = 0
    /// Where this turn's replies lie in the worker's output.
    var replyOffset = 0
    var replyBytes = 0
    /// Where the first reply to a change begins, counted from `replyOffset`; -1 if none.
    var changeOffset = -1

    // Replies that could not leave at once.
    var sending = Sending()
    var pace = Pace()
    var unsent = Chain()
    var unsentBytes = 0
    /// The large value on its way out (`Transfers.outgoing`).
    var outgoing = nobody

    // Replies that must not leave yet.
    var firstPart = nobody
    var lastPart = nobody
    var partBytes = 0
    /// The text of all parts that is too long to stand beside them.
    var deferred = Chain()
    var diskReads = ReadCounts()
    /// The newest commit that a part waits for.
    var lastBarrier: UInt64 = 0
    /// The read that the next change waits for.
    var changeRead = nobody

    var signIn = SignInTries()

    /// The list that it is being answered with, and how far that has come (`Transfers.listings`).
    var listing = Listing.Kind.none
    var listingEntry = nobody

    // A large value on its way in.
    var arrival = Arrival()
    /// What else is known of it (`Transfers.incoming`).
    var incoming = nobody
    /// Bytes of the value that waits for a place.
    var wantedBytes: UInt32 = 0

    // Times, in nanoseconds of the monotonic clock.
    var lastActive: UInt64
    /// When the request began that is arriving.
    var requestSince: UInt64 = 0
    /// When it began to wait for what it now waits for; 0 if it does not.
    var waitingSince: UInt64 = 0

    init(descriptor: Int32, generation: UInt32, parser: ClassicParser, now: UInt64) {
        self.descriptor = descriptor
        self.generation = generation
        self.parser = parser
        lastActive = now
    }

    // MARK: Decisions

    /// Whether replies are on their way that must leave before any other.
    @inline(__always)
    var isBehind: Bool { unsentBytes > 0 || outgoing != nobody }

    /// Whether requests may be parsed and executed now.
    @inline(__always)
    var mayServe: Bool {
        phase == .open && wait == .nothing && !isBehind && !isLeaving && swallow == 0
            && !arrival.isActive && !listing.isActive
    }

    /// Whether a visit would get anything done.
    @inline(__always)
    var deservesVisit: Bool {
        guard phase == .open, !isBehind else { return false }
        if tail.isOwed { return true }
        if wait != .nothing { return false }
        if listing.isActive { return true }
        switch arrival.phase {
        case .filling: return inputBytes > 0
        case .lineEnd: return inputBytes >= 2
        case .storing: return true
        case .none: return inputBytes > 0 && !isPartial && !isLeaving
        }
    }

    /// Whether nothing of what was asked is unanswered or unsent.
    @inline(__always)
    var isSettled: Bool {
        !isBehind && !tail.isOwed && !listing.isActive && firstPart == nobody && wait == .nothing
    }

    /// Whether its peer has sent a part of a request, and owes the rest.
    var isInRequest: Bool {
        arrival.isOwed || isPartial && inputBytes > 0
    }

    /// Whether it waits for a command, so that it may be idle.
    var isAwaitingCommand: Bool { isSettled && !arrival.isActive && swallow == 0 }

    @inline(__always) var isLeaving: Bool { leaving != .no }

    /// What a close counts as, when `shouldClose` says so.
    var closing: Counter {
        switch leaving {
        case .lost: .closedByFault
        case .refused: .closedBySignIn
        case .browser: .closedByBrowser
        case .no, .asked: hasEnded ? .closedByPeer : .closedByRequest
        }
    }

    /// Whether it may be closed: it is told to leave or has ended, and everything is said.
    /// A receive that is armed may still bring something.
    @inline(__always)
    var shouldClose: Bool {
        if listing == .events { return phase == .open && hasEnded && !receiving.isArmed }
        guard phase == .open, isSettled, replyBytes == 0 else { return false }
        if isLeaving { return true }
        guard hasEnded, !receiving.isArmed else { return false }
        switch arrival.phase {
        case .none: return inputBytes == 0 || isPartial || swallow > 0
        case .filling: return !receiving.isFilling && inputBytes == 0
        case .lineEnd: return !receiving.isFilling && inputBytes < 2
        case .storing: return false
        }
    }

    /// Since when its peer has not sent what we wait for; nil while we wait for something else,
    /// which is not the peer's fault: a starved one has no buffer to receive into. (Whether it
    /// takes what it is sent: `Pace`.)
    func silentSince(isStarved: Bool) -> UInt64? {
        guard !isBehind else { return nil }
        guard wait == .nothing, firstPart == nobody, isInRequest, !isStarved else { return nil }
        guard receiving.isArmed || receiving.isFilling else { return nil }
        return max(lastActive, receiving.since)
    }

    /// Whether blocks are occupied by the beginning of a request whose rest the peer owes.
    var holdsBeginning: Bool {
        phase == .open && isPartial && inputBytes > 0 && wait == .nothing && swallow == 0
            && !arrival.isActive && !isBehind
    }

    /// Whether it holds the place of a value that its peer owes, and has for a while.
    func isStagingJudged(at now: UInt64) -> Bool {
        guard phase == .open, wait == .nothing, arrival.isOwed else { return false }
        return now > requestSince &+ ServerLimits.judgedNanosecondsMin
    }

    /// How long the request that is arriving will have taken in all, at the pace it has come with:
    /// its progress, seen from those who wait for the memory that it holds.
    func requestDue(at now: UInt64) -> UInt64 {
        let age = Double(now > requestSince ? now - requestSince : 0)
        let beginning =
            inputBytes <= ServerLimits.shortInputBytesMax
            ? ServerLimits.smallBlockBytes : ServerLimits.blockBytes
        let held = arrival.isActive ? arrival.valueBytes : beginning
        let arrived = arrival.isActive ? arrival.arrivedBytes : inputBytes
        let due = age * max(Double(held) / Double(max(arrived, 1)), 1)
        return due < 1e18 ? UInt64(due) : 1_000_000_000_000_000_000
    }

    /// Since when anything about it last moved, whoever is to blame.
    var quietSince: UInt64 {
        var since = lastActive
        if isBehind, pace.isRunning { since = min(since, pace.paidUntil) }
        if waitingSince != 0 { since = min(since, waitingSince) }
        return since
    }

    /// Whether to listen for more: there is room, and nothing is in the way.
    @inline(__always)
    var shouldReceive: Bool {
        guard phase == .open, !hasEnded, !isLeaving else { return false }
        // The end of a value that is on its way anyway is not cancelled for a receive of its own.
        if arrival.phase == .filling {
            return receiving.isArmed && arrival.missingBytes <= ServerLimits.inputBytesHigh
        }
        if isBehind { return inputBytes == 0 }
        // What waits for a disk or for memory has not to be cancelled and armed again each time.
        let isArmed = receiving.isArmed
        if wait != .nothing { return inputBytes <= (isArmed ? ServerLimits.inputBytesLow : 0) }
        // Once cancelled, it is armed again only when little is kept.
        return inputBytes
            <= (isArmed ? ServerLimits.inputBytesHigh : ServerLimits.inputBytesLow)
    }
}
