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

    /// The newer record leaves the disk, and memory holds a copy: too large to share one of this
    /// run's segments, it gets one of its own. The segment of the older record stays as long as it
    /// is read. The process dies some steps later.
    @Test(arguments: 0..<8)
    func theOlderRecordDoesNotComeBackBeforeTheCopyIsOnDisk(steps: Int) throws {
        let home = MemoryHome(seed: 4, ballast: 0)
        let first = try Stepped(
            home, memoryBytes: 96 << 20, sizeBytes: sizeBytes, at: Stepped.beginning)
        #expect(first.set("other", [1], isQuiet: true))
        first.fill(20, from: 0)
        #expect(first.set("k", Array("old".utf8), isQuiet: false))
        #expect(first.set("beside", [1], isQuiet: false))
        #expect(first.set("k", [UInt8](repeating: 1, count: 40_000), isQuiet: true))
        #expect(first.commit())
        let store = try first.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        for _ in 0..<2 { #expect(try store.value("k", home, isKept: true)?.count == 40_000) }
        #expect(store.describes("k", "promotion"))
        _ = try #require(store.beginRead("beside"))
        var number = 100
        while store.store.statistics().rescues == 0, number < 5000 {
            store.fill(1, from: number)
            number += 1
        }
        #expect(store.describes("k", "chain"))
        for _ in 0..<steps { store.step() }
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(try next.value("k", home)?.count != 3)
        next.played.discardMemory()
    }

    /// A segment that was given up has a part on disk still. The tombstones that were left for it
    /// leave within the very commit that wrote them, which carries more than the disk holds; and
    /// the process dies in the midst of that.
    @Test(arguments: 0..<40) func whatWasGivenUpDoesNotComeBack(moment: Int) throws {
        let home = MemoryHome(seed: 3, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 24 << 20, sizeBytes: 8 << 20, at: Stepped.beginning)
        #expect(store.set("k", Array("old".utf8), isQuiet: true))
        #expect(store.set("mark", [1], isQuiet: true))
        #expect(store.commit())
        #expect(store.delete("k", isQuiet: false))
        store.fill(10, from: 0)
        #expect(store.commit())
        home.plan.isFull = true
        let value = [UInt8](repeating: 7, count: 14_000)
        for number in 0..<8 { _ = store.set("quiet:\(number)", value, isQuiet: true) }
        var rounds = 0
        while store.isKnown("mark"), rounds < 3000 {
            store.fill(1, from: 10 + rounds)
            for _ in 0..<4 { store.step() }
            rounds += 1
        }
        #expect(rounds < 3000)
        // The disk has room again: the process dies at one of the calls that follow.
        home.plan = FaultPlan()
        var calls = 0
        home.interleave = {
            calls += 1
            if calls == 10 * moment { home.die() }
        }
        for _ in 0..<2000 where calls < 10 * moment { store.step() }
        home.interleave = {}
        #expect(!store.isThere("k"))
        let next = try store.crash(home, memoryBytes: 24 << 20, sizeBytes: 8 << 20)
        #expect(!next.isThere("k"))
        next.played.discardMemory()
    }

    /// A commit with a stretch has failed, and was durable all the same. The stretch goes when its
    /// segment is written whole: it would be what is left once the tombstone of its record has left
    /// the disk. (`isLater`: it is not the segment's first.)
    @Test(arguments: 0..<24 as Range<UInt64>, [false, true])
    func aStretchThatIsThereAlthoughItsCommitFailed(seed: UInt64, isLater: Bool) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let store = try steppedStore(home)
        if isLater {
            #expect(store.set("first", [1], isQuiet: true))
            #expect(store.commit())
        }
        #expect(store.set("k", Array("old".utf8), isQuiet: true))
        failCommits(store, home)
        fillQuiet(store, from: 0)
        #expect(store.commit())
        // So that the segments of the record and of the tombstone do not leave at once.
        store.fill(100, from: 0)
        fillQuiet(store, from: 8)
        #expect(store.delete("k", isQuiet: true))
        #expect(store.set("mark", [1], isQuiet: true))
        #expect(store.commit())
        var number = 100
        while store.isKnown("mark"), number < 5000 {
            store.fill(4, from: number)
            number += 4
        }
        #expect(number < 5000)
        #expect(store.set("last", [1], isQuiet: false))
        #expect(store.commit())
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(!next.isThere("k"))
        #expect(next.isThere("last"))
        next.played.discardMemory()
    }

    /// The same where the segment is given up, as no commit succeeds for long.
    @Test(arguments: 0..<24 as Range<UInt64>)
    func aStretchOfWhatWasGivenUp(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let store = try steppedStore(home)
        #expect(store.set("k", Array("old".utf8), isQuiet: true))
        failCommits(store, home)
        home.plan.isFull = true
        fillQuiet(store, from: 0)
        var number = 0
        while store.isKnown("k"), number < 5000 {
            store.fill(1, from: number)
            for _ in 0..<4 { store.step() }
            number += 1
        }
        #expect(number < 5000)
        home.plan = FaultPlan()
        #expect(store.commit())
        #expect(store.set("mark", [1], isQuiet: false))
        while store.isKnown("mark"), number < 10_000 {
            store.fill(4, from: number)
            number += 4
        }
        #expect(number < 10_000)
        #expect(store.commit())
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(!next.isThere("k"))
        next.played.discardMemory()
    }

    /// The map is full, and what is owed goes along in small pieces with what leaves; that fails,
    /// and is durable all the same. The next commit writes the same bytes as one stretch.
    @Test(arguments: 0..<24 as Range<UInt64>)
    func piecesThatAreThereAlthoughTheirCommitFailed(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let store = try steppedStore(home)
        let names = (0..<200).map { "a key with a name that takes some bytes \($0)" }
        for name in names { #expect(store.set(name, [1], isQuiet: true)) }
        for name in names { #expect(store.set(name, [2], isQuiet: false)) }
        store.fill(40, from: 0)
        for _ in 0..<2 { #expect(store.commit()) }
        #expect(store.set("new", [1], isQuiet: false))
        home.plan.fullMaps = 1
        home.plan.metaFails = 1000
        var steps = 0
        while store.store.statistics().isDiskFailing == 0, steps < 10_000 {
            store.step()
            steps += 1
        }
        #expect(home.plan.fullMaps == 0)
        home.plan = FaultPlan()
        #expect(store.commit())
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(next.isThere("new"))
        #expect(!names.contains { next.isThere($0) })
        next.played.discardMemory()
    }

    /// The next commit fails when all of it is written but the meta page; whether that is there,
    /// chance decides.
    private func failCommits(_ store: Stepped, _ home: MemoryHome) {
        home.plan.metaFails = 1000
        var steps = 0
        while store.store.statistics().isDiskFailing == 0, steps < 10_000 {
            store.step()
            steps += 1
        }
        #expect(steps < 10_000)
        home.plan = FaultPlan()
    }

    /// Fills the segment of the worker that is seldom heard of, and some more.
    private func fillQuiet(_ store: Stepped, from first: Int) {
        let value = [UInt8](repeating: 7, count: 14_000)
        for number in first..<first + 8 {
            #expect(store.set("quiet:\(number)", value, isQuiet: true))
        }
    }

    /// What a segment owes that leaves the disk cannot be found out at once, as the files cannot be
    /// read; meanwhile one that was opened before it, and holds an older record, gets on the disk.
    @Test func theOlderRecordGetsOnTheDiskBeforeWhatIsOwedIsKnown() throws {
        let home = MemoryHome(seed: 5, ballast: 0)
        let store = try steppedStore(home)
        #expect(store.set("k", Array("old".utf8), isQuiet: true))
        #expect(store.set("k", Array("new".utf8), isQuiet: false))
        store.fill(20, from: 0)
        for _ in 0..<2 { #expect(store.commit()) }
        home.plan.readFails = 1000
        home.plan.fullMaps = 1
        for number in 20..<10_000 where home.plan.fullMaps > 0 { store.fill(1, from: number) }
        #expect(home.plan.fullMaps == 0)
        fillQuiet(store, from: 0)
        #expect(store.commit())
        #expect(store.store.statistics().segmentsDeleted == 0)
        home.plan.readFails = 0
        for _ in 0..<200 { store.step() }
        #expect(store.store.statistics().segmentsDeleted > 0)
        #expect(!store.isThere("k"))
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(!next.isThere("k"))
        #expect(next.isThere("quiet:0"))
        next.played.discardMemory()
    }

    /// The same where the older record is in what the last run had open, and could not be written
    /// whole before.
    @Test func theOlderRecordIsSealedBeforeWhatIsOwedIsKnown() throws {
        let home = MemoryHome(seed: 6, ballast: 0)
        let first = try steppedStore(home)
        #expect(first.set("k", Array("old".utf8), isQuiet: true))
        #expect(first.set("other", [1], isQuiet: true))
        #expect(first.set("k", Array("new".utf8), isQuiet: false))
        first.fill(20, from: 0)
        #expect(first.commit())
        home.die()
        first.played.discardMemory()
        home.plan.isFull = true
        let store = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: first.now)
        store.recover()
        for _ in 0..<100 { store.step() }
        #expect(store.played.hasUnsealed)
        home.plan = FaultPlan()
        home.plan.readFails = 1000
        home.plan.fullMaps = 1
        #expect(store.commit())
        #expect(home.plan.fullMaps == 0 && !store.played.hasUnsealed)
        #expect(store.store.statistics().segmentsDeleted == 0)
        home.plan.readFails = 0
        for _ in 0..<200 { store.step() }
        #expect(store.store.statistics().segmentsDeleted > 0)
        let next = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(!next.isThere("k"))
        #expect(next.isThere("other"))
        next.played.discardMemory()
    }

    /// A segment leaves the disk while recovery runs and no memory is left for what it owes; the
    /// older record is read after that.
    @Test(arguments: [false, true]) func theOlderRecordIsReadBeforeWhatIsOwedIsPaid(
        isRemoved: Bool
    ) throws {
        let home = MemoryHome(seed: 7, ballast: 0)
        let first = try steppedStore(home)
        #expect(first.set("other", [1], isQuiet: true))
        first.fill(10, from: 0)
        #expect(first.set("k", Array("old".utf8), isQuiet: false))
        first.fill(20, from: 10)
        if isRemoved {
            #expect(first.delete("k", isQuiet: true))
        } else {
            #expect(first.set("k", Array("new".utf8), isQuiet: true))
        }
        #expect(first.commit())
        let second = try first.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(second.commit())
        home.die()
        second.played.discardMemory()
        let store = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: second.now)
        store.recovers = false
        // Before the committer can put a frame aside.
        let value = [UInt8](repeating: 7, count: 14_000)
        var number = 1000
        while store.set("key:\(number)", value, isQuiet: false) { number += 1 }
        home.plan.fullMaps = 1_000_000
        for _ in 0..<20 { store.step() }
        // It has asked for the oldest, which leaves as soon as it is known.
        while store.store.statistics().recordsDeleted == 0, number < 100_000 {
            _ = store.played.stepRecovery(at: store.now)
            for _ in 0..<30 { store.step() }
            number += 1
        }
        #expect(number < 100_000)
        #expect(store.store.statistics().segmentsDeleted == 0)
        while store.played.stepRecovery(at: store.now) != .ended, number < 100_000 {
            #expect(!store.isThere("k"))
            number += 1
        }
        #expect(!store.isThere("k"))
        home.plan = FaultPlan()
        #expect(store.commit())
        #expect(!store.isThere("k"))
        let last = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(try last.value("k", home) != Array("old".utf8))
        last.played.discardMemory()
    }
}
