// OrdersTests: what was given out once is never given out again: orders, which CAS numbers are
// made of, over starts after which nothing but the orders file could be written.

import Primitives
import Store
import StoreSimulation
import Testing

@Suite struct OrdersTests {
    private func store(
        _ home: MemoryHome, secondsBack: UInt64 = 0, ordersAhead: UInt64 = 1 << 28
    ) throws -> Stepped {
        var now = Stepped.beginning
        now.unixNanoseconds -= secondsBack * 1_000_000_000
        return try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 12 << 20, at: now, ordersAhead: ordersAhead)
    }

    private func die(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    private func full() -> FaultPlan {
        var plan = FaultPlan()
        plan.isFull = true
        return plan
    }

    /// A store that was used once, as any release leaves it.
    private func used(
        _ seed: UInt64, hasBlocks: Bool = true, ordersAhead: UInt64 = 1 << 28
    ) throws -> MemoryHome {
        let home = MemoryHome(seed: seed, ballast: 0)
        home.refusesBlocks = !hasBlocks
        let first = try store(home, ordersAhead: ordersAhead)
        #expect(first.set("k", [1], isQuiet: true))
        #expect(first.stop().isCommitted)
        first.played.discardMemory()
        home.refusesBlocks = false
        #expect((home.blocks != nil) == hasBlocks)
        return home
    }

    /// The disk is full before the first commit, and the clock is set back at each start.
    @Test func nothingIsGivenOutTwiceWhereTheDiskWasFullFromTheFirstStartOn() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        home.plan.fullAfter = 1
        var highest: UInt64 = 0
        for life in 0..<6 as Range<UInt64> {
            let store = try store(home, secondsBack: [0, 0, 1, 50, 50, 3000][Int(life)])
            for number in 0..<20 {
                #expect(store.set("k\(number)", [1], isQuiet: true))
                let cas = try #require(store.cas("k\(number)"))
                #expect(cas >> 16 > highest >> 16 || number > 0, "life \(life)")
                highest = max(highest, cas)
            }
            for _ in 0..<200 { store.step() }
            die(store, home)
        }
    }

    /// A store that is there cannot be opened, for want of room beside it: this run serves from
    /// memory, and what it gives out is above what the file beside the store says, though the time
    /// is not. The file stays when the store is moved aside.
    @Test func memoryAloneGivesOutWhatNoRunHasGivenOut() throws {
        let home = MemoryHome(seed: 9, ballast: 0)
        let first = try store(home, ordersAhead: 1 << 36)
        #expect(first.set("k", [1], isQuiet: true))
        #expect(first.stop().isCommitted)
        first.played.discardMemory()
        // Far above the time: the reservation of the run before was not used up.
        var highest: UInt64 = 0
        for _ in 0..<3 {
            let store = try store(home, secondsBack: 1_000_000, ordersAhead: 1 << 36)
            #expect(store.set("k", [2], isQuiet: true))
            highest = try #require(store.cas("k"))
            #expect(store.stop().isCommitted)
            store.played.discardMemory()
        }
        home.refusesOpening = true
        home.revive()
        var configuration = StoreConfiguration(
            memoryBytes: 12 << 20, workers: 1, itemBytesMax: 1 << 20)
        configuration.disk = DiskConfiguration(directory: "memory", sizeBytes: 12 << 20)
        let lines = Lines()
        let alone = try TieredStore(
            configuration: configuration, events: lines.events, home: home,
            now: UInt32(Stepped.beginning.unixNanoseconds / 1_000_000_000) - 1_000_000)
        #expect(lines.contains("store.without_space"))
        let client = Client(alone, now: World.unixNow)
        #expect(client.store(.set, text("k"), [3]) == .stored)
        let cas = try #require(client.get(text("k"))?.cas)
        #expect(cas >> 16 > highest >> 16)
        client.close()
        #expect(home.movedAside == 1)
        home.refusesOpening = false
        let last = try store(home, secondsBack: 1_000_000, ordersAhead: 1 << 36)
        #expect(last.set("k", [4], isQuiet: true))
        #expect(try #require(last.cas("k")) >> 16 > highest >> 16)
        last.played.discardMemory()
    }

    /// A power cut in the middle of a write: whatever is left of that block, the other has what
    /// was given out.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func aTornBlockCostsNothing(seed: UInt64) throws {
        let home = try used(seed)
        home.plan = full()
        var highest: UInt64 = 0
        for life in 0..<4 {
            // In the last but one the process may die at any call, at the start too.
            home.plan.crashes = life == 2 ? 60 : 0
            let started = try? store(home, secondsBack: UInt64(life), ordersAhead: 4)
            #expect(started != nil || life == 2)
            guard let store = started else { continue }
            for number in 0..<40 where !home.isDead {
                home.plan.blockFails = life == 1 ? 500 : 0
                guard store.set("k", [1], isQuiet: number % 2 == 0),
                    let cas = store.cas("k"), !home.isDead
                else {
                    store.step()
                    continue
                }
                #expect(cas >> 16 > highest >> 16)
                highest = cas
                store.step()
            }
            die(store, home)
        }
        #expect(highest > 0)
    }

    /// Neither a commit nor the file can be written: nothing is given out until one can.
    @Test func changesAreRefusedUntilTheReservationCanBeWritten() throws {
        let home = try used(2)
        home.plan = full()
        home.plan.blockFails = 1000
        let store = try store(home)
        for number in 0..<100 {
            #expect(!store.set("k", [UInt8(number)], isQuiet: true))
            store.step()
        }
        home.plan.blockFails = 0
        var steps = 0
        while !store.set("k", [2], isQuiet: true), steps < 20_000 {
            store.step()
            steps += 1
        }
        #expect(store.isThere("k"))
        die(store, home)
    }

    /// A start cannot read the file, and what an earlier run gave out is nowhere else.
    @Test(arguments: [false, true]) func whatCannotBeReadIsLeftFarBehind(
        isDamaged: Bool
    ) throws {
        let home = try used(7)
        home.plan = full()
        let store = try store(home)
        #expect(store.set("k", [1], isQuiet: true))
        let before = try #require(store.cas("k"))
        die(store, home)
        home.plan = FaultPlan()
        if isDamaged {
            home.blocks = home.blocks?.map { $0.map { $0 ^ 1 } }
        } else {
            home.plan.blockFails = 1000
        }
        let next = try self.store(home, secondsBack: 1000)
        var steps = 0
        while !next.set("k", [1], isQuiet: true), steps < 20_000 {
            next.step()
            steps += 1
        }
        #expect(try #require(next.cas("k")) >> 16 > before >> 16)
        die(next, home)
    }

    /// Start after start that cannot read the file, though it can be written, while no commit
    /// succeeds and the clock is set back: nothing is given out until one does.
    @Test func whatCannotBeReadGivesNothingOutBeforeACommit() throws {
        let home = try used(8)
        home.plan = full()
        var highest: UInt64 = 0
        for life in 0..<8 {
            let isFull = life % 4 != 3
            home.plan = isFull ? full() : FaultPlan()
            if life > 0 {
                home.blocks = home.blocks?.map { [UInt8](repeating: 1, count: $0.count) }
            }
            let store = try store(home, secondsBack: UInt64(life) * 1000, ordersAhead: 1 << 20)
            var stored = 0
            for number in 0..<2000 {
                store.step()
                guard store.set("k", [UInt8(number & 255)], isQuiet: true) else { continue }
                stored += 1
                let cas = try #require(store.cas("k"))
                #expect(cas >> 16 > highest >> 16, "life \(life)")
                highest = cas
            }
            #expect((stored > 0) == (life == 0 || !isFull), "life \(life)")
            die(store, home)
        }
    }

    /// A server that wrote little comes back after a year, and the disk is full.
    @Test func nothingIsRefusedAfterALongTime() throws {
        let home = try used(10)
        home.plan = full()
        var now = Stepped.beginning
        now.unixNanoseconds += 365 * 86_400 * 1_000_000_000
        let store = try Stepped(home, memoryBytes: 12 << 20, sizeBytes: 12 << 20, at: now)
        #expect(store.set("k", [1], isQuiet: true))
        die(store, home)
    }

    /// Neither the file nor the data file can be read: the run has memory alone, and works.
    @Test func aRunWithoutItsDiskRefusesNothing() throws {
        let home = try used(9)
        home.blocks = home.blocks?.map { $0.map { $0 ^ 1 } }
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 12 << 20, at: Stepped.beginning,
            onceOpen: { home.plan.readFails = 1000 })
        #expect(store.store.statistics().isDiskFailing == 1)
        for number in 0..<100 {
            #expect(store.set("k", [UInt8(number)], isQuiet: true))
            // Who wants it on the disk is told at once that it will not be there.
            let barrier = store.quiet.barrier()
            store.step()
            let news = store.quiet.news()
            #expect(news.commits < barrier && news.failedCommits >= barrier)
        }
        die(store, home)
    }

    /// Numbers that nobody wrote, in blocks whose checksums are right, or in the metadata.
    @Test(arguments: 3..<8 as Range<UInt64>) func noNumberOnTheDiskIsTooHigh(
        number: UInt64
    ) throws {
        let home = try used(11)
        if number < 7 {
            home.damage(meta: number)
        } else {
            var block = [UInt8]("brimords".utf8) + [UInt8](repeating: 0xFF, count: 16)
            let sum = CRC32C.of(block.span)
            block += (0..<8).map { UInt8(truncatingIfNeeded: UInt64(sum) >> (8 * $0)) }
            block += [UInt8](repeating: 0, count: 4096 - block.count)
            home.blocks = [block, block]
        }
        let store = try store(home)
        for _ in 0..<50 { store.step() }
        #expect(store.set("j", [1], isQuiet: true))
        #expect(store.stop().isCommitted)
        store.played.discardMemory()
        let next = try self.store(home)
        for _ in 0..<50 { next.step() }
        #expect(next.set("j", [2], isQuiet: true))
        #expect(next.isThere("j"))
        die(next, home)
    }

    /// The file cannot be written, and commits can.
    @Test func aCommitReservesOrdersToo() throws {
        let home = try used(3)
        home.plan.blockFails = 1000
        let store = try store(home, ordersAhead: 16)
        var stored = 0
        for number in 0..<300 {
            if store.set("k", [UInt8(number & 255)], isQuiet: true) { stored += 1 }
            for _ in 0..<4 { store.step() }
        }
        #expect(stored > 250)
        die(store, home)
    }

    /// Renewed well before it is used up, by the committer's steps, also while commits fail.
    @Test func nobodyWaitsForAReservation() throws {
        let home = try used(4)
        home.plan = full()
        let store = try store(home, ordersAhead: 16)
        for number in 0..<2000 {
            #expect(store.set("k", [UInt8(number & 255)], isQuiet: true))
            #expect(store.played.highestOrder <= home.reservedOrders)
            store.step()
        }
        die(store, home)
    }

    /// A store of an earlier release: the file is made at the first start, or, if the disk is full
    /// then, as soon as it is not; until then changes are not refused for that.
    @Test func anEarlierReleasesStoreGetsTheFile() throws {
        let home = try used(5, hasBlocks: false)
        home.plan = full()
        let store = try store(home)
        #expect(store.set("a", [1], isQuiet: true))
        #expect(!store.played.areOrdersReserved)
        home.plan = FaultPlan()
        var steps = 0
        while home.blocks == nil, steps < 20_000 {
            store.step()
            steps += 1
        }
        #expect(home.blocks != nil)
        #expect(store.played.areOrdersReserved)
        #expect(store.played.highestOrder < home.reservedOrders)
        die(store, home)
    }

    /// Starts with no orders file and no room for one, soon after a run that has reserved more
    /// than the clock stands for yet: only the time keeps them apart, whatever lies between them.
    @Test func startsThatCanReserveNothingAreKeptApart() throws {
        let home = try used(12, hasBlocks: false)
        home.plan = full()
        var given: Set<UInt64> = []
        for life in 0..<40 as Range<UInt64> {
            var now = Stepped.beginning
            // Where half of what is reserved at a time goes into the time's orders twice and more.
            now.unixNanoseconds += 1_000_000_000 + life * 51_228_150_000
            let store = try Stepped(home, memoryBytes: 12 << 20, sizeBytes: 12 << 20, at: now)
            for number in 0..<40 as Range<UInt8> {
                #expect(store.set("k", [number], isQuiet: true))
                let cas = try #require(store.cas("k"))
                #expect(given.insert(cas >> 16).inserted, "life \(life)")
            }
            #expect(!store.played.areOrdersReserved)
            die(store, home)
        }
    }

    /// The first commit of a run finds the map full, and only the metadata reserve orders: what
    /// makes way for it leaves them as they are, as the process may die before the next commit.
    @Test func aFullMapLeavesTheReservation() throws {
        let home = MemoryHome(seed: 13, ballast: 0)
        home.refusesBlocks = true
        let first = try store(home)
        first.fill(400, from: 0)
        #expect(first.commit())
        die(first, home)
        let reserved = home.reservedOrders
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 12 << 20, at: first.now,
            onceOpen: { home.plan.fullMaps = 1 })
        #expect(home.plan.fullMaps == 0)
        // By now it is known what can leave.
        store.recover()
        home.plan.fullMaps = 1
        for _ in 0..<1000 {
            store.step()
            #expect(home.reservedOrders >= reserved)
        }
        #expect(home.plan.fullMaps == 0)
        #expect(store.store.statistics().fullMaps == 1)
        #expect(home.reservedOrders >= store.played.highestOrder)
        die(store, home)
    }

    /// The files are moved aside, and the orders file stays.
    @Test func orderRisesOverAStoreThatIsMovedAside() throws {
        let home = try used(6)
        let store = try store(home)
        #expect(store.set("k", [1], isQuiet: true))
        let before = try #require(store.cas("k"))
        die(store, home)
        home.revive()
        #expect(try home.moveAside(at: 0) != nil)
        let next = try self.store(home, secondsBack: 1000)
        #expect(next.set("k", [1], isQuiet: true))
        #expect(try #require(next.cas("k")) >> 16 > before >> 16)
        die(next, home)
    }

    /// The file could not be written, and commits alone have reserved; then the store is moved
    /// aside, and its metadata with it.
    private func reservedByCommits(_ seed: UInt64) throws -> (MemoryHome, highest: UInt64) {
        let home = try used(seed, ordersAhead: 16)
        home.plan.blockFails = 1000
        let store = try store(home, ordersAhead: 16)
        var highest: UInt64 = 0
        for number in 0..<300 {
            if store.set("k", [UInt8(number & 255)], isQuiet: true) {
                highest = try #require(store.cas("k"))
            }
            for _ in 0..<4 { store.step() }
        }
        #expect(store.commit())
        die(store, home)
        return (home, highest)
    }

    /// The run that cannot read the store goes on in memory alone. It cannot write the file at
    /// first either, and dies.
    @Test func theFileTellsWhatAStoreThatCouldNotBeReadHadReserved() throws {
        let (home, before) = try reservedByCommits(11)
        home.revive()
        let alone = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 12 << 20, at: Stepped.beginning,
            ordersAhead: 16, onceOpen: { home.plan.readFails = 1000 })
        home.plan.readFails = 0
        #expect(home.movedAside == 1)
        #expect(alone.set("k", [1], isQuiet: true))
        let highest = try #require(alone.cas("k"))
        #expect(highest >> 16 > before >> 16)
        home.plan.blockFails = 0
        for _ in 0..<1000 { alone.step() }
        die(alone, home)
        let next = try store(home)
        #expect(next.set("k", [1], isQuiet: true))
        #expect(try #require(next.cas("k")) >> 16 > highest >> 16)
        die(next, home)
    }

    /// The store cannot be opened: damaged (a new one is begun), or for want of room (this run has
    /// no disk at all).
    @Test(arguments: [false, true])
    func ordersRiseFarAboveAStoreThatCouldNotBeOpened(isFull: Bool) throws {
        let (home, before) = try reservedByCommits(12)
        home.revive()
        if isFull {
            home.plan.blockFails = 0
            home.refusesOpening = true
            var configuration = StoreConfiguration(
                memoryBytes: 12 << 20, workers: 1, itemBytesMax: 1 << 20)
            configuration.disk = DiskConfiguration(directory: "memory", sizeBytes: 12 << 20)
            let lines = Lines()
            _ = try TieredStore(
                configuration: configuration, events: lines.events, home: home,
                now: UInt32(Stepped.beginning.unixNanoseconds / 1_000_000_000))
            #expect(lines.contains("store.without_space"))
            home.refusesOpening = false
        } else {
            home.damage(meta: 1)
        }
        let next = try store(home)
        #expect(home.movedAside == 1)
        #expect(next.set("k", [1], isQuiet: true))
        #expect(try #require(next.cas("k")) >> 16 > before >> 16)
        die(next, home)
    }
}
