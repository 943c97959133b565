// ReplayFeed: the thread that reads the trace, computes the references, and feeds the workers.
//
// What it computes depends on the trace alone, in the trace's order: the references, the count
// of different objects, the stretches of the report, the moments at which requests are due.

internal import Primitives
internal import Uring

/// What the feed knows at its end.
struct ReplayFeedResult: Sendable {
    var format = TraceFormat.csv
    var requests: UInt64 = 0
    var spanSeconds: UInt64 = 0
    var objects: DistinctObjects
    var references: [LruReference]
    /// What each reference would have answered, and in all how many stretches there are.
    var intervals: [ReplayIntervals]
    var intervalCount = 0
    /// Whether the last stretch holds more than its share.
    var isCut = false
}

/// One pass over a trace.
struct ReplayFeed {
    /// Longest that a pipe may bring nothing.
    static let traceSecondsMax = 60.0
    private static let roomNanoseconds: Int64 = 10_000_000

    private let plan: ReplayPlan
    private let board: ReplayBoard
    private var reader: TraceReader
    private var schedule: ReplaySchedule
    private var result: ReplayFeedResult
    private var wakers: [Waker?] = []
    /// By queue: requests written, and how many of these are made known.
    private var written: [UInt64]
    private var published: [UInt64]
    /// The worker of each connection.
    private let workers: [Int]

    init(_ plan: ReplayPlan, _ reader: TraceReader, _ board: ReplayBoard) throws(ArgumentFault) {
        self.plan = plan
        self.board = board
        self.reader = reader
        schedule = ReplaySchedule(plan.speed)
        var references: [LruReference] = []
        var intervals: [ReplayIntervals] = []
        for bytes in plan.referenceBytes {
            references.append(
                try LruReference(capacityBytes: bytes, overheadBytes: plan.overheadBytes))
            guard let counts = try? ReplayIntervals() else {
                throw ArgumentFault("reference-bytes: no memory for what is counted")
            }
            intervals.append(counts)
        }
        result = ReplayFeedResult(
            objects: try DistinctObjects(), references: references, intervals: intervals)
        written = Array(repeating: 0, count: plan.threadCount)
        published = written
        workers = (0..<plan.threadCount).flatMap { index in
            WireSetup.share(of: plan.clientCount, index, plan.threadCount).map { _ in index }
        }
    }

    /// Runs until the trace is over or the board says stop.
    mutating func runToEnd() {
        board.wait(for: .running)
        wakers = board.queues.indices.map { board.waker($0) }
        do throws(TraceFault) {
            try feed()
        } catch {
            board.fail(.trace(error))
        }
        for index in board.queues.indices {
            publish(index)
            board.queues[index].close()
            wakers[index]?.wake()
        }
        reader.close()
        result.format = reader.format ?? .csv
        result.spanSeconds = schedule.span
        board.finish(result)
    }

    private mutating func feed() throws(TraceFault) {
        var waitedSince: UInt64 = 0
        while board.phase == .running, result.requests < plan.operationsMax ?? .max {
            switch try reader.next() {
            case .request(var request):
                waitedSince = 0
                guard play(&request) else { return }
                push(request)
            case .pending:
                for index in board.queues.indices { publish(index) }
                let now = Clock.monotonicNanoseconds()
                if waitedSince == 0 { waitedSince = now }
                guard isInTime(now) else { return }
                guard now &- waitedSince < UInt64(Self.traceSecondsMax * 1e9) else {
                    throw TraceFault(
                        unit: "line or record", number: reader.count + 1,
                        reason: "nothing came for \(Self.traceSecondsMax) s")
                }
            case .end:
                guard result.requests > 0 else {
                    throw TraceFault(unit: "line", number: 1, reason: "the trace is empty")
                }
                return
            }
        }
    }

    private func isInTime(_ now: UInt64) -> Bool {
        guard let seconds = plan.secondsMax else { return true }
        return Double(now &- min(board.startedAt, now)) / 1e9 < seconds
    }

    /// Completes a request and plays it to the references. False if the time is over.
    private mutating func play(_ request: inout TraceRequest) -> Bool {
        request.dueAt = schedule.due(request.time)
        if let seconds = plan.secondsMax, Double(request.dueAt) / 1e9 >= seconds { return false }
        if result.requests & 15 == 0, !isInTime(Clock.monotonicNanoseconds()) { return false }
        if request.ttlSeconds == 0 { request.ttlSeconds = plan.ttlSeconds }
        request.interval = interval()
        result.requests &+= 1
        result.objects.see(
            request.object, bytes: request.hasSize ? request.objectBytes : nil)
        reference(request)
        return true
    }

    /// A reference does what the server is asked to do, and refuses what is not sent.
    private mutating func reference(_ request: TraceRequest) {
        guard !result.references.isEmpty else { return }
        var request = request
        if plan.times == .ignored { request.ttlSeconds = 0 }
        let isTooLarge = Int(request.valueBytes) > plan.valueBytesMax
        if isTooLarge { request.hasSize = false }
        for index in result.references.indices {
            let isHit =
                isTooLarge && request.operation.isStore
                ? false
                : result.references[index].play(request, at: schedule.time, fills: plan.fills)
            result.intervals[index].count(request, isHit: isHit)
        }
    }

    private mutating func interval() -> UInt32 {
        let number =
            switch plan.interval {
            case .requests(let count): result.requests / count
            case .seconds(let count): schedule.second / count
            }
        let last = UInt64(ReplayIntervals.countMax - 1)
        result.isCut = result.isCut || number > last
        let index = min(number, last)
        result.intervalCount = Int(index) + 1
        return UInt32(truncatingIfNeeded: index)
    }

    // MARK: Queues

    private mutating func push(_ request: TraceRequest) {
        let index = workers[plan.connection(of: request.object)]
        while !board.queues[index].put(request, at: written[index]) {
            // Other workers must not wait for what is kept back here.
            for other in board.queues.indices { publish(other) }
            guard board.phase == .running else { return }
            board.queues[index].waitForRoom(written[index], nanoseconds: Self.roomNanoseconds)
        }
        written[index] &+= 1
        if written[index] &- published[index] >= ReplayQueue.batchMax { publish(index) }
    }

    private mutating func publish(_ index: Int) {
        guard published[index] != written[index] else { return }
        published[index] = written[index]
        if board.queues[index].publish(written[index]) { wakers[index]?.wake() }
    }
}
