// ReplayBoard: what the threads of a replay tell each other. Board is the like for `run`.

internal import Primitives
internal import Synchronization
internal import Uring

/// Shared by the workers, the feed and the one that started them.
final class ReplayBoard: Sendable {
    /// What goes on; only ever goes up.
    enum Phase: UInt32 {
        case connecting
        case running
        /// Workers and feed end, whatever is left.
        case stopped
        /// The feed has ended; rings may go.
        case ended
    }

    private struct Notes {
        var wakers: [Int: Waker] = [:]
        var results: [ReplayWorkerResult] = []
        var feed: ReplayFeedResult?
        var failure: LoadFailure?
    }

    private let memory: Region
    private let notes = Mutex(Notes())
    let queues: [ReplayQueue]
    /// Tells this run's values from those of others.
    let run = UInt32(truncatingIfNeeded: Clock.unixNanoseconds() / 1000)

    init(workerCount: Int) throws(MemoryError) {
        memory = try Region.map(byteCount: Self.progressOffset + Self.progressBytes * workerCount)
        var queues: [ReplayQueue] = []
        for _ in 0..<workerCount { queues.append(try ReplayQueue()) }
        self.queues = queues
    }

    private var phaseWord: AtomicWord32 { memory.atomic32(at: 0) }
    /// Raised with every event that the starter may wait for.
    private var eventWord: AtomicWord32 { memory.atomic32(at: 64) }
    private var readyWord: AtomicWord32 { memory.atomic32(at: 128) }
    private var doneWord: AtomicWord32 { memory.atomic32(at: 192) }
    private var startWord: AtomicWord64 { memory.atomic64(at: 256) }

    @inline(__always)
    var phase: Phase { Phase(rawValue: phaseWord.loadAcquire()) ?? .ended }

    // MARK: Progress

    /// A cache line for each worker: requests, gets, hits so far, written now and then.
    private static let (progressOffset, progressBytes) = (4096, 64)

    func note(_ counters: ReplayCounters, of worker: Int) {
        let place = Self.progressOffset + Self.progressBytes * worker
        memory.atomic64(at: place).storeRelaxed(counters.requests)
        memory.atomic64(at: place + 8).storeRelaxed(counters.gets)
        memory.atomic64(at: place + 16).storeRelaxed(counters.hits)
    }

    /// How far the workers are, all together.
    var progress: ReplayProgress {
        var sum = ReplayProgress()
        for worker in queues.indices {
            let place = Self.progressOffset + Self.progressBytes * worker
            sum.requests &+= memory.atomic64(at: place).loadRelaxed()
            sum.gets &+= memory.atomic64(at: place + 8).loadRelaxed()
            sum.hits &+= memory.atomic64(at: place + 16).loadRelaxed()
        }
        return sum
    }

    // MARK: Phases

    /// The moment at which the trace's first request is due.
    var startedAt: UInt64 {
        get { startWord.loadAcquire() }
        set { startWord.storeRelease(newValue) }
    }

    func enter(_ phase: Phase) {
        phaseWord.storeRelease(phase.rawValue)
        phaseWord.wake()
    }

    /// Waits until the phase is `phase` or a later one.
    func wait(for phase: Phase) {
        while true {
            let current = phaseWord.loadAcquire()
            guard current < phase.rawValue else { return }
            phaseWord.wait(while: current)
        }
    }

    // MARK: The starter

    var readyCount: Int { Int(readyWord.loadAcquire()) }
    var doneCount: Int { Int(doneWord.loadAcquire()) }
    var failure: LoadFailure? { notes.withLock { $0.failure } }
    var results: [ReplayWorkerResult] { notes.withLock { $0.results } }
    var feed: ReplayFeedResult? { notes.withLock { $0.feed } }

    /// Waits until `isOver`, at most so long; false if the time ran out. A failure ends it.
    func wait(seconds: Double, until isOver: () -> Bool) -> Bool {
        let start = Clock.monotonicNanoseconds()
        while true {
            let seen = eventWord.loadAcquire()
            if isOver() || failure != nil { return true }
            let elapsed = Double(Clock.monotonicNanoseconds() &- start) / 1e9
            guard elapsed < seconds else { return false }
            let pause = min(seconds - elapsed, 0.1)
            eventWord.wait(while: seen, nanoseconds: max(Int64(pause * 1e9), 1000))
        }
    }

    // MARK: Workers and feed

    func isReady(_ index: Int, _ waker: Waker) {
        notes.withLock { $0.wakers[index] = waker }
        readyWord.add(1)
        raise()
    }

    func waker(_ index: Int) -> Waker? { notes.withLock { $0.wakers[index] } }

    func finish(_ result: ReplayWorkerResult) {
        notes.withLock { $0.results.append(result) }
        doneWord.add(1)
        raise()
    }

    func finish(_ result: ReplayFeedResult) {
        notes.withLock { $0.feed = result }
        raise()
    }

    /// The first failure counts.
    func fail(_ failure: LoadFailure) {
        notes.withLock { $0.failure = $0.failure ?? failure }
        raise()
    }

    private func raise() {
        eventWord.add(1)
        eventWord.wake()
    }
}

/// What one worker counted.
struct ReplayWorkerResult: Sendable {
    var counters = ReplayCounters()
    var latencies = ReplayLatencies()
    var intervals: ReplayIntervals
    var effort = Effort()
}

/// How far a replay is. Sums since its beginning.
public struct ReplayProgress: Sendable {
    public var seconds = 0.0
    public var requests: UInt64 = 0
    public var gets: UInt64 = 0
    public var hits: UInt64 = 0

    public init() {}
}

/// Sums over what was answered. One thread writes; copies are summed at the end.
public struct ReplayCounters: BitwiseCopyable, Equatable, Sendable {
    /// Requests of the trace that were answered or refused.
    public var requests: UInt64 = 0
    /// Gets among them, and how many of these brought a value.
    public var gets: UInt64 = 0
    public var hits: UInt64 = 0
    /// Sets that followed a miss, and were stored.
    public var fills: UInt64 = 0
    /// Writes that did nothing, as nothing was there, or something was (NOT_STORED, NOT_FOUND).
    public var unstored: UInt64 = 0
    /// Values that are larger than the server takes, or than the plan sends.
    public var refused: UInt64 = 0
    /// Error lines that the server answered, other than to values that are too large.
    public var errors: UInt64 = 0
    /// Values that came while values are verified, but of which nothing was known: of a key that
    /// this replay has not written, or has changed in place, or beyond the keys it remembers.
    public var unjudged: UInt64 = 0
    public var receivedBytes: UInt64 = 0
    public var sentBytes: UInt64 = 0
    /// Requests sent, fills among them, and system calls that entered the ring.
    public var sends: UInt64 = 0
    public var enters: UInt64 = 0

    public init() {}

    static func += (sum: inout ReplayCounters, part: ReplayCounters) {
        sum.requests &+= part.requests
        sum.gets &+= part.gets
        sum.hits &+= part.hits
        sum.fills &+= part.fills
        sum.unstored &+= part.unstored
        sum.refused &+= part.refused
        sum.errors &+= part.errors
        sum.unjudged &+= part.unjudged
        sum.receivedBytes &+= part.receivedBytes
        sum.sentBytes &+= part.sentBytes
        sum.sends &+= part.sends
        sum.enters &+= part.enters
    }
}
