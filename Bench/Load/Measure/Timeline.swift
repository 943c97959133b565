// Timeline: a phase of a run cut into seconds, by the thread that started the run.
//
// It reads the workers' meters once a second and subtracts what it read before. What is in it is
// for curves and for the eye; the results of a run are the workers' own.

internal import Primitives

/// How far a run is, once a second. Plain data.
public struct RunProgress: Sendable {
    /// Whether it is the warm-up, which does not count.
    public var isWarmUp = false
    /// Seconds since the phase began.
    public var seconds = 0.0
    /// The part of the phase that is over, 0 to 1.
    public var part = 0.0
    /// The last second.
    public var point = SeriesPoint()

    public init() {}
}

/// The seconds of one phase.
struct Timeline {
    static let intervalNanoseconds: UInt64 = 1_000_000_000
    /// A rest at the end that is shorter than this makes no point of its own.
    static let restNanosecondsMin: UInt64 = 100_000_000

    private(set) var points: [SeriesPoint] = []
    private let board: Board
    private let server: ServerProcess?
    private let startedAt: UInt64
    private let startedOperations: UInt64
    private var last: MeterReading
    private var lastAt: UInt64
    private var lastServer: UInt64?

    /// Begins at `instant`, from what the meters show now.
    init(_ board: Board, _ server: ServerProcess?, at instant: UInt64) {
        self.board = board
        self.server = server
        startedAt = instant
        lastAt = instant
        last = board.readMeters()
        startedOperations = last.operations
        lastServer = server?.processorNanoseconds
    }

    /// When the second that is under way ends: a late sample does not delay the next ones.
    var nextAt: UInt64 {
        let past = (lastAt &- startedAt) / Self.intervalNanoseconds
        return startedAt &+ (past + 1) * Self.intervalNanoseconds
    }

    /// Operations that were answered up to the last point.
    var operations: UInt64 { last.operations &- startedOperations }

    /// Ends a second, or what has passed of it.
    mutating func sample(at instant: UInt64) -> SeriesPoint {
        let reading = board.readMeters()
        let latencies = reading.latencies.since(last.latencies)
        var point = SeriesPoint()
        point.start = Double(lastAt &- startedAt) / 1e9
        point.seconds = Double(instant &- min(lastAt, instant)) / 1e9
        point.operations = reading.operations &- last.operations
        point.hits = reading.hits &- last.hits
        point.misses = reading.misses &- last.misses
        point.errors = reading.errors &- last.errors
        point.p50 = latencies.nanoseconds(at: 50).map { Double($0) / 1000 }
        point.p99 = latencies.nanoseconds(at: 99).map { Double($0) / 1000 }
        let serverTime = server?.processorNanoseconds
        if let serverTime, let lastServer, serverTime >= lastServer, point.seconds > 0 {
            point.serverShare = Double(serverTime - lastServer) / (point.seconds * 1e9)
        }
        points.append(point)
        last = reading
        lastAt = max(instant, lastAt)
        lastServer = serverTime
        return point
    }

    /// Adds what has passed since the last whole second, if it is worth a point.
    mutating func finish(at instant: UInt64) {
        guard instant > lastAt else { return }
        guard instant - lastAt >= Self.restNanosecondsMin || points.isEmpty else { return }
        _ = sample(at: instant)
    }
}
