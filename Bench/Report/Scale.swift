// Scale: from a value to a place on an axis, and which values an axis names.

/// An axis of a plot: values `from` to `to` lie evenly, or evenly by their logarithm, on the
/// stretch `begin` to `end` in pixels.
struct Scale {
    let from: Double
    let to: Double
    let begin: Double
    let end: Double
    var isLogarithmic = false

    /// The place of a value; values beyond the ends, and what is no number, lie on the ends.
    func place(_ value: Double) -> Double {
        let (low, high, at) =
            isLogarithmic
            ? (decades(from), decades(to), decades(value)) : (from, to, value)
        guard high > low, at.isFinite else { return begin }
        return begin + (end - begin) * min(max((at - low) / (high - low), 0), 1)
    }

    /// Even steps of 1, 2 or 5 times a power of ten, or the same within each decade.
    func ticks(about count: Int) -> [Double] {
        isLogarithmic ? logarithmicTicks(about: count) : linearTicks(about: count)
    }

    private func linearTicks(about count: Int) -> [Double] {
        let step = Self.step(upTo: (to - from) / Double(max(count, 1)))
        guard step > 0, step.isFinite else { return [from] }
        var ticks: [Double] = []
        var number = (from / step).rounded(.up)
        while number * step <= to * (1 + 1e-9), ticks.count < 100 {
            ticks.append(number * step)
            number += 1
        }
        return ticks
    }

    private func logarithmicTicks(about count: Int) -> [Double] {
        let span = decades(to) - decades(from)
        let factors: [Double] = span * 3 <= Double(count) + 1 ? [1, 2, 5] : [1]
        var ticks: [Double] = []
        var decade = power(decades(from).rounded(.down))
        while decade <= to, ticks.count < 100 {
            ticks += factors.map { $0 * decade }.filter {
                $0 >= from * (1 - 1e-9) && $0 <= to * (1 + 1e-9)
            }
            decade *= 10
        }
        return ticks
    }

    /// The least of 1, 2, 5, 10, … times a power of ten that is not below a value.
    static func step(upTo value: Double) -> Double {
        guard value > 0, value.isFinite else { return 0 }
        let decade = power(decades(value).rounded(.down))
        return [1, 2, 5, 10].map { $0 * decade }.first { $0 >= value * (1 - 1e-9) } ?? value
    }

    /// A round end for a zero-based axis that shows a value.
    static func end(showing value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        let step = step(upTo: value / 5)
        return (value / step).rounded(.up) * step
    }
}

/// The logarithm to base ten of a positive value; that of the least one for others.
func decades(_ value: Double) -> Double {
    // Written out: the module has no mathematics library. log2(x) = exponent + log2(significand),
    // the latter by 52 squarings (D. Knuth, The Art of Computer Programming, 1.2.2, exercise 25).
    guard value.isFinite, value > 0 else { return -300 }
    var significand = value.significand
    var logarithm = Double(value.exponent)
    var bit = 0.5
    for _ in 0..<52 {
        significand *= significand
        if significand >= 2 {
            significand /= 2
            logarithm += bit
        }
        bit /= 2
    }
    return logarithm * 0.301_029_995_663_981_2
}

/// Ten to a whole power of at most 300.
func power(_ exponent: Double) -> Double {
    var result = 1.0
    for _ in 0..<Int(min(abs(exponent), 300)) { result *= 10 }
    return exponent < 0 ? 1 / result : result
}
