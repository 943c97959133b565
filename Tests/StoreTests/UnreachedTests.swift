// UnreachedTests: what ends a key that recovery has not reached finds nothing, and holds all the
// same: a touch into the past removes, as a delete does.

import Store
import StoreSimulation
import Testing

@Suite struct UnreachedTests {
    @Test(arguments: Stepped.Ending.allCases)
    func aTouchIntoThePast(command: Stepped.Ending) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try Stepped(
            home, memoryBytes: 24 << 20, sizeBytes: 24 << 20, at: Stepped.beginning)
        #expect(first.set("k", [1], isQuiet: true))
        #expect(first.set("other", [1], isQuiet: true))
        #expect(first.commit())
        home.die()
        first.played.discardMemory()
        let store = try Stepped(
            home, memoryBytes: 24 << 20, sizeBytes: 24 << 20, at: first.now)
        store.recovers = false
        #expect(store.end("k", by: command))
        store.recover()
        #expect(!store.isThere("k"))
        #expect(store.isThere("other"))
        #expect(store.commit())
        let last = try store.crash(home, memoryBytes: 24 << 20, sizeBytes: 24 << 20)
        #expect(!last.isThere("k"))
        #expect(last.isThere("other"))
        home.die()
        last.played.discardMemory()
    }
}
