// ExpiryTests: what becomes of a value that has expired where the clock is set back afterwards.

import Store
import StoreSimulation
import Testing

@Suite struct ExpiryTests {
    private let memoryBytes = 24 << 20
    private let sizeBytes = 24 << 20

    private func kill(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    private func store(_ home: MemoryHome, at now: ClockReading) throws -> Stepped {
        try Stepped(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: now)
    }

    /// Who met an expired value.
    enum TakenBack: CaseIterable { case get, crawl, crawlWhileRecovering, recovery }

    /// A value has expired, and nothing in memory knows of it any more, when its key is deleted; at
    /// the next start the clock is set back.
    @Test(arguments: TakenBack.allCases)
    func anExpiredValueIsDeletedAndTheClockIsSetBack(by taken: TakenBack) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let start = Stepped.beginning
        let first = try store(home, at: start)
        // Something of an earlier run, so that the next one has a recovery.
        first.fill(20, from: 0)
        #expect(first.commit())
        var store = first
        if taken == .crawlWhileRecovering {
            kill(first, home)
            store = try self.store(home, at: first.now)
            store.recovers = false
        }
        #expect(store.set("k", [1], isQuiet: false, expiry: start.unixSeconds + 100))
        store.fill(20, from: 100)
        #expect(store.commit())
        var later = store.now
        later.nanoseconds += 1_000_000_000_000
        later.unixNanoseconds += 1_000_000_000_000
        switch taken {
        case .get:
            store.now = later
            #expect(!store.isThere("k"))
        case .crawl, .crawlWhileRecovering:
            store.now = later
            for _ in 0..<100 { _ = store.played.stepMaintenance(at: store.now) }
            #expect(!store.isKnown("k") || taken == .crawlWhileRecovering)
            store.recover()
        case .recovery:
            kill(store, home)
            store = try self.store(home, at: later)
            store.recover()
        }
        #expect(!store.isKnown("k"))
        #expect(store.delete("k", isQuiet: false))
        #expect(store.commit())
        kill(store, home)
        var back = store.now
        back.unixNanoseconds = start.unixNanoseconds + 1_000_000_000
        let last = try self.store(home, at: back)
        last.recover()
        #expect(!last.isThere("k"))
        kill(last, home)
    }
}
