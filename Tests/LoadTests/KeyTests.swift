// KeyTests: which keys are drawn: the same for a seed, and as often as the distribution says.

import Load
import Testing

/// What one connection asks for.
private func draw(
    _ distribution: KeyDistribution, keys: UInt64, count: Int, seed: UInt64 = 1,
    connection: UInt64 = 0, of connections: UInt64 = 1
) -> [UInt32] {
    let sampler = KeySampler(distribution, keyCount: keys, connectionCount: connections)
    var random = RandomStream(seed: seed, stream: connection)
    var position = connection
    return (0..<count).map { _ in sampler.next(&random, position: &position) }
}

@Test(arguments: [
    KeyDistribution.uniform, .zipf(exponent: 0.99), .zipf(exponent: 1.3), .sequential,
    .hotspot(requests: 90, keys: 10), .gaussian(deviation: 10), .scan(requests: 20, keys: 5),
])
func theSameSeedAsksForTheSameKeys(_ distribution: KeyDistribution) {
    let first = draw(distribution, keys: 10_000, count: 5000, seed: 7, connection: 3, of: 9)
    #expect(first == draw(distribution, keys: 10_000, count: 5000, seed: 7, connection: 3, of: 9))
    #expect(first.allSatisfy { $0 < 10_000 })
    #expect(first != draw(distribution, keys: 10_000, count: 5000, seed: 7, connection: 4, of: 9))
    guard distribution != .sequential else { return }
    #expect(first != draw(distribution, keys: 10_000, count: 5000, seed: 8, connection: 3, of: 9))
}

@Test func uniformKeysAreDrawnEquallyOften() {
    // Chi-square over 1,000 keys: mean 999, standard deviation 45.
    let draws = draw(.uniform, keys: 1000, count: 1_000_000)
    var counts = [Double](repeating: 0, count: 1000)
    for key in draws { counts[Int(key)] += 1 }
    let chiSquare = counts.reduce(0) { $0 + ($1 - 1000) * ($1 - 1000) / 1000 }
    #expect(abs(chiSquare - 999) < 6 * 45)
}

@Test(arguments: [0.5, 0.99, 1.0, 1.2, 2.0], [UInt64(100), 1000, 1_000_000])
func zipfRanksAreDrawnByTheirWeight(exponent: Double, keys: UInt64) {
    let sampler = KeySampler(.zipf(exponent: exponent), keyCount: keys, connectionCount: 1)
    let count = 400_000
    var counts: [UInt32: Double] = [:]
    for key in draw(.zipf(exponent: exponent), keys: keys, count: count) {
        counts[key, default: 0] += 1
    }
    let total = (1...keys).reduce(0.0) { $0 + weight(Double($1), exponent) }
    // Six standard deviations of a binomial, for each of the hottest ranks and for their sum.
    var sum = 0.0
    var part = 0.0
    for rank in 0..<UInt64(50) {
        let share = weight(Double(rank + 1), exponent) / total
        let seen = counts[sampler.scattered(rank: rank)] ?? 0
        let expected = share * Double(count)
        #expect(abs(seen - expected) <= 6 * (expected * (1 - share)).squareRoot() + 1)
        sum += seen
        part += share
    }
    let expected = part * Double(count)
    #expect(abs(sum - expected) <= 6 * (expected * (1 - part)).squareRoot() + 1)
}

/// What part of a normal distribution lies within so many deviations of its mean.
private func normalShare(_ deviations: Double) -> Double {
    errorFunction(deviations / 2.0.squareRoot())
}

private func weight(_ rank: Double, _ exponent: Double) -> Double {
    switch exponent {
    case 1: 1 / rank
    case 2: 1 / (rank * rank)
    default: power(rank, -exponent)
    }
}

@Test(arguments: [UInt64(1), 2, 3, 10, 97, 1000, 65_536])
func everyRankHasAKeyOfItsOwn(keys: UInt64) {
    let sampler = KeySampler(.zipf(exponent: 1), keyCount: keys, connectionCount: 1)
    #expect(Set((0..<keys).map { sampler.scattered(rank: $0) }).count == Int(keys))
}

/// How many of `count` draws are of the keys that `isWanted` says.
private func share(
    _ distribution: KeyDistribution, keys: UInt64, count: Int, _ isWanted: (UInt32) -> Bool
) -> Double {
    Double(draw(distribution, keys: keys, count: count).filter(isWanted).count) / Double(count)
}

/// Six standard deviations of a share among `count` draws.
private func margin(_ share: Double, _ count: Int) -> Double {
    6 * (share * (1 - share) / Double(count)).squareRoot() + 1e-9
}

@Test(arguments: [(90.0, 10.0), (50, 50), (99, 0.1), (100, 20)], [UInt64(1000), 1_000_000])
func aHotspotGetsItsShare(percent: (requests: Double, keys: Double), keys: UInt64) {
    let distribution = KeyDistribution.hotspot(requests: percent.requests, keys: percent.keys)
    let sampler = KeySampler(distribution, keyCount: keys, connectionCount: 1)
    let hotCount = UInt64((Double(keys) * percent.keys / 100).rounded())
    let hot = Set((0..<hotCount).map { sampler.scattered(rank: $0) })
    let wanted = percent.requests / 100
    let seen = share(distribution, keys: keys, count: 200_000) { hot.contains($0) }
    #expect(abs(seen - wanted) <= margin(wanted, 200_000))
    // Alike within each part: the first half of the hot ranks gets half of their requests.
    let half = Set((0..<hotCount / 2).map { sampler.scattered(rank: $0) })
    let part = wanted * Double(hotCount / 2) / Double(max(hotCount, 1))
    let inHalf = share(distribution, keys: keys, count: 200_000) { half.contains($0) }
    #expect(abs(inHalf - part) <= margin(part, 200_000))
}

@Test(arguments: [1.0, 10, 25])
func gaussianKeysFormABell(deviation: Double) {
    let (keys, count) = (1_000_000.0, 200_000)
    let distribution = KeyDistribution.gaussian(deviation: deviation)
    let sigma = keys * deviation / 100
    // What the normal distribution has within k deviations of its mean, over what it has within
    // half of the keys (the rest is drawn again).
    let whole = normalShare(keys / 2 / sigma)
    for k in [0.5, 1, 1.5] {
        let wanted = normalShare(k) / whole
        let seen = share(distribution, keys: UInt64(keys), count: count) {
            abs(Double($0) + 0.5 - keys / 2) < k * sigma
        }
        #expect(abs(seen - wanted) <= margin(wanted, count) + 2 / sigma)
    }
    let below = share(distribution, keys: UInt64(keys), count: count) { Double($0) < keys / 2 }
    #expect(abs(below - 0.5) <= margin(0.5, count))
}

@Test func aScanWalksThroughAllKeysBesideAHotSet() {
    let distribution = KeyDistribution.scan(requests: 20, keys: 5)
    let sampler = KeySampler(distribution, keyCount: 10_000, connectionCount: 1)
    let hot = Set((0..<UInt64(500)).map { sampler.scattered(rank: $0) })
    let draws = draw(distribution, keys: 10_000, count: 60_000)
    // Of the walk, one in twenty steps on a hot key.
    let cold = draws.filter { !hot.contains($0) }
    let wanted = 0.2 * 0.95
    #expect(abs(Double(cold.count) / 60_000 - wanted) <= margin(wanted, 60_000))
    // It goes up in order, and comes round.
    let falls = zip(cold, cold.dropFirst()).filter { $0 >= $1 }.count
    #expect(falls == 1)
    #expect(Set(cold).count == 9500)
}

@Test func keysInOrderAreSharedOutWithoutOverlap() {
    var all: [UInt32] = []
    for connection in 0..<UInt64(7) {
        let count = 1000 / 7 + (connection < 1000 % 7 ? 1 : 0)
        all += draw(.sequential, keys: 1000, count: count, connection: connection, of: 7)
    }
    #expect(all.sorted() == (0..<1000).map { UInt32($0) })
}

@Test func distributionsAreReadAsWritten() throws {
    #expect(try KeyDistribution(parsing: "uniform") == .uniform)
    #expect(try KeyDistribution(parsing: "zipf") == .zipf(exponent: 0.99))
    #expect(try KeyDistribution(parsing: "zipf:1.2") == .zipf(exponent: 1.2))
    #expect(try KeyDistribution(parsing: "sequential") == .sequential)
    #expect(try KeyDistribution(parsing: "gaussian") == .gaussian(deviation: 10))
    #expect(try KeyDistribution(parsing: "gaussian:2.5") == .gaussian(deviation: 2.5))
    #expect(
        try KeyDistribution(parsing: "hotspot:90:10") == .hotspot(requests: 90, keys: 10))
    #expect(try KeyDistribution(parsing: "scan:20:5") == .scan(requests: 20, keys: 5))
    for text in ["zipf:1.5", "gaussian:2.5", "hotspot:90.0:10.0", "scan:20.0:5.0", "uniform"] {
        #expect(try KeyDistribution(parsing: text).description == text)
    }
    for text in [
        "", "zipf:", "zipf:0", "zipf:-1", "zipf:11", "zipf:nan", "zipf:1:1", "normal", ":",
        "uniform:1", "gaussian:0", "gaussian:101", "gaussian:x", "hotspot", "hotspot:90",
        "hotspot:0:10", "hotspot:90:101", "hotspot:nan:1", "scan:1", "scan:1:2:3",
    ] {
        #expect(throws: ArgumentFault.self) { try KeyDistribution(parsing: text) }
    }
}

@Test func mixesAreReadAsWritten() throws {
    #expect(try CommandMix(parsing: "get=90,set=10").description == "get=90,set=10")
    #expect(try CommandMix(parsing: "set").description == "set=1")
    #expect(try CommandMix(parsing: "get=1,set=0").description == "get=1")
    let all = "get=1,set=2,delete=3,touch=4,incr=5,decr=6,add=7,gat=8"
    #expect(try CommandMix(parsing: all).description == all)
    for text in ["", "get=", "get=x", "put=1", "get=1,get=2", "get=0", "get=1=2", "get=-1"] {
        #expect(throws: ArgumentFault.self) { try CommandMix(parsing: text) }
    }
}
