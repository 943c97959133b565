// HottestTests: the keys that are asked for most are found among many more than are kept.

import ServerSimulation
import Simulation
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
}
