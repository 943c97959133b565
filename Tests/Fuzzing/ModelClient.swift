// ModelClient: one peer of a fuzzed worker: what it asked, and whether what comes back can be the
// answers, in order.
//
// Its keys are its own, so its answers follow from its own requests. What the worker may do when
// memory is short is allowed: refuse a value, and answer a large one by a miss.

import Simulation

struct ModelClient {
    private enum Asked {
        case set(key: Int, value: Value, isQuiet: Bool)
        case get([Int])
        case delete(Int)
        case line(String)
        /// Lines up to this one.
        case lines(end: String)
    }

    private struct Value: Equatable {
        var flags: Int
        var letter: UInt8
        var count: Int
    }

    let peer: SimulatedNetwork.Peer
    let number: Int
    var hasFinished = false
    var isReset = false
    private(set) var unsent: [UInt8] = []
    private var asked: [(request: Asked, end: Int)] = []
    private var askedBytes = 0
    private var sentBytes = 0
    private var received: [UInt8] = []
    private var values: [Int: Value] = [:]
    /// Keys whose value may be gone: a change of them may have been refused, or was not answered.
    private var doubts: Set<Int> = []

    init(_ peer: SimulatedNetwork.Peer, number: Int) {
        self.peer = peer
        self.number = number
    }

    /// Whether everything that was sent whole is answered.
    var isAnswered: Bool {
        asked.allSatisfy { asked in
            if case .set(_, _, isQuiet: true) = asked.request { return true }
            return asked.end > sentBytes
        }
    }

    var waitsFor: String { asked.first.map { "\($0.request)" } ?? "nothing" }

    // MARK: Asking

    private func name(_ key: Int) -> String { "c\(number)k\(key)" }

    private mutating func ask(_ request: Asked, _ bytes: [UInt8]) {
        askedBytes += bytes.count
        unsent += bytes
        asked.append((request, askedBytes))
    }

    mutating func set(key: Int, flags: Int, letter: UInt8, count: Int, isQuiet: Bool) {
        let value = Value(flags: flags, letter: letter, count: count)
        let line = "set \(name(key)) \(flags) 0 \(count)\(isQuiet ? " noreply" : "")\r\n"
        ask(
            .set(key: key, value: value, isQuiet: isQuiet),
            Array(line.utf8) + [UInt8](repeating: letter, count: count) + [13, 10])
    }

    mutating func get(_ keys: [Int]) {
        ask(.get(keys), Array("get \(keys.map(name).joined(separator: " "))\r\n".utf8))
    }

    mutating func delete(_ key: Int) { ask(.delete(key), Array("delete \(name(key))\r\n".utf8)) }

    mutating func askOther(_ kind: Int) {
        switch kind % 5 {
        case 0: ask(.line("MN"), Array("mn\r\n".utf8))
        case 1: ask(.line("ERROR"), Array("nonsense\r\n".utf8))
        case 2: ask(.lines(end: "END"), Array("stats\r\n".utf8))
        case 3: ask(.lines(end: "END"), Array("stats conns\r\n".utf8))
        default: ask(.line("NOT_FOUND"), Array("incr absent\(number) 1\r\n".utf8))
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
        while let next = asked.first {
            let complaint: String?
            switch next.request {
            case .set(let key, let value, isQuiet: true):
                // Done, or refused, when what follows is answered.
                guard asked.count > 1, !received.isEmpty else {
                    return received.isEmpty ? nil : "an answer to a quiet set"
                }
                values[key] = value
                doubts.insert(key)
                complaint = nil
            case .set(let key, let value, isQuiet: false):
                guard let line = takeLine() else { return nil }
                complaint = stored(key, value, line)
            case .get(let keys):
                guard let outcome = takeValues(keys) else { return nil }
                complaint = outcome.complaint
            case .delete(let key):
                guard let line = takeLine() else { return nil }
                let isThere = values.removeValue(forKey: key) != nil
                let allowed = doubts.remove(key) != nil ? ["DELETED", "NOT_FOUND"] : []
                let wanted = isThere ? "DELETED" : "NOT_FOUND"
                complaint =
                    line == wanted || allowed.contains(line) ? nil : "a delete is told \(line)"
            case .line(let wanted):
                guard let line = takeLine() else { return nil }
                complaint = line == wanted ? nil : "\(wanted) was to come, not \(line)"
            case .lines(let end):
                guard let line = takeLine() else { return nil }
                if line.hasPrefix("STAT ") { continue }
                complaint = line == end ? nil : "\(end) was to come, not \(line)"
            }
            guard next.end <= sentBytes else { return "an answer before the request is whole" }
            asked.removeFirst()
            if let complaint { return complaint }
        }
        return received.isEmpty ? nil : "an answer to nothing"
    }

    private mutating func takeLine() -> String? {
        guard let end = received.firstIndex(of: 10) else { return nil }
        let line = String(decoding: received[..<end].dropLast(), as: UTF8.self)
        received.removeFirst(end + 1)
        return line
    }

    private mutating func stored(_ key: Int, _ value: Value, _ line: String) -> String? {
        switch line {
        case "STORED":
            values[key] = value
            doubts.remove(key)
        case "SERVER_ERROR out of memory storing object":
            values[key] = nil
        default: return "a set is told \(line)"
        }
        return nil
    }

    /// A whole reply to a get; nil if it is not whole yet.
    private mutating func takeValues(_ keys: [Int]) -> (complaint: String?, Void)? {
        var rest = keys[...]
        var position = 0
        while true {
            guard let end = received[position...].firstIndex(of: 10) else { return nil }
            let line = String(decoding: received[position..<end].dropLast(), as: UTF8.self)
            if line == "END" {
                received.removeFirst(end + 1)
                return (rest.compactMap(missed).first, ())
            }
            let words = line.split(separator: " ")
            guard words.count == 4, words[0] == "VALUE", let count = Int(words[3]) else {
                return ("\(line) in the answer to a get", ())
            }
            guard received.count >= end + 1 + count + 2 else { return nil }
            while let key = rest.first, name(key) != words[1] {
                if let complaint = missed(key) { return (complaint, ()) }
                rest = rest.dropFirst()
            }
            guard let key = rest.popFirst(), let value = values[key] else {
                return ("\(line) is of no key that is there", ())
            }
            let bytes = received[end + 1..<end + 1 + count]
            guard words[2] == "\(value.flags)", count == value.count,
                bytes.allSatisfy({ $0 == value.letter }),
                received[end + 1 + count] == 13, received[end + 2 + count] == 10
            else { return ("\(line) is not \(value)", ()) }
            position = end + 1 + count + 2
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
