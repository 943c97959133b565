// HottestTests: the keys that are asked for most are found among many more than are kept.

import ServerSimulation
import Simulation
import Support
import Testing

@Suite struct HottestTests {
    private func hottest(
        _ world: World, _ count: Int, _ peer: SimulatedNetwork.Peer
    ) throws -> [String] {
        try world.ask("stats hotkeys \(count)\r\n", peer).split(whereSeparator: \.isNewline)
            .map(String.init)
    }

    @Test func theHottestAreFoundAmongManyThatAreNot() throws {
        let world = try World()
        let peer = world.connect()
        #expect(try world.ask("stats hotkeys on\r\n", peer) == "OK\r\n")
        // One request in 64 is looked at: the last of each such row.
        let rest = String(repeating: "get none\r\n", count: 63)
        func ask(_ key: String, times: Int) throws {
            for _ in 0..<times { _ = try world.ask("\(rest)get \(key)\r\n", peer) }
        }
        // So many keys once that each of the first is displaced again and again.
        for number in 0..<600 {
            try ask("cold:\(number)", times: 1)
            if number % 4 == 0 { try ask("hot", times: 1) }
            if number % 10 == 0 { try ask("warm", times: 1) }
        }
        let lines = try hottest(world, 2, peer)
        #expect(lines.count == 3 && lines[2] == "END")
        #expect(lines[0] == "STAT hot \(150 * 64)", "\(lines)")
        #expect(lines[1].hasPrefix("STAT warm "), "\(lines)")
        #expect(try hottest(world, 1000, peer).count == 257)
        // As many counts as there were samples, whatever has displaced what.
        var sum = 0
        for line in try hottest(world, 1000, peer).dropLast() {
            sum += line.split(separator: " ").last.flatMap { Int($0) } ?? 0
        }
        #expect(sum == (600 + 150 + 60) * 64)
        #expect(try world.ask("stats hotkeys off\r\n", peer) == "OK\r\n")
        #expect(try world.ask("stats hotkeys on\r\n", peer) == "OK\r\n")
        #expect(try hottest(world, 10, peer) == ["END"])
    }

    /// What Space-Saving promises: as many counts as samples, and no key has fewer than it was
    /// seen, or more than that and the least count that is kept.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func noCountIsTooLowOrTooHigh(seed: UInt64) throws {
        let world = try World(seed: seed)
        let peer = world.connect()
        #expect(try world.ask("stats hotkeys on\r\n", peer) == "OK\r\n")
        let rest = String(repeating: "get none\r\n", count: 63)
        var chance = Chance(seed: seed)
        var seen: [String: Int] = [:]
        for _ in 0..<2000 {
            // A few often, many seldom.
            let key = "k\(chance.below(1 + chance.below(1 + chance.below(900))))"
            seen[key, default: 0] += 1
            _ = try world.ask("\(rest)get \(key)\r\n", peer)
        }
        let counts = try hottest(world, 1000, peer).dropLast().map { line in
            let words = line.split(separator: " ").map(String.init)
            return (key: words[1], count: (Int(words[2]) ?? 0) / 64)
        }
        let least = counts.map(\.count).min() ?? 0
        #expect(counts.count == 256 && counts.reduce(0) { $0 + $1.count } == 2000)
        for (key, count) in counts {
            let times = seen[key] ?? 0
            #expect(times <= count && count <= times + least, "\(key): \(count) of \(times)")
        }
        // Who is not kept was seen no more often than the least.
        let kept = Set(counts.map(\.key))
        for (key, times) in seen where !kept.contains(key) { #expect(times <= least, "\(key)") }
    }
}
