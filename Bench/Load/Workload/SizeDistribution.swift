// SizeDistribution: how long keys and values are.
//
// The size of a key or a value is a function of its key's number and the run's seed, so that
// every connection, every run of that seed and the check of a value agree on it. It draws
// nothing from the streams that choose keys.

internal import Glibc

/// Sizes in bytes, as the user names them.
public enum SizeDistribution: Equatable, Sendable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    case fixed(Int)
    /// All sizes from `least` to `most` alike.
    case range(least: Int, most: Int)
    /// Facebook's ETC pool, keys: generalised extreme value with location 30.7984, scale 8.20449,
    /// shape 0.078688 (Atikoglu, Xu, Frachtenberg, Jiang and Paleczny, "Workload Analysis of a
    /// Large-Scale Key-Value Store", SIGMETRICS 2012, section 5).
    case etcKeys
    /// The same pool, values: below 15 bytes the paper's table 5, from 15 on generalised Pareto
    /// with scale 214.476 and shape 0.348238; cut at `etcValueBytesMax`.
    case etcValues
    /// 1 byte and up with this mean, as exponential as whole numbers are (geometric): what is
    /// least assumed where only a mean is known. Cut at 20 times the mean, beyond which 2 of
    /// 10^9 would lie.
    case exponential(mean: Int)

    /// Longest value of the ETC pool, in bytes: what a server with a limit of 1 MiB takes.
    public static let etcValueBytesMax = 1_000_000
    /// Longest size that may be asked for.
    static let bytesMax = 1 << 30
    private static let exponentialMeanMax = 1 << 20

    public init(integerLiteral bytes: Int) { self = .fixed(bytes) }

    /// Reads `N`, `MIN-MAX`, `etc` or `exponential:MEAN`.
    ///
    /// - Parameters:
    ///   - option: What the message calls it.
    ///   - etc: Which of the two ETC distributions `etc` stands for.
    public init(parsing text: String, option: String, etc: SizeDistribution)
        throws(ArgumentFault)
    {
        if let bytes = Int(text), bytes >= 0, bytes <= Self.bytesMax {
            self = .fixed(bytes)
        } else if text == "etc" {
            self = etc
        } else if text.hasPrefix("exponential:"), let mean = Int(text.dropFirst(12)),
            mean >= 1, mean <= Self.exponentialMeanMax
        {
            self = .exponential(mean: mean)
        } else {
            let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count == 2, let least = Int(ends[0]), let most = Int(ends[1]),
                least >= 0, least <= most, most <= Self.bytesMax
            else {
                throw ArgumentFault(
                    "\(option) '\(text)' is not BYTES, MIN-MAX, etc or exponential:MEAN")
            }
            self = .range(least: least, most: most)
        }
    }

    public var description: String {
        switch self {
        case .fixed(let bytes): "\(bytes)"
        case .range(let least, let most): "\(least)-\(most)"
        case .etcKeys, .etcValues: "etc"
        case .exponential(let mean): "exponential:\(mean)"
        }
    }

    /// The shortest and the longest that occur, in bytes, before any other limit.
    public var least: Int {
        switch self {
        case .fixed(let bytes): bytes
        case .range(let least, _): least
        case .etcKeys, .exponential: 1
        case .etcValues: 0
        }
    }
    public var most: Int {
        switch self {
        case .fixed(let bytes): bytes
        case .range(_, let most): most
        case .etcKeys: 250
        case .etcValues: Self.etcValueBytesMax
        case .exponential(let mean): mean > 1 ? 20 * mean : 1
        }
    }

    /// Whether the user gave both ends, which are then kept or refused, never moved.
    var isExplicit: Bool {
        switch self {
        case .fixed, .range: true
        case .etcKeys, .etcValues, .exponential: false
        }
    }
}

/// The size that belongs to a key's number; a value that any thread may copy.
public struct SizeSampler: BitwiseCopyable, Sendable {
    private enum Kind: UInt8, BitwiseCopyable { case fixed, range, etcKeys, etcValues, exponential }

    /// The shortest and the longest that occur, in bytes.
    public let least: Int
    public let most: Int
    private let kind: Kind
    let seed: UInt64
    /// 1 / ln(1 - 1 / mean) of an exponential one.
    private let factor: Double

    /// - Parameters:
    ///   - stream: Tells the sizes of keys from those of values.
    ///   - limits: What sizes that the user did not give himself are held to.
    public init(
        _ distribution: SizeDistribution, seed: UInt64, stream: UInt64, limits: ClosedRange<Int>
    ) {
        let isExplicit = distribution.isExplicit
        let held = { min(max($0, limits.lowerBound), limits.upperBound) }
        least = isExplicit ? distribution.least : held(distribution.least)
        most = isExplicit ? distribution.most : held(distribution.most)
        self.seed = RandomStream.mix(seed &+ RandomStream.mix(~stream))
        var factor = 0.0
        switch distribution {
        case .fixed: kind = .fixed
        case .range: kind = .range
        case .etcKeys: kind = .etcKeys
        case .etcValues: kind = .etcValues
        case .exponential(let mean):
            kind = mean > 1 ? .exponential : .fixed
            factor = mean > 1 ? 1 / log1p(-1 / Double(mean)) : 0
        }
        self.factor = factor
    }

    /// Whether all sizes are `most`.
    @inline(__always)
    var isFixed: Bool { kind == .fixed }

    /// Bytes, for the key with this number.
    @inline(__always)
    public func bytes(of number: UInt32) -> Int { isFixed ? most : drawn(number) }

    /// The number of 64 bits that decides a key's size.
    @inline(__always)
    static func draw(_ seed: UInt64, _ number: UInt32) -> UInt64 {
        RandomStream.mix(seed &+ UInt64(number) &* RandomStream.step)
    }

    private func drawn(_ number: UInt32) -> Int {
        let draw = Self.draw(seed, number)
        if kind == .range {
            let span = UInt64(most &- least &+ 1)
            return least &+ Int(draw.multipliedFullWidth(by: span).high)
        }
        return quantile((Double(draw >> 11) + 0.5) * 0x1p-53)
    }

    /// The size below which the share `part` (above 0, below 1) of all keys lies, held to the
    /// limits.
    public func quantile(_ part: Double) -> Int {
        let size =
            switch kind {
            case .fixed: Double(most)
            case .range: Double(least) + (part * Double(most - least + 1)).rounded(.down)
            case .etcKeys: Self.etcKey(part)
            case .etcValues: Self.etcValue(part)
            case .exponential: 1 + (log1p(-part) * factor).rounded(.down)
            }
        return Int(min(max(size, Double(least)), Double(most)))
    }

    // MARK: The ETC pool

    private static func etcKey(_ part: Double) -> Double {
        let (location, scale, shape) = (30.7984, 8.20449, 0.078688)
        return (location + scale * expm1(-shape * log(-log(part))) / shape).rounded()
    }

    /// What part of the values is below 15 bytes (the sum of table 5).
    public static let etcHeadShare = 0.44155

    private static func etcValue(_ part: Double) -> Double {
        guard part >= etcHeadShare else { return Double(etcHead(part)) }
        let (scale, shape) = (214.476, 0.348238)
        let above = (1 - part) / (1 - etcHeadShare)
        return 15 + (scale * expm1(-shape * log(above)) / shape).rounded(.down)
    }

    /// The values of 0 to 14 bytes, by table 5 of the paper, in shares of 1/100,000.
    private static func etcHead(_ part: Double) -> Int {
        switch Int(part * 100_000) {
        case ..<536: 0
        case ..<583: 1
        case ..<18_403: 2
        case ..<27_642: 3
        case ..<27_660: 4
        case ..<30_400: 5
        case ..<30_465: 6
        case ..<31_071: 7
        case ..<31_094: 8
        case ..<31_931: 9
        case ..<32_768: 10
        case ..<41_757: 11
        case ..<41_849: 12
        case ..<42_175: 13
        default: 14
        }
    }
}
