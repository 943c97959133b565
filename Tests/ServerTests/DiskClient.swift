// DiskClient: one connection of the simulation with a disk: what it asks, and whether the answers
// are those that the model allows, in the order in which it asked.

import Simulation
import Support
import Uring

struct DiskClient {
    /// What was asked, and what the model knew then.
    enum Asked {
        case change(key: Int, version: Int)
        case touch
        case get(keys: [Int], floors: [Int])
        /// The versions known to be there, which the flush removes.
        case flush([Int])
    }

    let peer: SimulatedNetwork.Peer
    /// Only keys with this remainder are changed here.
    let number: Int
    let stride: Int
    private(set) var unsent: [UInt8] = []
    private var asked: [Asked] = []
    private var received: [UInt8] = []
    /// The newest version that this connection knows to have made of each of its keys.
    private var done: [Int: Int] = [:]
    private(set) var refused = 0

    init(_ peer: SimulatedNetwork.Peer, number: Int, stride: Int) {
        self.peer = peer
        self.number = number
        self.stride = stride
    }

    var isAnswered: Bool { asked.isEmpty && unsent.isEmpty }

    // MARK: Asking

    private func ownKey(_ model: DiskModel, _ chance: inout Chance) -> Int {
        number + stride * chance.below(model.keyCount / stride)
    }

    mutating func ask(_ model: DiskModel, _ chance: inout Chance) {
        switch chance.below(100) {
        case 0..<55:
            let count = chance.below(3) == 0 ? 1 + chance.below(12) : 1
            get((0..<count).map { _ in chance.below(model.keyCount) }, model)
        case 55..<75: set(ownKey(model, &chance), model)
        case 75..<83:
            let key = ownKey(model, &chance)
            unsent += Array("delete \(DiskModel.name(key))\r\n".utf8)
            asked.append(.change(key: key, version: model.nextVersion(key, removes: true)))
        case 83..<91:
            let key = ownKey(model, &chance)
            unsent += Array("touch \(DiskModel.name(key)) \(chance.below(2) * 90_000)\r\n".utf8)
            asked.append(.touch)
        case 91..<99:
            // A change that needs the record: add and replace of what may be on disk only.
            let key = ownKey(model, &chance)
            set(key, model, command: chance.below(2) == 0 ? "add" : "replace")
        default:
            guard chance.below(20) == 0 else { return get([chance.below(model.keyCount)], model) }
            unsent += Array("flush_all\r\n".utf8)
            asked.append(.flush(model.made))
        }
    }

    mutating func set(_ key: Int, _ model: DiskModel, command: String = "set") {
        let version = model.nextVersion(key, removes: false)
        let value = DiskModel.value(key, version)
        unsent += Array("\(command) \(DiskModel.name(key)) 0 0 \(value.count)\r\n".utf8)
        unsent += value + [13, 10]
        asked.append(.change(key: key, version: version))
    }

    mutating func get(_ keys: [Int], _ model: DiskModel) {
        unsent += Array("get \(keys.map(DiskModel.name).joined(separator: " "))\r\n".utf8)
        asked.append(.get(keys: keys, floors: keys.map { model.floors[$0] }))
    }

    /// The next bytes to send, at most so many.
    mutating func takeUnsent(_ limit: Int) -> [UInt8] {
        let part = Array(unsent.prefix(limit))
        unsent.removeFirst(part.count)
        return part
    }

    // MARK: Answers

    /// Reads answers as far as they are whole; what is wrong with them, if anything.
    mutating func hear(_ bytes: [UInt8], _ model: DiskModel) -> String? {
        received += bytes
        while let next = asked.first {
            let complaint: String?
            switch next {
            case .get(let keys, let floors):
                guard let reply = valuesReply() else { return nil }
                complaint = check(reply, keys, floors, model)
            case .change(let key, let version):
                guard let line = takeLine() else { return nil }
                complaint = changed(key, version, line, model)
            case .touch:
                guard let line = takeLine() else { return nil }
                complaint = isFinal(line, ["TOUCHED", "NOT_FOUND"])
            case .flush(let marks):
                guard let line = takeLine() else { return nil }
                for (key, mark) in marks.enumerated() { model.forget(key, mark) }
                complaint = line == "OK" ? nil : "flush_all is answered by \(line)"
            }
            asked.removeFirst()
            if let complaint { return complaint }
        }
        return received.isEmpty ? nil : "an answer to nothing"
    }

    private mutating func isFinal(_ line: String, _ allowed: [String]) -> String? {
        if allowed.contains(line) { return nil }
        guard line.hasPrefix("SERVER_ERROR out of memory") else { return "answered by \(line)" }
        refused += 1
        return nil
    }

    private mutating func changed(
        _ key: Int, _ version: Int, _ line: String, _ model: DiskModel
    ) -> String? {
        switch line {
        case "STORED", "DELETED":
            model.know(key, version)
            done[key] = version
        case "NOT_FOUND":
            // There was none, or none that can be read: in either case none is left.
            model.know(key, version)
            done[key] = version
        default: return isFinal(line, ["NOT_STORED"])
        }
        return nil
    }

    private func check(
        _ reply: [(String, [UInt8])], _ keys: [Int], _ floors: [Int], _ model: DiskModel
    ) -> String? {
        var rest = reply[...]
        for (key, floor) in zip(keys, floors) {
            guard let (name, value) = rest.first, name == DiskModel.name(key) else {
                model.misses += 1
                continue
            }
            rest = rest.dropFirst()
            // Requests of one connection take effect in order.
            let verdict = model.judge(key, value, floor: max(floor, done[key] ?? 0))
            if let complaint = verdict.complaint { return complaint }
            model.know(key, verdict.version)
            model.hits += 1
        }
        return rest.isEmpty ? nil : "values of keys that were not asked for"
    }

    // MARK: Bytes

    private mutating func takeLine() -> String? {
        guard let end = received.firstIndex(of: 10) else { return nil }
        let line = String(decoding: received[..<max(end - 1, 0)], as: UTF8.self)
        received.removeFirst(end + 1)
        return line
    }

    /// The reply to a get, once it is whole: names and values.
    private mutating func valuesReply() -> [(String, [UInt8])]? {
        var found: [(String, [UInt8])] = []
        var position = 0
        while let end = received[position...].firstIndex(of: 10) {
            let line = String(decoding: received[position..<max(end - 1, 0)], as: UTF8.self)
            let words = line.split(separator: " ")
            guard words.count == 4, words[0] == "VALUE", let count = Int(words[3]) else {
                // END, or what should not be here: then it is left for the next to stumble upon.
                if line == "END" { position = end + 1 }
                received.removeFirst(position)
                return found
            }
            guard received.count >= end + 1 + count + 2 else { return nil }
            found.append((String(words[1]), Array(received[end + 1..<end + 1 + count])))
            position = end + 1 + count + 2
        }
        return nil
    }
}
