// TruthModel: what may be answered for each key at each moment, exactly.
//
// A key has the states that it may be in at the start of this life (one, unless a crash left it
// open which of several reached the disk), and the changes made since, each with the commit that
// covers it. An answer must be the newest state, or a miss; after a crash, a state not older than
// the last one that a completed commit covers. The model never waits for anything.

/// A state of a key that is there.
struct ValueState: Equatable {
    var bytes: [UInt8]
    var flags: UInt32
    var expiry: UInt32
    /// Of the command that made the value: what a cas number stands for.
    var id: Int
}

/// A state: a value, or nothing.
typealias KeyState = ValueState?

/// A word that changes like a key does, for what is there besides keys.
package struct Register<State: Equatable> {
    /// What it may be, when nothing was changed in this life.
    package var base: [State]
    /// The changes of this life, oldest first: what it may be since, and the commit that covers it.
    var changes: [(states: [State], commit: UInt64)] = []

    package init(base: [State]) { self.base = base }

    package var possible: [State] { changes.last?.states ?? base }

    package mutating func change(_ states: [State], commit: UInt64) {
        changes.append((states, commit))
        // What a later change of the same commit has overtaken may still be the last on disk, if
        // the process dies; long histories are cut where a commit has covered everything.
    }

    /// It was seen to be one of these.
    mutating func narrow(_ states: [State]) {
        if changes.isEmpty { base = states } else { changes[changes.count - 1].states = states }
    }

    /// Commits up to this one are on disk.
    package mutating func settle(completed: UInt64) {
        guard changes.count > 8, let last = changes.lastIndex(where: { $0.commit <= completed })
        else { return }
        changes.removeFirst(last)
    }

    /// The process has died, or ended with everything on disk.
    package mutating func die(completed: UInt64, isClean: Bool) {
        if isClean {
            base = possible
        } else if let last = changes.lastIndex(where: { $0.commit <= completed }) {
            base = Self.join(changes[last...].map(\.states))
        } else {
            base = Self.join([base] + changes.map(\.states))
        }
        changes = []
    }

    static func join(_ lists: [[State]]) -> [State] {
        var all: [State] = []
        for state in lists.joined() where !all.contains(state) { all.append(state) }
        return all
    }
}

/// All keys.
struct TruthModel {
    private(set) var keys: [Register<KeyState>]
    /// The second of the delayed flush_all that is to come; 0: none.
    var flush = Register<UInt64>(base: [0])
    /// Gets under way: what each may answer, as the key changes meanwhile.
    private var watched: [(key: Int, states: [KeyState])?] = []
    /// Whether a cas number must mean one value for ever.
    var comparesTokens = true
    /// For each key, what each cas number stood for, and the highest that was seen.
    private var tokens: [[UInt64: Int]]
    private var highest: [UInt64]
    private var lastId = 0
    /// The latest second that there has been.
    private var latest: UInt32 = 0
    /// What went wrong first.
    private(set) var fault: String?

    init(keys count: Int) {
        keys = Array(repeating: Register(base: [nil]), count: count)
        tokens = Array(repeating: [:], count: count)
        highest = Array(repeating: 0, count: count)
    }

    /// It is so late now.
    mutating func tell(_ second: UInt32) { latest = max(latest, second) }

    mutating func newId() -> Int {
        lastId += 1
        return lastId
    }

    mutating func fail(_ what: String) { if fault == nil { fault = what } }

    func possible(_ key: Int) -> [KeyState] { keys[key].possible }

    func alive(_ key: Int, _ now: UInt32) -> [ValueState] {
        keys[key].possible.compactMap { $0 }.filter { $0.expiry == 0 || $0.expiry > now }
    }

    /// Whether the key has a value for certain: one that has expired once may be gone although the
    /// clock was set back.
    func isCertain(_ key: Int) -> Bool {
        keys[key].possible.allSatisfy { state in
            state.map { $0.expiry == 0 || $0.expiry > latest } ?? false
        }
    }

    // MARK: Gets

    /// A get begins; answers by which number it ends.
    mutating func beginGet(_ key: Int) -> Int {
        let entry = (key: key, states: keys[key].possible)
        if let free = watched.firstIndex(where: { $0 == nil }) {
            watched[free] = entry
            return free
        }
        watched.append(entry)
        return watched.count - 1
    }

    mutating func abandonGet(_ number: Int) { watched[number] = nil }

    /// A get was answered with a value.
    mutating func endGet(
        _ number: Int, _ bytes: [UInt8], flags: UInt32, expiry: UInt32, cas: UInt64, now: UInt32
    ) {
        guard let watch = watched[number] else { return }
        watched[number] = nil
        let key = watch.key
        let isSame: (KeyState) -> Bool = { state in
            guard let state else { return false }
            return state.expiry == expiry && state.flags == flags && state.bytes == bytes
        }
        let found = watch.states.filter(isSame)
        guard let first = found.first, let value = first else {
            return fail(
                "key \(key) answered \(Self.describe(bytes)) expiry \(expiry); it may be "
                    + Self.describe(watch.states))
        }
        if expiry != 0, expiry <= now { fail("key \(key) expired at \(expiry), it is \(now)") }
        if comparesTokens, let id = tokens[key][cas], id != value.id,
            !found.contains(where: { $0?.id == id })
        {
            fail("key \(key): cas \(cas) stood for another value")
        }
        if found.count == 1 { tokens[key][cas] = value.id }
        highest[key] = max(highest[key], cas)
        let now = keys[key].possible.filter(isSame)
        if !now.isEmpty, now.count < keys[key].possible.count { keys[key].narrow(now) }
    }

    /// What a cas number stands for.
    func id(ofCas cas: UInt64, _ key: Int) -> Int? { tokens[key][cas] }
    func anyCas(_ key: Int) -> UInt64? { highest[key] == 0 ? nil : highest[key] }

    // MARK: Changes

    mutating func change(_ key: Int, _ states: [KeyState], commit: UInt64, completed: UInt64) {
        keys[key].settle(completed: completed)
        keys[key].change(states, commit: commit)
        for number in watched.indices {
            guard let watch = watched[number], watch.key == key else { continue }
            watched[number]?.states = watch.states + states
        }
    }

    /// It was seen that a value is there.
    mutating func narrow(_ key: Int, _ isIt: (ValueState) -> Bool) {
        let left = keys[key].possible.filter { $0.map(isIt) ?? false }
        if !left.isEmpty { keys[key].narrow(left) }
    }

    /// A flush_all took effect; if that is not certain, everything may have stayed as it was.
    mutating func flushAll(isCertain: Bool, commit: UInt64, completed: UInt64) {
        for key in keys.indices {
            let old = keys[key].possible
            guard old != [nil] else { continue }
            change(
                key, isCertain ? [nil] : Register.join([old, [nil]]), commit: commit,
                completed: completed)
        }
    }

    mutating func die(completed: UInt64, isClean: Bool) {
        for key in keys.indices { keys[key].die(completed: completed, isClean: isClean) }
        flush.die(completed: completed, isClean: isClean)
        watched = []
    }

    /// At a start: a delayed flush_all may have come due meanwhile; `found` is what is to come.
    ///
    /// - Parameter isStoreLost: it was moved aside, with all keys and what is to come, since the
    ///   last life began; or that one went on without.
    mutating func start(flushAt found: UInt64, isStoreLost: Bool, now: UInt32) {
        guard !isStoreLost else {
            for key in keys.indices { keys[key] = Register(base: [nil]) }
            flush.base = [found]
            return
        }
        let due = flush.base.filter { $0 != 0 && $0 <= UInt64(now) }
        guard found == 0 else {
            if !flush.base.contains(found) { fail("a flush_all at \(found) was never asked for") }
            flush.base = [found]
            return
        }
        if due.isEmpty, !flush.base.contains(0) { fail("a delayed flush_all was lost") }
        if !due.isEmpty {
            let isCertain = due.count == flush.base.count
            // Durable with the first commit: if that fails, and the clock is set back, it is to
            // come once more.
            for key in keys.indices where keys[key].base != [nil] {
                let base = keys[key].base
                keys[key].change(isCertain ? [nil] : Register.join([base, [nil]]), commit: 1)
            }
            return flush.change([0], commit: 1)
        }
        flush.base = [0]
    }

    // MARK: Words

    static func describe(_ bytes: [UInt8]) -> String {
        let head = bytes.prefix(24).map { byte -> String in
            byte >= 32 && byte < 127 ? String(UnicodeScalar(byte)) : "."
        }
        return "'\(head.joined())' (\(bytes.count) bytes)"
    }

    static func describe(_ states: [KeyState]) -> String {
        states.map { state in
            state.map { "\(describe($0.bytes)) expiry \($0.expiry)" } ?? "nothing"
        }.joined(separator: " or ")
    }
}
