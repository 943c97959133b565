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
    for text in ["", "zipf:", "zipf:0", "zipf:-1", "zipf:11", "zipf:nan", "normal"] {
        #expect(throws: ArgumentFault.self) { try KeyDistribution(parsing: text) }
    }
}

@Test func mixesAreReadAsWritten() throws {
    #expect(try CommandMix(parsing: "get=90,set=10").description == "get=90,set=10")
    #expect(try CommandMix(parsing: "set").description == "set=1")
    #expect(try CommandMix(parsing: "get=1,set=0").description == "get=1")
    for text in ["", "get=", "get=x", "put=1", "get=1,get=2", "get=0", "get=1=2", "get=-1"] {
        #expect(throws: ArgumentFault.self) { try CommandMix(parsing: text) }
    }
}
