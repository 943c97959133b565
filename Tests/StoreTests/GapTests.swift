// GapTests: what is left over, what is too large, what rests, and a map that is full.

import Glibc
import LMDB
import Primitives
import Store
import Support
import Synchronization
import Testing

/// Changes the store's file while nobody has it open.
private func edit(
    _ directory: String, _ database: String, integerKeys: Bool = true,
    _ body: (inout WriteTransaction, Database) throws -> Void
) throws {
    let environment = try Environment(path: directory, mapBytes: 64 << 20, databasesMax: 4)
    var transaction = try environment.beginWrite()
    let opened = try transaction.openDatabase(database, integerKeys: integerKeys, create: false)
    try body(&transaction, opened)
    try transaction.commit()
}

private func keys(_ directory: String, _ database: String) throws -> [UInt64] {
    var keys: [UInt64] = []
    try edit(directory, database) { transaction, opened in
        try transaction.forEach(opened) { key, _ in
            keys.append(key)
            return true
        }
    }
    return keys
}

@Suite(.serialized) struct GapTests {
    /// A crash between the transactions of a large record leaves parts that nothing names.
    @Test func partsWithoutADirectoryAreDeletedAndCounted() throws {
        let lives = try Lives()
        lives.client.set("stays", "v")
        #expect(lives.client.store(.set, text("large"), pattern(1, 700_000)) == .stored)
        #expect(lives.client.commit())
        lives.world.stop()
        let orphans = (0..<200).map { UInt64(1) << 30 | UInt64($0) }
        try edit(lives.scratch.path, "segments") { transaction, segments in
            let part = pattern(3, 5000)
            for key in orphans { try transaction.put(segments, key: key, bytes: part.span) }
        }
        lives.world = try World(directory: lives.scratch.path)
        #expect(lives.client.recovered())
        #expect(lives.client.pump { lives.world.store.statistics().orphanParts == 200 })
        #expect(lives.world.lines.contains("orphans=200"))
        #expect(lives.client.get("stays") == "v")
        let isLargeThere = lives.client.get(text("large"))?.value == pattern(1, 700_000)
        #expect(isLargeThere)
        lives.world.stop()
        let left = Set(try keys(lives.scratch.path, "segments"))
        #expect(left.isDisjoint(with: orphans))
        #expect(!left.isEmpty)
    }

    /// Memory shrinks so far that frames must, too: what was larger than the new ones can be is
    /// there all the same, and stays when memory has grown again.
    @Test func recordsLargerThanALaterSegmentComeBack() throws {
        let lives = try Lives(memory: 128 << 20, diskBytes: 256 << 20)
        for number in 0..<40 as Range<UInt64> {
            let value = pattern(number, 100_000)
            #expect(lives.client.store(.set, text("k\(number)"), value) == .stored)
            lives.client.set("small\(number)", "v")
        }
        try lives.crash(memory: 8 << 20)
        #expect(lives.client.delete("k7") == .deleted)
        #expect(lives.client.touch(text("k8"), expiry: lives.client.now + 1000) == .touched)
        for _ in 0..<2 {
            for number in 0..<40 as Range<UInt64> where number != 7 {
                let found = lives.client.get(text("k\(number)"))?.value
                #expect(found == pattern(number, 100_000), "k\(number)")
                #expect(lives.client.get("small\(number)") == "v")
            }
            #expect(lives.client.get("k7") == nil)
        }
        #expect(lives.client.moves > 0)
        try lives.crash(memory: 128 << 20)
        for number in 0..<40 as Range<UInt64> {
            let found = lives.client.get(text("k\(number)"))?.value
            #expect(found == (number == 7 ? nil : pattern(number, 100_000)), "k\(number)")
        }
        #expect(lives.client.damaged == 0)
        lives.world.stop()
    }

    /// What was written last is damaged: it may have overtaken anything, so nothing that was there
    /// before is answered. It costs keys, never truth.
    @Test func damageInWhatWasWrittenLastLeavesNothingOlder() throws {
        let lives = try Lives()
        lives.client.set("a", "v")
        #expect(lives.client.commit())
        lives.client.rest()
        let copy = lives.scratch.copy()
        lives.world.stop()
        lives.scratch = copy
        try edit(copy.path, "stretches", integerKeys: false) { transaction, stretches in
            let torn = pattern(1, 300)
            try PairKey(900, 0).withBytes { key throws(LMDBError) in
                try transaction.put(stretches, key: key, bytes: torn.span)
            }
        }
        lives.world = try World(directory: copy.path)
        #expect(lives.client.recovered())
        #expect(lives.client.get("a") == nil)
        #expect(lives.world.lines.contains("damaged=1"))
        lives.client.set("a", "w")
        try lives.restart()
        #expect(lives.client.get("a") == "w")
        lives.world.stop()
    }

    /// No commit, no wake and no write once everything is on disk and nobody asks for anything.
    @Test func aServerAtRestDoesNothing() throws {
        let scratch = Scratch()
        let disk = DiskConfiguration(
            directory: scratch.path, sizeBytes: 64 << 20, flushIntervalMilliseconds: 5)
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: 16 << 20, workers: 1, itemBytesMax: 1 << 20, disk: disk),
            events: Lines().events, now: World.unixNow)
        let client = Client(store, now: World.unixNow)
        let wakes = Atomic<Int>(0)
        try store.start(wake: { _ in wakes.add(1, ordering: .relaxed) })
        // As a worker does: a turn for every wake, and none else.
        func serve(seconds: Double, until isOver: () -> Bool) {
            var seen = 0
            _ = eventually(seconds: seconds) {
                let now = wakes.load(ordering: .relaxed)
                if now != seen { client.turn() }
                seen = now
                return isOver()
            }
        }
        func work() -> [UInt64] {
            let now = store.statistics()
            return [now.commits, now.bytesWritten, UInt64(wakes.load(ordering: .relaxed))]
        }
        for round in 0..<5 {
            let commits = store.statistics().commits
            client.set("k\(round)", "v")
            serve(seconds: 20) { store.statistics().commits > commits }
            // A disk may be slow, but not for ever.
            let isAtRest = (0..<20).contains { _ in
                let before = work()
                serve(seconds: 0.5) { false }
                return work() == before
            }
            #expect(isAtRest)
            #expect(
                store.statistics().commits <= UInt64(round) + 2,
                "one for the start, one for each change")
        }
        client.close()
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
    }

    @Test func whatMemoryCannotTakeAtOnceIsRefusedAtOnce() throws {
        let lives = try Lives(memory: 15 << 20)
        lives.world.stop()
        lives.world = try World(
            memory: 15 << 20, directory: lives.scratch.path, itemMax: 8 << 20)
        let largest = lives.world.store.itemBytesMax
        #expect(largest < 8 << 20 && largest > 1 << 20)
        for number in 0..<500 {
            #expect(lives.client.store(.set, text("k\(number)"), pattern(1, 16_000)) == .stored)
        }
        let tooMuch = pattern(1, largest + 1)
        let refused = lives.client.store(.set, text("large"), tooMuch)
        #expect(refused == .tooLarge)
        let value = pattern(2, largest)
        let stored = lives.client.store(.set, text("large"), value)
        #expect(stored == .stored)
        let isSame = lives.client.get(text("large"))?.value == value
        #expect(isSame)
        #expect(lives.client.commit())
        lives.world.stop()
    }

    /// Large values that are read again and again outlive the segments that they lie in.
    @Test func largeValuesThatAreWantedStayOnDisk() throws {
        let lives = try Lives(memory: 24 << 20)
        let value = pattern(5, 900_000)
        #expect(lives.client.store(.set, text("hot"), value) == .stored)
        #expect(lives.client.store(.set, text("cold"), value) == .stored)
        for number in 0..<9000 {
            let key = text("k\(number)")
            #expect(lives.client.store(.set, key, pattern(UInt64(number), 16_000)) == .stored)
            // Before memory is full of what the disk, however slow, does not have yet.
            if number % 250 == 0 { #expect(lives.client.commit()) }
            if number % 20 == 0, lives.client.get(text("hot"))?.value != value {
                Issue.record("the value is gone after \(number)")
                break
            }
        }
        #expect(lives.world.store.statistics().segmentsDeleted > 0)
        try lives.crash()
        let isThere = lives.client.get(text("hot"))?.value == value
        #expect(isThere)
        #expect(lives.client.get(text("cold")) == nil)
        #expect(lives.world.store.statistics().damagedSegments == 0)
        lives.world.stop()
    }

    /// Something else takes half of the map, so that commits meet its end again and again.
    @Test(arguments: [1, 2] as [UInt64]) func aFullMapBringsNothingBack(seed: UInt64) throws {
        let lives = try Lives(memory: 15 << 20)
        lives.world.stop()
        try edit(lives.scratch.path, "meta") { transaction, meta in
            for key in 0..<36 as Range<UInt64> {
                let ballast = pattern(key, 1 << 20)
                try transaction.put(meta, key: 1000 + key, bytes: ballast.span)
            }
        }
        lives.world = try World(memory: 15 << 20, directory: lives.scratch.path)
        var chance = Chance(seed: seed)
        var newest: [Int: UInt64] = [:]
        var fullCommits: UInt64 = 0
        for round in 0..<4 {
            for step in 0..<2500 {
                let number = chance.below(2000)
                let key = text("k\(number)")
                if chance.below(10) < 3 {
                    #expect(lives.client.delete(key) != .stuck)
                    newest[number] = nil
                } else {
                    let seed = UInt64(round * 10_000 + step)
                    #expect(lives.client.store(.set, key, pattern(seed, 8000)) == .stored)
                    newest[number] = seed
                }
            }
            fullCommits += lives.world.store.statistics().fullMaps
            if round % 2 == 0 { try lives.crash() } else { try lives.restart() }
            for number in 0..<2000 {
                guard let item = lives.client.get(text("k\(number)")) else { continue }
                guard let seed = newest[number], item.value == pattern(seed, 8000) else {
                    Issue.record("key \(number) came back, seed \(seed)")
                    return
                }
            }
        }
        #expect(fullCommits > 0, "the map was never full")
        lives.world.stop()
    }
}
