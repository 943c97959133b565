// DoubtTests: the newest record of a key leaves the disk while an older one stays: a tombstone
// stays with it, so that no start takes the older one for the newest.

import Store
import StoreSimulation
import Testing

@Suite struct DoubtTests {
    private let memoryBytes = 12 << 20
    private let sizeBytes = 12 << 20

    private func steppedStore(_ home: MemoryHome) throws -> Stepped {
        try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: Stepped.beginning)
    }

    /// The newer record lies in the segment that was opened first, and so leaves first.
    @Test func theOlderRecordInALaterSegmentDoesNotComeBack() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try steppedStore(home)
        #expect(store.set("other", [1], isQuiet: true))
        store.fill(100, from: 0)
        #expect(store.set("k", Array("old".utf8), isQuiet: false))
        #expect(store.set("k", Array("new".utf8), isQuiet: true))
        // Until the segment of the new one has left the disk, and no further.
        var number = 100
        while store.isKnown("k"), number < 5000 {
            store.fill(4, from: number)
            number += 4
        }
        #expect(number < 5000)
        for _ in 0..<20 { store.step() }
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(!next.isThere("k"))
        next.played.discardMemory()
    }

    /// The segment of the older record is on its way off the disk, and cannot go because it is
    /// being read; the newer record leaves meanwhile.
    @Test func theOlderRecordThatIsBeingReadDoesNotComeBack() throws {
        let home = MemoryHome(seed: 2, ballast: 0)
        let store = try steppedStore(home)
        #expect(store.set("k", Array("old".utf8), isQuiet: false))
        var read: DiskRead?
        var number = 0
        while read == nil, number < 5000 {
            store.fill(4, from: number)
            number += 4
            if store.isOnDiskOnly("k") { read = store.beginRead("k") }
        }
        _ = try #require(read)
        #expect(store.set("k", Array("new".utf8), isQuiet: false))
        while store.isKnown("k"), number < 5000 {
            store.fill(4, from: number)
            number += 4
        }
        #expect(number < 5000)
        for _ in 0..<20 { store.step() }
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(!next.isThere("k"))
        next.played.discardMemory()
    }
}
