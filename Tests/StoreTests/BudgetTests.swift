// BudgetTests: the disk fills over and over; the oldest go, and nothing comes back.

import Glibc
import Primitives
import SegmentLog
import Store
import Support
import Testing

@Suite(.serialized) struct BudgetTests {
    func fill(_ client: Client, _ prefix: String, _ count: Int, bytes: Int) {
        for number in 0..<count {
            let key = text("\(prefix)\(number)")
            #expect(client.store(.set, key, pattern(UInt64(number), bytes)) == .stored)
        }
    }

    @Test(arguments: [4 << 20, 40 << 20]) func oldestGoAndTheMapNeverFills(memory: Int) throws {
        let lives = try Lives(memory: memory)
        let count = 20_000
        for number in 0..<20 { lives.client.set("hot\(number)", "hot") }
        var hotMisses = 0
        for number in 0..<count {
            let key = text("k\(number)")
            #expect(lives.client.store(.set, key, pattern(UInt64(number), 16_000)) == .stored)
            if number % 50 == 0 {
                for hot in 0..<20 where lives.client.get("hot\(hot)") == nil { hotMisses += 1 }
            }
        }
        #expect(lives.client.commit())
        var statistics = lives.world.store.statistics()
        #expect(statistics.failedCommits == 0)
        #expect(!lives.world.lines.all.contains { $0.hasPrefix("error") })
        #expect(statistics.segmentsDeleted > 0)
        #expect(statistics.diskBytes < 64 << 20)
        #expect(hotMisses == 0)
        #expect(statistics.rescues >= 20)
        #expect(lives.client.get("k0") == nil)
        try lives.restart()
        var found = 0
        for number in 0..<count {
            guard let item = lives.client.get(text("k\(number)")) else { continue }
            found += 1
            #expect(item.value == pattern(UInt64(number), 16_000))
        }
        // 80 % of what was asked for.
        #expect(found > (64 << 20) / 10 * 8 / 16_008)
        statistics = lives.world.store.statistics()
        #expect(statistics.damagedReads == 0)
        #expect(statistics.damagedSegments == 0)
        lives.world.stop()
    }

    /// Four fifths of what was asked for are records, with what they take on disk beside them, at
    /// any size of values, and the file is never larger than that.
    @Test(arguments: [(64, 100), (64, 1000), (128, 16_000)])
    func aSmallStoreHoldsFourFifths(mebibytes: Int, valueBytes: Int) throws {
        let scratch = Scratch()
        let sizeBytes = mebibytes << 20
        let world = try World(
            memory: 24 << 20, directory: scratch.path, diskBytes: sizeBytes, flush: 20)
        let itemBytes = Record.aligned(Record.headerBytes + 8 + valueBytes) + 24
        let count = sizeBytes * 2 / itemBytes
        let value = pattern(1, valueBytes)
        let key: (Int) -> [UInt8] = { text("k" + String(10_000_000 + $0).dropFirst()) }
        for number in 0..<count {
            #expect(world.client.store(.set, key(number), value) == .stored)
        }
        #expect(world.client.commit())
        let statistics = world.store.statistics()
        #expect(statistics.failedCommits == 0)
        #expect(statistics.fullMaps == 0)
        #expect(SmallFile.byteCount(scratch.path + "/data.mdb") <= sizeBytes)
        var found = 0
        for number in 0..<count where world.client.get(key(number)) != nil { found += 1 }
        #expect(found * itemBytes > sizeBytes / 10 * 8)
        world.stop()
    }

    @Test func acknowledgedFillsKeepWithinTheBudgetToo() throws {
        let lives = try Lives(memory: 8 << 20)
        for round in 0..<120 {
            for number in 0..<150 {
                let key = text("k\(round)-\(number)")
                #expect(lives.client.store(.set, key, pattern(1, 16_000)) == .stored)
            }
            _ = lives.client.door.barrier()
        }
        #expect(lives.client.commit())
        #expect(lives.world.store.statistics().failedCommits == 0)
        #expect(!lives.world.lines.all.contains { $0.hasPrefix("error") })
        lives.world.stop()
    }

    @Test func largeValuesComeAndGo() throws {
        let lives = try Lives(memory: 8 << 20)
        for number in 0..<300 {
            let key = text("k\(number % 100)")
            let size = 200_000 + number * 2000
            #expect(lives.client.store(.set, key, pattern(UInt64(number), size)) == .stored)
        }
        #expect(lives.client.commit())
        #expect(lives.world.store.statistics().failedCommits == 0)
        for number in 0..<100 {
            guard let item = lives.client.get(text("k\(number)")) else { continue }
            #expect(item.value == pattern(UInt64(200 + number), 600_000 + number * 2000))
        }
        #expect(lives.client.get(text("k99")) != nil)
        lives.world.stop()
    }

    /// Reads that have begun when their key, their segment, and everything goes.
    @Test func readsHeldOpenHoldTheirSegmentAndNobodyElse() throws {
        let lives = try Lives(memory: 4 << 20)
        let client = lives.client
        let value = pattern(7, 3000)
        for number in 0..<4 { #expect(client.store(.set, text("held\(number)"), value) == .stored) }
        fill(client, "push", 1500, bytes: 5000)
        #expect(client.commit())
        var reads: [DiskRead] = []
        for number in 0..<4 {
            let key = text("held\(number)")
            let hash = client.door.hash(key.span)
            client.door.beginTurn(now: client.now)
            if case .disk(let read) = client.door.find(key.span, hash: hash) { reads.append(read) }
            client.door.endTurn()
        }
        try #require(reads.count == 4)
        #expect(client.store(.set, text("held1"), text("new")) == .stored)
        #expect(client.delete("held2") == .deleted)
        // Far more than the disk holds: their segment must go, but not while it is read.
        let before = lives.world.store.statistics().segmentsDeleted
        fill(client, "more", 6000, bytes: 16_000)
        #expect(client.commit(), "commits go on while a read is held")
        #expect(lives.world.store.statistics().segmentsDeleted > before)
        let buffer = try Region.map(byteCount: 8192)
        for (number, read) in reads.enumerated() {
            let key = text("held\(number)")
            let address = buffer.uncheckedAddress(at: 0, count: 4096)
            let count = pread(
                client.door.diskDescriptor, address, read.firstBytes, off_t(read.fileOffset))
            client.door.beginTurn(now: client.now)
            let examined = client.door.examine(read, key: key.span, in: buffer, at: 0, count: count)
            if case .record(let record) = examined {
                #expect(client.bytes(buffer, record.valueOffset, record.valueBytes) == value)
                client.door.finish(read, record, in: buffer)
            } else {
                Issue.record("a read that had begun answers \(examined)")
                client.door.abandon(read)
            }
            client.door.endTurn()
        }
        #expect(client.get("held2") == nil)
        #expect(client.get(text("held1"))?.value != value)
        fill(client, "last", 3000, bytes: 16_000)
        #expect(client.commit())
        #expect(lives.world.store.statistics().failedCommits == 0)
        lives.world.stop()
    }

    /// Deleted keys whose old values and tombstones leave the disk at different times.
    @Test(arguments: [1, 2, 3] as [UInt64]) func removalsHoldWhileTheDiskTurnsOver(
        seed: UInt64
    ) throws {
        let lives = try Lives(memory: 4 << 20)
        var chance = Chance(seed: seed)
        var gone: Set<Int> = []
        var newest: [Int: UInt64] = [:]
        for round in 0..<6 {
            for step in 0..<2500 {
                let number = chance.below(3000)
                let key = text("k\(number)")
                switch chance.below(10) {
                case 0..<3:
                    _ = lives.client.delete(key)
                    newest[number] = nil
                    gone.insert(number)
                default:
                    let seed = UInt64(round * 10_000 + step)
                    #expect(lives.client.store(.set, key, pattern(seed, 3000)) == .stored)
                    newest[number] = seed
                    gone.remove(number)
                }
            }
            if round % 2 == 0 { try lives.crash() } else { try lives.restart() }
            for number in gone where lives.client.get("k\(number)") != nil {
                Issue.record("key \(number) came back, seed \(seed)")
                return
            }
            for (number, seed) in newest {
                guard let item = lives.client.get(text("k\(number)")) else { continue }
                guard item.value == pattern(seed, 3000) else {
                    Issue.record("key \(number) has an older value, seed \(seed)")
                    return
                }
            }
        }
        lives.world.stop()
    }

    /// Without a disk: what is dead may give its frames before memory is touched that nobody has
    /// used yet, however much of that there is. (It was looked at twice a second.)
    @Test func maintenanceIsCalledWhereMemoryGrows() throws {
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: 64 << 20, workers: 1, itemBytesMax: 1 << 20),
            events: .silent, now: World.unixNow)
        let client = Client(store, now: World.unixNow)
        #expect(!store.takeMaintenanceCall())
        var (calls, sets) = (0, 0)
        while store.statistics().framesFree > store.statistics().frames / 2, sets < 10_000 {
            #expect(client.store(.set, text("k\(sets % 4)"), pattern(1, 15_000)) == .stored)
            sets += 1
            if store.takeMaintenanceCall() { calls += 1 }
        }
        let used = store.statistics().frames - store.statistics().framesFree
        #expect(calls > 0 && calls <= used)
        #expect(used - UInt64(calls) < 8)
        #expect(sets > calls * 4)
        client.close()
    }
}
