// YardstickTests: the memory tier against an exact LRU of the same memory, on the real code.
//
// The counts come out the same each time, so the limits are tight: what fails here is eviction
// that has become worse. `brim-yardstick` prints the long version, docs/eviction.md shows it.

import Testing
import Yardstick

@Suite(.serialized) struct YardstickTests {
    func verdict(_ name: String, _ sharePercent: Int) throws -> Verdict {
        let workload = try #require(Workload.all.first { $0.name == name })
        let trial = Trial(
            workload, memoryBytes: 8 << 20, sharePercent: sharePercent, rounds: 16)
        return try trial.run()
    }

    /// What a load may miss of what the LRU misses.
    static let limits: [(load: String, sharePercent: Int, ratioMax: Double)] = [
        ("zipf 0.9", 20, 0.97),
        ("zipf 0.7, a fifth once", 5, 0.97),
        ("zipf 0.9 and scans", 20, 0.97),
        ("news, zipf 0.9", 20, 0.98),
        ("hot set and scan", 20, 0.9),
        ("zipf 0.9, half sets", 20, 0.97),
        ("zipf 0.9, mixed, half sets", 20, 0.97),
        ("zipf 0.9, sizes by set", 20, 1.03),
        ("zipf 0.9, expiring", 20, 1.04),
        // Once more each key of the loop: its ghost must be met before it stays.
        ("loop after others", 20, 1.2),
    ]

    @Test(arguments: limits.indices) func missesAreFewerThanAnExactLRUs(number: Int) throws {
        let limit = Self.limits[number]
        let verdict = try verdict(limit.load, limit.sharePercent)
        #expect(verdict.gets > 50_000)
        #expect(verdict.strictMisses > 10_000)
        #expect(
            verdict.ratio <= limit.ratioMax,
            "\(limit.load): \(verdict.brimMisses) of the LRU's \(verdict.strictMisses)")
    }

    @Test func equalTrialsCountEqually() throws {
        let workload = Workload(
            "changing", .zipf(0.9), sizes: .mixedAndChanging, setPercent: 50, expires: true)
        let trial = Trial(workload, memoryBytes: 4 << 20, sharePercent: 20, workers: 2, rounds: 6)
        let one = try trial.run()
        let other = try trial.run()
        #expect(one.brimMisses == other.brimMisses)
        #expect(one.strictMisses == other.strictMisses)
    }

    @Test func manyWorkersMissAsLittleAsOne() throws {
        var trial = Trial(
            Workload("zipf 0.9", .zipf(0.9)), memoryBytes: 16 << 20, sharePercent: 20, rounds: 8)
        let alone = try trial.run()
        trial.workers = 4
        let together = try trial.run()
        #expect(together.ratio <= alone.ratio + 0.03)
    }
}
