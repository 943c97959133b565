// ThreadTests: several workers at once; no value may ever be older than one acknowledged before.
//
// Every key has one writer, all workers read all keys. A value names its key and its version; the
// writer publishes a version after its change was acknowledged, so whoever reads the published
// one first and the store second must see that version or a later one, or a miss where the
// contract allows it. Also while the store recovers what the life before has left.

import Primitives
import Store
import Support
import Synchronization
import Testing

/// What the workers of one run share.
final class Race: Sendable {
    static let keys = 240
    /// For each key: version << 1 | removed, as acknowledged.
    let published: [Cell] = (0..<Race.keys).map { _ in Cell() }
    let faults = Guarded<[String]>([])
    let flushes = Cell()
    final class Cell: Sendable { let word = Atomic<UInt64>(0) }

    func fail(_ what: String) { faults.withLock { if $0.count < 5 { $0.append(what) } } }

    static func key(_ number: Int) -> [UInt8] { text("race:\(number)") }
    static func value(_ number: Int, _ version: UInt64) -> [UInt8] {
        let sizes = [20, 300, 3000, 12_000, 40_000, 150_000]
        let size = sizes[Int(version &* 7 &+ UInt64(number)) % (number % 16 == 0 ? 6 : 4)]
        return text("\(number) \(version) ") + pattern(version, size)
    }

    /// Checks what a read answered against what was published before it.
    func check(_ number: Int, _ item: Item?, since before: UInt64) -> UInt64? {
        guard let item else { return nil }
        let words = item.value.prefix(40).split(separator: 32)
        guard words.count >= 2, let named = Int(String(decoding: words[0], as: UTF8.self)),
            let version = UInt64(String(decoding: words[1], as: UTF8.self))
        else {
            fail("key \(number): rubbish")
            return nil
        }
        if named != number { fail("key \(number): a value of key \(named)") }
        if item.value != Race.value(number, version) { fail("key \(number): torn") }
        if version < before >> 1 { fail("key \(number): \(version) after \(before >> 1)") }
        if version == before >> 1, before & 1 == 1 { fail("key \(number): \(version) came back") }
        return version
    }

    func work(_ client: Client, seed: UInt64, workers: Int, nanoseconds: UInt64) {
        var chance = Chance(seed: seed)
        let end = Clock.monotonicNanoseconds() + nanoseconds
        while Clock.monotonicNanoseconds() < end {
            var number = chance.below(Race.keys)
            if chance.below(3) > 0 {
                let before = published[number].word.load(ordering: .acquiring)
                _ = check(number, client.get(Race.key(number)), since: before)
                continue
            }
            number -= number % workers
            number += client.worker
            guard number < Race.keys else { continue }
            change(client, number, &chance)
        }
    }

    private func change(_ client: Client, _ number: Int, _ chance: inout Chance) {
        let key = Race.key(number)
        let cell = published[number]
        let old = cell.word.load(ordering: .relaxed)
        let version = (old >> 1) + 1
        switch chance.below(8) {
        case 0:
            guard client.delete(key) != .stuck else { return fail("delete is stuck") }
            cell.word.store(old | 1, ordering: .releasing)
        case 1:
            _ = client.touch(key, expiry: client.now + 10_000 + UInt32(chance.below(99)))
        default:
            let value = Race.value(number, version)
            let result =
                chance.below(6) == 0
                ? client.storeStaged(.set, key, value) : client.store(.set, key, value)
            guard result == .stored else { return fail("set answered \(result)") }
            cell.word.store(version << 1, ordering: .releasing)
        }
    }
}

@Suite(.serialized) struct ThreadTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        var memory: Int
        var diskBytes: Int?
        var testDescription: String { "memory \(memory >> 20), disk \((diskBytes ?? 0) >> 20)" }
    }
    static let shapes = [
        Shape(memory: 6 << 20), Shape(memory: 64 << 20),
        Shape(memory: 6 << 20, diskBytes: 64 << 20), Shape(memory: 48 << 20, diskBytes: 64 << 20),
        Shape(memory: 6 << 20, diskBytes: 1 << 30),
    ]

    @Test(arguments: shapes) func acknowledgedVersionsNeverGoBack(shape: Shape) throws {
        let scratch = Scratch()
        let race = Race()
        for life in 0..<3 as Range<UInt64> {
            try run(race, shape, scratch, seed: 77 + life)
            let faults = race.faults.withLock { $0 }
            #expect(faults == [], "life \(life)")
            guard faults.isEmpty else { return }
        }
    }

    func run(_ race: Race, _ shape: Shape, _ scratch: Scratch, seed: UInt64) throws {
        let workers = 3
        let lines = Lines()
        let now = World.unixNow
        let disk = shape.diskBytes.map {
            DiskConfiguration(
                directory: scratch.path, sizeBytes: $0, flushIntervalMilliseconds: 10)
        }
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: shape.memory, workers: workers, itemBytesMax: 1 << 20, disk: disk),
            events: lines.events, now: now)
        try store.start(wake: { _ in })
        let threads = ThreadBox()
        let done = Race.Cell()
        for worker in 0..<workers {
            threads.append(
                try Thread(name: "racer", stackBytes: 4 << 20) {
                    let client = Client(store, worker: worker, now: now)
                    // From the first moment on, whatever recovery has not reached yet.
                    race.work(
                        client, seed: seed * 100 + UInt64(worker), workers: workers,
                        nanoseconds: UInt64(effort) * 600_000_000)
                    done.word.wrappingAdd(1, ordering: .releasing)
                    // The others need this worker's answers until they are done.
                    client.pump { done.word.load(ordering: .acquiring) == workers }
                    client.close()
                })
        }
        threads.joinAll()
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
        let errors = lines.all.filter { $0.hasPrefix("error") }
        #expect(errors == [])
        if shape.diskBytes != nil {
            #expect(store.statistics().damagedReads == 0)
        } else {
            // Memory alone: the next life begins empty.
            for cell in race.published {
                let old = cell.word.load(ordering: .relaxed)
                cell.word.store(old | 1, ordering: .relaxed)
            }
        }
    }
}
