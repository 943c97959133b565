// ClockLeadTests: a run goes on with the time that the run before has had, however the system's
// clock was set meanwhile.

import Store
import StoreSimulation
import Testing

@Suite struct ClockLeadTests {
    @Test(arguments: [0, 1, -1, 3600, -3600, Int32.max, .min])
    func aWordTellsWhatWasPutIntoIt(seconds: Int32) {
        let lead = ClockLead(nanoseconds: Int64(seconds) * 1_000_000_000)
        #expect(lead.seconds == seconds)
        #expect(ClockLead(lead.word) == lead)
        for bit in 0..<64 { #expect(ClockLead(lead.word ^ 1 << bit) == nil, "bit \(bit)") }
    }

    @Test(
        arguments: [
            (1_499_999_999, 1), (1_500_000_000, 2), (-1_500_000_000, -2), (Int64.max, .max),
            (Int64.min, .min),
        ] as [(Int64, Int32)])
    func theNearestSecondIsTaken(nanoseconds: Int64, seconds: Int32) {
        #expect(ClockLead(nanoseconds: nanoseconds).seconds == seconds)
    }

    /// - Parameter step: by how much the clock is set, in seconds.
    @Test(arguments: [3600, -3600, 2, -2])
    func aStepReachesTheNextRun(step: Int64) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try store(home, at: Stepped.beginning)
        #expect(first.commit())
        #expect(first.store.secondsAhead == 0)
        // Nothing else is changed: that alone is worth a commit.
        first.now.nanosecondsAhead -= step * 1_000_000_000
        let begun = first.played.commits.begun
        for _ in 0..<1000 where first.played.commits.completed <= begun { first.step() }
        #expect(first.played.commits.completed > begun)
        first.played.discardMemory()
        home.die()
        let second = try store(home, at: first.now)
        #expect(second.store.secondsAhead == Int32(-step))
        // It goes on with that: there is nothing to write.
        let settled = second.played.commits.begun
        for _ in 0..<1000 { second.step() }
        #expect(second.played.commits.begun == settled)
        // And back.
        second.now.nanosecondsAhead = 0
        #expect(second.commit())
        second.played.discardMemory()
        home.die()
        let third = try store(home, at: second.now)
        #expect(third.store.secondsAhead == 0)
        third.played.discardMemory()
        home.die()
    }

    /// What a clock that is kept right moves by is not written.
    @Test func aSlowStepCostsNothing() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try store(home, at: Stepped.beginning)
        #expect(store.commit())
        for _ in 0..<1000 { store.step() }
        let begun = store.played.commits.begun
        store.now.nanosecondsAhead = 900_000_000
        for _ in 0..<1000 { store.step() }
        #expect(store.played.commits.begun == begun)
        store.played.discardMemory()
        home.die()
    }

    private func store(_ home: MemoryHome, at now: ClockReading) throws -> Stepped {
        try Stepped(home, memoryBytes: 8 << 20, sizeBytes: 32 << 20, at: now)
    }
}
