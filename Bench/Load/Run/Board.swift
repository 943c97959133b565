// Board: what the workers of a run and the one that started it tell each other.

internal import Primitives
internal import Synchronization

/// Shared by all threads of one run. Words that are looked at each turn lie in a region; what
/// happens once lies behind a lock.
final class Board: Sendable {
    /// What the workers do now; only ever goes up.
    enum Phase: UInt32 { case connecting, warming, draining, measuring, stopped }

    private let memory: Region
    private let meters: Region
    private let meterCount: Int
    private let results = Mutex<(finished: [WorkerResult], failure: LoadFailure?)>(([], nil))

    /// Versions of the keys, where values are verified.
    let ledger: ValueLedger?

    init(_ plan: LoadPlan) throws(MemoryError) {
        memory = try Region.map(byteCount: 4096)
        meterCount = plan.threadCount
        meters = try Region.map(byteCount: plan.threadCount * Meter.byteCount)
        let run = UInt32(truncatingIfNeeded: Clock.unixNanoseconds() / 1000)
        ledger =
            plan.verifies
            ? try ValueLedger(
                keyCount: plan.keyCount, counterCount: plan.mix.counts ? plan.keyCount : 0,
                run: run) : nil
    }

    private var phaseWord: AtomicWord32 { memory.atomic32(at: 0) }
    /// Raised with every event that the starter may wait for.
    private var eventWord: AtomicWord32 { memory.atomic32(at: 64) }
    private var readyWord: AtomicWord32 { memory.atomic32(at: 128) }
    private var doneWord: AtomicWord32 { memory.atomic32(at: 192) }
    private var drainedWord: AtomicWord32 { memory.atomic32(at: 256) }
    private var startWord: AtomicWord64 { memory.atomic64(at: 320) }

    // MARK: The starter

    /// - Parameter instant: When the schedules of an open loop begin.
    func enter(_ phase: Phase, startingAt instant: UInt64 = 0) {
        startWord.storeRelaxed(instant)
        phaseWord.storeRelease(phase.rawValue)
        phaseWord.wake()
    }

    /// Workers that have connected, that have nothing under way after the warm-up, and that have
    /// had all their operations answered.
    var readyCount: Int { Int(readyWord.loadAcquire()) }
    var drainedCount: Int { Int(drainedWord.loadAcquire()) }
    var doneCount: Int { Int(doneWord.loadAcquire()) }
    var failure: LoadFailure? { results.withLock { $0.failure } }
    var finished: [WorkerResult] { results.withLock { $0.finished } }

    /// What all workers have counted so far.
    func readMeters() -> MeterReading {
        var reading = MeterReading()
        for index in 0..<meterCount { meter(index).add(to: &reading) }
        return reading
    }

    /// Waits for something to happen, at most so long.
    func waitForEvent(nanoseconds: Int64, seen: UInt32) {
        eventWord.wait(while: seen, nanoseconds: nanoseconds)
    }
    var eventCount: UInt32 { eventWord.loadAcquire() }

    // MARK: The workers

    @inline(__always)
    var phase: Phase { Phase(rawValue: phaseWord.loadAcquire()) ?? .stopped }

    /// When the schedules begin, in nanoseconds of the monotonic clock.
    var startInstant: UInt64 { startWord.loadRelaxed() }

    func meter(_ index: Int) -> Meter { Meter(meters, at: index * Meter.byteCount) }

    /// Waits until the starter has entered another phase than this one.
    func wait(while phase: Phase) {
        while phaseWord.loadAcquire() == phase.rawValue { phaseWord.wait(while: phase.rawValue) }
    }

    func isReady() {
        readyWord.add(1)
        raise()
    }

    func isDrained() {
        drainedWord.add(1)
        raise()
    }

    func isDone() {
        doneWord.add(1)
        raise()
    }

    /// The first failure counts.
    func fail(_ failure: LoadFailure) {
        results.withLock { $0.failure = $0.failure ?? failure }
        raise()
    }

    func finish(_ result: WorkerResult) {
        results.withLock { $0.finished.append(result) }
        raise()
    }

    private func raise() {
        eventWord.add(1)
        eventWord.wake()
    }
}

/// What one worker measured.
struct WorkerResult: Sendable {
    var counters = Counters()
    var latencies = Latencies()
    var effort = Effort()
    var pacing: Pacing?
    var warmup: WarmUp?
}
