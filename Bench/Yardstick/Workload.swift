// Workload: a stream of gets and sets that follows from a seed alone.
//
// Keys are numbers; their sizes follow from the number (and, if sizes change, from the count of
// requests). What it does not know: what a cache answers; whoever drives one sets what was missed.

internal import Glibc
internal import Load

/// What a load asks for, and what its values are like.
public struct Workload: Sendable {
    public enum Keys: Sendable {
        /// Zipf's law over the objects.
        case zipf(Double)
        /// Zipf's law, and every so manyth request for a key that is never asked for again.
        case zipfAndOnce(Double, every: Int)
        /// Zipf's law, and scans: runs of keys in order, over ten times what memory holds. A run
        /// is a quarter of what memory holds, after twice as many other requests.
        case zipfAndScans(Double)
        /// Zipf's law, and a new key takes the first rank after every hundred requests: what is
        /// wanted most is what came last, and fades.
        case news(Double)
        /// For the first half of the requests Zipf's law; then three fifths of what memory holds,
        /// in order, again and again, and three of ten requests for a key that is never asked for
        /// again. An LRU holds all of the loop from its second round on.
        case loopAfterOthers
        /// A hot set of three fifths of what memory holds, all keys alike, and one request of two
        /// from an endless scan.
        case hotSetAndScan
    }

    public enum Sizes: Sendable {
        /// All values have so many bytes.
        case fixed(Int)
        /// Log-normal, 50 bytes to 8 KiB, median 300, by key.
        case mixed
        /// The same, drawn anew for each set.
        case mixedAndChanging
    }

    public var name: String
    public var keys: Keys
    public var sizes: Sizes
    /// Sets of every hundred requests that are made whether the key is there or not.
    public var setPercent: Int
    /// Whether two of three values expire: half of those soon, half of them late.
    public var expires: Bool

    public init(
        _ name: String, _ keys: Keys, sizes: Sizes = .fixed(200), setPercent: Int = 0,
        expires: Bool = false
    ) {
        self.name = name
        self.keys = keys
        self.sizes = sizes
        self.setPercent = setPercent
        self.expires = expires
    }

    public static let keyBytes = 16

    /// The loads of the yardstick.
    public static let all: [Workload] = [
        Workload("zipf 0.7", .zipf(0.7)),
        Workload("zipf 0.9", .zipf(0.9)),
        Workload("zipf 1.1", .zipf(1.1)),
        Workload("zipf 0.7, a fifth once", .zipfAndOnce(0.7, every: 5)),
        Workload("zipf 0.9 and scans", .zipfAndScans(0.9)),
        Workload("news, zipf 0.9", .news(0.9)),
        Workload("loop after others", .loopAfterOthers),
        Workload("hot set and scan", .hotSetAndScan),
        Workload("zipf 0.9, half sets", .zipf(0.9), setPercent: 50),
        Workload("zipf 1.1, half sets", .zipf(1.1), setPercent: 50),
        Workload("zipf 0.9, mixed sizes", .zipf(0.9), sizes: .mixed),
        Workload("zipf 0.9, mixed, half sets", .zipf(0.9), sizes: .mixed, setPercent: 50),
        Workload(
            "zipf 0.9, sizes by set", .zipf(0.9), sizes: .mixedAndChanging, setPercent: 50),
        Workload("zipf 0.9, expiring", .zipf(0.9), expires: true),
    ]
}

/// One request.
struct Step {
    var key: UInt32
    var isSet: Bool
    /// Of the value, should it be set.
    var valueBytes: Int
    /// Seconds to live, 0 for ever.
    var ttl: UInt32
}

/// The requests of one workload, one after the other.
struct StepStream {
    private let workload: Workload
    private let sampler: KeySampler
    private let ranks: ZipfRanks
    private let objects: Int
    /// Entries that memory holds by the yardstick's account.
    private let held: Int
    private let requests: Int
    private var random: RandomStream
    private var number = 0
    private var position: UInt64 = 0
    private var onceCount = 0
    private var scanCount = 0
    /// Keys are numbers below this.
    let keyCount: Int

    init(_ workload: Workload, objects: Int, held: Int, requests: Int, seed: UInt64) {
        self.workload = workload
        self.held = held
        self.requests = requests
        random = RandomStream(seed: seed, stream: 0)
        if case .news(let exponent) = workload.keys {
            ranks = ZipfRanks(count: UInt64(objects), exponent: exponent)
        } else {
            ranks = ZipfRanks(count: 1, exponent: 1)
        }
        switch workload.keys {
        case .zipf(let exponent):
            self.objects = objects
            sampler = Self.sampler(exponent, objects)
            keyCount = objects
        case .news(let exponent):
            self.objects = objects
            sampler = Self.sampler(exponent, objects)
            keyCount = objects + requests / Self.requestsPerNews + 1
        case .zipfAndOnce(let exponent, let every):
            self.objects = objects
            sampler = Self.sampler(exponent, objects)
            keyCount = objects + requests / every + 1
        case .zipfAndScans(let exponent):
            self.objects = objects
            sampler = Self.sampler(exponent, objects)
            keyCount = objects + held * 10
        case .loopAfterOthers:
            self.objects = objects
            sampler = Self.sampler(0.9, objects)
            keyCount = objects + held * 3 / 5 + requests
        case .hotSetAndScan:
            self.objects = held * 3 / 5
            sampler = KeySampler(
                .uniform, keyCount: UInt64(held * 3 / 5), connectionCount: 1)
            keyCount = held * 3 / 5 + held * 10
        }
    }

    private static let requestsPerNews = 100

    private static func sampler(_ exponent: Double, _ objects: Int) -> KeySampler {
        KeySampler(
            .zipf(exponent: exponent), keyCount: UInt64(objects), connectionCount: 1)
    }

    mutating func next() -> Step {
        number += 1
        let key = nextKey()
        let isSet = Int(random.next(below: 100)) < workload.setPercent
        var step = Step(key: key, isSet: isSet, valueBytes: 0, ttl: 0)
        step.valueBytes = valueBytes(key)
        if workload.expires { step.ttl = [0, 20, 200][Int(key % 3)] }
        return step
    }

    private mutating func nextKey() -> UInt32 {
        switch workload.keys {
        case .zipf: break
        case .news:
            let rank = UInt32(ranks.next(&random))
            return UInt32(objects + number / Self.requestsPerNews) - 1 - rank
        case .zipfAndOnce(_, let every):
            if number % every == 0 {
                onceCount += 1
                return UInt32(objects + onceCount - 1)
            }
        case .loopAfterOthers:
            if number > requests / 2 { return nextOfLoop() }
        case .zipfAndScans:
            let run = held / 4
            if number % (3 * run) >= 2 * run { return nextScanned() }
        case .hotSetAndScan:
            if number % 2 == 0 { return nextScanned() }
        }
        return sampler.next(&random, position: &position)
    }

    private mutating func nextOfLoop() -> UInt32 {
        let loop = held * 3 / 5
        if random.next(below: 10) < 3 {
            onceCount += 1
            return UInt32(objects + loop + onceCount)
        }
        scanCount += 1
        return UInt32(objects + scanCount % loop)
    }

    private mutating func nextScanned() -> UInt32 {
        scanCount += 1
        return UInt32(objects + scanCount % (held * 10))
    }

    private func valueBytes(_ key: UInt32) -> Int {
        switch workload.sizes {
        case .fixed(let bytes): return bytes
        case .mixed: return Self.mixedBytes(UInt64(key))
        case .mixedAndChanging: return Self.mixedBytes(UInt64(key) << 32 | UInt64(number))
        }
    }

    /// The mean of `mixedBytes`, by its first 10,000 keys.
    static let mixedMeanBytes = (0..<10_000).reduce(0) { $0 + mixedBytes($1) } / 10_000

    private static func mixedBytes(_ seed: UInt64) -> Int {
        var random = RandomStream(seed: 7, stream: seed)
        // Box and Muller's way from two even numbers to a normal one.
        let distance = sqrt(-2 * log(1 - random.nextUnit()))
        let normal = distance * cos(2 * Double.pi * random.nextUnit())
        return min(max(Int(300 * exp(1.1 * normal)), 50), 8192)
    }

    /// Bytes of a value on average.
    static func meanBytes(_ sizes: Workload.Sizes) -> Int {
        switch sizes {
        case .fixed(let bytes): bytes
        case .mixed, .mixedAndChanging: mixedMeanBytes
        }
    }
}
