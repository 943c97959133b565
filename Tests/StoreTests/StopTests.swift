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
}
