// ExpiryTests: seconds that come while nobody runs, and clocks that are set back afterwards, for
// values that expire and for a delayed flush_all. The clock is given.

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

    /// After some seconds.
    private func later(_ now: ClockReading, by seconds: UInt64) -> ClockReading {
        ClockReading(
            nanoseconds: now.nanoseconds + seconds * 1_000_000_000,
            unixNanoseconds: now.unixNanoseconds + seconds * 1_000_000_000)
    }

    private func next(
        _ store: Stepped, _ home: MemoryHome, isCrash: Bool, at now: ClockReading
    ) throws -> Stepped {
        if isCrash {
            home.die()
        } else {
            #expect(store.stop().isCommitted)
        }
        store.played.discardMemory()
        let next = try self.store(home, at: now)
        next.recover()
        return next
    }

    @Test(arguments: [false, true]) func whatExpiresWhileNobodyRunsIsGone(isCrash: Bool) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let start = Stepped.beginning
        var store = try self.store(home, at: start)
        let soon = start.unixSeconds + 100
        for number in 0..<200 {
            #expect(store.set("k\(number)", [1], isQuiet: false, expiry: soon))
        }
        #expect(store.set("stays", [1], isQuiet: false))
        // An older value of a key must not come back when its newest expires.
        #expect(store.set("twice", [1], isQuiet: false))
        #expect(store.commit())
        #expect(store.set("twice", [2], isQuiet: false, expiry: soon))
        #expect(store.commit())
        #expect(store.isThere("k0"))
        #expect(store.isThere("twice"))
        store = try next(store, home, isCrash: isCrash, at: later(store.now, by: 100))
        for _ in 0..<2 {
            for number in 0..<200 { #expect(!store.isThere("k\(number)")) }
            #expect(try store.value("stays", home) == [1])
            #expect(!store.isThere("twice"))
            #expect(store.commit())
            store = try next(store, home, isCrash: isCrash, at: store.now)
        }
        kill(store, home)
    }

    /// It was asked for before a restart, and comes due while nobody runs, or while somebody does.
    @Test(arguments: [false, true], [false, true])
    func aDelayedFlushOutlivesRestarts(isDueWhileDown: Bool, isCrash: Bool) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        var store = try self.store(home, at: Stepped.beginning)
        #expect(store.set("k", [1], isQuiet: false))
        let due = later(store.now, by: 100)
        store.flushAll(at: due.unixSeconds)
        #expect(store.commit())
        store = try next(store, home, isCrash: isCrash, at: later(store.now, by: 10))
        #expect(try store.value("k", home) == [1])
        if isDueWhileDown {
            store = try next(store, home, isCrash: isCrash, at: due)
        } else {
            store.now = due
        }
        #expect(try store.value("k", home) == nil)
        // What is set in that second stays.
        #expect(store.set("new", [2], isQuiet: false))
        for _ in 0..<2 {
            #expect(store.commit())
            store = try next(store, home, isCrash: isCrash, at: later(store.now, by: 10))
            #expect(try store.value("k", home) == nil)
            #expect(try store.value("new", home) == [2])
        }
        kill(store, home)
    }
}
