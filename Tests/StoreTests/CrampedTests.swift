// CrampedTests: memory is too small for what lies on disk, as the index has grown meanwhile.

import Store
import StoreSimulation
import Testing

@Suite struct CrampedTests {
    /// Nothing could ever make room for it: it is a miss, and nobody asks for it again and again.
    @Test func aLargeValueForWhichTheIndexLeavesNoRoomIsAMiss() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 6 << 20, sizeBytes: 64 << 20, at: Stepped.beginning,
            itemBytesMax: 4 << 20)
        // The largest that memory holds while the index is small.
        var bytes = (4 << 20) - 100
        while bytes > 0, !store.set("large", [UInt8](repeating: 7, count: bytes), isQuiet: false) {
            for _ in 0..<10 { store.step() }
            bytes -= 16 << 10
        }
        try #require(bytes > 0)
        #expect(store.commit())
        var number = 0
        while number < 80_000 || !store.isOnDiskOnly("large"), number < 200_000 {
            for _ in 0..<20 {
                _ = store.set("small:\(number)", [1], isQuiet: false)
                number += 1
            }
            store.step()
        }
        try #require(store.isOnDiskOnly("large"))
        let evictions = store.store.statistics().evictions
        for _ in 0..<100 {
            if let read = store.beginRead("large") { store.load(read) }
            store.step()
        }
        #expect(!store.isThere("large"))
        #expect(store.store.statistics().evictions > evictions)
        #expect(store.store.statistics().damagedReads == 0)
        home.die()
        store.played.discardMemory()
    }

    /// A load for which frames lack keeps its turn: nobody is told to ask again before it is there.
    @Test func aLoadWaitsForFrames() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 64 << 20, at: Stepped.beginning)
        let value = [UInt8](repeating: 7, count: (1 << 20) - 100)
        #expect(store.set("large", value, isQuiet: false))
        #expect(store.commit())
        var number = 0
        while !store.isOnDiskOnly("large") || store.store.statistics().framesFree >= 16,
            number < 4000
        {
            store.fill(20, from: number)
            number += 20
        }
        let before = store.store.statistics()
        try #require(before.framesFree < 16)
        let read = try #require(store.beginRead("large"))
        store.load(read)
        for _ in 0..<50 { _ = store.played.stepCommitter(at: store.now) }
        #expect(store.store.statistics().loads == before.loads)
        #expect(store.isOnDiskOnly("large"))
        var steps = 0
        while store.isOnDiskOnly("large"), steps < 500 {
            store.step()
            steps += 1
        }
        #expect(store.cas("large") != nil)
        #expect(store.store.statistics().loads == before.loads + 1)
        home.die()
        store.played.discardMemory()
    }
}
