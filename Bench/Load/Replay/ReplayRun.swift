// ReplayRun: one replay from connecting to the result. LoadRun is the like for `run`.

internal import Primitives
internal import Uring

/// A replay of one trace against one target.
public enum ReplayRun {
    /// Seconds beyond the plan's that requests on their way may take.
    private static let graceSeconds = 10.0

    /// Replays to the end. Blocks; every wait in it has a limit.
    ///
    /// - Parameters:
    ///   - reader: The trace, opened; closed at the end.
    ///   - server: Whose processor time and memory count; nil looks for the process that listens
    ///     on the target's address.
    ///   - watch: Called about once a second, on the calling thread.
    /// - Throws: `LoadFailure`, or `ArgumentFault` where the plan's references find no memory.
    public static func perform(
        _ plan: ReplayPlan, _ reader: TraceReader, against target: Target,
        server: ServerProcess? = nil, watch: ((ReplayProgress) -> Void)? = nil
    ) throws -> ReplayOutcome {
        var outcome = ReplayOutcome()
        outcome.facts = try ServerFacts.ask(target)
        outcome.kernel = MachineFacts.kernelRelease()
        let server = server ?? ServerProcess(listeningOn: target.address)
        outcome.serverProcess = server?.id
        outcome.residentBytesBefore = server?.residentBytes
        LoadRun.raiseDescriptorLimit(to: plan.clientCount + 256)
        guard let board = try? ReplayBoard(workerCount: plan.threadCount) else {
            throw LoadFailure.memory(byteCount: plan.threadCount * ReplayQueue.capacity * 40)
        }
        let feed = try ReplayFeed(plan, reader, board)
        let (workers, feeds) = (ThreadBox(), ThreadBox())
        let failure = play(plan, target, server, board, feed, workers, feeds, watch, &outcome)
        board.enter(.stopped)
        feeds.joinAll()
        board.enter(.ended)
        workers.joinAll()
        if let failure = board.failure ?? failure { throw failure }
        sum(board, into: &outcome)
        outcome.residentBytesAfter = server?.residentBytes
        return outcome
    }

    /// Until the trace is over and answered, or something has failed.
    private static func play(
        _ plan: ReplayPlan, _ target: Target, _ server: ServerProcess?, _ board: ReplayBoard,
        _ feed: ReplayFeed, _ workers: ThreadBox, _ feeds: ThreadBox,
        _ watch: ((ReplayProgress) -> Void)?,
        _ outcome: inout ReplayOutcome
    ) -> LoadFailure? {
        do throws(ThreadError) {
            for index in 0..<plan.threadCount {
                workers.append(
                    try Thread(name: "replay-\(index)") { work(plan, target, index, board) })
            }
            feeds.append(
                try Thread(name: "trace") {
                    do throws(LoadFailure) {
                        try LoadRun.pin(plan.threadCount, plan.cores)
                    } catch {
                        board.fail(error)
                    }
                    var feed = feed
                    feed.runToEnd()
                })
        } catch {
            return .thread(errno: error.errno)
        }
        let isConnected = board.wait(seconds: LoadRun.connectSecondsMax) {
            board.readyCount == plan.threadCount
        }
        guard isConnected else {
            return .late("connecting took longer than \(LoadRun.connectSecondsMax) s")
        }
        guard board.failure == nil else { return nil }
        let before = server?.processorNanoseconds
        board.startedAt = Clock.monotonicNanoseconds()
        board.enter(.running)
        let limit = plan.secondsMax.map { $0 + plan.stallSeconds + graceSeconds } ?? .infinity
        var shown = 0.0
        let isOver = board.wait(seconds: limit) {
            let elapsed = Double(Clock.monotonicNanoseconds() &- board.startedAt) / 1e9
            if let watch, elapsed >= shown + 1 {
                shown = elapsed
                var progress = board.progress
                progress.seconds = elapsed
                watch(progress)
            }
            return board.doneCount == plan.threadCount
        }
        let after = server?.processorNanoseconds
        if let before, let after { outcome.serverNanoseconds = after &- before }
        return isOver ? nil : .late("the server is too slow: not answered after \(limit) s")
    }

    /// What one thread does.
    private static func work(
        _ plan: ReplayPlan, _ target: Target, _ index: Int, _ board: ReplayBoard
    ) {
        do throws(LoadFailure) {
            try LoadRun.pin(index, plan.cores)
            var worker = try ReplayWorker.make(plan, target, index: index, board)
            worker.runToEnd()
        } catch {
            board.fail(error)
        }
    }

    // MARK: Sums

    private static func sum(_ board: ReplayBoard, into outcome: inout ReplayOutcome) {
        let results = board.results
        for result in results {
            outcome.counters += result.counters
            outcome.latencies += result.latencies
            outcome += result.effort
        }
        guard let feed = board.feed else { return }
        outcome.format = feed.format
        outcome.requests = feed.requests
        outcome.spanSeconds = feed.spanSeconds
        outcome.objectCount = feed.objects.count
        outcome.objectBytes = feed.objects.bytes
        outcome.isObjectCountExact = feed.objects.isExact
        outcome.isCut = feed.isCut
        outcome.intervals = list(results.map(\.intervals), feed.intervalCount)
        outcome.total = total(outcome.intervals)
        for (reference, intervals) in zip(feed.references, feed.intervals) {
            let counts = list([intervals], feed.intervalCount)
            outcome.references.append(
                ReplayReference(
                    capacityBytes: reference.capacityBytes, objectCount: reference.objectCount,
                    total: total(counts), intervals: counts))
        }
    }

    private static func list(_ tables: [ReplayIntervals], _ count: Int) -> [IntervalCounts] {
        (0..<count).map { index in
            var sum = IntervalCounts()
            for table in tables { sum += table.counts[index] }
            return sum
        }
    }

    private static func total(_ intervals: [IntervalCounts]) -> IntervalCounts {
        var sum = IntervalCounts()
        for part in intervals { sum += part }
        return sum
    }
}
