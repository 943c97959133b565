// ZipfRanks: ranks by Zipf's law, exactly, for any exponent and any count of them.
//
// Rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from
// monotone discrete distributions", 1996): a continuous hat over the histogram is inverted, and
// what falls between the two is drawn again, which happens seldom. No tables, no memory.

internal import Glibc

/// Draws ranks 0..<count, rank r in proportion to 1 / (r + 1)^exponent.
public struct ZipfRanks: BitwiseCopyable, Sendable {
    private let count: Double
    private let exponent: Double
    /// The hat's integral up to the middle before the first rank, and beyond the last.
    private let low: Double
    private let high: Double
    /// Within this distance below a rank nothing needs to be compared.
    private let sure: Double

    /// - Parameters:
    ///   - count: Ranks there are, at least 1.
    ///   - exponent: Above 0.
    public init(count: UInt64, exponent: Double) {
        precondition(count >= 1)
        precondition(exponent > 0)
        self.count = Double(count)
        self.exponent = exponent
        low = Self.integral(1.5, exponent) - 1
        high = Self.integral(Double(count) + 0.5, exponent)
        let second = Self.integral(2.5, exponent) - Self.weight(2, exponent)
        sure = 2 - Self.inverse(second, exponent)
    }

    /// The next rank, 0 ..< count; 0 is the most frequent.
    public func next(_ random: inout RandomStream) -> UInt64 {
        while true {
            let height = high + random.nextUnit() * (low - high)
            let place = Self.inverse(height, exponent)
            let rank = min(max((place + 0.5).rounded(.down), 1), count)
            if rank - place <= sure
                || height >= Self.integral(rank + 0.5, exponent) - Self.weight(rank, exponent)
            {
                return UInt64(rank) &- 1
            }
        }
    }

    /// 1 / x^exponent.
    private static func weight(_ x: Double, _ exponent: Double) -> Double {
        exp(-exponent * log(x))
    }

    /// An integral of the weight: (x^(1 - exponent) - 1) / (1 - exponent), or log x.
    private static func integral(_ x: Double, _ exponent: Double) -> Double {
        let logarithm = log(x)
        let power = (1 - exponent) * logarithm
        guard abs(power) > 1e-8 else { return logarithm * (1 + power / 2) }
        return logarithm * (expm1(power) / power)
    }

    /// What the integral has been taken up to.
    private static func inverse(_ value: Double, _ exponent: Double) -> Double {
        let power = max(value * (1 - exponent), -1)
        guard abs(power) > 1e-8 else { return exp(value * (1 - power / 2)) }
        return exp(value * (log1p(power) / power))
    }
}
