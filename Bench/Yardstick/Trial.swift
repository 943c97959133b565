// Trial: one load on one size of memory: Brim's own code and the exact LRU answer the same
// requests, and the misses of both are counted. No clock, no thread: equal trials count equally.

public import Primitives
internal import Store

/// What to run.
public struct Trial: Sendable {
    public var workload: Workload
    /// What the store may use; what the LRU may use.
    public var memoryBytes: Int
    /// Which part of the objects fits into memory by the yardstick's account, in percent.
    public var sharePercent: Int
    /// Workers that take turns.
    public var workers: Int
    /// Requests, as a multiple of the entries that memory holds; the second half counts.
    public var rounds: Int
    public var seed: UInt64

    public init(
        _ workload: Workload, memoryBytes: Int, sharePercent: Int, workers: Int = 1,
        rounds: Int = 40, seed: UInt64 = 1
    ) {
        precondition(sharePercent > 0 && sharePercent <= 100)
        self.workload = workload
        self.memoryBytes = memoryBytes
        self.sharePercent = sharePercent
        self.workers = workers
        self.rounds = rounds
        self.seed = seed
    }

    /// Bytes that the strict yardstick takes per entry beside key and value: what Brim's own
    /// come to (16 of header, 4 of padding, 8 of slot at 80 % load, rounded up).
    public static let strictOverheadBytes = 32

    /// Entries that memory holds by the yardstick's account.
    public var held: Int {
        memoryBytes
            / (Workload.keyBytes + StepStream.meanBytes(workload.sizes) + Self.strictOverheadBytes)
    }

    /// Runs it.
    public func run() throws(MemoryError) -> Verdict {
        let objects = held * 100 / sharePercent
        let requests = held * rounds
        var steps = StepStream(
            workload, objects: objects, held: held, requests: requests, seed: seed)
        var strict = ExactLRU(
            capacityBytes: memoryBytes, cost: .flat(Self.strictOverheadBytes),
            keyCount: steps.keyCount)
        var classed = ExactLRU(
            capacityBytes: memoryBytes, cost: .classes, keyCount: steps.keyCount)
        let cache = try BrimCache(memoryBytes: memoryBytes, workers: workers, seed: seed)
        var verdict = Verdict(trial: self)
        // A cache's worth of requests takes 100 seconds.
        let requestsPerSecond = max(held / 100, 1)
        for number in 0..<requests {
            if number % requestsPerSecond == 0 {
                cache.advanceSecond()
                strict.expire(at: cache.now)
                classed.expire(at: cache.now)
            }
            let step = steps.next()
            let counts = number >= requests / 2
            if counts, !step.isSet { verdict.gets += 1 }
            let content = Workload.keyBytes + step.valueBytes
            let expiry = step.ttl == 0 ? 0 : cache.now + step.ttl
            let hasStrict = !step.isSet && strict.get(step.key)
            if !hasStrict { strict.set(step.key, content: content, expiry: expiry) }
            let hasClassed = !step.isSet && classed.get(step.key)
            if !hasClassed { classed.set(step.key, content: content, expiry: expiry) }
            let hasBrim = !step.isSet && cache.get(step.key)
            if !hasBrim { cache.set(step.key, valueBytes: step.valueBytes, expiry: expiry) }
            guard counts, !step.isSet else { continue }
            if !hasStrict { verdict.strictMisses += 1 }
            if !hasClassed { verdict.classedMisses += 1 }
            if !hasBrim { verdict.brimMisses += 1 }
        }
        verdict.brimItems = cache.itemCount
        verdict.lruItems = strict.count
        verdict.notes = cache.notes()
        cache.close()
        return verdict
    }
}

/// What a trial came to. Misses are counted over the second half of the requests.
public struct Verdict: Sendable {
    public let trial: Trial
    public var gets = 0
    public var brimMisses = 0
    /// Of the LRU at Brim's own overhead.
    public var strictMisses = 0
    /// Of the LRU with memcached's overhead and size classes.
    public var classedMisses = 0
    /// Entries held at the end.
    public var brimItems = 0
    public var lruItems = 0
    /// What the store says of itself, for whoever wonders why.
    public var notes = ""

    init(trial: Trial) { self.trial = trial }

    /// Brim's misses as a share of the strict LRU's.
    public var ratio: Double { Double(brimMisses) / Double(max(strictMisses, 1)) }
    public var classedRatio: Double { Double(brimMisses) / Double(max(classedMisses, 1)) }
    public func missRatio(_ misses: Int) -> Double { Double(misses) / Double(max(gets, 1)) }
}
