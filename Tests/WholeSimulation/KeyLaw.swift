// KeyLaw: whether the answers to all requests for one key can be true: whether some order of the
// requests, each between the moment in which its last byte was sent and that in which its answer
// came, leads from a state that the key may have had to the states that were answered.
//
// Requests are collected until none is under way; then every possible order is searched. A crash
// leaves any state that no later change, certain to be on disk, has replaced. Misses say nothing.

/// A request for one key.
struct Operation {
    let id: Int
    let connection: Int
    let began: Int
    /// `Int.max`: it is under way, or was when its connection or the process ended.
    var ended = Int.max
    /// One of these is what it did.
    var effects: [Effect]
    /// Or nothing at all.
    var isOptional: Bool
    /// No later run need know of it.
    var isForgotten = false
    /// In one of these it was executed.
    var seconds: ClosedRange<UInt32>
    /// The latest second that there has been until it was complete: the clock may have been set
    /// back, and what had expired by then is gone.
    var latest: UInt32
    var words: String

    var isCertainChange: Bool {
        !isOptional && !isForgotten && effects.allSatisfy { $0.isChange }
    }
    var onlyLooks: Bool { effects.allSatisfy { !$0.isChange } }
}

/// One key.
struct KeyLaw {
    /// The states with which the requests that are looked at may have begun.
    private(set) var starts: [KeyState] = [nil]
    private(set) var operations: [Operation] = []
    /// Requests under way.
    private(set) var openCount = 0
    /// The states of this life that the disk may hold, and the latest moment in which each began.
    private var written: [(state: KeyState, moment: Int)] = [(nil, 0)]
    /// States that a removal hides of which no later run need know.
    private var hidden: [KeyState] = []
    /// Certain changes of this life: when each began, and the commit that covers it.
    private var changes: [(began: Int, commit: UInt64)] = []
    /// What each cas number stood for.
    private var tokens: [UInt64: [UInt8]] = [:]
    private(set) var recentTokens: [UInt64] = []

    static let operationsMax = 14
    /// Of a key that may have had more states than these one request at a time is searched: after
    /// lives without a commit there were tens of thousands, and orders of ten requests from each.
    static let startsMax = 256

    /// Whether one more request may be made of it, of which so many are asked and not yet sent.
    func hasRoom(asked: Int) -> Bool {
        if starts.count > Self.startsMax { return operations.isEmpty && asked == 0 }
        return operations.count < Self.operationsMax && asked < 10
    }

    mutating func begin(_ operation: Operation) {
        operations.append(operation)
        openCount += 1
    }

    // MARK: Ends

    /// A request is over. No effects: it says nothing of the key, and did nothing.
    ///
    /// - Parameter commit: covers its change, which is certain; nil if it is not, or is none.
    ///   0: the change is on disk already.
    /// - Returns: what cannot be.
    mutating func end(
        _ id: Int, _ effects: [Effect], isOptional: Bool, isForgotten: Bool = false,
        at moment: Int, _ seconds: ClosedRange<UInt32>, commit: UInt64?, completed: UInt64
    ) -> String? {
        guard let at = operations.firstIndex(where: { $0.id == id }) else { return nil }
        openCount -= 1
        if effects.isEmpty {
            operations.remove(at: at)
        } else {
            operations[at].ended = moment
            operations[at].effects = effects
            operations[at].isOptional = isOptional
            operations[at].isForgotten = isForgotten
            operations[at].seconds = seconds
            operations[at].latest = max(operations[at].latest, seconds.upperBound)
            if let commit, !isOptional { changes.append((operations[at].began, commit)) }
        }
        return openCount == 0 ? settle(completed) : nil
    }

    /// Something took effect in a moment that is known.
    mutating func strike(
        _ effects: [Effect], isOptional: Bool, id: Int, at moment: Int,
        _ seconds: ClosedRange<UInt32>, commit: UInt64?, completed: UInt64, words: String
    ) -> String? {
        begin(
            Operation(
                id: id, connection: -id, began: moment, effects: effects, isOptional: isOptional,
                seconds: seconds, latest: seconds.upperBound, words: words))
        return end(
            id, effects, isOptional: isOptional, at: moment, seconds, commit: commit,
            completed: completed)
    }

    /// Nothing is under way: which states may it have now?
    private mutating func settle(_ completed: UInt64) -> String? {
        defer { operations = [] }
        guard !operations.isEmpty else { return nil }
        var search = OrderSearch(operations)
        guard search.run(from: starts) else { return complaint }
        hidden = hiddenStates(search)
        starts = search.ends
        written += search.produced
        let floor = floor(completed)
        written.removeAll { $0.moment < floor }
        changes.removeAll { $0.began < floor }
        if written.count > 200 { merge() }
        return nil
    }

    /// What the disk may hold behind a removal that only this run knows of.
    private func hiddenStates(_ search: OrderSearch) -> [KeyState] {
        if operations.contains(where: \.isForgotten) {
            return hidden + starts + search.produced.map(\.state)
        }
        return operations.contains(where: \.isCertainChange) ? [] : hidden
    }

    private mutating func merge() {
        var fewer: [(state: KeyState, moment: Int)] = []
        for entry in written {
            if let at = fewer.firstIndex(where: { $0.state == entry.state }) {
                fewer[at].moment = max(fewer[at].moment, entry.moment)
            } else {
                fewer.append(entry)
            }
        }
        written = fewer
    }

    /// What began before this moment, and ended before, is not the newest on disk.
    private func floor(_ completed: UInt64) -> Int {
        changes.filter { $0.commit <= completed }.map(\.began).max() ?? 0
    }

    /// The process has died, or ended with everything on disk.
    mutating func die(isClean: Bool, completed: UInt64) -> String? {
        for at in operations.indices where operations[at].ended == .max {
            operations[at].isOptional = true
        }
        var search = OrderSearch(operations)
        guard search.run(from: starts) else { return complaint }
        if isClean {
            starts = search.ends
            for state in hiddenStates(search) where !starts.contains(state) {
                starts.append(state)
            }
        } else {
            written += search.produced
            let floor = floor(completed)
            written.removeAll { $0.moment < floor }
            merge()
            starts = written.map(\.state)
        }
        if !starts.contains(nil) { starts.append(nil) }
        written = starts.map { ($0, 0) }
        changes = []
        hidden = []
        operations = []
        openCount = 0
        return nil
    }

    /// Before the first request of a life: nothing is left of it on disk.
    mutating func lose() {
        starts = [nil]
        written = [(nil, 0)]
    }

    /// Before the first request of a life. On disk with its first commit: where that fails, and the
    /// clock is set back, what was there is found again.
    mutating func flushed(isCertain: Bool, at moment: Int) {
        written = starts.map { ($0, 0) }
        starts = isCertain ? [nil] : starts + (starts.contains(nil) ? [] : [nil])
        written.append((nil, moment))
        if isCertain { changes.append((moment, 1)) }
    }

    // MARK: Cas numbers

    /// A get told a cas number; false if it stood for another value.
    mutating func note(cas: UInt64, _ bytes: [UInt8]) -> Bool {
        if let known = tokens[cas] { return known == bytes }
        tokens[cas] = bytes
        recentTokens.append(cas)
        if recentTokens.count > 4 { tokens[recentTokens.removeFirst()] = nil }
        return true
    }

    func bytes(ofCas cas: UInt64) -> [UInt8]? { tokens[cas] }

    private var complaint: String {
        let states = starts.map { describe($0) }.joined(separator: " or ")
        let lines = operations.sorted { $0.began < $1.began }.map { operation in
            let end = operation.ended == .max ? "…" : "\(operation.ended)"
            let effects = operation.effects.map { describe($0) }.joined(separator: " or ")
            let second = operation.seconds.upperBound
            return
                "\n      \(operation.began)-\(end) s\(second) c\(operation.connection) "
                + operation.words + ": " + effects + (operation.isOptional ? " or nothing" : "")
        }
        return "began with \(states); there is no order of" + lines.joined()
    }
}

/// All orders of some requests.
private struct OrderSearch {
    private struct Node: Hashable {
        let done: UInt64
        let state: Int
    }

    private let operations: [Operation]
    /// For each, those that must come before it.
    private var before: [UInt64]
    private var states: [KeyState] = []
    private var numbers: [KeyState: Int] = [:]
    private var known: [Node: Bool] = [:]
    private var endStates: Set<Int> = []
    /// What was left on the way to an end, and when at the latest.
    private var left: [Int: Int] = [:]

    init(_ operations: [Operation]) {
        precondition(operations.count < 64)
        self.operations = operations
        before = operations.map { operation in
            var mask: UInt64 = 0
            for (number, other) in operations.enumerated() {
                let isAsked = other.connection == operation.connection && other.id < operation.id
                // A get that read another key's record from disk looks again, maybe later than a
                // get that was asked behind it, or stands behind it in the same line.
                let mayPass =
                    other.began == operation.began || other.onlyLooks && operation.onlyLooks
                let isEarlier = other.ended < operation.began || isAsked && !mayPass
                if isEarlier { mask |= 1 << UInt64(number) }
            }
            return mask
        }
    }

    var ends: [KeyState] { endStates.sorted().map { states[$0] } }
    var produced: [(state: KeyState, moment: Int)] {
        left.keys.sorted().map { (states[$0], left[$0] ?? 0) }
    }

    mutating func run(from starts: [KeyState]) -> Bool {
        var isPossible = false
        for start in starts { if follow(0, number(start)) { isPossible = true } }
        return isPossible
    }

    private mutating func number(_ state: KeyState) -> Int {
        if let at = numbers[state] { return at }
        numbers[state] = states.count
        states.append(state)
        return states.count - 1
    }

    /// Whether what is left can be done from here on.
    private mutating func follow(_ done: UInt64, _ state: Int) -> Bool {
        guard done != (1 << UInt64(operations.count)) - 1 else {
            endStates.insert(state)
            return true
        }
        let node = Node(done: done, state: state)
        if let answer = known[node] { return answer }
        var isPossible = false
        for at in operations.indices where done >> UInt64(at) & 1 == 0 {
            guard before[at] & ~done == 0 else { continue }
            let next = done | 1 << UInt64(at)
            for effect in operations[at].effects {
                let after = effect.apply(
                    states[state], at: operations[at].seconds, latest: operations[at].latest)
                guard let after else { continue }
                let new = effect.isChange ? number(after) : state
                guard follow(next, new) else { continue }
                isPossible = true
                if effect.isChange { left[new] = max(left[new] ?? 0, operations[at].ended) }
            }
            if operations[at].isOptional, follow(next, state) { isPossible = true }
        }
        known[node] = isPossible
        return isPossible
    }
}
