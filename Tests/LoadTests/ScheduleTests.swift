// ScheduleTests: intended times, the small histogram beside the big one, and the search for a
// rate, all without a server.

import Load
import Primitives
import Testing

private func times(
    _ connection: Int, of count: Int, rate: Double, _ arrivals: Arrivals, until end: UInt64,
    seed: UInt64 = 1
) -> [UInt64] {
    var schedule = SendSchedule(
        rate: rate, arrivals: arrivals, connection: connection, connectionCount: count,
        start: 5_000_000, seed: seed)
    var times: [UInt64] = []
    while schedule.due < end {
        times.append(schedule.due)
        schedule.advance(operations: 1)
    }
    return times
}

@Suite struct ScheduleTests {
    @Test(arguments: [1, 3, 50]) func evenTimesHaveEqualGapsOverAllConnections(count: Int) {
        let rate = 7000.0
        let all = (0..<count).flatMap {
            times($0, of: count, rate: rate, .even, until: 1_005_000_000)
        }.sorted()
        #expect(abs(all.count - 7000) <= 1)
        #expect(all.first == 5_000_000)
        for (index, time) in all.enumerated() {
            let exact = 5e6 + Double(index) * 1e9 / rate
            #expect(abs(Double(time) - exact) <= 2)
        }
    }

    @Test func aRequestOfManyOperationsTakesTheirTime() {
        var one = SendSchedule(
            rate: 1000, arrivals: .even, connection: 0, connectionCount: 4, start: 0, seed: 1)
        one.advance(operations: 10)
        #expect(one.due == 40_000_000)
        one.advance(operations: 1)
        #expect(one.due == 44_000_000)
    }

    @Test func poissonTimesHaveTheRateAndTheSpread() {
        let rate = 10_000.0
        let all = (0..<10).flatMap {
            times($0, of: 10, rate: rate, .poisson, until: 10_005_000_000)
        }.sorted()
        // 100,000 expected; the standard deviation is its root, 316.
        #expect(abs(all.count - 100_000) < 5 * 316)
        let gaps = zip(all.dropFirst(), all).map { Double($0 - $1) }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let variance = gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)
        // Of exponential gaps the deviation is the mean, and 1/e are longer than it.
        #expect(abs(variance.squareRoot() / mean - 1) < 0.05)
        let long = Double(gaps.filter { $0 > mean }.count) / Double(gaps.count)
        #expect(abs(long - 0.3679) < 0.01)
    }

    @Test func timesDependOnTheSeedAlone() {
        func some(_ seed: UInt64) -> [UInt64] {
            times(3, of: 5, rate: 1000, .poisson, until: 1_000_000_000, seed: seed)
        }
        #expect(some(1) == some(1))
        #expect(some(1) != some(2))
    }

    @Test func tinyAndHugeRatesDoNotOverflow() {
        for rate in [0.1, 1e8] {
            for arrivals in Arrivals.allCases {
                var schedule = SendSchedule(
                    rate: rate, arrivals: arrivals, connection: 59_999, connectionCount: 60_000,
                    start: 1, seed: 1)
                for _ in 0..<1000 { schedule.advance(operations: 10_000) }
                #expect(schedule.due > 1)
            }
        }
    }
}

@Suite struct BucketTests {
    @Test func percentilesAreThoseOfTheSamplesAndAtMost16PerMilleAbove() throws {
        var random = RandomStream(seed: 5, stream: 0)
        var counts = BucketCounts()
        var samples: [UInt64] = []
        for _ in 0..<20_000 {
            // All sizes from a nanosecond to a minute.
            let value = random.next() >> (28 + random.next(below: 36))
            samples.append(value)
            counts.record(nanoseconds: value)
        }
        samples.sort()
        #expect(counts.total == 20_000)
        for percentile in [0.01, 1, 25, 50, 90, 99, 99.9, 100] {
            let rank = Int((Double(samples.count) * percentile / 100).rounded(.up))
            let exact = samples[max(rank, 1) - 1]
            let seen = try #require(counts.nanoseconds(at: percentile))
            #expect(seen >= exact)
            #expect(Double(seen) <= Double(exact) * (1 + 1 / 64.0) + 1)
        }
    }

    @Test func laterCountsLessEarlierOnesAreWhatCameBetween() {
        var counts = BucketCounts()
        for value in UInt64(1)...100 { counts.record(nanoseconds: value * 1000, count: 3) }
        let earlier = counts
        counts.record(nanoseconds: 77_000_000)
        let between = counts.since(earlier)
        #expect(between.total == 1)
        #expect(between.nanoseconds(at: 50) == counts.nanoseconds(at: 100))
        var sum = earlier
        sum += between
        #expect(sum == counts)
    }

    @Test func nothingRecordedHasNoPercentileAndTheLongestHasABucket() throws {
        #expect(BucketCounts().nanoseconds(at: 50) == nil)
        var counts = BucketCounts()
        counts.record(nanoseconds: .max)
        #expect(try #require(counts.nanoseconds(at: 100)) >= 4_000_000_000_000)
    }
}

@Suite struct RateSweepTests {
    /// Searches a server whose p99 is above the limit from a rate on.
    private func search(
        from: Double, to: Double, capacity: Double, failing: Set<Int> = []
    ) -> RateSweep {
        var sweep = RateSweep(from: from, to: to, limit: 1000)
        while let rate = sweep.next {
            let isSlow = rate > capacity || failing.contains(sweep.steps.count)
            sweep.take(reached: rate, isKept: true, p50: 10, p99: isSlow ? 5000 : 100)
        }
        return sweep
    }

    @Test(arguments: [1000, 1500, 77_777, 1_234_567, 9_999_999] as [Double])
    func theAnswerIsWithinFivePercent(capacity: Double) throws {
        let sweep = search(from: 1000, to: 10_000_000, capacity: capacity)
        let answer = try #require(sweep.answer)
        #expect(answer.asked <= capacity)
        #expect(answer.asked >= capacity / 1.06)
        #expect(sweep.steps.count <= RateSweep.stepsMax)
        // Every rate that failed was tried twice.
        let failed = sweep.steps.filter { !$0.isWithin }
        #expect(failed.count == 2 * failed.filter(\.isRepeat).count)
    }

    @Test func theHighestAllowedRateEndsIt() {
        let sweep = search(from: 1000, to: 3000, capacity: 1e9)
        #expect(sweep.steps.map(\.asked) == [1000, 2000, 3000])
        #expect(sweep.answer?.asked == 3000)
    }

    @Test func noiseCostsOneRepeatAndNotTheAnswer() {
        let sweep = search(from: 1000, to: 4000, capacity: 1e9, failing: [1])
        #expect(sweep.steps.map(\.asked) == [1000, 2000, 2000, 4000])
        #expect(sweep.steps.map(\.isRepeat) == [false, false, true, false])
        #expect(sweep.answer?.asked == 4000)
    }

    @Test func aLowestRateThatFailsTwiceHasNoAnswer() {
        let sweep = search(from: 1000, to: 4000, capacity: 10)
        #expect(sweep.steps.count == 2)
        #expect(sweep.answer == nil)
    }

    @Test func aScheduleThatWasNotKeptIsAFailure() {
        var sweep = RateSweep(from: 10, to: 20, limit: 1000)
        sweep.take(reached: 5, isKept: false, p50: 1, p99: 1)
        #expect(sweep.steps.last?.isWithin == false)
        sweep.take(reached: 10, isKept: true, p50: nil, p99: nil)
        #expect(sweep.answer == nil)
        #expect(sweep.next == nil)
    }

    @Test func theNumberOfStepsIsBounded() {
        var sweep = RateSweep(from: 0.1, to: 1e8, limit: 1000)
        while let rate = sweep.next {
            sweep.take(reached: rate, isKept: true, p50: 1, p99: rate > 9.9e7 ? 5000 : 1)
        }
        #expect(sweep.steps.count <= RateSweep.stepsMax)
        #expect(sweep.answer != nil)
    }
}

@Test func aScheduleIsKeptFrom99PercentOn() {
    var pacing = Pacing()
    pacing.asked = 1000
    #expect(pacing.reached == 0)
    pacing.sentOperations = 9900
    pacing.lateOperations = 60
    pacing.crowdedOperations = 40
    #expect(pacing.isKept)
    #expect(pacing.reached == 990)
    pacing.lateOperations = 100
    #expect(!pacing.isKept)
}
