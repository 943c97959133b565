// DoorBenchmarks: whole commands at the store's door, from memory: key hashed, shard locked, record
// found or written. What the network and the protocol add is not in it.

internal import Primitives
internal import Store

enum DoorBenchmarks {
    static func run(_ meter: inout Meter, _ keys: Keys) throws {
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: 64 << 20, workers: 1, itemBytesMax: 1 << 20),
            events: .silent, now: 1_800_000_000)
        var door = store.door(worker: 0)
        let output = try Region.map(byteCount: 4096)
        let half = keys.count / 2
        door.beginTurn(now: 1_800_000_000)
        set(&door, keys, 0..<half / 2)
        measure("door set, new key", &meter, half / 2..<half) { set(&door, keys, $0) }
        measure("door set, in place", &meter, half / 2..<half) { set(&door, keys, $0) }
        // In a segment that is sealed by then every touch writes a new record.
        measure("door touch", &meter, 0..<half) { touch(&door, keys, $0) }
        get(&door, keys, output, 0..<half)
        measure("door get, hit", &meter, 0..<half) { get(&door, keys, output, $0) }
        measure("door get, miss", &meter, half..<keys.count) { get(&door, keys, output, $0) }
        count(&door, keys, 0..<16)
        measure("door incr", &meter, 0..<half) { count(&door, keys, $0) }
        measure("door delete", &meter, 0..<half) { delete(&door, keys, $0) }
        door.endTurn()
        meter.sum &+= UInt64(output.uint8(at: 0))
    }

    @inline(__always)
    private static func measure(
        _ name: String, _ meter: inout Meter, _ range: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        meter.begin()
        body(range)
        meter.end(name, operations: range.count)
    }

    @inline(never)
    private static func set(_ door: inout Door, _ keys: Keys, _ range: Range<Int>) {
        for number in range {
            keys.with(number) { key in
                keys.withValue { value in
                    _ = door.store(
                        .set, key: key, hash: door.hash(key), value: value, flags: 0, expiry: 0,
                        isExpired: false, cas: 0)
                }
            }
        }
    }

    /// The value is copied out while the shard is locked, as a reply does it.
    @inline(never)
    private static func get(
        _ door: inout Door, _ keys: Keys, _ output: Region, _ range: Range<Int>
    ) {
        for number in range {
            keys.with(number) { key in
                guard case .memory(let found) = door.find(key, hash: door.hash(key)) else {
                    return
                }
                output.copy(
                    from: door.memory, at: found.valueOffset, to: 0, count: found.valueBytes)
                door.release(found)
            }
        }
    }

    @inline(never)
    private static func touch(_ door: inout Door, _ keys: Keys, _ range: Range<Int>) {
        for number in range {
            keys.with(number) { key in
                _ = door.touch(
                    key, hash: door.hash(key), expiry: 1_800_001_000, isExpired: false)
            }
        }
    }

    @inline(never)
    private static func delete(_ door: inout Door, _ keys: Keys, _ range: Range<Int>) {
        for number in range {
            keys.with(number) { key in _ = door.remove(key, hash: door.hash(key)) }
        }
    }

    /// One counter, changed again and again.
    @inline(never)
    private static func count(_ door: inout Door, _ keys: Keys, _ range: Range<Int>) {
        let zero: [UInt8] = Array("10000000".utf8)
        keys.with(0) { key in
            _ = door.store(
                .set, key: key, hash: door.hash(key), value: zero.span, flags: 0, expiry: 0,
                isExpired: false, cas: 0)
            for _ in range {
                _ = door.add(1, isDecrement: false, key: key, hash: door.hash(key))
            }
        }
    }
}
