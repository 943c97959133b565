// LoadRun: one run from connecting to the result: starts the workers, moves them through their
// phases, and looks at the server while they measure.

internal import Primitives
internal import Uring

/// A run of one plan against one target.
public enum LoadRun {
    /// Longest that connecting may take.
    static let connectSecondsMax = 30.0

    /// From the moment at which an open loop is told to begin to its first request, so that no
    /// worker begins late.
    static let leadNanoseconds: UInt64 = 20_000_000

    /// Runs to the end. Blocks; every wait in it has a limit.
    ///
    /// - Parameters:
    ///   - server: Whose processor time and memory count; nil looks for the process that listens
    ///     on the target's address.
    ///   - watch: Is called once a second, on the calling thread.
    public static func perform(
        _ plan: LoadPlan, against target: Target, server: ServerProcess? = nil,
        watch: ((RunProgress) -> Void)? = nil
    ) throws(LoadFailure) -> Outcome {
        var outcome = Outcome()
        outcome.facts = try ServerFacts.ask(target, seconds: plan.stallSeconds)
        try ProtocolProbe.check(plan, target)
        outcome.kernel = MachineFacts.kernelRelease()
        let server = server ?? ServerProcess(listeningOn: target.address)
        outcome.serverProcess = server?.id
        outcome.serverCommand = server?.commandLine ?? ""
        outcome.serverCores = server?.cores ?? ""
        outcome.residentBytesBefore = server?.residentBytes
        raiseDescriptorLimit(to: plan.clientCount + 256)

        let board: Board
        do throws(MemoryError) {
            board = try Board(plan)
        } catch {
            throw .memory(byteCount: Int(plan.keyCount) * 8)
        }
        let starter = Starter(plan: plan, board: board, server: server, watch: watch)
        let threads = ThreadBox()
        let failure = measure(target, starter, threads, &outcome)
        board.enter(.stopped)
        threads.joinAll()
        if let failure = board.failure ?? failure { throw failure }
        sum(board.finished, plan, into: &outcome)
        outcome.residentBytesAfter = server?.residentBytes
        return outcome
    }

    /// Until the measured phase is over, or something has failed.
    private static func measure(
        _ target: Target, _ starter: Starter, _ threads: ThreadBox, _ outcome: inout Outcome
    ) -> LoadFailure? {
        let (plan, board) = (starter.plan, starter.board)
        for index in 0..<plan.threadCount {
            do throws(ThreadError) {
                threads.append(
                    try Thread(name: "load-\(index)") { work(plan, target, index, board) })
            } catch {
                return .thread(errno: error.errno)
            }
        }
        guard starter.wait(seconds: connectSecondsMax, until: { $0.readyCount == plan.threadCount })
        else {
            return .late("connecting took longer than \(connectSecondsMax) s")
        }
        if plan.warmupSeconds > 0, let failure = starter.warmUp() { return failure }
        guard board.failure == nil else { return nil }
        let start = starter.begin(.measuring)
        var timeline = Timeline(board, starter.server, at: start)
        let before = starter.server?.processorNanoseconds
        let isOver = starter.follow(&timeline, from: start, seconds: plan.measuredSecondsMax)
        let after = starter.server?.processorNanoseconds
        if let before, let after { outcome.serverNanoseconds = after &- before }
        timeline.finish(at: Clock.monotonicNanoseconds())
        outcome.series = timeline.points
        if case .operations = plan.length, !isOver {
            return .unfinished(seconds: plan.deadlineSeconds)
        }
        return nil
    }

    /// What one thread does.
    private static func work(_ plan: LoadPlan, _ target: Target, _ index: Int, _ board: Board) {
        do throws(LoadFailure) {
            try pin(index, plan.cores)
            var worker = try RunWorker.make(plan: plan, target: target, index: index, board: board)
            worker.runToEnd()
        } catch {
            board.fail(error)
        }
    }

    /// Binds the calling thread, the so many-th, to one of the cores, if there are any.
    static func pin(_ index: Int, _ cores: [Int]) throws(LoadFailure) {
        guard !cores.isEmpty else { return }
        let core = cores[index % cores.count]
        let code = ProcessorTime.pinThisThread(to: core)
        guard code == 0 else { throw .pinning(core: core, errno: code) }
    }

    private static func sum(
        _ results: [WorkerResult], _ plan: LoadPlan, into outcome: inout Outcome
    ) {
        if let rate = plan.rate {
            var pacing = Pacing()
            pacing.asked = rate
            for result in results { if let part = result.pacing { pacing += part } }
            outcome.pacing = pacing
        }
        outcome.warmup = warmUp(results.compactMap(\.warmup))
        for result in results {
            outcome.counters += result.counters
            outcome.latencies += result.latencies
            outcome += result.effort
            let seconds = result.effort.seconds
            guard seconds > 0 else { continue }
            outcome.operationsPerSecond += Double(result.counters.operations) / seconds
            outcome.requestsPerSecond += Double(result.counters.requestCount) / seconds
        }
    }

    private static func warmUp(_ parts: [WarmUp]) -> WarmUp? {
        guard !parts.isEmpty else { return nil }
        var sum = WarmUp()
        for part in parts {
            sum.counters += part.counters
            sum.latencies += part.latencies
            sum.seconds = max(sum.seconds, part.seconds)
            guard part.seconds > 0 else { continue }
            sum.operationsPerSecond += Double(part.counters.operations) / part.seconds
        }
        return sum
    }

    static func raiseDescriptorLimit(to count: Int) {
        guard var limit = DescriptorCount.current(), limit.soft < UInt64(count) else { return }
        limit.soft = min(UInt64(count), limit.hard)
        // Refused: the connection that finds none left says so.
        _ = limit.apply()
    }
}
