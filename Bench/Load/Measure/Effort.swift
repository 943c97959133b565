// Effort: how long the workers of a run or a replay measured, and how busy they were with it.

/// What one worker says at its end.
struct Effort: Sendable {
    /// Of the measured phase, as the worker saw it.
    var nanoseconds: UInt64 = 0
    /// Time on a core in that phase.
    var processorNanoseconds: UInt64 = 0
    /// The first error line that the server answered.
    var firstError: String?

    var seconds: Double { Double(nanoseconds) / 1e9 }
}

/// What the efforts of all workers are summed into.
protocol EffortSum {
    var seconds: Double { get set }
    var generatorNanoseconds: UInt64 { get set }
    var generatorShares: [Double] { get set }
    var firstError: String? { get set }
}

extension EffortSum {
    static func += (sum: inout Self, part: Effort) {
        sum.seconds = max(sum.seconds, part.seconds)
        sum.generatorNanoseconds &+= part.processorNanoseconds
        sum.firstError = sum.firstError ?? part.firstError
        guard part.nanoseconds > 0 else { return }
        sum.generatorShares.append(Double(part.processorNanoseconds) / 1e9 / part.seconds)
    }
}

extension Outcome: EffortSum {}
extension ReplayOutcome: EffortSum {}
