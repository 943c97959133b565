// ModelClient: one peer of a fuzzed worker: what it asked, and whether what comes back can be the
// answers, in order.
//
// Its keys are its own, so its answers follow from its own requests. What the worker may do when
// memory is short is allowed: refuse a value, and answer a large one by a miss. How requests and
// answers are written is Wire's.

import Simulation

struct ModelClient {
    private enum Asked {
        case set(key: Int, value: Value, isQuiet: Bool)
        case get([Int])
        case delete(Int)
        /// An increment of what is not there.
        case increment
        case noop
        case nonsense
        case statistics
        case signIn(isRefused: Bool)

        var isQuiet: Bool {
            if case .set(_, _, isQuiet: true) = self { return true }
            return false
        }
    }

    private struct Value: Equatable {
        var flags: Int
        var letter: UInt8
        var count: Int
    }

    private struct Entry {
        var request: Asked
        /// Of all that is asked, the bytes up to its end.
        var end: Int
        var number: Int
    }

    /// The sizes of the values that are on disk from before, and the number of the first.
    static let keptSizes = [0, 30, 1500, 5000, 17_000, 60_000]
    static let keptFrom = 100

    let peer: SimulatedNetwork.Peer
    let number: Int
    /// A longer value is refused.
    var valueBytesMax = Int.max
    var hasFinished = false
    var isReset = false
    private let wire: Wire
    private(set) var unsent: [UInt8] = []
    private var asked: [Entry] = []
    private var askedCount = 0
    private var askedBytes = 0
    private var sentBytes = 0
    private var received: [UInt8] = []
    private var values: [Int: Value] = [:]
    /// Keys whose value may be gone: a change of them may have been refused, or was not answered.
    private var doubts: Set<Int> = []
    /// Keys of the get that is being answered whose answers may still come.
    private var due: ArraySlice<Int>?

    init(_ peer: SimulatedNetwork.Peer, number: Int, _ dialect: Dialect) {
        self.peer = peer
        self.number = number
        wire = Wire(dialect: dialect)
    }

    /// Whether everything that was sent whole is answered.
    var isAnswered: Bool {
        asked.allSatisfy { $0.request.isQuiet || $0.end > sentBytes }
    }

    var waitsFor: String {
        asked.first.map { "\($0.request) (\(wire.dialect))" } ?? "nothing"
    }

    // MARK: Asking

    private func name(_ key: Int) -> String {
        key < Self.keptFrom ? "c\(number)k\(key)" : "kept\(key - Self.keptFrom)"
    }

    /// There are values that nobody changes. One that cannot be read in time is a miss.
    mutating func knowsKept() {
        for (at, count) in Self.keptSizes.enumerated() {
            values[Self.keptFrom + at] = Value(flags: 0, letter: UInt8(ascii: "v"), count: count)
            doubts.insert(Self.keptFrom + at)
        }
    }

    private mutating func ask(_ request: Asked, _ bytes: (Wire, Int) -> [UInt8]) {
        let text = bytes(wire, askedCount)
        askedBytes += text.count
        unsent += text
        asked.append(Entry(request: request, end: askedBytes, number: askedCount))
        askedCount += 1
    }

    /// Signs in, after `refusals` tries that are wrong.
    mutating func signIn(refusals: Int) {
        for _ in 0..<refusals {
            ask(.signIn(isRefused: true)) { $0.signIn("wrong", number: $1) }
        }
        ask(.signIn(isRefused: false)) { $0.signIn("secret", number: $1) }
    }

    /// A quiet set of the meta dialect would be told its refusal in a line that names nothing.
    mutating func set(key: Int, flags: Int, letter: UInt8, count: Int, isQuiet: Bool) {
        let value = Value(flags: flags, letter: letter, count: count)
        let isQuiet = isQuiet && wire.dialect != .meta
        let name = name(key)
        ask(.set(key: key, value: value, isQuiet: isQuiet)) {
            $0.set(
                name, flags: flags, value: [UInt8](repeating: letter, count: count),
                isQuiet: isQuiet, number: $1)
        }
    }

    mutating func get(_ keys: [Int]) {
        let names = keys.map(name)
        ask(.get(keys)) { $0.get(names, number: $1) }
    }

    mutating func delete(_ key: Int) {
        let name = name(key)
        ask(.delete(key)) { $0.delete(name, number: $1) }
    }

    mutating func askOther(_ kind: Int) {
        let absent = "absent\(number)"
        switch kind % 5 {
        case 0: ask(.noop) { $0.noop(number: $1) }
        case 1: ask(.nonsense) { $0.nonsense(number: $1) }
        case 2: ask(.statistics) { $0.statistics(ofConnections: false, number: $1) }
        case 3: ask(.statistics) { $0.statistics(ofConnections: true, number: $1) }
        default: ask(.increment) { $0.increment(absent, number: $1) }
        }
    }

    mutating func takeUnsent(_ limit: Int) -> [UInt8] {
        let part = Array(unsent.prefix(limit))
        unsent.removeFirst(part.count)
        sentBytes += part.count
        return part
    }

    // MARK: Hearing

    /// Reads answers as far as they are whole; what is wrong with them, if anything.
    mutating func hear(_ bytes: [UInt8]) -> String? {
        received += bytes
        while let (heard, answered) = wire.next(&received) {
            passQuiet(answered, heard)
            guard let next = asked.first else { return "\(heard) in answer to nothing" }
            if let answered, answered != next.number {
                return "\(heard) for \(answered), \(next.number) was to come"
            }
            let (isOver, complaint) = take(heard, next.request)
            if let complaint { return "\(complaint) (\(wire.dialect))" }
            guard isOver else { continue }
            let isEarly = next.end > sentBytes && !heard.isRefusalOfLength
            guard !isEarly else { return "an answer before the request is whole" }
            asked.removeFirst()
        }
        return asked.isEmpty && !received.isEmpty ? "an answer to nothing" : nil
    }

    /// What follows quiet sets is answered: they are done, or were refused.
    private mutating func passQuiet(_ answered: Int?, _ heard: Heard) {
        while let first = asked.first, case .set(let key, let value, isQuiet: true) = first.request
        {
            if answered == first.number { return }
            values[key] = value
            doubts.insert(key)
            asked.removeFirst()
        }
    }

    /// Whether the request is answered with that, and what is wrong.
    private mutating func take(_ heard: Heard, _ request: Asked) -> (Bool, String?) {
        switch (request, heard) {
        case (.set(_, _, isQuiet: true), .done):
            return (true, "an answer to a quiet set")
        case (.set(let key, let value, _), .done):
            values[key] = value
            doubts.remove(key)
        case (.set(let key, _, _), .noMemory):
            values[key] = nil
            doubts.remove(key)
        case (.set(let key, let value, _), .tooLarge):
            guard value.count > valueBytesMax else { return (true, "\(request) is too large") }
            values[key] = nil
            doubts.remove(key)
        case (.get(let keys), _):
            return takeOfGet(heard, keys)
        case (.delete(let key), .done), (.delete(let key), .notFound):
            return (true, deleted(key, heard))
        case (.increment, .notFound), (.noop, .end), (.statistics, .end),
            (.signIn(isRefused: false), .done):
            break
        case (.statistics, .stat):
            return (false, nil)
        case (.nonsense, .other(wire.nonsenseAnswer)),
            (.signIn(isRefused: true), .other(wire.refusal)):
            break
        default:
            return (true, "\(request) is told \(heard)")
        }
        return (true, nil)
    }

    private mutating func deleted(_ key: Int, _ heard: Heard) -> String? {
        let isThere = values.removeValue(forKey: key) != nil
        if doubts.remove(key) != nil { return nil }
        if case .done = heard { return isThere ? nil : "a delete of nothing is done" }
        return isThere ? "a delete finds nothing" : nil
    }

    private mutating func takeOfGet(_ heard: Heard, _ keys: [Int]) -> (Bool, String?) {
        var rest = due ?? keys[...]
        switch heard {
        case .end:
            due = nil
            return (true, rest.compactMap(missed).first)
        case .value(let name, let flags, let body):
            while let key = rest.first, self.name(key) != name {
                if let complaint = missed(key) { return (false, complaint) }
                rest = rest.dropFirst()
            }
            guard let key = rest.popFirst(), let value = values[key] else {
                return (false, "\(name) is no key that is there")
            }
            due = rest
            guard flags == value.flags, body.count == value.count,
                body.allSatisfy({ $0 == value.letter })
            else { return (false, "\(name), \(flags), \(body.count) is not \(value)") }
            return (false, nil)
        default:
            return (true, "a get is told \(heard)")
        }
    }

    /// Whether a key may be missing in an answer.
    private func missed(_ key: Int) -> String? {
        guard let value = values[key], !doubts.contains(key), value.count <= 16_000 else {
            return nil
        }
        return "\(name(key)) is missing"
    }
}
