// LostNumbersTests: what tells how many orders were given out is damaged, in one place or in all:
// what is newer by the clock of the clients is newer in the store.

import Primitives
import Store
import StoreSimulation
import Testing

@Suite struct LostNumbersTests {
    private let memoryBytes = 24 << 20
    private let sizeBytes = 24 << 20

    /// A store whose recovery waits.
    private func start(
        _ home: MemoryHome, at now: ClockReading = Stepped.beginning
    ) throws -> Stepped {
        let store = try Stepped(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: now)
        store.recovers = false
        return store
    }

    private func kill(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    /// Nothing tells how many orders were given out, and records have higher ones than this start
    /// begins with: what changes while recovery goes on holds, then and at the next start.
    @Test func nothingOlderWinsWhereNoNumberOfOrdersIsLeft() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try start(home)
        #expect(first.set("a", [1], isQuiet: false))
        #expect(first.commit())
        // The next one begins far above the metadata.
        kill(first, home)
        damageBlocks(home)
        let second = try start(home, at: first.now)
        second.recover()
        for name in ["k", "d"] { #expect(second.set(name, [1], isQuiet: false)) }
        #expect(second.commit())
        kill(second, home)
        damageBlocks(home)
        home.damage(meta: 3)
        let third = try start(home, at: second.now)
        #expect(third.set("k", [2], isQuiet: false))
        _ = third.delete("d", isQuiet: false)
        let written = third.cas("k")
        third.recover()
        #expect(written != nil && third.cas("k") == written)
        #expect(!third.isThere("d"))
        #expect(third.commit())
        kill(third, home)
        let last = try start(home, at: third.now)
        last.recover()
        #expect(last.isThere("k"))
        #expect(!last.isThere("d"))
        kill(last, home)
    }

    /// Metadata that do not tell the number of orders keep the file from none: what is given out
    /// after such a start is in the file, too.
    @Test func ordersAreInTheFileWhereTheMetadataAreDamaged() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try start(home)
        #expect(first.set("k", [1], isQuiet: false))
        #expect(first.commit())
        kill(first, home)
        for life in 2..<6 as Range<UInt8> {
            home.damage(meta: 3)
            var later = Stepped.beginning
            later.unixNanoseconds += UInt64(life) * 1_000_000_000_000
            let store = try start(home, at: life % 2 == 0 ? later : first.now)
            #expect(store.set("k", [life], isQuiet: false))
            _ = store.delete("d\(life - 1)", isQuiet: false)
            #expect(store.set("d\(life)", [life], isQuiet: false))
            let written = store.cas("k")
            store.recover()
            #expect(written != nil && store.cas("k") == written)
            #expect(life == 2 || !store.isThere("d\(life - 1)"))
            #expect(store.commit())
            kill(store, home)
        }
    }

    /// A file that could not be read is made whole again as soon as a commit allows it.
    @Test func theFileIsWrittenAgainOnceItWasUnreadable() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try start(home)
        #expect(first.set("k", [1], isQuiet: false))
        #expect(first.commit())
        kill(first, home)
        damageBlocks(home)
        let damaged = home.blocks
        let second = try start(home, at: first.now)
        second.recover()
        for number in 0..<3 {
            #expect(second.set("k\(number)", [1], isQuiet: false))
            #expect(second.commit())
        }
        #expect(home.blocks != damaged)
        kill(second, home)
        home.damage(meta: 3)
        let third = try start(home, at: second.now)
        third.recover()
        #expect(third.isThere("k"))
        kill(third, home)
    }

    private func damageBlocks(_ home: MemoryHome) {
        for number in home.blocks?.indices ?? 0..<0 { home.blocks?[number][9] = 0xFF }
    }
}
