// DiskModel: which answers are right while many connections read and change the same keys, and
// reads from disk are late, fail or lie.
//
// Each key has one connection at a time that changes it, and every change has the next version;
// values carry key and version. A get may always miss. What it answers must be a version that
// was asked for, and none older than the newest that was known to be there, or seen, when the get
// was sent.

import Simulation
import Support
import Uring

final class DiskModel {
    /// A change that removes: no get may answer with it.
    private var removals: [Set<Int>]
    /// The newest version asked for.
    private(set) var issued: [Int]
    /// The newest version known to have been there.
    private(set) var made: [Int]
    /// No get that is sent from now on may answer with an older version.
    private(set) var floors: [Int]
    var hits = 0
    var misses = 0

    static let sizes = [
        16, 16, 100, 100, 300, 1000, 3000, 4000, 4500, 9000, 15_000, 17_000, 40_000, 90_000,
        150_000,
    ]

    init(keys: Int) {
        removals = Array(repeating: [], count: keys)
        issued = Array(repeating: 0, count: keys)
        made = Array(repeating: 0, count: keys)
        floors = Array(repeating: 0, count: keys)
    }

    var keyCount: Int { issued.count }

    func nextVersion(_ key: Int, removes: Bool) -> Int {
        issued[key] += 1
        if removes { removals[key].insert(issued[key]) }
        return issued[key]
    }

    /// A version is there, or was.
    func know(_ key: Int, _ version: Int) {
        made[key] = max(made[key], version)
        floors[key] = max(floors[key], version)
    }

    /// A flush took effect after this version was there.
    func forget(_ key: Int, _ version: Int) { floors[key] = max(floors[key], version + 1) }

    /// The value of a version: text that names both, repeated.
    static func value(_ key: Int, _ version: Int) -> [UInt8] {
        var chance = Chance(seed: UInt64(key) << 32 | UInt64(version))
        let size = sizes[chance.below(sizes.count)]
        let text = Array("\(key):\(version);".utf8)
        var value: [UInt8] = []
        value.reserveCapacity(size + text.count)
        while value.count < size { value += text }
        return Array(value.prefix(size))
    }

    static func name(_ key: Int) -> String { "key-\(key)" }

    /// The version of an answered value, or why it is wrong.
    func judge(_ key: Int, _ value: [UInt8], floor: Int) -> (version: Int, complaint: String?) {
        let text = String(decoding: value.prefix(24), as: UTF8.self)
        let words = text.prefix { $0 != ";" }.split(separator: ":")
        guard words.count == 2, Int(words[0]) == key, let version = Int(words[1]) else {
            return (0, "\(Self.name(key)) answers \(text)")
        }
        guard value == Self.value(key, version) else {
            return (version, "\(Self.name(key)) answers a torn version \(version)")
        }
        guard version <= issued[key], !removals[key].contains(version) else {
            return (version, "\(Self.name(key)) answers version \(version), never set")
        }
        guard version >= floor else {
            return (version, "\(Self.name(key)) answers version \(version), older than \(floor)")
        }
        return (version, nil)
    }
}
