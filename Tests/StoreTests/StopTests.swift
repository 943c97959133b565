// StopTests: the last commit of a server that stops, made step by step over files in memory: no
// thread runs, and the only time is what the steps ask for.

import Primitives
import Store
import StoreSimulation
import Support
import Testing

/// A store whose threads step when they are told to.
private final class Stepped {
    let store: TieredStore
    let played: PlayedStore
    var door: Door
    var now: ClockReading

    init(_ home: MemoryHome, memoryBytes: Int, at now: ClockReading) throws {
        var configuration = StoreConfiguration(
            memoryBytes: memoryBytes, workers: 1, itemBytesMax: 1 << 20)
        configuration.disk = DiskConfiguration(
            directory: "memory", sizeBytes: 12 << 20, isAcknowledging: false,
            flushIntervalMilliseconds: 50)
        store = try TieredStore(
            configuration: configuration, events: EventLog(threshold: .error) { _, _ in },
            home: home, now: now.unixSeconds)
        played = try #require(try PlayedStore(store, at: now) { _ in })
        door = store.door(worker: 0)
        self.now = now
    }

    /// One step of each thread, and the time that the committer wants to pass, a millisecond at
    /// most.
    func step() -> NextStep {
        _ = played.stepMaintenance(at: now)
        _ = played.stepRecovery(at: now)
        let next = played.stepCommitter(at: now)
        switch next {
        case .nothing, .cut, .ended: pass(10_000)
        case .time(let time), .bell(let time):
            pass(min(time, now.nanoseconds + 1_000_000) - min(time, now.nanoseconds) + 1000)
        }
        turn {}
        return next
    }

    func pass(_ nanoseconds: UInt64) {
        now.nanoseconds += nanoseconds
        now.unixNanoseconds += nanoseconds
    }

    var isClosed = false
    func turn(_ body: () -> Void) {
        guard !isClosed else { return }
        door.beginTurn(now: now.unixSeconds)
        body()
        door.endTurn()
    }

    /// Stores values of 14 KB, some in a turn, with steps in between; answers how many.
    func fill(_ count: Int, from first: Int) -> Int {
        let value = [UInt8](repeating: 7, count: 14_000)
        var stored = 0
        for number in first..<first + count {
            let name = Array("key:\(number)".utf8)
            turn {
                let outcome = door.store(
                    .set, key: name.span, hash: door.hash(name.span), value: value.span, flags: 0,
                    expiry: 0, isExpired: false, cas: 0)
                if case .stored = outcome { stored += 1 }
            }
            if number % 8 == 0 { _ = step() }
        }
        return stored
    }

    /// Ends the store; answers the time that took, and whether everything is on disk.
    func stop() -> (nanoseconds: UInt64, isCommitted: Bool) {
        let began = now.nanoseconds
        door.close()
        isClosed = true
        played.stop(deadline: began + 4_500_000_000)
        var steps = 0
        while step() != .ended, steps < 100_000 { steps += 1 }
        return (now.nanoseconds - began, !played.isUncommitted)
    }
}

@Suite struct StopTests {
    /// What waits is as much as the whole file takes, and the file is full of what was there
    /// before, which has to leave first, and most of which recovery has not reached: the stop
    /// commits all that there is room for, long before its time is over.
    @Test(arguments: [1, 2, 3] as [UInt64]) func aStopWithAFullFileCommits(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        var now = ClockReading(
            nanoseconds: 1 << 40, unixNanoseconds: 1_700_000_000_000_000_000)
        home.revive()
        let first = try Stepped(home, memoryBytes: 16 << 20, at: now)
        #expect(first.fill(1000, from: 0) > 800)
        #expect(first.stop().isCommitted)
        first.played.discardMemory()

        home.revive()
        now = first.now
        let second = try Stepped(home, memoryBytes: 56 << 20, at: now)
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
