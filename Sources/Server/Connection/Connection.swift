// Connection: one client's state, as a plain value in the worker's table.
//
// A connection is a few small machines, each with its drawing: what the kernel does for it, what it
// has received, what it answers, what it waits for. They change by their own methods only. What is
// here decides about several of them; the worker's files perform: Worker+Completions (completions),
// Worker+Serve (requests), Output (replies), Deferral (replies in waiting), LargeValues, Closing.

internal import Memcache
internal import Store

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
    /// Operations whose completion the kernel owes.
    var outstanding: UInt32 = 0
    var phase = Phase.open
    /// The peer sends no more, or we shall not listen any more.
    var hasEnded = false
    /// Whether it closes once everything is sent, and why; what else arrives is dropped.
    var leaving = Leaving.no
    /// What comes first, because the last value was sent from elsewhere.
    var tail = Tail.nothing
    var waiting = Waiting()
    var signIn = SignInTries()

    // Input.
    var receiving = Receiving()
    /// The list that it is being answered with; how far that has come: `listingEntry`.
    var listing = Listing.Kind.none
    var input = Input()
    var parser: ClassicParser
    /// Slots that the next command passes over.
    var differing = Differing()

    // Replies: of this turn, on their way, and such as must not leave yet.
    var replies = Replies()
    var unsent = Unsent()
    var pace = Pace()
    var sending = Sending()
    var deferred = Deferred()
    var diskReads = OwnReads()

    // A large value on its way in, another on its way out, and a list: what else is known of them
    // is borrowed (`Transfers`).
    var arrival = Arrival()
    var incoming = nobody
    var outgoing = nobody
    var listingEntry = nobody

    /// When its peer last sent or took something, in nanoseconds of the monotonic clock.
    var lastActive: UInt64

    init(descriptor: Int32, generation: UInt32, parser: ClassicParser, now: UInt64) {
        self.descriptor = descriptor
        self.generation = generation
        self.parser = parser
        lastActive = now
    }

    // MARK: Decisions

    @inline(__always) var wait: Wait { waiting.reason }

    /// Whether replies are on their way that must leave before any other.
    @inline(__always)
    var isBehind: Bool { !unsent.isEmpty || outgoing != nobody }

    /// Whether requests may be parsed and executed now.
    @inline(__always)
    var mayServe: Bool {
        phase == .open && wait == .nothing && !isBehind && !isLeaving && input.swallow == 0
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
        case .filling: return input.count > 0
        case .lineEnd: return input.count >= 2
        case .storing: return true
        case .none: return input.count > 0 && !input.isPartial && !isLeaving
        }
    }

    /// Whether nothing of what was asked is unanswered or unsent.
    @inline(__always)
    var isSettled: Bool {
        !isBehind && !tail.isOwed && !listing.isActive && deferred.isEmpty && wait == .nothing
    }

    /// Whether its peer has sent a part of a request, and owes the rest.
    var isInRequest: Bool {
        arrival.isOwed || input.isPartial && input.count > 0
    }

    /// Whether it waits for a command, so that it may be idle.
    var isAwaitingCommand: Bool { isSettled && !arrival.isActive && input.swallow == 0 }

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
        guard phase == .open, isSettled, replies.count == 0 else { return false }
        if isLeaving { return true }
        guard hasEnded, !receiving.isArmed else { return false }
        switch arrival.phase {
        case .none: return input.count == 0 || input.isPartial || input.swallow > 0
        case .filling: return !receiving.isFilling && input.count == 0
        case .lineEnd: return !receiving.isFilling && input.count < 2
        case .storing: return false
        }
    }

    /// Since when its peer has not sent what we wait for; nil while we wait for something else,
    /// which is not the peer's fault: a starved one has no buffer to receive into. (Whether it
    /// takes what it is sent: `Pace`.)
    func silentSince(isStarved: Bool) -> UInt64? {
        guard !isBehind else { return nil }
        guard wait == .nothing, deferred.isEmpty, isInRequest, !isStarved else { return nil }
        guard receiving.isArmed || receiving.isFilling else { return nil }
        return max(lastActive, receiving.since)
    }

    /// Whether blocks are occupied by the beginning of a request whose rest the peer owes.
    var holdsBeginning: Bool {
        phase == .open && input.isPartial && input.count > 0 && wait == .nothing
            && input.swallow == 0 && !arrival.isActive && !isBehind
    }

    /// Whether it holds the place of a value that its peer owes, and has for a while.
    func isStagingJudged(at now: UInt64) -> Bool {
        guard phase == .open, wait == .nothing, arrival.isOwed else { return false }
        return now > input.since &+ ServerLimits.judgedNanosecondsMin
    }

    /// How long the request that is arriving will have taken in all, at the pace it has come with:
    /// its progress, seen from those who wait for the memory that it holds.
    func requestDue(at now: UInt64) -> UInt64 {
        let age = Double(now > input.since ? now - input.since : 0)
        let beginning =
            input.count <= ServerLimits.shortInputBytesMax
            ? ServerLimits.smallBlockBytes : ServerLimits.blockBytes
        let held = arrival.isActive ? arrival.valueBytes : beginning
        let arrived = arrival.isActive ? arrival.arrivedBytes : input.count
        let due = age * max(Double(held) / Double(max(arrived, 1)), 1)
        return due < 1e18 ? UInt64(due) : 1_000_000_000_000_000_000
    }

    /// Since when anything about it last moved, whoever is to blame.
    var quietSince: UInt64 {
        var since = lastActive
        if isBehind, pace.isRunning { since = min(since, pace.paidUntil) }
        if waiting.hasBegun { since = min(since, waiting.since) }
        return since
    }

    /// Whether what arrives now can be executed, or be the next part of a request: it holds nothing
    /// else, and waits for nothing.
    var isThirsty: Bool {
        wait == .nothing && !isBehind && shouldReceive && (input.count == 0 || input.isPartial)
    }

    /// Whether to listen for more: there is room, and nothing is in the way.
    @inline(__always)
    var shouldReceive: Bool {
        guard phase == .open, !hasEnded, !isLeaving else { return false }
        // The end of a value that is on its way anyway is not cancelled for a receive of its own.
        if arrival.phase == .filling {
            return receiving.isArmed && arrival.missingBytes <= ServerLimits.inputBytesHigh
        }
        if isBehind { return input.count == 0 }
        // What waits for a disk or for memory has not to be cancelled and armed again each time.
        let isArmed = receiving.isArmed
        if wait != .nothing { return input.count <= (isArmed ? ServerLimits.inputBytesLow : 0) }
        // Once cancelled, it is armed again only when little is kept.
        return input.count
            <= (isArmed ? ServerLimits.inputBytesHigh : ServerLimits.inputBytesLow)
    }
}
