// EvictionRefusalTests: a store that may not evict refuses what has no room, and keeps the rest.

import Primitives
import Store
import Support
import Testing

@Suite(.serialized) struct EvictionRefusalTests {
    private func client(memory: Int) throws -> Client {
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: memory, workers: 1, itemBytesMax: 1 << 20, mayEvict: false),
            events: .silent, now: World.unixNow)
        try store.start(wake: { _ in })
        return Client(store, now: World.unixNow)
    }

    private func end(_ client: Client) {
        client.close()
        client.store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
    }

    /// Stores until one is refused; how many were stored.
    private func fill(_ client: Client, _ prefix: String, bytes: Int) -> Int {
        var count = 0
        while client.store(.set, text("\(prefix)\(count)"), pattern(UInt64(count), bytes))
            == .stored
        {
            count += 1
        }
        return count
    }

    private func missing(_ client: Client, _ prefix: String, _ numbers: some Sequence<Int>) -> Int {
        numbers.reduce(0) {
            $0 + (client.get(text("\(prefix)\($1)")) == nil ? 1 : 0)
        }
    }

    @Test(arguments: [0, 300, 16_000, 200_000])
    func whatWasStoredStaysAndWhatIsRemovedMakesRoom(bytes: Int) throws {
        let client = try client(memory: bytes == 0 ? 4 << 20 : 8 << 20)
        let count = fill(client, "a", bytes: bytes)
        #expect(count > 10)
        #expect(missing(client, "a", 0..<count) == 0)
        var statistics = client.store.statistics()
        #expect(statistics.evictions == 0 && statistics.indexDisplaced == 0)
        // Every other item leaves; others take its place.
        for number in stride(from: 0, to: count, by: 2) {
            #expect(client.delete(text("a\(number)")) == .deleted)
        }
        let more = fill(client, "b", bytes: bytes)
        #expect(more > count / 5, "of \(count) only \(more)")
        #expect(missing(client, "a", stride(from: 1, to: count, by: 2)) == 0)
        #expect(missing(client, "b", 0..<more) == 0)
        statistics = client.store.statistics()
        #expect(statistics.evictions == 0 && statistics.indexDisplaced == 0)
        end(client)
    }

    /// Several workers fill a tiny memory and empty it again, each with sizes of its own, so that
    /// what is cleaned seldom fits where the last left off: nothing that was stored goes.
    @Test func severalWritersOfATinyMemoryLoseNothing() throws {
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: 4 << 20, workers: 4, itemBytesMax: 1 << 20, mayEvict: false),
            events: .silent, now: World.unixNow)
        try store.start(wake: { _ in })
        let clients = (0..<4).map { Client(store, worker: $0, now: World.unixNow) }
        var chance = Chance(seed: 11)
        var held: [String: UInt64] = [:]
        var refused = 0
        var step: UInt64 = 0
        // Maintenance has a thread of its own: on a busy machine it may come late.
        let limit = Clock.monotonicNanoseconds() + 60_000_000_000
        while step < 3000
            || store.statistics().segmentsCleaned == 0 && Clock.monotonicNanoseconds() < limit
        {
            step += 1
            let number = chance.below(4)
            let client = clients[number]
            let name = "k\(chance.below(2000))"
            // Others answer for their turns while one waits.
            for other in clients { other.turn() }
            if refused > 0, chance.below(2) == 0 {
                #expect(client.delete(name) == (held[name] == nil ? .notFound : .deleted))
                held[name] = nil
                continue
            }
            let bytes = [20, 900, 5000, 12_000][number] + chance.below(3000)
            var body = Array("\(step):".utf8)
            body += pattern(step, bytes)
            if client.store(.set, text(name), body) == .stored {
                held[name] = step
            } else {
                refused += 1
            }
        }
        #expect(refused > 0)
        for (name, step) in held {
            let head = Array("\(step):".utf8)
            let found = clients[0].get(text(name))?.value
            #expect(found?.starts(with: head) == true, "\(name)")
        }
        let statistics = store.statistics()
        #expect(statistics.evictions == 0 && statistics.indexDisplaced == 0)
        #expect(statistics.segmentsCleaned > 0)
        for client in clients { client.close() }
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
    }

    @Test func whatIsOverMakesRoom() throws {
        let client = try client(memory: 8 << 20)
        let count = fill(client, "a", bytes: 4000)
        client.door.flushAll(at: nil)
        var again = 0
        #expect(
            client.pump(seconds: 20) {
                again += fill(client, "b", bytes: 4000)
                return again > count / 2
            })
        #expect(client.store.statistics().evictions == 0)
        end(client)
    }
}
