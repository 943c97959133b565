// LoadRun: one run from connecting to the result: starts the workers, moves them through their
// phases, and looks at the server while they measure.

internal import Primitives
internal import Synchronization
internal import Uring

/// A run of one plan against one target.
public enum LoadRun {
    /// Longest that connecting may take.
    static let connectSecondsMax = 30.0

    /// Runs to the end. Blocks; every wait in it has a limit.
    ///
    /// - Parameters:
    ///   - server: Whose processor time and memory count; nil looks for the process that listens
    ///     on the target's address.
    public static func perform(
        _ plan: LoadPlan, against target: Target, server: ServerProcess? = nil
    ) throws(LoadFailure) -> Outcome {
        var outcome = Outcome()
        outcome.facts = try ServerFacts.ask(target)
        outcome.kernel = kernelRelease()
        let server = server ?? ServerProcess(listeningOn: target.address)
        outcome.serverProcess = server?.id
        outcome.residentBytesBefore = server?.residentBytes
        raiseDescriptorLimit(to: plan.clientCount + 256)

        let board: Board
        do throws(MemoryError) {
            board = try Board(plan)
        } catch {
            throw .memory(byteCount: Int(plan.keyCount) * 8)
        }
        let threads = ThreadBox()
        let failure = measure(plan, target, server, board, threads, &outcome)
        board.enter(.stopped)
        threads.joinAll()
        if let failure = board.failure ?? failure { throw failure }
        sum(board.finished, into: &outcome)
        outcome.residentBytesAfter = server?.residentBytes
        return outcome
    }

    /// Until the measured phase is over, or something has failed.
    private static func measure(
        _ plan: LoadPlan, _ target: Target, _ server: ServerProcess?, _ board: Board,
        _ threads: ThreadBox, _ outcome: inout Outcome
    ) -> LoadFailure? {
        for index in 0..<plan.threadCount {
            do throws(ThreadError) {
                threads.append(
                    try Thread(name: "load-\(index)") { work(plan, target, index, board) })
            } catch {
                return .thread(errno: error.errno)
            }
        }
        let isConnected = wait(board, seconds: connectSecondsMax) {
            board.readyCount == plan.threadCount
        }
        guard isConnected else {
            return .late("connecting took longer than \(connectSecondsMax) s")
        }
        if plan.warmupSeconds > 0 {
            board.enter(.warming)
            _ = wait(board, seconds: plan.warmupSeconds) { false }
        }
        guard board.failure == nil else { return nil }
        let before = server?.processorNanoseconds
        board.enter(.measuring)
        var secondsMax = Double.infinity
        if case .seconds(let seconds) = plan.length { secondsMax = seconds }
        _ = wait(board, seconds: secondsMax) { board.doneCount == plan.threadCount }
        let after = server?.processorNanoseconds
        if let before, let after { outcome.serverNanoseconds = after &- before }
        return nil
    }

    /// What one thread does.
    private static func work(_ plan: LoadPlan, _ target: Target, _ index: Int, _ board: Board) {
        if !plan.cores.isEmpty {
            let core = plan.cores[index % plan.cores.count]
            let code = ProcessorTime.pinThisThread(to: core)
            guard code == 0 else { return board.fail(.pinning(core: core, errno: code)) }
        }
        do throws(LoadFailure) {
            var worker = try Worker.make(plan: plan, target: target, index: index, board: board)
            worker.runToEnd()
        } catch {
            board.fail(error)
        }
    }

    /// Waits until `isOver`, at most so long; false if the time ran out. A failure ends it.
    private static func wait(_ board: Board, seconds: Double, until isOver: () -> Bool) -> Bool {
        let start = Clock.monotonicNanoseconds()
        while true {
            let seen = board.eventCount
            if isOver() || board.failure != nil { return true }
            let elapsed = Double(Clock.monotonicNanoseconds() &- start) / 1e9
            guard elapsed < seconds else { return false }
            let pause = min(seconds - elapsed, 0.1)
            board.waitForEvent(nanoseconds: max(Int64(pause * 1e9), 1000), seen: seen)
        }
    }

    private static func sum(_ results: [WorkerResult], into outcome: inout Outcome) {
        for result in results {
            let seconds = Double(result.nanoseconds) / 1e9
            outcome.counters += result.counters
            outcome.latencies += result.latencies
            outcome.seconds = max(outcome.seconds, seconds)
            outcome.generatorNanoseconds &+= result.processorNanoseconds
            outcome.firstError = outcome.firstError ?? result.firstError
            guard seconds > 0 else { continue }
            outcome.generatorShares.append(Double(result.processorNanoseconds) / 1e9 / seconds)
            outcome.operationsPerSecond += Double(result.counters.operations) / seconds
            outcome.requestsPerSecond += Double(result.counters.requestCount) / seconds
        }
    }

    static func raiseDescriptorLimit(to count: Int) {
        guard var limit = DescriptorCount.current(), limit.soft < UInt64(count) else { return }
        limit.soft = min(UInt64(count), limit.hard)
        // Refused: the connection that finds none left says so.
        _ = limit.apply()
    }

    private static func kernelRelease() -> String {
        (SystemTree.text("/proc/sys/kernel/osrelease") ?? "").split(separator: "\n").first
            .map(String.init) ?? ""
    }
}
