// IndexBenchmarks: the index alone: keys hashed, slots found, added and changed.

internal import Primitives
internal import SegmentLog

enum IndexBenchmarks {
    static func run(_ meter: inout Meter, _ keys: Keys) throws(MemoryError) {
        let geometry = Geometry(memoryBytes: 32 << 20, writers: 3, diskBytes: 0)
        let index = try Index(geometry)
        let hasher = KeyHasher(secret: (1, 2, 3, 4))
        let half = keys.count / 2
        meter.begin()
        for number in 0..<half { meter.sum &+= keys.with(number) { hasher.hash($0) } }
        meter.end("hash key", operations: half)
        let hashes = (0..<keys.count).map { number in keys.with(number) { hasher.hash($0) } }
        insert(index, hashes.span, 0..<half / 2)
        meter.begin()
        insert(index, hashes.span, half / 2..<half)
        meter.end("index insert", operations: half - half / 2)
        look("index hit", &meter, index, hashes.span, 0..<half)
        look("index miss", &meter, index, hashes.span, half..<keys.count)
        meter.begin()
        update(index, hashes.span, 0..<half)
        meter.end("index update", operations: half)
    }

    private static func look(
        _ name: String, _ meter: inout Meter, _ index: Index, _ hashes: Span<UInt64>,
        _ range: Range<Int>
    ) {
        meter.begin()
        meter.sum &+= look(index, hashes, range)
        meter.end(name, operations: range.count)
    }

    /// A key's place, with the shard locked as a get does it.
    @inline(never)
    private static func look(_ index: Index, _ hashes: Span<UInt64>, _ range: Range<Int>)
        -> UInt64
    {
        var sum: UInt64 = 0
        for number in range {
            let hash = hashes[number]
            let shard = index.shard(hash)
            index.lock(shard)
            var walk = index.matches(hash)
            if let (at, slot) = index.next(&walk) { sum &+= slot &+ UInt64(at) }
            index.unlock(shard)
        }
        return sum
    }

    private static func place(_ number: Int) -> Place {
        Place(segment: 1 + number / 4096, offset: number % 4096 * 8)
    }

    /// The index grows meanwhile: the share of that is in the figure.
    @inline(never)
    private static func insert(_ index: Index, _ hashes: Span<UInt64>, _ range: Range<Int>) {
        for number in range {
            let hash = hashes[number]
            let shard = index.shard(hash)
            index.lock(shard)
            _ = index.insert(
                hash, index.layout.slot(tag: index.layout.tag(hash), place(number)))
            index.unlock(shard)
        }
    }

    /// A slot gets another place, as after a set of a key that is there.
    @inline(never)
    private static func update(_ index: Index, _ hashes: Span<UInt64>, _ range: Range<Int>) {
        for number in range {
            let hash = hashes[number]
            let shard = index.shard(hash)
            index.lock(shard)
            var walk = index.matches(hash)
            if let (at, slot) = index.next(&walk) {
                index.store(index.layout.moved(slot, to: place(number + 1)), at: at)
            }
            index.unlock(shard)
        }
    }
}
