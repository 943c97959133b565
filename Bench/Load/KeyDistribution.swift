// KeyDistribution: which keys are asked for how often.
//
// Uniform, by Zipf's law, or in order. Ranks of the skewed ones are scattered over the key
// numbers, so that hot keys are not neighbours in the server's memory.

internal import Glibc

/// How keys are chosen, as the user names it.
public enum KeyDistribution: Equatable, Sendable, CustomStringConvertible {
    case uniform
    /// Rank r is asked for in proportion to 1 / r^exponent.
    case zipf(exponent: Double)
    /// One after the other, each connection its share of them, again and again.
    case sequential

    /// Reads `uniform`, `sequential` or `zipf:EXPONENT` (0 to 10; 0.99 if left out).
    public init(parsing text: String) throws(ArgumentFault) {
        switch text {
        case "uniform": self = .uniform
        case "sequential": self = .sequential
        case "zipf": self = .zipf(exponent: 0.99)
        default:
            guard text.hasPrefix("zipf:"), let exponent = Double(text.dropFirst(5)),
                exponent > 0, exponent <= 10
            else {
                throw ArgumentFault(
                    "distribution '\(text)' is not uniform, sequential or zipf:EXPONENT "
                        + "with an exponent above 0, at most 10")
            }
            self = .zipf(exponent: exponent)
        }
    }

    public var description: String {
        switch self {
        case .uniform: "uniform"
        case .zipf(let exponent): "zipf:\(exponent)"
        case .sequential: "sequential"
        }
    }
}

/// Draws key numbers; a value that any thread may copy.
public struct KeySampler: BitwiseCopyable, Sendable {
    private enum Kind: UInt8, BitwiseCopyable { case uniform, zipf, sequential }
    private let kind: Kind
    private let keyCount: UInt64
    private let connectionCount: UInt64
    private let zipf: ZipfRanks
    private let spread: UInt64

    /// - Parameters:
    ///   - keyCount: Keys there are, 1 to 2^32.
    ///   - connectionCount: Connections that share the keys when they are taken in order.
    public init(_ distribution: KeyDistribution, keyCount: UInt64, connectionCount: UInt64) {
        precondition(keyCount >= 1 && keyCount <= 1 << 32)
        precondition(connectionCount >= 1)
        self.keyCount = keyCount
        self.connectionCount = connectionCount
        spread = Self.coprime(to: keyCount)
        switch distribution {
        case .uniform:
            kind = .uniform
            zipf = ZipfRanks(count: 1, exponent: 1)
        case .zipf(let exponent):
            kind = .zipf
            zipf = ZipfRanks(count: keyCount, exponent: exponent)
        case .sequential:
            kind = .sequential
            zipf = ZipfRanks(count: 1, exponent: 1)
        }
    }

    /// The next key of one connection, below the count of keys. `position` counts the keys that
    /// the connection took in order; it begins with the connection's number.
    public func next(_ random: inout RandomStream, position: inout UInt64) -> UInt32 {
        switch kind {
        case .uniform:
            return UInt32(truncatingIfNeeded: random.next(below: keyCount))
        case .zipf:
            return scattered(rank: zipf.next(&random))
        case .sequential:
            let key = position % keyCount
            position &+= connectionCount
            return UInt32(truncatingIfNeeded: key)
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
