// KeyDistribution: which keys are asked for how often.
//
// Ranks of the skewed ones are scattered over the key numbers, so that hot keys are not
// neighbours in the server's memory. Where neighbourhood is the point (gaussian, in order), key
// numbers are taken as they are.

internal import Glibc

/// How keys are chosen, as the user names it.
public enum KeyDistribution: Equatable, Sendable, CustomStringConvertible {
    case uniform
    /// Rank r is asked for in proportion to 1 / r^exponent.
    case zipf(exponent: Double)
    /// So many percent of the requests go to so many percent of the keys, alike among each part.
    case hotspot(requests: Double, keys: Double)
    /// A bell around the middle key; the standard deviation in percent of the keys. What falls
    /// outside is drawn again.
    case gaussian(deviation: Double)
    /// One after the other, each connection its share of them, again and again.
    case sequential
    /// So many percent of the requests walk through all keys in order, as `sequential` does; the
    /// others go to a hot set of so many percent of the keys, alike.
    case scan(requests: Double, keys: Double)

    static let zipfExponent = 0.99
    static let gaussianDeviation = 10.0

    /// Reads `uniform`, `sequential`, `zipf[:EXPONENT]` (above 0, at most 10; 0.99 if left out),
    /// `hotspot:REQUESTS:KEYS`, `scan:REQUESTS:KEYS` or `gaussian[:DEVIATION]` (10 if left out),
    /// all of these in percent.
    public init(parsing text: String) throws(ArgumentFault) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.dropFirst().map { Double($0) ?? .nan }
        func isShare(_ number: Double) -> Bool { number > 0 && number <= 100 }
        switch (parts[0], numbers.count) {
        case ("uniform", 0): self = .uniform
        case ("sequential", 0): self = .sequential
        case ("zipf", 0): self = .zipf(exponent: Self.zipfExponent)
        case ("zipf", 1) where numbers[0] > 0 && numbers[0] <= 10:
            self = .zipf(exponent: numbers[0])
        case ("gaussian", 0): self = .gaussian(deviation: Self.gaussianDeviation)
        case ("gaussian", 1) where isShare(numbers[0]): self = .gaussian(deviation: numbers[0])
        case ("hotspot", 2) where numbers.allSatisfy(isShare):
            self = .hotspot(requests: numbers[0], keys: numbers[1])
        case ("scan", 2) where numbers.allSatisfy(isShare):
            self = .scan(requests: numbers[0], keys: numbers[1])
        default:
            throw ArgumentFault(
                "distribution '\(text)' is not uniform, sequential, zipf:EXPONENT (above 0, "
                    + "at most 10), gaussian:DEVIATION, hotspot:REQUESTS:KEYS or "
                    + "scan:REQUESTS:KEYS (percent, above 0)")
        }
    }

    public var description: String {
        switch self {
        case .uniform: "uniform"
        case .zipf(let exponent): "zipf:\(exponent)"
        case .hotspot(let requests, let keys): "hotspot:\(requests):\(keys)"
        case .gaussian(let deviation): "gaussian:\(deviation)"
        case .sequential: "sequential"
        case .scan(let requests, let keys): "scan:\(requests):\(keys)"
        }
    }
}

/// Draws key numbers; a value that any thread may copy.
public struct KeySampler: BitwiseCopyable, Sendable {
    private enum Kind: UInt8, BitwiseCopyable {
        case uniform, zipf, hotspot, gaussian, sequential, scan
    }
    private let kind: Kind
    private let keyCount: UInt64
    private let connectionCount: UInt64
    private let zipf: ZipfRanks
    private let spread: UInt64
    /// Keys of the hot set, and below which part of 2^53 a request goes to it.
    private let hotCount: UInt64
    private let hotPart: UInt64
    /// Standard deviation, in keys.
    private let deviation: Double

    /// - Parameters:
    ///   - keyCount: Keys there are, 1 to 2^32.
    ///   - connectionCount: Connections that share the keys when they are taken in order.
    public init(_ distribution: KeyDistribution, keyCount: UInt64, connectionCount: UInt64) {
        precondition(keyCount >= 1 && keyCount <= 1 << 32)
        precondition(connectionCount >= 1)
        self.keyCount = keyCount
        self.connectionCount = connectionCount
        spread = Self.coprime(to: keyCount)
        var hot = (requests: 0.0, keys: 100.0)
        var exponent: Double?
        var deviation = 100.0
        switch distribution {
        case .uniform: kind = .uniform
        case .sequential: kind = .sequential
        case .zipf(let given):
            kind = .zipf
            exponent = given
        case .hotspot(let requests, let keys):
            kind = .hotspot
            hot = (requests, keys)
        case .gaussian(let given):
            kind = .gaussian
            deviation = given
        case .scan(let requests, let keys):
            kind = .scan
            hot = (100 - requests, keys)
        }
        zipf = ZipfRanks(count: exponent == nil ? 1 : keyCount, exponent: exponent ?? 1)
        hotCount = min(max(UInt64((Double(keyCount) * hot.keys / 100).rounded()), 1), keyCount)
        hotPart = UInt64(hot.requests / 100 * 0x1p53)
        self.deviation = Double(keyCount) * deviation / 100
    }

    /// The next key of one connection, below the count of keys. `position` counts the keys that
    /// the connection took in order; it begins with the connection's number.
    @inline(__always)
    public func next(_ random: inout RandomStream, position: inout UInt64) -> UInt32 {
        guard kind != .uniform else {
            return UInt32(truncatingIfNeeded: random.next(below: keyCount))
        }
        return skewed(&random, &position)
    }

    private func skewed(_ random: inout RandomStream, _ position: inout UInt64) -> UInt32 {
        switch kind {
        case .uniform:
            return UInt32(truncatingIfNeeded: random.next(below: keyCount))
        case .zipf:
            return scattered(rank: zipf.next(&random))
        case .hotspot:
            if random.next() >> 11 < hotPart || hotCount == keyCount {
                return scattered(rank: random.next(below: hotCount))
            }
            return scattered(rank: hotCount &+ random.next(below: keyCount &- hotCount))
        case .gaussian:
            return gaussian(&random)
        case .sequential:
            return inOrder(&position)
        case .scan:
            guard random.next() >> 11 < hotPart else { return inOrder(&position) }
            return scattered(rank: random.next(below: hotCount))
        }
    }

    private func inOrder(_ position: inout UInt64) -> UInt32 {
        let key = position % keyCount
        position &+= connectionCount
        return UInt32(truncatingIfNeeded: key)
    }

    /// By the method of Box and Muller (1958), of which one number of each two is used.
    private func gaussian(_ random: inout RandomStream) -> UInt32 {
        while true {
            let radius = (-2 * log(1 - random.nextUnit())).squareRoot()
            let normal = radius * cos(2 * Double.pi * random.nextUnit())
            let place = Double(keyCount) / 2 + normal * deviation
            if place >= 0, place < Double(keyCount) {
                return UInt32(truncatingIfNeeded: UInt64(place))
            }
        }
    }

    /// The key number that has a rank (0 is the hottest): each rank another one.
    public func scattered(rank: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: (rank &* spread) % keyCount)
    }

    /// A multiplier below 2^32 near the golden section of the count that no factor shares.
    private static func coprime(to count: UInt64) -> UInt64 {
        var candidate = max(UInt64(Double(count) * 0.6180339887), 1)
        while candidate > 1, divisor(candidate, count) != 1 { candidate -= 1 }
        return candidate
    }

    private static func divisor(_ one: UInt64, _ other: UInt64) -> UInt64 {
        var (large, small) = (one, other)
        while small != 0 { (large, small) = (small, large % small) }
        return large
    }
}
