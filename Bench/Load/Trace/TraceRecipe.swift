// TraceRecipe: traces made up from a seed, written as oracleGeneral, for those who have none.
//
// Not a model of anybody's load: the distributions are those of `run`, plus a scan.

internal import Primitives

/// Sizes of objects, key and value together; an object always has the same.
public enum TraceSizes: BitwiseCopyable, Equatable, Sendable, CustomStringConvertible {
    case fixed(UInt32)
    /// Between the two; the logarithm is uniform, so that small ones are as common as they are
    /// in caches.
    case mixed(UInt32, UInt32)

    public static let bytesMax: UInt32 = 1 << 30

    /// Reads `300` or `100-10000`.
    public init(parsing text: String) throws(ArgumentFault) {
        let sides = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt32($0) }
        guard sides.count <= 2, let low = sides[0], let high = sides[sides.count - 1],
            low >= 1, low <= high, high <= Self.bytesMax
        else {
            throw ArgumentFault(
                "sizes '\(text)' is not a number of bytes, or two such as 100-10000")
        }
        self = low == high ? .fixed(low) : .mixed(low, high)
    }

    public var description: String {
        switch self {
        case .fixed(let bytes): "\(bytes)"
        case .mixed(let low, let high): "\(low)-\(high)"
        }
    }
}

/// What a made-up trace consists of. Plain data; `check` before use.
public struct TraceRecipe: Sendable {
    public var requestCount: UInt64 = 1_000_000
    /// Objects that are asked for by the distribution.
    public var objectCount: UInt64 = 100_000
    public var distribution = KeyDistribution.zipf(exponent: 0.99)
    /// The part of the requests that scan other objects, one after the other; 0 to 1.
    public var scanShare = 0.0
    /// Objects of the scan, after which it begins again.
    public var scanObjectCount: UInt64 = 1_000_000
    public var sizes = TraceSizes.mixed(100, 10_000)
    /// Requests in a second of the trace.
    public var rate: UInt64 = 10_000
    public var seed: UInt64 = 1

    public init() {}

    /// Requests and objects are numbered by 32 bits: their last and next uses take 4 bytes each.
    static let countMax: UInt64 = 1 << 31

    /// Throws for the first thing that makes no sense, in words for the user.
    public func check() throws(ArgumentFault) {
        try require(
            requestCount >= 1 && requestCount <= Self.countMax,
            "requests: 1 to \(Self.countMax)")
        try require(
            objectCount >= 1 && objectCount <= Self.countMax, "objects: 1 to \(Self.countMax)")
        try require(
            scanObjectCount >= 1 && scanObjectCount <= Self.countMax,
            "scan-objects: 1 to \(Self.countMax)")
        try require(scanShare >= 0 && scanShare <= 1, "scan: 0 to 1")
        try require(rate >= 1 && rate <= 1 << 40, "rate: at least 1")
        try require(
            requestCount / rate < 1 << 32, "rate: the trace would last 2^32 seconds or longer")
    }

    private func require(_ holds: Bool, _ text: String) throws(ArgumentFault) {
        guard holds else { throw ArgumentFault(text) }
    }

    /// Which object each request asks for, in turn. The same recipe, the same objects.
    struct Stream {
        private let recipe: TraceRecipe
        private let keys: KeySampler
        private var random: RandomStream
        private var position: UInt64 = 0
        private var scanned: UInt64 = 0

        init(_ recipe: TraceRecipe) {
            self.recipe = recipe
            random = RandomStream(seed: recipe.seed, stream: 0)
            keys = KeySampler(
                recipe.distribution, keyCount: recipe.objectCount, connectionCount: 1)
        }

        /// A number below the count of all objects; those of the scan come last.
        mutating func next() -> UInt64 {
            if recipe.scanShare > 0, random.nextUnit() < recipe.scanShare {
                let object = recipe.objectCount + scanned
                scanned = scanned + 1 == recipe.scanObjectCount ? 0 : scanned + 1
                return object
            }
            return UInt64(keys.next(&random, position: &position))
        }
    }

    /// What stands for an object in the trace: scattered numbers, as hashes are.
    func number(_ object: UInt64) -> UInt64 { RandomStream.mix(object &+ seed << 32) }

    func bytes(_ object: UInt64) -> UInt32 {
        switch sizes {
        case .fixed(let bytes): return bytes
        case .mixed(let low, let high):
            var random = RandomStream(seed: seed, stream: object &+ 1)
            return LogarithmicSize.draw(low, high, random.nextUnit())
        }
    }
}
