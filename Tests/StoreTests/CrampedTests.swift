// CrampedTests: memory is too small for what lies on disk, as the index has grown meanwhile, or
// just large enough; and a file that is full of what may leave it.

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

    /// Whatever is let in can be read back, also where it takes most of what memory has.
    @Test func theLargestValueComesBack() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 64 << 20, at: Stepped.beginning,
            itemBytesMax: 8 << 20)
        var bytes = 8 << 20
        while bytes > 0, !store.set("large", [UInt8](repeating: 7, count: bytes), isQuiet: false) {
            for _ in 0..<10 { store.step() }
            bytes -= 64 << 10
        }
        let memory = store.store.statistics()
        try #require(bytes * 2 > Int(memory.frames * memory.segmentBytes))
        #expect(store.commit())
        var number = 0
        while !store.isOnDiskOnly("large"), number < 4000 {
            store.fill(20, from: number)
            number += 20
        }
        try #require(store.isOnDiskOnly("large"))
        var steps = 0
        while store.isOnDiskOnly("large"), steps < 5000 {
            if let read = store.beginRead("large") { store.load(read) }
            store.step()
            steps += 1
        }
        #expect(store.cas("large") != nil)
        #expect(store.store.statistics().damagedReads == 0)
        home.die()
        store.played.discardMemory()
    }

    /// A commit that finds the map full is made again when something has left it: whoever waits
    /// for it is not told that it has failed.
    @Test func aCommitThatIsMadeAgainFailsNobody() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 12 << 20, at: Stepped.beginning)
        store.fill(300, from: 0)
        for _ in 0..<3 { #expect(store.commit()) }
        home.plan.fullMaps = 1
        store.fill(100, from: 300)
        #expect(store.commit())
        let statistics = store.store.statistics()
        #expect(home.plan.fullMaps == 0)
        #expect(statistics.fullMaps == 1 && statistics.failedCommits == 0)
        #expect(store.quiet.news().failedCommits == 0)
        home.die()
        store.played.discardMemory()
    }

    /// Files that cannot be read for a while cost no frame.
    @Test func aLoadThatFailsGivesBackWhatItHasTaken() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 64 << 20, at: Stepped.beginning)
        let value = [UInt8](repeating: 7, count: 900_000)
        #expect(store.set("large", value, isQuiet: false))
        #expect(store.commit())
        var number = 0
        while !store.isOnDiskOnly("large"), number < 4000 {
            store.fill(20, from: number)
            number += 20
        }
        #expect(store.commit())
        home.plan.readFails = 1000
        let read = try #require(store.beginRead("large"))
        store.load(read)
        for _ in 0..<200 { store.step() }
        #expect(store.isOnDiskOnly("large"))
        #expect(store.played.checkAccounts() == nil)
        home.plan.readFails = 0
        var steps = 0
        while store.isOnDiskOnly("large"), steps < 500 {
            store.step()
            steps += 1
        }
        #expect(store.cas("large") != nil)
        #expect(store.played.checkAccounts() == nil)
        home.die()
        store.played.discardMemory()
    }
}
