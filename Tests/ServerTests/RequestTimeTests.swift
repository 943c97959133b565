// RequestTimeTests: every request is in one histogram, once, and for as long as it took.

import Primitives
import Server
import ServerSimulation
import Store
import Testing

@Suite struct RequestTimeTests {
    /// What `stats latency` says, by name.
    private func latency(_ world: World) throws -> [String: Double] {
        let asker = world.connect()
        let text = try world.ask("stats latency\r\n", asker)
        var found: [String: Double] = [:]
        for line in text.split(separator: "\r\n") where line.hasPrefix("STAT ") {
            let words = line.split(separator: " ")
            try #require(words.count == 3)
            found[String(words[1])] = Double(words[2])
        }
        return found
    }

    @Test func aTimeIsInTheFirstBucketThatHoldsIt() throws {
        let scale = try LatencyScale()
        let bounds = LatencyScale.nanoseconds
        #expect(bounds.first == 1000)
        #expect(bounds.last == 10_000_000_000)
        #expect(bounds[1] == 1250)
        #expect(bounds == bounds.sorted())
        #expect(Set(bounds).count == bounds.count)
        for (index, bound) in bounds.enumerated() {
            #expect(scale.bucket(bound) == index)
            #expect(scale.bucket(bound - 1) == index)
            #expect(scale.bucket(bound + 1) == index + 1)
        }
        #expect(scale.bucket(0) == 0)
        #expect(scale.bucket(.max) == bounds.count)
    }

    @Test func everyRequestIsInTheHistogramOfItsClass() throws {
        let world = try World()
        let peer = world.connect()
        let script = [
            ("set a 0 0 1\r\n1\r\n", "set"), ("add b 0 0 1\r\n1\r\n", "set"),
            ("ms c 1\r\n1\r\n", "set"), ("get a\r\n", "get_memory"),
            ("get a b c none\r\n", ""), ("mg a v\r\n", "get_memory"), ("mg none v\r\n", "get_miss"),
            ("incr a 1\r\n", "arithmetic"), ("decr none 1\r\n", "arithmetic"),
            ("ma a\r\n", "arithmetic"), ("touch a 0\r\n", "touch"), ("touch none 0\r\n", "touch"),
            ("delete b\r\n", "delete"), ("delete b\r\n", "delete"), ("md c\r\n", "delete"),
            ("version\r\n", ""), ("nonsense\r\n", ""),
        ]
        for (line, _) in script { _ = try world.ask(line, peer) }
        var expected: [String: Double] = ["get_memory": 3, "get_miss": 1]
        for (_, kind) in script where !kind.isEmpty { expected[kind, default: 0] += 1 }
        let found = try latency(world)
        for (kind, count) in expected { #expect(found["\(kind):count"] == count, "\(kind)") }
        #expect(found["get_disk:count"] == 0)
        #expect(try #require(found["turn:count"]) >= Double(script.count))
        // The clock stands: all of it is in the first bucket.
        for (kind, count) in expected { #expect(found["\(kind):le_1_us"] == count) }
        _ = try world.ask("stats reset\r\n", peer)
        #expect(try latency(world)["set:count"] == 0)
        _ = try world.ask("set a 0 0 1\r\n1\r\n", peer)
        #expect(try latency(world)["set:count"] == 1)
    }
}
