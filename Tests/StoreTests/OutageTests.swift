// OutageTests: a disk that takes nothing while memory fills up, and what is there afterwards.
//
// A limit on the size of files makes every write fail; it holds for a whole process, so each of
// these tests has one of its own.

import Glibc
import Primitives
import Store
import Testing

/// Lets no file grow or change but in its first two pages, where the orders file has its blocks
/// (and LMDB what it writes last in a commit); or lets all.
private func setDisk(dead: Bool) {
    signal(SIGXFSZ, SIG_IGN)
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    limit.rlim_cur = dead ? 8192 : limit.rlim_max
    let code = setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    precondition(code == 0)
}

/// A store whose disk died after `commit`, and lives again after `heal`.
private final class Outage {
    let lives: Lives
    var client: Client { lives.client }
    var statistics: StoreStatistics { lives.world.store.statistics() }

    /// k0 ..< k200 hold "old", gone0 ..< gone20 were removed; all of that is on disk.
    init(memory: Int = 15 << 20) throws {
        lives = try Lives(memory: memory)
        for number in 0..<200 { client.set("k\(number)", "old") }
        for number in 0..<20 { client.set("gone\(number)", "old") }
        for number in 0..<20 { client.delete("gone\(number)") }
        // These are in segments of their own by now; what follows is in one that is still open.
        flood(20)
        for number in 0..<50 { client.set("late\(number)", "old") }
        #expect(client.commit())
        setDisk(dead: true)
        // What is on disk has another value now, or none.
        for number in 0..<50 { client.set("k\(number)", "new") }
        for number in 0..<50 { client.set("late\(number)", "new") }
        for number in 50..<100 { #expect(client.delete("k\(number)") == .deleted) }
    }

    func flood(_ count: Int) {
        for number in 0..<count {
            let key = text("flood\(number)")
            #expect(client.store(.set, key, pattern(UInt64(number), 16_000)) == .stored)
        }
    }

    func heal() {
        setDisk(dead: false)
        #expect(client.pump(seconds: 30) { statistics.isDiskFailing == 0 })
        #expect(client.commit())
    }

    /// Nothing older than what was set or removed last; answers how many old values are there.
    func check(_ when: String) -> Int {
        for number in 0..<50 {
            let found = client.get("k\(number)")
            #expect(found == nil || found == "new", "\(when)")
            let late = client.get("late\(number)")
            #expect(late == nil || late == "new", "\(when)")
        }
        for number in 50..<100 { #expect(client.get("k\(number)") == nil, "\(when)") }
        for number in 0..<20 { #expect(client.get("gone\(number)") == nil, "\(when)") }
        var count = 0
        for number in 100..<200 {
            guard let found = client.get("k\(number)") else { continue }
            #expect(found == "old")
            count += 1
        }
        return count
    }
}

@Suite(.serialized) struct OutageTests {
    @Test func setsGoOnWhileTheDiskIsDeadAndTombstonesAreOwed() async {
        await #expect(processExitsWith: .success) {
            let outage = try Outage()
            outage.flood(500)
            #expect(outage.statistics.segmentsGivenUp > 0)
            _ = outage.check("while the disk is dead")
            outage.heal()
            #expect(outage.check("when it lives again") == 100)
            try outage.lives.crash()
            #expect(outage.check("after a crash") == 100)
            #expect(!outage.lives.world.lines.contains("store.flush_mark"))
            outage.lives.world.stop()
        }
    }

    /// Where no store can be begun for want of space, the server serves from memory.
    @Test func aFullDiskDoesNotStopAStart() async {
        await #expect(processExitsWith: .success) {
            setDisk(dead: true)
            let world = try World(directory: Scratch().path)
            world.client.set("k", "v")
            #expect(world.client.get("k") == "v")
            #expect(world.lines.contains("store.without_space"))
            world.stop()
        }
    }

    /// While the disk takes no reservation, and after the store was moved aside: no CAS number is
    /// given out a second time.
    @Test func numbersRiseOverStartsThatCanWriteNothing() async {
        await #expect(processExitsWith: .success) {
            let scratch = Scratch()
            var numbers: [UInt64] = []
            func live() throws {
                let world = try World(directory: scratch.path)
                world.client.set("k", "v")
                numbers.append(try #require(world.client.get(text("k"))).cas)
                world.stop(seconds: 1)
            }
            try live()
            setDisk(dead: true)
            for _ in 0..<3 { try live() }
            setDisk(dead: false)
            try live()
            #expect(numbers == numbers.sorted())
            _ = unlink(scratch.path + "/data.mdb")
            try live()
            #expect(Set(numbers).count == numbers.count)
        }
    }

    @Test func tooMuchDebtEmptiesTheStore() async {
        await #expect(processExitsWith: .success) {
            let outage = try Outage()
            for _ in 0..<4 { outage.flood(1500) }
            for number in 0..<20_000 { outage.client.set("small\(number)", "v") }
            #expect(outage.lives.world.lines.contains("store.flush_mark_owed"))
            _ = outage.check("while the disk is dead")
            outage.heal()
            _ = outage.check("when it lives again")
            #expect(outage.lives.world.lines.contains("store.flush_mark_written"))
            for number in 0..<50 { outage.client.set("after\(number)", "kept") }
            for _ in 0..<2 {
                try outage.lives.crash()
                #expect(outage.check("after a crash") == 0)
                for number in 0..<50 { #expect(outage.client.get("after\(number)") == "kept") }
            }
            outage.lives.world.stop()
        }
    }

    @Test func largeValuesAreTakenToo() async {
        await #expect(processExitsWith: .success) {
            let outage = try Outage()
            for round in 0..<12 as Range<UInt64> {
                let key = text("large\(round % 3)")
                let value = pattern(round, 900_000)
                let stored = outage.client.store(.set, key, value)
                #expect(stored == .stored)
                let isThere = outage.client.get(key)?.value == value
                #expect(isThere)
                outage.flood(60)
            }
            outage.heal()
            _ = outage.check("when it lives again")
            try outage.lives.crash()
            _ = outage.check("after a crash")
            for name in 0..<3 as Range<UInt64> {
                guard let item = outage.client.get(text("large\(name)")) else { continue }
                let isNewest = item.value == pattern(9 + name, 900_000)
                #expect(isNewest)
            }
            #expect(outage.statistics.damagedSegments == 0)
            outage.lives.world.stop()
        }
    }
}
