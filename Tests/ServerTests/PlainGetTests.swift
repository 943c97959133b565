// PlainGetTests: gets that stand side by side are answered as they are one by one.

import ServerSimulation
import Simulation
import Support
import Testing

@Suite struct PlainGetTests {
    private static let changes = [
        "set short 0 0 5\r\nhello\r\n", "set flags 77 0 5\r\nhello\r\n",
        "set empty 0 0 0\r\n\r\n", "set digits 0 0 10\r\n0123456789\r\n",
        "set last 0 0 999\r\n\(String(repeating: "l", count: 999))\r\n",
        "set long 0 0 1000\r\n\(String(repeating: "m", count: 1000))\r\n",
        "set longer 7 0 9000\r\n\(String(repeating: "n", count: 9000))\r\n",
        "set large 0 0 100000\r\n\(String(repeating: "o", count: 100_000))\r\n",
        "set stale 0 0 3\r\nold\r\n", "md stale I T30\r\n", "ms early 3 T20\r\nhey\r\n",
        "set brief 0 100 3\r\nttl\r\n", "set gone 0 0 4\r\ngone\r\n", "delete gone\r\n",
    ]
    private static let keys = [
        "short", "flags", "empty", "digits", "last", "long", "longer", "large", "stale", "early",
        "brief", "gone", "never", String(repeating: "k", count: 250),
    ]

    /// A get of any kind; what it does to an item is done in the same order in both worlds.
    private static func request(_ chance: inout Chance) -> String {
        let key = keys[chance.below(keys.count)]
        switch chance.below(10) {
        case 0...2: return "get \(key)\r\n"
        case 3...5: return "mg \(key) v\r\n"
        case 6: return "mg \(key) f v t s k O1\r\n"
        case 7: return "mg \(key) s q\r\n"
        case 8: return "get \(key) \(keys[chance.below(keys.count)])\r\n"
        default:
            // No CAS is asked for: it is another in each world.
            return "mg \(key)\(["", " R30 v", " h l v", " k t"][chance.below(4)])\r\n"
        }
    }

    /// Asks, and reads until nothing more comes.
    private static func ask(
        _ text: String, _ world: World, _ peer: SimulatedNetwork.Peer
    ) throws -> String {
        var answer = try world.ask(text, peer)
        while true {
            try world.settle()
            let more = world.received(peer)
            guard !more.isEmpty else { return answer }
            answer += more
        }
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func manyAtOnceAreAnsweredAsOneByOne(seed: UInt64) throws {
        let (one, many) = (try World(seed: seed), try World(seed: seed))
        let (single, row) = (one.connect(), many.connect())
        for change in Self.changes {
            let answer = try one.ask(change, single)
            #expect(try many.ask(change, row) == answer)
        }
        var chance = Chance(seed: seed)
        for _ in 0..<40 {
            let requests = (0..<1 + chance.below(40)).map { _ in Self.request(&chance) }
            var answers = ""
            for request in requests { answers += try Self.ask(request, one, single) }
            let together = try Self.ask(requests.joined(), many, row)
            let isSame = together == answers
            #expect(isSame, "\(requests)")
        }
        for name in ["getCommands", "getHits", "getMisses", "recacheWins", "staleHits"] {
            #expect(one.shared.total(name) == many.shared.total(name), "\(name)")
        }
    }
}
