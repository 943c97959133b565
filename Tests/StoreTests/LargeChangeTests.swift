// LargeChangeTests: large values that are changed by several at once, outside their shard's lock.

import Primitives
import Store
import Synchronization
import Testing

/// Three threads that change the same large values: one appends, one prepends, one touches.
private final class Joiners: Sendable {
    static let sizes = [20_000, 300_000, 900_000]
    static let rounds = 60
    static let workers = 3

    let store: TieredStore
    let now: UInt32
    private let ready = Race.Cell()
    private let done = Race.Cell()
    private let faults = Mutex<[String]>([])

    init(_ store: TieredStore, now: UInt32) {
        self.store = store
        self.now = now
    }

    var complaints: [String] { faults.withLock { $0 } }

    private func complain(_ text: String) { faults.withLock { $0.append(text) } }

    func work(_ worker: Int, hasDisk: Bool) {
        let client = Client(store, worker: worker, now: now)
        if hasDisk { _ = client.recovered() }
        if worker == 0 {
            for size in Self.sizes {
                let value = pattern(UInt64(size), size)
                _ = client.storeStaged(.set, text("large\(size)"), value)
            }
            ready.word.store(1, ordering: .releasing)
        }
        client.pump { ready.word.load(ordering: .acquiring) == 1 }
        for round in 0..<Self.rounds {
            for size in Self.sizes {
                let result = change(client, worker, text("large\(size)"), round)
                if result != .stored, result != .touched { complain("\(worker): \(result)") }
            }
        }
        done.word.wrappingAdd(1, ordering: .releasing)
        client.pump { done.word.load(ordering: .acquiring) == Self.workers }
        if worker == 0 { check(client) }
        client.close()
    }

    private func change(
        _ client: Client, _ worker: Int, _ key: [UInt8], _ round: Int
    ) -> Result {
        switch worker {
        case 0: client.store(.append, key, text("a"))
        case 1: client.store(.prepend, key, text("p"))
        default: client.touch(key, expiry: now + 1000 + UInt32(round))
        }
    }

    private func check(_ client: Client) {
        for size in Self.sizes {
            let item = client.get(text("large\(size)"))
            let expected =
                [UInt8](repeating: UInt8(ascii: "p"), count: Self.rounds)
                + pattern(UInt64(size), size)
                + [UInt8](repeating: UInt8(ascii: "a"), count: Self.rounds)
            if item?.value != expected { complain("\(size): \(item?.value.count ?? -1) bytes") }
            if item?.expiry != now + 1000 + UInt32(Self.rounds) - 1 {
                complain("\(size): expires at \(item?.expiry ?? 0)")
            }
        }
    }
}

@Suite(.serialized) struct LargeChangeTests {
    /// Nothing is lost, nothing is torn, whatever overtakes what.
    @Test(arguments: [false, true]) func noPartIsLost(hasDisk: Bool) throws {
        let scratch = Scratch()
        let now = World.unixNow
        let disk =
            hasDisk
            ? DiskConfiguration(
                directory: scratch.path, sizeBytes: 256 << 20, flushIntervalMilliseconds: 10)
            : nil
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: 96 << 20, workers: Joiners.workers, itemBytesMax: 2 << 20,
                disk: disk),
            events: .silent, now: now)
        try store.start(wake: { _ in })
        let joiners = Joiners(store, now: now)
        let threads = ThreadBox()
        for worker in 0..<Joiners.workers {
            threads.append(
                try Thread(name: "joiner", stackBytes: 4 << 20) {
                    joiners.work(worker, hasDisk: hasDisk)
                })
        }
        threads.joinAll()
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
        #expect(joiners.complaints == [])
    }

    /// A touch is a use: what was touched stays when memory is full, what was not goes.
    @Test func whatWasTouchedIsWanted() throws {
        let world = try World()
        let client = world.client
        let value = pattern(1, 2000)
        for number in 0..<200 {
            #expect(client.store(.set, text("k\(number)"), value) == .stored)
        }
        for number in 0..<200 where number % 2 == 0 {
            let key = text("k\(number)")
            #expect(client.touch(key, expiry: client.now + 1000) == .touched)
        }
        // Others come until half of what was not touched has gone.
        var counts = [100, 100]
        for number in 0..<20_000 where counts[1] > 50 {
            #expect(client.store(.set, text("other\(number)"), value) == .stored)
            guard number % 100 == 99 else { continue }
            counts[1] = (0..<100).count { client.isThere(text("k\($0 * 2 + 1)")) }
        }
        counts[0] = (0..<100).count { client.isThere(text("k\($0 * 2)")) }
        #expect(counts[0] > counts[1] + 30, "\(counts)")
        world.stop()
    }
}

extension Client {
    /// Whether the key is known, asked in a way that is no use of it.
    fileprivate func isThere(_ key: [UInt8]) -> Bool {
        store(.add, key, text("new"), isExpired: true) == .notStored
    }
}
