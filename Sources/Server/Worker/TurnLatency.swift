// TurnLatency: measures requests by turns, without a step for each request.
//
// A worker counts what it executes anyway. At the end of a turn the difference of those counters is
// what the turn executed, and one update of a histogram for each class that occurred says how long
// it took: from the turn's begin, when what had arrived was seen, to its end, when the replies are
// handed on. What lasted longer than a turn is measured alone: reads from disk, and requests that
// waited. Changes that wait for a commit are kept by the turn, and measured when it has completed.

internal import Primitives

/// Changes of one turn that wait for a commit.
private struct WaitingChanges: BitwiseCopyable {
    var commit: UInt64 = 0
    var began: UInt64 = 0
    var counts = TurnCounts()
}

/// What was counted of the classes that a turn measures.
private struct TurnCounts: BitwiseCopyable {
    var hits: UInt64 = 0
    var misses: UInt64 = 0
    var sets: UInt64 = 0
    var deletes: UInt64 = 0
    var arithmetics: UInt64 = 0
    var touches: UInt64 = 0
}

/// What a worker needs to measure its turns.
struct TurnLatency: BitwiseCopyable {
    /// Turns whose changes wait for commits; those of later ones are taken for the last one's.
    private static let waitingMax = 64
    static let bytes = Table<WaitingChanges>.byteCount(of: waitingMax)

    private let row: LatencyRow
    private let counters: Counters
    private let waiting: Table<WaitingChanges>
    private var waitingCount = 0
    private var seen = TurnCounts()
    /// The commit that this turn's changes wait for; 0 for none.
    private var commit: UInt64 = 0

    init(_ row: LatencyRow, _ counters: Counters) throws(MemoryError) {
        self.row = row
        self.counters = counters
        waiting = try Table(count: Self.waitingMax)
    }

    /// Takes what was executed since the last call for what took from `began` to `now`.
    mutating func measure(from began: UInt64, to now: UInt64) {
        let counted = counts()
        let nanoseconds = now &- began
        add(.memoryHit, nanoseconds, counted.hits, seen.hits)
        add(.miss, nanoseconds, counted.misses, seen.misses)
        if commit == 0 {
            add(.set, nanoseconds, counted.sets, seen.sets)
            add(.delete, nanoseconds, counted.deletes, seen.deletes)
            add(.arithmetic, nanoseconds, counted.arithmetics, seen.arithmetics)
            add(.touch, nanoseconds, counted.touches, seen.touches)
        } else {
            keepWaiting(since: began, counted)
            commit = 0
        }
        seen = counted
    }

    /// A turn that had something to do.
    @inline(__always)
    func turned(from began: UInt64, to now: UInt64) { row.add(.turn, now &- began) }

    /// A request that waited has been executed.
    func waited(from began: UInt64, to now: UInt64) { row.add(.wait, now &- began) }

    /// The disk has given all that was asked of it for one record.
    func read(from began: UInt64, to now: UInt64) { row.add(.read, now &- began) }

    /// A get whose answer was read from disk, or looked for there.
    mutating func wasRead(isHit: Bool, from began: UInt64, to now: UInt64) {
        row.add(isHit ? .diskHit : .miss, now &- began)
        // It is in the counters, too.
        if isHit { seen.hits &+= 1 } else { seen.misses &+= 1 }
    }

    /// The changes of this turn are answered once that commit has completed.
    mutating func waits(forCommit number: UInt64) { commit = number }

    /// Commits up to this one have completed.
    mutating func committed(_ number: UInt64, at now: UInt64) {
        guard waitingCount > 0 else { return }
        var kept = 0
        for index in 0..<waitingCount {
            let changes = waiting[index]
            guard changes.commit <= number else {
                waiting[kept] = changes
                kept += 1
                continue
            }
            let nanoseconds = now &- changes.began
            add(.set, nanoseconds, changes.counts.sets, 0)
            add(.delete, nanoseconds, changes.counts.deletes, 0)
            add(.arithmetic, nanoseconds, changes.counts.arithmetics, 0)
            add(.touch, nanoseconds, changes.counts.touches, 0)
        }
        waitingCount = kept
    }

    /// Fewer than before: somebody reset the statistics.
    @inline(__always)
    private func add(
        _ kind: LatencyClass, _ nanoseconds: UInt64, _ count: UInt64, _ before: UInt64
    ) {
        if count > before { row.add(kind, nanoseconds, count: count &- before) }
    }

    @inline(__always)
    private func counts() -> TurnCounts {
        TurnCounts(
            hits: counters.value(.getHits), misses: counters.value(.getMisses),
            sets: counters.value(.setCommands),
            deletes: counters.value(.deleteHits) &+ counters.value(.deleteMisses),
            arithmetics: counters.value(.incrHits) &+ counters.value(.incrMisses)
                &+ counters.value(.decrHits) &+ counters.value(.decrMisses),
            touches: counters.value(.touchHits) &+ counters.value(.touchMisses))
    }

    private mutating func keepWaiting(since began: UInt64, _ counted: TurnCounts) {
        if waitingCount < Self.waitingMax {
            waiting[waitingCount] = WaitingChanges(commit: commit, began: began)
            waitingCount += 1
        }
        let last = waitingCount - 1
        waiting[last].commit = commit
        waiting[last].counts.sets &+= Self.more(counted.sets, seen.sets)
        waiting[last].counts.deletes &+= Self.more(counted.deletes, seen.deletes)
        waiting[last].counts.arithmetics &+= Self.more(counted.arithmetics, seen.arithmetics)
        waiting[last].counts.touches &+= Self.more(counted.touches, seen.touches)
    }

    private static func more(_ count: UInt64, _ before: UInt64) -> UInt64 {
        count > before ? count &- before : 0
    }
}
