// Acceptor: takes new connections and hands each to the worker with the fewest.
//
// It runs on the control thread with a ring of its own and serves every listener. Beyond the
// connection limit a client gets memcached's line and is closed. When descriptors run out it
// stops accepting until a connection closes or a second has passed: it never spins. Arrays and
// classes are fine here: one connection is not one request.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Synchronization
internal import Uring

/// The control thread's loop.
struct Acceptor<Network: Ring & ~Copyable>: ~Copyable {
    private var ring: Network
    private let listeners: [Listener]
    private let shared: SharedState
    /// Each worker's, in order.
    private let wakers: [Waker]
    private let counters: Counters
    private let events: EventLog
    private var hasToldOfLimit = false
    private let limitReply: Region
    private let limitReplyBytes: Int
    private var isArmed: [Bool]
    private var isPaused = false
    private var pausedAt: UInt64 = 0
    private var isStopping = false

    init(
        ring: consuming Network, listeners: [Listener], shared: SharedState, wakers: [Waker],
        events: EventLog
    ) throws(MemoryError) {
        let reply = try Region.map(byteCount: 4096)
        var writer = ByteWriter(reply, at: 0, capacity: 128)
        Reply.tooManyConnections(to: &writer)
        limitReply = reply
        limitReplyBytes = writer.count
        self.listeners = listeners
        self.shared = shared
        self.wakers = wakers
        self.events = events
        counters = shared.controlCounters
        isArmed = Array(repeating: false, count: listeners.count)
        self.ring = ring
    }

    /// Begins to accept, and hands over who is waiting already; `run` goes on from there.
    mutating func begin() throws(RingError) {
        ring.armWake(token: Token(.wake, slot: 0, generation: 0))
        armTimer()
        arm()
        try ring.submit(waiting: false)
        while let completion = ring.nextCompletion() { settle(completion) }
    }

    /// Accepts until `shouldStop` says so; it is asked after every wake of the ring.
    mutating func run(until shouldStop: () -> Bool) throws(RingError) {
        while !shouldStop() {
            arm()
            try ring.submit(waiting: true)
            while let completion = ring.nextCompletion() { settle(completion) }
            resumeIfPossible()
        }
    }

    /// Stops accepting and closes the listeners; connections that came in between are closed.
    mutating func stop() throws(RingError) {
        isStopping = true
        shared.isAccepting = false
        for index in isArmed.indices where isArmed[index] {
            ring.cancel(accepting(index), token: Token(.cancel, slot: 0, generation: 0))
        }
        try ring.submit(waiting: false)
        while let completion = ring.nextCompletion() { settle(completion) }
        for listener in listeners { listener.close() }
    }

    /// Waits until `isDone`, being woken by the ring's waker or once a second.
    mutating func wait(until isDone: () -> Bool) throws(RingError) {
        while !isDone() {
            try ring.submit(waiting: true)
            while let completion = ring.nextCompletion() { settle(completion) }
        }
    }

    private func accepting(_ index: Int) -> Token {
        Token(.accept, slot: UInt32(index), generation: 0)
    }

    private mutating func armTimer() {
        ring.timeout(
            nanoseconds: 1_000_000_000, token: Token(.timeout, slot: 0, generation: 0))
    }

    private mutating func arm() {
        guard !isPaused else { return }
        for index in listeners.indices where !isArmed[index] {
            ring.accept(listeners[index].socket, token: accepting(index))
            isArmed[index] = true
        }
    }

    private mutating func settle(_ completion: Completion) {
        switch completion.token.operation {
        case .accept:
            if !completion.isArmed { isArmed[Int(completion.token.slot)] = false }
            accepted(completion.result, by: Int(completion.token.slot))
        case .wake: ring.armWake(token: completion.token)
        case .timeout: armTimer()
        default: break
        }
    }

    private mutating func accepted(_ result: Int32, by listener: Int) {
        guard result >= 0 else {
            refused(-result)
            return
        }
        let socket = Socket(descriptor: result)
        guard !isStopping else {
            ring.close(socket, token: Token(.close, slot: 0, generation: 0))
            return
        }
        var isLocal = false
        if case .unix = listeners[listener].address { isLocal = true }
        guard shared.connectionCount < shared.connectionsMax, hand(socket, isLocal: isLocal) else {
            counters.add(.rejectedConnections)
            ring.sendNow(
                socket, from: limitReply, at: 0, count: limitReplyBytes,
                token: Token(.send, slot: 0, generation: 0))
            ring.close(socket, token: Token(.close, slot: 0, generation: 0))
            return
        }
        if isLocal { counters.add(.acceptedLocal) }
    }

    /// Hands a socket to the worker with the fewest connections.
    private func hand(_ socket: Socket, isLocal: Bool) -> Bool {
        var chosen = 0
        for index in shared.mailboxes.indices
        where shared.mailboxes[index].connectionCount < shared.mailboxes[chosen].connectionCount {
            chosen = index
        }
        guard shared.mailboxes[chosen].hand(socket, isLocal: isLocal) else { return false }
        shared.mailboxes[chosen].notify(wakers[chosen])
        return true
    }

    /// An accept failed.
    private mutating func refused(_ error: Int32) {
        switch error {
        case ECANCELED, EINTR, EAGAIN:
            break
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
            guard !isPaused else { break }
            isPaused = true
            pausedAt = Clock.monotonicNanoseconds()
            counters.add(.listenDisabled)
            tellOfLimit(error)
            shared.isAccepting = false
            shared.beginWaitForClosing()
        default:
            // The client went away before it was accepted, or something stranger.
            counters.add(.acceptErrors)
        }
    }

    /// The log hears of it once: the statistics count how often.
    private mutating func tellOfLimit(_ error: Int32) {
        guard !hasToldOfLimit else { return }
        hasToldOfLimit = true
        events.warning(
            .acceptPaused,
            "error=\(SystemError.name(error)) connections=\(shared.connectionCount)")
    }

    /// Accepts again once a connection has closed, or after a second.
    private mutating func resumeIfPossible() {
        guard isPaused, !isStopping else { return }
        let elapsed = Clock.monotonicNanoseconds() - pausedAt
        guard shared.hasClosed || elapsed >= 1_000_000_000 else { return }
        isPaused = false
        shared.isAccepting = true
        counters.add(.listenDisabledMicroseconds, elapsed / 1000)
    }
}
