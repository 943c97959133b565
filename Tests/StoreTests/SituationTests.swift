// SituationTests: situations that chance seldom brings about, each made on purpose, step by step:
// what once went wrong there, or would if one line of the store were another
// (`StoreFaults/faults.py` has those lines).

import Store
import StoreSimulation
import Testing

@Suite struct SituationTests {
    private let memoryBytes = 24 << 20
    private let sizeBytes = 24 << 20

    private func store(_ home: MemoryHome) throws -> Stepped {
        try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: Stepped.beginning,
            itemBytesMax: 3 << 20)
    }

    private func kill(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    /// The process dies, and another one has begun; recovery waits.
    private func next(_ store: Stepped, _ home: MemoryHome) throws -> Stepped {
        kill(store, home)
        let next = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: store.now)
        next.recovers = false
        return next
    }

    private func steps(_ store: Stepped, _ count: Int) {
        for _ in 0..<count {
            store.step()
            #expect(store.played.checkCommitter() == nil)
        }
    }

    /// A large value is on disk by half when the disk becomes full, and is given up. What is
    /// written first when there is room again lies in an older segment.
    @Test func anOlderSegmentIsWrittenAfterAValueThatWasGivenUp() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try store(home)
        steps(store, 100)
        #expect(store.set("first", [1], isQuiet: true))
        let large = [UInt8](repeating: 3, count: 2_900_000)
        #expect(store.set("large", large, isQuiet: false))
        // The older segment is sealed right behind it.
        let value = [UInt8](repeating: 4, count: 14_000)
        for number in 0..<80 { #expect(store.set("old:\(number)", value, isQuiet: true)) }
        home.plan.fullAfter = 2
        var number = 0
        while store.isKnown("large"), number < 20_000 {
            store.fill(4, from: number)
            number += 4
        }
        #expect(!store.isKnown("large"))
        #expect(store.isKnown("first"))
        home.plan = FaultPlan()
        #expect(store.commit())
        kill(store, home)
    }

    /// Recovery ends in the middle of a commit that finds the map full: what is oldest on disk is
    /// what recovery has found, not what this run wrote. The process dies so many steps later.
    @Test(arguments: 0..<40)
    func recoveryEndsInACommitThatFindsTheMapFull(steps: Int) throws {
        let home = MemoryHome(seed: 2, ballast: 0)
        let first = try store(home)
        // Its segment is not among the oldest, which leave at once.
        first.fill(380, from: 0)
        #expect(first.set("k", Array("old".utf8), isQuiet: false))
        first.fill(20, from: 380)
        #expect(first.commit())
        let store = try next(first, home)
        #expect(store.delete("k", isQuiet: false))
        store.fill(200, from: 1000)
        #expect(store.commit())
        #expect(store.commit())
        // The next value of the commit finds no page, and recovery has just ended.
        var hasEnded = false
        home.interleave = {
            guard !hasEnded else { return }
            hasEnded = true
            store.recover()
            home.plan.fullMaps = 1
        }
        store.fill(4, from: 2000)
        for _ in 0..<10_000 where !hasEnded || home.plan.fullMaps > 0 { store.step() }
        home.interleave = {}
        #expect(hasEnded && home.plan.fullMaps == 0)
        #expect(!store.isThere("k"))
        self.steps(store, steps)
        #expect(!store.isThere("k"))
        let last = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
        #expect(!last.isThere("k"))
        kill(last, home)
    }

    /// The newest record of a key cannot be read while recovery has not reached an older one.
    @Test func aRecordThatCannotBeReadWhileAnOlderOneIsUnread() throws {
        let home = MemoryHome(seed: 3, ballast: 0)
        let first = try store(home)
        #expect(first.set("k", Array("old".utf8), isQuiet: false))
        first.fill(200, from: 0)
        #expect(first.set("k", Array("new".utf8), isQuiet: false))
        first.fill(100, from: 200)
        #expect(first.commit())
        let store = try next(first, home)
        var read: DiskRead?
        var isOver = false
        while read == nil, !isOver {
            isOver = store.played.stepRecovery(at: store.now) == .ended
            read = store.beginRead("k")
        }
        store.readDamaged(try #require(read))
        #expect(!isOver)
        #expect(!store.isThere("k"))
        store.recover()
        #expect(!store.isThere("k"))
        kill(store, home)
    }

    /// What was written last is damaged, and the disk is full at the start, so that this is found
    /// only after a flush_all: the mark of that stays.
    @Test func aFlushBeforeDamageIsFoundIsNotUndone() throws {
        let home = MemoryHome(seed: 4, ballast: 0)
        let first = try store(home)
        #expect(first.set("k", [1], isQuiet: true))
        #expect(first.commit())
        #expect(home.damageFirst(.stretches))
        home.plan.isFull = true
        let store = try next(first, home)
        #expect(store.set("k", [2], isQuiet: true))
        store.flushAll()
        let mark = store.played.flushMark
        home.plan = FaultPlan()
        #expect(store.commit())
        #expect(!store.played.hasUnsealed)
        #expect(store.played.flushMark >= mark)
        #expect(!store.isThere("k"))
        kill(store, home)
    }

    /// A large value is wanted just when the files have to be opened again: it waits, and is not
    /// lost for that.
    @Test func aLargeValueIsNotLostWhileTheFilesAreOpenedAgain() throws {
        let home = MemoryHome(seed: 5, ballast: 0)
        let first = try store(home)
        let large = [UInt8](repeating: 3, count: 900_000)
        #expect(first.set("large", large, isQuiet: false))
        #expect(first.commit())
        let store = try next(first, home)
        store.recover()
        #expect(store.isOnDiskOnly("large"))
        home.plan.metaFails = 1000
        #expect(store.set("k", [1], isQuiet: false))
        var count = 0
        while store.store.statistics().isDiskFailing == 0, count < 10_000 {
            store.step()
            count += 1
        }
        // The next commit opens the files again, in half a second.
        store.load(try #require(store.beginRead("large")))
        steps(store, 20)
        #expect(store.isOnDiskOnly("large"))
        home.plan = FaultPlan()
        #expect(store.commit())
        steps(store, 400)
        #expect(store.isKnown("large") && !store.isOnDiskOnly("large"))
        kill(store, home)
    }

    /// The commit of a large value has failed, and was durable all the same: what is sealed behind
    /// it, with a lower sequence, is written.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func aLargeValueThatIsThereAlthoughItsCommitFailed(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let store = try store(home)
        #expect(store.set("first", [1], isQuiet: false))
        #expect(store.commit())
        let large = [UInt8](repeating: 3, count: 900_000)
        #expect(store.set("large", large, isQuiet: true))
        home.plan.metaFails = 1000
        var count = 0
        while store.store.statistics().isDiskFailing == 0, count < 10_000 {
            store.step()
            count += 1
        }
        home.plan = FaultPlan()
        store.fill(40, from: 0)
        #expect(store.commit())
        kill(store, home)
    }

    /// The transaction that sealed what the last run had open has failed, and was durable all the
    /// same: recovery reads the segment, and the commit that tries again does not hand it over once
    /// more.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func aSegmentIsHandedOverOnce(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let first = try store(home)
        #expect(first.set("k", [1], isQuiet: true))
        #expect(first.commit())
        home.plan.metaFails = 1000
        let store = try next(first, home)
        home.plan = FaultPlan()
        #expect(store.played.hasUnsealed)
        store.recovers = true
        steps(store, 3000)
        #expect(!store.played.hasUnsealed)
        #expect(store.isThere("k"))
        #expect(store.played.check() == nil)
        kill(store, home)
    }

    /// A commit with another second of a delayed flush_all fails, and may be durable all the same;
    /// then the first one is asked for again.
    @Test(arguments: 0..<8)
    func aSecondThatComesBackAfterACommitThatFailed(seed: UInt64) throws {
        let home = MemoryHome(seed: seed, ballast: 0)
        let first = try store(home)
        let later = first.now.unixSeconds + 1000
        first.flushAll(at: later)
        #expect(first.commit())
        home.plan.metaFails = 1000
        first.flushAll(at: later + 500)
        let begun = first.played.commits.begun
        for _ in 0..<10_000 where first.played.commits.begun < begun + 2 { first.step() }
        #expect(first.played.commits.begun == begun + 2)
        home.plan = FaultPlan()
        first.flushAll(at: later)
        #expect(first.commit())
        let second = try next(first, home)
        #expect(second.played.flushAt == UInt64(later))
        kill(second, home)
    }

    /// What the last run had open is sealed between two steps of the survey, below where that has
    /// got to.
    @Test func whatWasOpenIsSealedInTheMiddleOfTheSurvey() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try store(home)
        first.fill(20, from: 0)
        #expect(first.set("k", [1], isQuiet: true))
        first.fill(100, from: 20)
        #expect(first.commit())
        // The first commit, which would seal it before recovery begins, finds no room.
        home.plan.isFull = true
        let store = try next(first, home)
        _ = store.played.stepRecovery(at: store.now)
        home.plan = FaultPlan()
        #expect(store.set("new", [1], isQuiet: false))
        #expect(store.commit())
        store.recover()
        #expect(store.isThere("k"))
        kill(store, home)
    }

    /// The second reader of a recovery has a directory in hand, and the first one reads all others:
    /// what that directory may have overtaken does not answer.
    @Test(arguments: 0..<40)
    func aDirectoryIsInHand(steps: Int) throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try store(home)
        // Open from the beginning to the end, so that it may hold what is newer.
        #expect(first.set("q", [1], isQuiet: true))
        first.fill(20, from: 0)
        #expect(first.set("k", [1], isQuiet: false))
        first.fill(20, from: 20)
        #expect(first.commit())
        #expect(first.delete("k", isQuiet: true))
        #expect(first.commit())
        let store = try next(first, home)
        #expect(store.commit())
        for _ in 0..<steps { _ = store.played.stepRecovery(at: store.now) }
        _ = store.played.stepRecovery(at: store.now, isHelper: true)
        for _ in 0..<200 {
            _ = store.played.stepRecovery(at: store.now)
            #expect(!store.isThere("k"))
        }
        store.recover()
        #expect(!store.isThere("k") && store.isThere("q"))
        kill(store, home)
    }

    /// A set fails, with not even an order for a tombstone, while recovery has found the record
    /// that it was to replace, and has not settled its segment.
    @Test func aSetFailsWhileWhatItWasToReplaceIsUnsettled() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try store(home)
        // Open from the beginning to the end, so that it may hold what is newer.
        #expect(first.set("q", [1], isQuiet: true))
        first.fill(50, from: 0)
        #expect(first.set("k", [1], isQuiet: false))
        first.fill(50, from: 50)
        #expect(first.commit())
        kill(first, home)
        // No order can be reserved, by the file or by a commit.
        home.plan.isFull = true
        home.plan.blockFails = 1000
        let store = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: first.now, ordersAhead: 4)
        store.recovers = false
        while store.set("other", [2], isQuiet: true) { store.step() }
        var steps = 0
        while !store.describes("k", "unsettled"), steps < 10_000 {
            _ = store.played.stepRecovery(at: store.now)
            steps += 1
        }
        #expect(store.describes("k", "unsettled"))
        #expect(!store.forget("k"))
        store.recover()
        #expect(!store.isThere("k"))
        kill(store, home)
    }

    /// A segment is asked for by a number that was another's, of a large record: this one is short,
    /// and zeros lie behind it on disk.
    @Test func aShortSegmentIsAskedForLikeALargeOne() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try store(home)
        #expect(first.set("k", [1], isQuiet: false))
        #expect(first.commit())
        let second = try next(first, home)
        #expect(second.commit())
        let store = try next(second, home)
        store.recover()
        #expect(store.commit())
        store.requestLoad(try #require(store.beginRead("k")))
        steps(store, 100)
        #expect(store.isThere("k"))
        kill(store, home)
    }

    /// A value that was written when segments were larger has expired: whoever asks for it to be
    /// loaded finds nothing then, and need not ask again.
    @Test func aValueBeyondASegmentHasExpired() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try Stepped(
            home, memoryBytes: 256 << 20, sizeBytes: 64 << 20, at: Stepped.beginning)
        let value = [UInt8](repeating: 5, count: 120_000)
        let expiry = first.now.unixSeconds + 100
        #expect(first.set("k", value, isQuiet: false, expiry: expiry))
        #expect(first.commit())
        kill(first, home)
        let store = try Stepped(home, memoryBytes: 12 << 20, sizeBytes: 64 << 20, at: first.now)
        store.recover()
        #expect(store.commit())
        store.now.unixNanoseconds += 1_000_000_000_000
        store.requestLoad(try #require(store.beginRead("k")))
        steps(store, 100)
        #expect(!store.isKnown("k"))
        kill(store, home)
    }

    /// A large value that is dead on arrival leaves a tombstone, and needs no frames of its own:
    /// it might take the one in which that has to be written.
    @Test func aLargeValueThatIsDeadOnArrivalTakesNoFrames() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try store(home)
        #expect(store.set("k", [1], isQuiet: false))
        let news = store.busy.news().frames
        let large = [UInt8](repeating: 5, count: 2_900_000)
        #expect(store.set("k", large, isQuiet: false, isExpired: true))
        #expect(store.busy.news().frames == news)
        #expect(!store.isKnown("k"))
        kill(store, home)
    }

    /// A value is to be loaded, and what could leave memory for it is not on disk yet: that is
    /// committed at once, not when the next commit is due.
    @Test func aLoadWaitsForNoCommitThatIsDueLater() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 64 << 20, at: Stepped.beginning,
            itemBytesMax: 3 << 20, commitMilliseconds: 2000)
        let large = [UInt8](repeating: 5, count: 850_000)
        #expect(store.set("k", large, isQuiet: false))
        #expect(store.commit())
        var number = 0
        while !store.isOnDiskOnly("k"), number < 20_000 {
            store.fill(4, from: number)
            number += 4
        }
        #expect(store.isOnDiskOnly("k"))
        #expect(store.commit())
        // It takes most of the memory, and nothing of it is on disk.
        let huge = [UInt8](repeating: 6, count: 2_900_000)
        // More is made free than it takes.
        var tries = 0
        while store.store.statistics().framesFree < 46, tries < 1000 {
            #expect(!store.set("larger", [UInt8](repeating: 6, count: 3_100_000), isQuiet: false))
            store.step()
            tries += 1
        }
        tries = 0
        while !store.set("huge", huge, isQuiet: false), tries < 1000 {
            store.step()
            tries += 1
        }
        #expect(store.describes("huge", "sealed"))
        let began = store.now.nanoseconds
        tries = 0
        while store.isOnDiskOnly("k"), tries < 1000 {
            store.requestLoad(try #require(store.beginRead("k")))
            store.step()
            tries += 1
        }
        #expect(!store.isOnDiskOnly("k"))
        #expect(store.now.nanoseconds - began < 200_000_000)
        kill(store, home)
    }

    /// The map is full while recovery has told of little that is in it: that says nothing of how
    /// much it can hold.
    @Test func aFullMapDuringRecoveryLeavesTheBudget() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try store(home)
        first.fill(1600, from: 0)
        #expect(first.commit())
        #expect(first.store.statistics().diskBytes > UInt64(sizeBytes / 2))
        let store = try next(first, home)
        home.plan.fullMaps = 1
        store.fill(200, from: 2000)
        steps(store, 200)
        #expect(home.plan.fullMaps == 0)
        store.recovers = true
        #expect(store.commit())
        store.fill(1600, from: 4000)
        #expect(store.commit())
        #expect(store.store.statistics().diskBytes > UInt64(sizeBytes / 2))
        kill(store, home)
    }

    /// The number of orders in the metadata is damaged, twice, so that the orders file knows of
    /// fewer than were given out: what was flushed stays so.
    @Test func aFlushHoldsWhereTheOrdersAreDamaged() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let first = try store(home)
        #expect(first.set("a", [1], isQuiet: false))
        #expect(first.commit())
        kill(first, home)
        home.damage(meta: 3)
        var later = first.now
        later.unixNanoseconds += 1_000_000_000_000
        let second = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: later)
        second.recover()
        #expect(second.set("k", [1], isQuiet: false))
        #expect(second.commit())
        second.flushAll()
        #expect(second.commit())
        let mark = second.played.flushMark
        kill(second, home)
        home.damage(meta: 3)
        let last = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: second.now)
        #expect(last.played.flushMark >= mark)
        last.recover()
        #expect(!last.isThere("k"))
        #expect(last.set("k", [2], isQuiet: false))
        #expect(last.isThere("k"))
        kill(last, home)
    }
}
