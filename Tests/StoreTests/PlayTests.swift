// PlayTests: the durable half of the server, played from seeds: see `StoreSimulation`.
//
// The same seeds each time, and one more that PLAY_SEED names (`make test` takes it from the
// commit). `make simulate` plays for as long as one likes.

import Glibc
import StoreSimulation
import Support
import Testing

@Suite struct PlayTests {
    #if DEBUG
        static let seedsPerGroup = 4
    #else
        static let seedsPerGroup = 25
    #endif

    /// Every answer is the newest state or a miss, over crashes, restarts with other flags, and a
    /// disk that fails; every wait ends, and every hold comes back.
    @Test(arguments: 0..<8) func theLawHoldsInEveryLife(group: Int) throws {
        var lives = 0
        var hits = 0
        for number in 0..<Self.seedsPerGroup {
            let seed = UInt64(1 + group * Self.seedsPerGroup + number)
            let result = try Player.play(seed: seed)
            #expect(result.fault == nil, "seed \(seed), act \(result.act)")
            lives += result.lives
            hits += result.hits
        }
        #expect(lives > Self.seedsPerGroup)
        #expect(hits > 100 * Self.seedsPerGroup)
    }

    @Test func theLawHoldsForTheSeedOfTheCommit() throws {
        let seed = getenv("PLAY_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1_000_003
        let result = try Player.play(seed: seed)
        #expect(result.fault == nil, "seed \(seed), act \(result.act)")
    }

    /// Recovery could not compare a record, because a read failed, and refused it; an older one of
    /// the same key then took the place of a still older one, and answered. And a stop with a full
    /// file waited too often for too long. These seeds found it.
    @Test(arguments: [17, 72, 172] as [UInt64]) func whatWasFoundStaysMended(
        seed: UInt64
    ) throws {
        #expect(try Player.play(seed: seed).fault == nil)
    }

    @Test func aSeedPlaysTheSameEachTime() throws {
        func history(_ seed: UInt64) throws -> [String] {
            var lines: [String] = []
            _ = try Player.play(seed: seed) { lines.append($0) }
            return lines
        }
        for seed in [3, 12] as [UInt64] {
            let first = try history(seed)
            let isSame = try history(seed) == first
            #expect(isSame, "seed \(seed)")
            #expect(first.count > 500)
        }
    }

    private struct Outcome: PlayOutcome {
        var fault: String?
        var act = 0
    }

    /// A failing history loses every act that it does not need, in few replays; and none when no
    /// replay is left.
    @Test func aHistoryIsShortenedToWhatFails() {
        let needed = [17, 99, 180]
        var replays = 0
        func play(_ acts: [Int]) -> Outcome {
            replays += 1
            guard needed.allSatisfy(acts.contains), let act = acts.firstIndex(of: 180) else {
                return Outcome(act: max(acts.count - 1, 0))
            }
            return Outcome(fault: "found", act: act)
        }
        let all = Array(0..<250)
        let found = play(all)
        replays = 0
        let short = Shortening.shorten(all, found, replaysMax: 200, play)
        #expect(short.acts == needed && short.outcome.act == 2)
        #expect(replays < 60)
        replays = 0
        #expect(Shortening.shorten(all, found, replaysMax: 3, play).acts.contains(17))
        #expect(replays == 3)
        let none = Shortening.shorten(all, found, replaysMax: 3, until: { true }, play)
        #expect(none.acts == Array(0...180))
    }
}
