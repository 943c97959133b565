// LargeChangeTests: large values that are changed by several at once, outside their shard's lock.

import Primitives
import Store
import Support
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
    private let faults = Guarded<[String]>([])

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

    /// A large value that is at hand needs its frames for a call's time only: it does not wait
    /// until nothing else arrives, which may be never.
    @Test func whatIsAtHandDoesNotWaitForWhatArrives() throws {
        let store = try SteppedStore(
            memoryBytes: 16 << 20, workers: 2, itemBytesMax: 8 << 20, seed: 1)
        defer { store.close() }
        var door = store.door(worker: 0)
        var other = store.door(worker: 1)
        let key = text("large")
        let value = pattern(1, 4 << 20)
        let hash = door.hash(key.span)
        other.beginTurn(now: 1000)
        let name = text("arrives")
        let arriving = other.openStaging(
            key: name.span, hash: 1, valueBytes: 1 << 20, flags: 0, expiry: 0)
        other.endTurn()
        door.beginTurn(now: 1000)
        // What is to arrive itself has to wait.
        let late = door.openStaging(
            key: key.span, hash: hash, valueBytes: value.count, flags: 0, expiry: 0)
        let outcome = door.store(
            .set, key: key.span, hash: hash, value: value.span, flags: 0, expiry: 0,
            isExpired: false, cas: 0)
        door.endTurn()
        #expect(arriving != nil && late == nil)
        guard case .stored = outcome else {
            Issue.record("a value at hand was answered \(outcome)")
            return
        }
        other.beginTurn(now: 1000)
        if let arriving { other.abandon(arriving) }
        other.endTurn()
    }

    /// A touch is a use: what was touched stays when memory is full, what was not goes. Without
    /// threads, so that it comes out the same at any speed.
    @Test func whatWasTouchedIsWanted() throws {
        let store = try SteppedStore(
            memoryBytes: 16 << 20, workers: 1, itemBytesMax: 1 << 20, seed: 1)
        defer { store.close() }
        var door = store.door(worker: 0)
        let now: UInt32 = 1000
        let value = pattern(1, 2000)
        func turn(_ name: String, _ body: (inout Door, [UInt8], UInt64) -> Outcome) -> Outcome {
            let key = text(name)
            let hash = door.hash(key.span)
            door.beginTurn(now: now)
            let outcome = body(&door, key, hash)
            door.endTurn()
            if store.isShortOfFrames { store.keepFramesFree(now: now) }
            return outcome
        }
        func set(_ name: String) -> Outcome {
            turn(name) { door, key, hash in
                door.store(
                    .set, key: key.span, hash: hash, value: value.span, flags: 0, expiry: 0,
                    isExpired: false, cas: 0)
            }
        }
        // Asked in a way that is no use of it.
        func isThere(_ name: String) -> Bool {
            let outcome = turn(name) { door, key, hash in
                door.store(
                    .add, key: key.span, hash: hash, value: value.span, flags: 0, expiry: 0,
                    isExpired: true, cas: 0)
            }
            if case .notStored = outcome { return true }
            return false
        }
        for number in 0..<200 {
            guard case .stored = set("k\(number)") else {
                Issue.record("a set found no room")
                return
            }
        }
        for number in 0..<200 where number % 2 == 0 {
            _ = turn("k\(number)") { door, key, hash in
                // To what it has: nothing is written anew, so no segment is cleaned for it.
                door.touch(key.span, hash: hash, expiry: 0, isExpired: false)
            }
        }
        // Others come until half of what was not touched has gone.
        var counts = [100, 100]
        for number in 0..<20_000 where counts[1] > 50 {
            _ = set("other\(number)")
            guard number % 100 == 99 else { continue }
            counts[1] = (0..<100).count { isThere("k\($0 * 2 + 1)") }
        }
        counts[0] = (0..<100).count { isThere("k\($0 * 2)") }
        #expect(counts[1] <= 50, "nothing had to leave")
        #expect(counts[0] > counts[1] + 30, "\(counts)")
    }
}
