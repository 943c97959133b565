// ChangingListTests: lists of all items are taken, by readers who stall and leave, while keys
// change: a key that lives from before a list to its end is listed once, one that is gone before it
// is not.
//
// The whole server steps on one thread, with the store's files in memory (ListedWorld); a seed
// decides what happens. What lists are like, and what they cost others, is in DumpTests.

import Simulation
import Support
import Testing
import WholeSimulation

/// Changes of keys, one after the other, and lists that go on meanwhile.
private struct ListPlay {
    /// What is certain of a key: whether it lives, and since which round.
    private struct Known {
        var lives: Bool
        var since: Int
    }

    private struct List {
        let peer: SimulatedNetwork.Peer
        let begun: Int
        let end: String
        var text = ""
        var isStalled = false

        var isWhole: Bool { text.hasSuffix(end) }

        /// How often each key is in it.
        var counts: [Substring: Int] {
            var counts: [Substring: Int] = [:]
            for line in text.split(whereSeparator: \.isNewline).dropLast() {
                let word = line.split(separator: " ")[line.hasPrefix("mg ") ? 1 : 0]
                counts[word.hasPrefix("key=") ? word.dropFirst(4) : word, default: 0] += 1
            }
            return counts
        }
    }

    private static let keys = 1600
    private static let listsMax = 3
    private let value = String(repeating: "v", count: 14_000)
    private let world: ListedWorld
    private let changer: SimulatedNetwork.Peer
    private var chance: Chance
    private var known: [String: Known] = [:]
    private var lists: [List] = []
    private var round = 0
    /// Lists that were looked at, and keys that had changed while one of them was made.
    private(set) var judged = 0
    private(set) var changed = 0
    private(set) var left = 0

    init(_ world: ListedWorld, seed: UInt64) throws {
        self.world = world
        chance = Chance(seed: seed)
        changer = world.connect()
        for number in 0..<Self.keys { try set("k\(number)", value) }
    }

    private func ask(_ text: String) throws -> String { try world.ask(text, changer) }

    private mutating func set(_ key: String, _ value: String) throws {
        #expect(try ask("set \(key) 0 0 \(value.utf8.count)\r\n\(value)\r\n") == "STORED\r\n")
        // What lives and goes on to live has lived since it came.
        if known[key]?.lives != true { known[key] = Known(lives: true, since: round) }
    }

    /// One change, some steps of the lists, and perhaps the beginning of another.
    mutating func playRound() throws {
        round += 1
        let key = "k\(chance.below(Self.keys + 200))"
        switch chance.below(8) {
        case 0, 1: try set(key, value)
        case 2: try set(key, "small")
        case 3, 4:
            let lives = known[key]?.lives == true
            let answer = try ask("delete \(key)\r\n")
            #expect(answer == (lives ? "DELETED\r\n" : "NOT_FOUND\r\n"), "\(key)")
            if lives { known[key] = Known(lives: false, since: round) }
        case 5: _ = try ask("touch \(key) 0\r\n")
        case 6: _ = try world.ask("get \(key)\r\n", changer, until: "END\r\n")
        default: _ = try ask("append \(key) 0 0 1\r\n!\r\n")
        }
        if lists.count < Self.listsMax, chance.below(30) == 0 { begin() }
        try take(steps: chance.below(4))
    }

    private mutating func begin() {
        let isBrief = chance.below(2) == 0
        let list = List(peer: world.connect(), begun: round, end: isBrief ? "EN\r\n" : "END\r\n")
        world.network.setSocketBuffer(20_000, of: list.peer)
        let command = isBrief ? "mgdump" : "metadump"
        world.network.send("lru_crawler \(command) all\r\n", from: list.peer)
        lists.append(list)
    }

    /// What has come of the lists is taken; readers stall, go on and leave.
    private mutating func take(steps: Int) throws {
        try world.step(steps)
        for place in lists.indices.reversed() {
            let peer = lists[place].peer
            let bytes = world.network.takeReceived(by: peer)
            lists[place].text += String(decoding: bytes, as: UTF8.self)
            if lists[place].isWhole {
                judge(lists.remove(at: place))
                world.network.finish(peer)
            } else if chance.below(400) == 0 {
                world.network.reset(peer)
                lists.remove(at: place)
                left += 1
            } else if chance.below(20) == 0 {
                lists[place].isStalled.toggle()
                world.network.setAppetite(lists[place].isStalled ? 0 : .max, of: peer)
            }
        }
    }

    /// Every list that was begun comes to its end.
    mutating func finish() throws {
        for list in lists { world.network.setAppetite(.max, of: list.peer) }
        for _ in 0..<20_000 where !lists.isEmpty { try take(steps: 1) }
        #expect(lists.isEmpty)
    }

    private mutating func judge(_ list: List) {
        let counts = list.counts
        judged += 1
        for (key, known) in known {
            let count = counts[Substring(key)] ?? 0
            guard known.since < list.begun else {
                changed += 1
                continue
            }
            #expect(
                count == (known.lives ? 1 : 0),
                "\(key) is listed \(count) times from round \(list.begun) to \(round): \(known)")
        }
    }
}

@Suite struct ChangingListTests {
    @Test(arguments: [1, 2] as [UInt64])
    func whatLivesIsListedOnceWhileKeysChange(seed: UInt64) throws {
        let world = try ListedWorld()
        var play = try ListPlay(world, seed: seed)
        #expect(world.isOnDiskOnly("k0"))
        for _ in 0..<1000 { try play.playRound() }
        try play.finish()
        #expect(play.judged > 10 && play.changed > 20, "\(play.judged) \(play.changed)")
        world.close()
    }
}
