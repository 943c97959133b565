// WholeSimulationTests: the whole server, played from seeds: see `WholeSimulation`.
//
// The same seeds each time, and one more that PLAY_SEED names (`make test` takes it from the
// commit). `make simulate` plays for as long as one likes.

import Glibc
import Testing
import WholeSimulation

@Suite struct WholeSimulationTests {
    #if DEBUG
        static let seedsPerGroup = 2
    #else
        static let seedsPerGroup = 8
    #endif

    /// Every answer over the wire is one that some order of all requests gives, over crashes,
    /// power cuts, restarts with other flags, damage, and a disk and a network that fail;
    /// every request is answered or its connection closed, and every hold comes back.
    @Test(arguments: 0..<4) func theLawHoldsInEveryLife(group: Int) throws {
        var sum = WholeResult()
        for number in 0..<Self.seedsPerGroup {
            let seed = UInt64(1 + group * Self.seedsPerGroup + number)
            let result = try WholePlayer.play(seed: seed)
            #expect(result.fault == nil, "seed \(seed), act \(result.act)")
            sum.lives += result.lives
            sum.operations += result.operations
            sum.hits += result.hits
            sum.hitsWhileRecovering += result.hitsWhileRecovering
            sum.diskReads += result.diskReads
            sum.binaryOperations += result.binaryOperations
            sum.powerCuts += result.powerCuts
            sum.damages += result.damages
            sum.wins += result.wins
        }
        let seeds = Self.seedsPerGroup
        #expect(sum.lives > 2 * seeds && sum.operations > 1500 * seeds, "\(sum)")
        #expect(sum.hits > 300 * seeds && sum.hitsWhileRecovering > 10 * seeds, "\(sum)")
        #expect(sum.diskReadsPerLife > 2, "\(sum)")
        #expect(sum.wins > 20 * seeds, "\(sum)")
        #expect(sum.binaryOperations > 50 * seeds && sum.powerCuts > seeds / 2, "\(sum)")
    }

    @Test func theLawHoldsForTheSeedOfTheCommit() throws {
        let seed = getenv("PLAY_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1_000_003
        let result = try WholePlayer.play(seed: seed)
        #expect(result.fault == nil, "seed \(seed), act \(result.act)")
        #expect(result.operations > 100)
    }

    @Test func aSeedPlaysTheSameEachTime() throws {
        func history(_ seed: UInt64) throws -> [String] {
            var lines: [String] = []
            _ = try WholePlayer.play(seed: seed) { lines.append($0) }
            return lines
        }
        let first = try history(3)
        let isSame = try history(3) == first
        #expect(isSame)
        #expect(first.count > 500)
    }
}
