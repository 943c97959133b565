// SizeTests: sizes of keys and values: the same for a key and a seed, and as often as the
// published distributions say. Times to live are here, too.

import Load
import Testing

private func sizes(
    _ distribution: SizeDistribution, count: Int, seed: UInt64 = 1,
    limits: ClosedRange<Int> = 0...1 << 30
) -> [Int] {
    let sampler = SizeSampler(distribution, seed: seed, stream: 2, limits: limits)
    return (0..<UInt32(count)).map { sampler.bytes(of: $0) }
}

private func mean(_ sizes: [Int]) -> Double {
    sizes.reduce(0.0) { $0 + Double($1) } / Double(sizes.count)
}

/// Six standard deviations of a share among `count` draws.
private func margin(_ share: Double, _ count: Int) -> Double {
    6 * (share * (1 - share) / Double(count)).squareRoot()
}

@Test(arguments: [
    SizeDistribution.fixed(7), .range(least: 10, most: 1000), .etcKeys, .etcValues,
    .exponential(mean: 300),
])
func aKeysSizeIsAFunctionOfKeyAndSeed(_ distribution: SizeDistribution) {
    let first = sizes(distribution, count: 5000)
    #expect(first == sizes(distribution, count: 5000))
    #expect(first.allSatisfy { $0 >= distribution.least && $0 <= distribution.most })
    guard distribution != .fixed(7) else { return }
    #expect(first != sizes(distribution, count: 5000, seed: 2))
}

@Test func rangesAreFilledEvenly() {
    let drawn = sizes(.range(least: 100, most: 199), count: 200_000)
    var counts = [Int: Double]()
    for size in drawn { counts[size, default: 0] += 1 }
    #expect(counts.count == 100)
    // Chi-square over 100 sizes: mean 99, standard deviation 14.1.
    let chiSquare = counts.values.reduce(0) { $0 + ($1 - 2000) * ($1 - 2000) / 2000 }
    #expect(abs(chiSquare - 99) < 6 * 14.1)
}

@Test(arguments: [1, 2, 4, 37, 1030])
func exponentialSizesHaveTheirMean(wanted: Int) {
    let count = 200_000
    let drawn = sizes(.exponential(mean: wanted), count: count)
    // A geometric variable of mean m has the variance m (m - 1).
    let deviation = Double(wanted * (wanted - 1)).squareRoot()
    #expect(abs(mean(drawn) - Double(wanted)) <= 6 * deviation / Double(count).squareRoot())
    // And is 1 with the probability 1 / m.
    let ones = Double(drawn.filter { $0 == 1 }.count) / Double(count)
    #expect(abs(ones - 1 / Double(wanted)) <= margin(1 / Double(wanted), count))
}

@Test func etcKeysFollowTheirExtremeValueDistribution() {
    let count = 200_000
    let drawn = sizes(.etcKeys, count: count, limits: 8...250)
    // F(x) = exp(-(1 + k (x - m) / s)^(-1/k)); sizes are rounded, so F is taken at the halves.
    for size in [15, 20, 25, 30, 35, 40, 50, 60, 80] {
        let place = 1 + 0.078688 * (Double(size) + 0.5 - 30.7984) / 8.20449
        let wanted = exponential(-power(place, -1 / 0.078688))
        let seen = Double(drawn.filter { $0 <= size }.count) / Double(count)
        #expect(abs(seen - wanted) <= margin(wanted, count), "at \(size)")
    }
    #expect(drawn.allSatisfy { $0 >= 8 && $0 <= 250 })
}

@Test func etcValuesHaveTheirHeadAndTheirTail() {
    let count = 400_000
    let drawn = sizes(.etcValues, count: count)
    // Table 5 of the paper.
    let head = [
        0.00536, 0.00047, 0.17820, 0.09239, 0.00018, 0.02740, 0.00065, 0.00606, 0.00023,
        0.00837, 0.00837, 0.08989, 0.00092, 0.00326, 0.01980,
    ]
    for (size, wanted) in head.enumerated() {
        let seen = Double(drawn.filter { $0 == size }.count) / Double(count)
        #expect(abs(seen - wanted) <= margin(wanted, count), "\(size) bytes")
    }
    #expect(abs(head.reduce(0, +) - SizeSampler.etcHeadShare) < 1e-9)
    // Beyond it: P(X > x) = (1 + k (x - 15) / s)^(-1/k) of the rest; sizes are cut to whole ones.
    for size in [50, 100, 200, 500, 1000, 5000, 20_000] {
        let tail = power(1 + 0.348238 * Double(size - 15) / 214.476, -1 / 0.348238)
        let wanted = tail * (1 - SizeSampler.etcHeadShare)
        let seen = Double(drawn.filter { $0 >= size }.count) / Double(count)
        #expect(abs(seen - wanted) <= margin(wanted, count), "\(size) bytes")
    }
}

@Test func drawnSizesAreHeldToLimitsAndGivenOnesAreNot() {
    #expect(sizes(.etcValues, count: 1000, limits: 32...1 << 30).min() == 32)
    #expect(sizes(.exponential(mean: 4), count: 1000, limits: 8...250).min() == 8)
    #expect(sizes(.fixed(4), count: 1, limits: 8...250) == [4])
    #expect(SizeSampler(.etcKeys, seed: 1, stream: 1, limits: 8...250).quantile(1e-12) == 8)
    #expect(SizeSampler(.etcKeys, seed: 1, stream: 1, limits: 8...250).quantile(1 - 1e-12) == 250)
    let values = SizeSampler(.etcValues, seed: 1, stream: 1, limits: 0...1 << 30)
    #expect(values.quantile(1 - 1e-15) == SizeDistribution.etcValueBytesMax)
}

@Test func sizesAreReadAsWritten() throws {
    func read(_ text: String) throws -> SizeDistribution {
        try SizeDistribution(parsing: text, option: "value-bytes", etc: .etcValues)
    }
    #expect(try read("0") == .fixed(0))
    #expect(try read("10-20") == .range(least: 10, most: 20))
    #expect(try read("etc") == .etcValues)
    #expect(try read("exponential:300") == .exponential(mean: 300))
    for text in ["5", "10-20", "etc", "exponential:9"] {
        #expect(try read(text).description == text)
    }
    for text in [
        "", "-", "-1", "20-10", "1-2-3", "x", "1-", "-5", "exponential:", "exponential:0",
        "exponential:-1", "exponential:9999999", "facebook", "9999999999", "1.5",
        "99999999999999999999", "1-99999999999",
    ] {
        #expect(throws: ArgumentFault.self, "\(text)") { try read(text) }
    }
}

@Test func timesToLiveAreReadAndDrawn() throws {
    #expect(try TimeToLive(parsing: "0") == 0)
    #expect(try TimeToLive(parsing: "60") == 60)
    #expect(try TimeToLive(parsing: "60-90").description == "60-90")
    for text in ["", "x", "-1", "0-5", "9-5", "1-2-3", "2147483649", "1-", "99999999999999999999"] {
        #expect(throws: ArgumentFault.self, "\(text)") { try TimeToLive(parsing: text) }
    }
    let range = try TimeToLive(parsing: "10-19")
    var random = RandomStream(seed: 1, stream: 0)
    let drawn = (0..<100_000).map { _ in range.next(&random) }
    #expect(Set(drawn) == Set(10...19))
    let tens = Double(drawn.filter { $0 == 10 }.count) / 100_000
    #expect(abs(tens - 0.1) <= margin(0.1, 100_000))
    // One time draws nothing: the keys stay the same.
    var (one, other) = (RandomStream(seed: 1, stream: 0), RandomStream(seed: 1, stream: 0))
    _ = (TimeToLive(integerLiteral: 9).next(&one), other)
    #expect(one == other)
    _ = other.next()
    #expect(one != other)
}
