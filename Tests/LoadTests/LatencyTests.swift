// LatencyTests: percentiles of known samples, and the medians of a comparison.

import Load
import Testing

@Test func percentilesAreThoseOfTheSamples() throws {
    var latencies = Latencies()
    // 1 to 10,000 us, each once: the p-th percentile is p * 100 us.
    for microseconds in UInt64(1)...10_000 {
        latencies.record(.get, nanoseconds: microseconds * 1000, count: 1)
    }
    let summary = latencies.summary(of: .get)
    #expect(summary.count == 10_000)
    for percentile in LatencySummary.percentiles {
        let seen = try #require(summary.microseconds(at: percentile))
        #expect(abs(seen - percentile * 100) <= percentile * 100 / 500 + 0.6)
    }
    #expect(abs(summary.maximum - 10_000) <= 20)
    #expect(abs(summary.mean - 5000.5) <= 10)
    #expect(latencies.summary(of: .set).count == 0)
}

@Test func aCountIsWorthSoManyRecords() {
    var one = Latencies()
    var other = Latencies()
    for _ in 0..<99 { one.record(.set, nanoseconds: 50_000, count: 1) }
    one.record(.set, nanoseconds: 9_000_000, count: 1)
    other.record(.set, nanoseconds: 50_000, count: 99)
    other.record(.set, nanoseconds: 9_000_000, count: 1)
    #expect(one.summary(of: .set) == other.summary(of: .set))
    #expect(one.all == one.summary(of: .set))
    one += other
    #expect(one.summary(of: .set).count == 200)
}

@Test func overlongLatenciesCountAsTheLongest() {
    var latencies = Latencies()
    latencies.record(.touch, nanoseconds: .max, count: 3)
    #expect(latencies.summary(of: .touch).count == 3)
    #expect(latencies.summary(of: .touch).maximum >= 3_599_000_000)
}

@Test func aSpreadIsTheMiddleAndTheEnds() {
    #expect(Spread([3, 1, 2])?.median == 2)
    #expect(Spread([4, 1, 2, 3])?.median == 2.5)
    #expect(Spread([3, 1, 2])?.least == 1)
    #expect(Spread([3, 1, 2])?.most == 3)
    #expect(Spread([]) == nil)
    #expect(Spread([1, nil]) == nil)
}

@Test func roundsRotateTheOrder() {
    #expect(Comparison.order(ofRound: 0, count: 3) == [0, 1, 2])
    #expect(Comparison.order(ofRound: 1, count: 3) == [1, 2, 0])
    #expect(Comparison.order(ofRound: 5, count: 3) == [2, 0, 1])
    var comparison = Comparison(names: ["a", "b"])
    var rates: [[Double]] = [[100, 200, 400], [150, 100, 1200]]
    var order: [Int] = []
    comparison.perform(
        rounds: 3,
        run: { (index) throws(LoadFailure) in
            var outcome = Outcome()
            outcome.operationsPerSecond = rates[index].removeFirst()
            return outcome
        },
        progress: { _, index, _ in order.append(index) })
    #expect(order == [0, 1, 1, 0, 0, 1])
    // Round by round b does 1.5, 0.5 and 3 times as much as a.
    #expect(comparison.ratio(of: 1, \.operationsPerSecond)?.median == 1.5)
    #expect(comparison.spread(of: 1, \.operationsPerSecond)?.median == 150)
}
