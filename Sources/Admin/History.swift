// History: ten minutes of samples, one a second, in memory that never grows; and since when each
// worker stands still. The admin thread's.

internal import Server

struct History {
    static let samplesMax = 600

    private var source: HistorySource
    private let width = HistorySource.names.count
    /// A ring of rows: the time of a sample in seconds since 1970, then its numbers.
    private var numbers: [Double]
    private var begin = 0
    private(set) var count = 0

    init(_ shared: SharedState) {
        source = HistorySource(shared)
        numbers = Array(repeating: 0, count: Self.samplesMax * (HistorySource.names.count + 1))
    }

    /// Takes a sample.
    mutating func record(at seconds: UInt32) {
        let row = (begin + count) % Self.samplesMax * (width + 1)
        numbers[row] = Double(seconds)
        for (index, value) in source.next().enumerated() { numbers[row + 1 + index] = value }
        if count < Self.samplesMax { count += 1 } else { begin = (begin + 1) % Self.samplesMax }
    }

    /// A sample, the oldest first: its time, then its numbers.
    func sample(_ index: Int) -> ArraySlice<Double> {
        let row = (begin + index) % Self.samplesMax * (width + 1)
        return numbers[row...row + width]
    }
}

/// Which workers make turns.
struct Pulse {
    /// Longer than the second in which each worker has a turn at least.
    static let standingSecondsMax: UInt64 = 5

    private var turns: [UInt64] = []
    private var movedAt: [UInt64] = []

    /// Looks at the workers' turns.
    mutating func note(_ counts: [UInt64], at nanoseconds: UInt64) {
        if turns.isEmpty {
            movedAt = counts.map { _ in nanoseconds }
        } else {
            for index in counts.indices where counts[index] != turns[index] {
                movedAt[index] = nanoseconds
            }
        }
        turns = counts
    }

    /// The workers that stand still, and for how many seconds.
    func standing(at nanoseconds: UInt64) -> [(worker: Int, seconds: UInt64)] {
        movedAt.enumerated().compactMap { worker, moved in
            let seconds = nanoseconds > moved ? (nanoseconds - moved) / 1_000_000_000 : 0
            return seconds >= Self.standingSecondsMax ? (worker, seconds) : nil
        }
    }
}
