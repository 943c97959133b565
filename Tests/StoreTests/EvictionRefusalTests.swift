// EvictionRefusalTests: a store that may not evict refuses what has no room, and keeps the rest.

import Primitives
import Store
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
