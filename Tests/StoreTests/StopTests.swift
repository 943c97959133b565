// StopTests: the last commit of a server that stops, made step by step over files in memory: no
// thread runs, and the only time is what the steps ask for.

import StoreSimulation
import Testing

@Suite struct StopTests {
    /// What waits is as much as the whole file takes, and the file is full of what was there
    /// before, which has to leave first: the stop commits all that there is room for, long before
    /// its time is over.
    @Test(arguments: [1, 2, 3] as [UInt64]) func aStopWithAFullFileCommits(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let first = try Stepped(
            home, memoryBytes: 16 << 20, sizeBytes: 12 << 20, at: Stepped.beginning)
        #expect(first.fill(1000, from: 0) > 800)
        #expect(first.stop().isCommitted)
        first.played.discardMemory()

        let second = try Stepped(
            home, memoryBytes: 56 << 20, sizeBytes: 12 << 20, at: first.now)
        home.plan.isFull = true
        #expect(second.fill(700, from: 1000) == 700)
        home.plan.isFull = false
        let (nanoseconds, isCommitted) = second.stop()
        #expect(isCommitted)
        // Of the 4.5 s that there are.
        #expect(nanoseconds < 400_000_000)
        second.played.discardMemory()
    }

    /// Memory holds several times what the file takes, and all of it waits: commits write as much
    /// as there is room for, and what they wrote makes room for the rest. None of them fails, so
    /// nothing is given up, and each is counted as complete when its own part is on disk, whatever
    /// comes meanwhile.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func moreThanTheFileTakesIsWrittenWithoutAFailure(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 56 << 20, sizeBytes: 12 << 20, at: Stepped.beginning)
        #expect(store.commit())
        let value = [UInt8](repeating: 7, count: 14_000)
        var number = 0
        var rounds: [Int] = []
        for _ in 0..<4 {
            // As many as memory takes before a commit has made one of its steps.
            while store.set("key:\(number)", value, isQuiet: false) { number += 1 }
            let begun = store.played.commits.begun
            var steps = 0
            while store.played.commits.completed <= begun, steps < 10_000 {
                store.step()
                #expect(store.played.checkCommitter() == nil)
                // A flood that takes each frame as soon as it is free.
                while store.set("key:\(number)", value, isQuiet: false) { number += 1 }
                steps += 1
            }
            rounds.append(steps)
        }
        let statistics = store.store.statistics()
        #expect(statistics.failedCommits == 0)
        #expect(statistics.fullMaps == 0)
        #expect(statistics.segmentsGivenUp == 0)
        #expect(number * 14_000 > 4 * 40 << 20, "memory was filled anew each time")
        #expect(rounds.allSatisfy { $0 < 1000 }, "\(rounds)")
        #expect(store.stop().isCommitted)
        store.played.discardMemory()
    }
}
