// WholeLaw: all keys, the moments, the clock of the day, and the delayed flush_all.
//
// A moment is a number that grows with everything that is noted. What went wrong first is kept.

import StoreSimulation

struct WholeLaw {
    private(set) var keys: [KeyLaw]
    private(set) var fault: String?
    /// The second of the delayed flush_all that is to come; 0: none.
    private var flush = Register<UInt64>(base: [0])
    private var moment = 0
    private var lastId = 0
    private(set) var seconds: UInt32 = 0
    /// The latest second that there has been.
    private var latest: UInt32 = 0
    /// When the clock was set: the moment, and the seconds before and behind it.
    private var clockSteps: [(moment: Int, before: UInt32, after: UInt32)] = []

    init(keys count: Int) { keys = Array(repeating: KeyLaw(), count: count) }

    mutating func newId() -> Int {
        lastId += 1
        return lastId
    }

    mutating func fail(_ what: String) { if fault == nil { fault = what } }

    private mutating func tick() -> Int {
        moment += 1
        return moment
    }

    // MARK: Time

    mutating func setTime(_ seconds: UInt32) {
        self.seconds = seconds
        latest = max(latest, seconds)
    }

    mutating func stepClock(to seconds: UInt32) {
        clockSteps.append((tick(), self.seconds, seconds))
        setTime(seconds)
    }

    /// The seconds of an interval that lasts until now.
    func seconds(since begin: (moment: Int, seconds: UInt32)) -> ClosedRange<UInt32> {
        var low = min(begin.seconds, seconds)
        var high = max(begin.seconds, seconds)
        for step in clockSteps where step.moment > begin.moment {
            low = min(low, step.after)
            high = max(high, step.before)
        }
        return low...high
    }

    // MARK: Requests

    /// A request is complete now.
    mutating func beginRequest() -> (moment: Int, seconds: UInt32) { (tick(), seconds) }

    /// A request for a key may be executed from now on; `effects` is what it may do if no answer
    /// ever comes.
    mutating func begin(
        _ key: Int, id: Int, connection: Int, _ effects: [Effect], words: String
    ) {
        let began = moment
        keys[key].begin(
            Operation(
                id: id, connection: connection, began: began, effects: effects, isOptional: true,
                seconds: seconds...seconds, latest: latest, words: words))
    }

    mutating func end(
        _ key: Int, id: Int, _ effects: [Effect], isOptional: Bool = false,
        isForgotten: Bool = false, _ seconds: ClosedRange<UInt32>, commit: UInt64?,
        completed: UInt64
    ) {
        let what = keys[key].end(
            id, effects, isOptional: isOptional, isForgotten: isForgotten, at: tick(), seconds,
            commit: commit,
            completed: completed)
        if let what { fail("key \(key) \(what)") }
    }

    mutating func note(_ key: Int, cas: UInt64, _ bytes: [UInt8]) {
        guard !keys[key].note(cas: cas, bytes) else { return }
        fail("key \(key): cas \(cas) stood for another value")
    }

    // MARK: flush_all

    /// The second of the flush_all to come is another one now.
    ///
    /// - Parameter isDone: it has just taken effect.
    mutating func noteFlush(
        at second: UInt64, isDone: Bool, commits: (begun: UInt64, completed: UInt64)
    ) {
        flush.change([second], commit: commits.begun + 1)
        flush.settle(completed: commits.completed)
        guard isDone else { return }
        let moment = tick()
        for key in keys.indices {
            let what = keys[key].strike(
                [.remove], isOptional: false, id: newId(), at: moment, seconds...seconds,
                commit: commits.begun + 1, completed: commits.completed, words: "delayed flush")
            if let what { fail("key \(key) \(what)") }
        }
    }

    // MARK: Lives

    mutating func die(isClean: Bool, completed: UInt64) {
        for key in keys.indices {
            let what = keys[key].die(isClean: isClean, completed: completed)
            if let what { fail("key \(key), at the end of a life, \(what)") }
        }
        flush.die(completed: completed, isClean: isClean)
        clockSteps = []
    }

    /// At a start: a delayed flush_all may have come due meanwhile; `found` is what is to come.
    ///
    /// - Parameter isStoreLost: it was moved aside, with all keys and what is to come, since the
    ///   last life began; or that one went on without.
    mutating func start(flushAt found: UInt64, isStoreLost: Bool) {
        guard !isStoreLost else {
            for key in keys.indices { keys[key].lose() }
            flush.base = [found]
            return
        }
        guard found == 0 else {
            if !flush.base.contains(found) { fail("a flush_all at \(found) was never asked for") }
            flush.base = [found]
            return
        }
        let due = flush.base.filter { $0 != 0 && $0 <= UInt64(seconds) }
        if due.isEmpty, !flush.base.contains(0) { fail("a delayed flush_all was lost") }
        if !due.isEmpty {
            let isCertain = due.count == flush.base.count
            let moment = tick()
            for key in keys.indices { keys[key].flushed(isCertain: isCertain, at: moment) }
            return flush.change([0], commit: 1)
        }
        flush.base = [0]
    }
}
