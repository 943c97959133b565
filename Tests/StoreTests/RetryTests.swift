// RetryTests: a commit that has failed is made again as soon as it may be, however long the
// interval between commits is: with `ack` everybody waits for it.

import Store
import StoreSimulation
import Testing

@Suite struct RetryTests {
    /// The sync is refused once, or no page is free once.
    @Test(arguments: [false, true]) func whoWaitsForACommitDoesNotWaitForTheInterval(
        isFull: Bool
    ) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let stepped = try Stepped(
            home, memoryBytes: 16 << 20, sizeBytes: 64 << 20, at: Stepped.beginning,
            commitMilliseconds: 60_000)
        #expect(stepped.set("a", [1], isQuiet: true))
        let first = stepped.quiet.barrier()
        #expect(waits(stepped) { stepped.played.commits.completed >= first })
        if isFull { home.plan.fullMaps = 1 } else { home.plan.syncFails = 1000 }
        #expect(stepped.set("a", [2], isQuiet: true))
        let failing = stepped.quiet.barrier()
        #expect(
            waits(stepped) {
                stepped.store.statistics().failedCommits > 0
                    || stepped.played.commits.completed >= failing
            })
        home.plan = FaultPlan()
        #expect(stepped.set("a", [3], isQuiet: true))
        let last = stepped.quiet.barrier()
        let began = stepped.now.nanoseconds
        // A step of the committer is made each millisecond here: what counts is when it would be.
        var longest: UInt64 = 0
        for _ in 0..<2000 where stepped.played.commits.completed < last {
            let now = stepped.now.nanoseconds
            guard case .bell(let time) = stepped.step() else { continue }
            longest = max(longest, max(time, now) - now)
        }
        #expect(stepped.played.commits.completed >= last)
        #expect(stepped.now.nanoseconds - began < 1_000_000_000 && longest < 1_000_000_000)
    }

    /// Nobody waits for it, but a crash would cost an interval more than it should.
    @Test(arguments: [false, true]) func whatACommitWasForDoesNotWaitForTheNextInterval(
        isFull: Bool
    ) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let stepped = try Stepped(
            home, memoryBytes: 16 << 20, sizeBytes: 64 << 20, at: Stepped.beginning,
            commitMilliseconds: 3000)
        #expect(stepped.commit())
        if isFull { home.plan.fullMaps = 1 } else { home.plan.syncFails = 1000 }
        #expect(stepped.set("a", [2], isQuiet: true))
        let (begun, completed) = stepped.played.commits
        #expect(waits(stepped) { stepped.played.commits.begun > begun })
        #expect(
            waits(stepped) {
                stepped.store.statistics().failedCommits > 0
                    || stepped.played.commits.completed > completed
            })
        home.plan = FaultPlan()
        let failed = stepped.now.nanoseconds
        #expect(waits(stepped) { stepped.played.commits.completed > completed })
        #expect(stepped.now.nanoseconds - failed < 1_000_000_000)
    }

    /// Steps until `condition` holds, four seconds at most.
    private func waits(_ stepped: Stepped, for condition: () -> Bool) -> Bool {
        for _ in 0..<4000 {
            if condition() { return true }
            stepped.step()
        }
        return condition()
    }
}
