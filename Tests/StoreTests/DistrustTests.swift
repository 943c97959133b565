// DistrustTests: something on disk cannot be read at one start and can at the next, or is wrong,
// and the process dies in between: what it had overtaken does not come back.

import Store
import StoreSimulation
import Testing

@Suite struct DistrustTests {
    private let memoryBytes = 24 << 20
    private let sizeBytes = 24 << 20

    private func kill(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    private func next(_ store: Stepped, _ home: MemoryHome) throws -> Stepped {
        try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
    }

    /// Two segments on disk: the first has a record of a key, and of another, the second the first
    /// key's tombstone. The process that sealed them is dead.
    private func deleted(_ home: MemoryHome) throws -> Stepped {
        let first = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: Stepped.beginning)
        #expect(first.set("k", [1], isQuiet: true))
        #expect(first.set("other", [1], isQuiet: true))
        #expect(first.commit())
        #expect(first.delete("k", isQuiet: false))
        #expect(first.commit())
        let second = try next(first, home)
        #expect(!second.isThere("k"))
        #expect(second.commit())
        kill(second, home)
        return second
    }

    private func start(_ home: MemoryHome, after last: Stepped) throws -> Stepped {
        let store = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: last.now)
        store.recover()
        return store
    }

    /// The hashes in the directories are wrong: records are compared by what the segments hold.
    @Test func directoriesWithWrongHashes() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let last = try deleted(home)
        #expect(home.damageHashes() == 2)
        let store = try start(home, after: last)
        #expect(!store.isThere("k"))
        kill(store, home)
    }

    /// The values of the newer segment cannot be read: it has overtaken the older one all the same.
    @Test func theValuesOfTheNewerSegment() throws {
        let home = MemoryHome(seed: 2, ballast: 0)
        let last = try deleted(home)
        home.hide(.segments, last: true)
        let store = try start(home, after: last)
        #expect(!store.isThere("k"))
        for _ in 0..<3 { #expect(store.commit()) }
        home.repair()
        let after = try next(store, home)
        #expect(!after.isThere("k"))
        kill(after, home)
    }

    /// Nothing of the older segment can be read, so the newer one is distrusted and leaves; the
    /// page of the older one's directory cannot be written either, so that stays.
    @Test(arguments: 0..<40)
    func theOlderSegment(steps: Int) throws {
        let home = MemoryHome(seed: 3, ballast: 0)
        let last = try deleted(home)
        home.damageHashes()
        home.hide(.segments, last: false)
        let store = try start(home, after: last)
        #expect(!store.isThere("k"))
        home.hide(.directories, last: false)
        for _ in 0..<steps { store.step() }
        #expect(store.set("new", [2], isQuiet: true))
        #expect(store.commit())
        home.damageHashes()
        home.repair()
        let after = try next(store, home)
        #expect(!after.isThere("k"))
        #expect(after.isThere("new"))
        kill(after, home)
    }

    private static let numbers: [UInt64] = [.max, 1 << 63, 1 << 54, (1 << 48) + 1]

    /// The newer segment lies under a number that no segment can have: what it had overtaken does
    /// not come back, at this start or the next, and the number is gone then.
    @Test(arguments: numbers, [StoreTable.segments, .stretches, .directories])
    func theNumberOfTheNewerSegment(number: UInt64, table: StoreTable) throws {
        let home = MemoryHome(seed: 5, ballast: 0)
        let last: Stepped
        if table == .stretches {
            // The newer record is only there: nobody came to seal its segment.
            let first = try Stepped(
                home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: Stepped.beginning)
            #expect(first.set("k", [1], isQuiet: true))
            #expect(first.commit())
            last = try next(first, home)
            #expect(last.commit())
            #expect(last.set("k", [2], isQuiet: true))
            #expect(last.commit())
            kill(last, home)
        } else {
            last = try deleted(home)
        }
        let wrong = table == .segments ? number | 1 << 59 : number
        #expect(home.damageKey(table, last: true, to: wrong))
        var store = try start(home, after: last)
        #expect(!store.isThere("k"))
        #expect(store.set("new", [2], isQuiet: true))
        for _ in 0..<3 { #expect(store.commit()) }
        store = try next(store, home)
        #expect(!store.isThere("k"))
        #expect(store.isThere("new"))
        #expect(!home.hasKey(wrong, in: table))
        kill(store, home)
    }

    /// Everything is distrusted and has left: what is written from then on is believed, at each
    /// start.
    @Test func whatIsWrittenBehindTheMark() throws {
        let home = MemoryHome(seed: 4, ballast: 0)
        let last = try deleted(home)
        home.damageHashes()
        home.hide(.segments, last: false)
        var store = try start(home, after: last)
        for _ in 0..<400 { store.step() }
        home.damageHashes()
        home.repair()
        for number in 0..<3 {
            store = try next(store, home)
            #expect(number == 0 || store.isThere("new"))
            #expect(store.set("new", [UInt8(number)], isQuiet: true))
            #expect(store.commit())
        }
        kill(store, home)
    }
}
