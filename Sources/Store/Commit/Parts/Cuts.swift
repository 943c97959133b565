// Cuts: the beginning of a commit: every worker is asked how far its open segment is complete, and
// the commit is made when all have answered.
//
// It asks and collects; what is written with the answers is the committer's business.

internal import Primitives
internal import SegmentLog

/// Which cuts are being taken.
///
/// ```text
///         begin                    every worker has answered: its number is `taken`
///   none ───────► asked ──────┬──────────────────────────────────────────────► none
///                  ▲   │      └──────────────────────────────────────────────► none
///                  └───┘ one has not answered yet     one was silent for too long
/// ```
struct Cuts {
    /// A commit that was begun.
    struct Asked {
        var number: UInt64
        var began: ClockReading
        /// Open segments of those that have answered.
        var open: [Int]
        /// Who has to answer next, and up to whom.
        fileprivate var worker = 0
        fileprivate var workers: Int
    }

    enum Answer {
        case complete(Asked)
        case waits(worker: Int)
        case silent(worker: Int)
    }

    private var asked: Asked?
    /// The newest commit for which all writers have published their cuts.
    private(set) var taken: UInt64 = 0

    var areAsked: Bool { asked != nil }

    /// How long a worker may take to end its turn.
    static let answerNanosecondsMax: UInt64 = 5_000_000_000

    /// - Parameters:
    ///   - open: the committer's own open segment, if there is one.
    ///   - workers: how many have been asked.
    mutating func begin(number: UInt64, at now: ClockReading, open: [Int], workers: Int) {
        asked = Asked(number: number, began: now, open: open, workers: workers)
    }

    /// Takes the answers that are there; nil if nobody was asked.
    mutating func collect(_ log: SegmentLog, at now: UInt64) -> Answer? {
        guard var asking = asked else { return nil }
        while asking.worker < asking.workers {
            if log.isClosed(asking.worker).loadAcquire() == 0 {
                guard let segment = log.answeredCut(asking.worker) else {
                    asked = asking
                    let began = asking.began.nanoseconds
                    guard now - min(began, now) > Self.answerNanosecondsMax else {
                        return .waits(worker: asking.worker)
                    }
                    asked = nil
                    return .silent(worker: asking.worker)
                }
                if segment != 0 { asking.open.append(segment) }
            }
            asking.worker += 1
        }
        asked = nil
        taken = asking.number
        return .complete(asking)
    }

    /// What must hold between two steps; a sentence if it does not.
    func check(begun: UInt64) -> String? {
        guard taken <= begun else { return "cuts were taken for a commit that has not begun" }
        guard let asked else { return nil }
        guard asked.number == begun, asked.number > taken, asked.worker < asked.workers else {
            return "cuts are asked for in vain"
        }
        return nil
    }
}
