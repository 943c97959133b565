// Starter: the thread that began a run, as it moves the workers through the phases and waits.

internal import Primitives

/// One run as its starter sees it; not for the workers.
struct Starter {
    let plan: LoadPlan
    let board: Board
    let server: ServerProcess?
    let watch: ((RunProgress) -> Void)?

    /// Enters a phase in which requests are sent. Returns when it begins.
    func begin(_ phase: Board.Phase) -> UInt64 {
        let lead = plan.rate == nil ? 0 : LoadRun.leadNanoseconds
        let start = Clock.monotonicNanoseconds() &+ lead
        board.enter(phase, startingAt: start)
        return start
    }

    /// The load before measuring, to the last reply where the phases are kept apart.
    func warmUp() -> LoadFailure? {
        let start = begin(.warming)
        var timeline = Timeline(board, server, at: start)
        _ = follow(&timeline, from: start, seconds: plan.warmupSeconds)
        guard plan.drainsWarmup, board.failure == nil else { return nil }
        board.enter(.draining)
        // A worker names the connection that stalls, before this ends.
        let seconds = plan.stallSeconds * 2 + 10
        guard wait(seconds: seconds, until: { $0.drainedCount == plan.threadCount }) else {
            return .late("the replies to the warm-up did not all come within \(seconds) s")
        }
        return nil
    }

    /// Waits until all workers are done, at most so long, and takes a sample each second.
    /// Returns whether they were.
    func follow(_ timeline: inout Timeline, from start: UInt64, seconds: Double) -> Bool {
        let end = start &+ UInt64(seconds * 1e9)
        while true {
            let until = min(timeline.nextAt, end)
            let now = Clock.monotonicNanoseconds()
            let left = Double(until &- min(until, now)) / 1e9
            if wait(seconds: left, until: { $0.doneCount == plan.threadCount }) { return true }
            let sampled = Clock.monotonicNanoseconds()
            if sampled >= timeline.nextAt { report(&timeline, start, seconds, sampled) }
            guard sampled < end else { return false }
        }
    }

    private func report(
        _ timeline: inout Timeline, _ start: UInt64, _ seconds: Double, _ instant: UInt64
    ) {
        var progress = RunProgress()
        progress.point = timeline.sample(at: instant)
        guard let watch else { return }
        progress.isWarmUp = board.phase == .warming
        progress.seconds = Double(instant &- start) / 1e9
        if case .operations(let count) = plan.length, !progress.isWarmUp {
            progress.part = min(Double(timeline.operations) / Double(count), 1)
        } else {
            progress.part = min(progress.seconds / seconds, 1)
        }
        watch(progress)
    }

    /// Waits until `isOver`, at most so long; false if the time ran out. A failure ends it.
    func wait(seconds: Double, until isOver: (Board) -> Bool) -> Bool {
        let start = Clock.monotonicNanoseconds()
        while true {
            let seen = board.eventCount
            if isOver(board) || board.failure != nil { return true }
            let elapsed = Double(Clock.monotonicNanoseconds() &- start) / 1e9
            guard elapsed < seconds else { return false }
            let pause = min(seconds - elapsed, 0.1)
            board.waitForEvent(nanoseconds: max(Int64(pause * 1e9), 1000), seen: seen)
        }
    }
}
