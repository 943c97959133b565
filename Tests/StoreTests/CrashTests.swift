// CrashTests: what is there after a stop, and after a crash (the data file as it was on disk).

import Glibc
import Primitives
import Store
import Testing

/// The worlds of one test, each opened on what the last one left.
final class Lives {
    var scratch = Scratch()
    var world: World
    let memory: Int
    let diskBytes: Int

    init(memory: Int = 16 << 20, diskBytes: Int = 64 << 20) throws {
        self.memory = memory
        self.diskBytes = diskBytes
        world = try World(memory: memory, directory: scratch.path, diskBytes: diskBytes)
    }

    var client: Client { world.client }

    func restart(memory: Int? = nil) throws {
        world.stop()
        world = try World(
            memory: memory ?? self.memory, directory: scratch.path, diskBytes: diskBytes)
        #expect(world.client.recovered())
    }

    /// The process dies now, after its last commit.
    func crash(memory: Int? = nil) throws {
        #expect(client.commit())
        client.rest()
        let copy = scratch.copy()
        world.stop()
        scratch = copy
        world = try World(
            memory: memory ?? self.memory, directory: scratch.path, diskBytes: diskBytes)
        #expect(world.client.recovered())
    }
}

@Suite(.serialized) struct CrashTests {
    /// Those that come back at once, from stretches of open segments, count as those that follow.
    @Test func recoverySaysHowManyCameBack() throws {
        let lives = try Lives()
        for number in 0..<9000 { _ = lives.client.set("old\(number)", "value \(number)") }
        #expect(lives.client.commit())
        for number in 0..<70 { _ = lives.client.set("new\(number)", "value \(number)") }
        try lives.crash()
        #expect(lives.world.lines.contains("store.recovered items=9070 "))
        #expect(lives.world.store.statistics().recoveredItems == 9070)
        lives.world.stop()
    }

    @Test(arguments: [false, true]) func everyKindOfValueSurvives(isCrash: Bool) throws {
        let lives = try Lives()
        let sizes = [0, 1, 100, 5000, 30_000, 40_000, 65_536, 200_000, 700_000]
        let start = lives.client.now
        for round in 0..<3 as Range<UInt64> {
            for (number, size) in sizes.enumerated() {
                let key = text("r\(round)s\(size)")
                let value = pattern(round * 100 + UInt64(number), size)
                let result = lives.client.store(
                    .set, key, value, flags: UInt32(size) & 7, expiry: start + 10_000)
                #expect(result == .stored)
            }
            #expect(lives.client.commit())
        }
        let cas = try #require(lives.client.get(text("r1s100"))).cas
        for _ in 0..<2 {
            if isCrash { try lives.crash() } else { try lives.restart() }
            #expect(lives.world.store.statistics().items == UInt64(3 * sizes.count))
            for round in 0..<3 as Range<UInt64> {
                for (number, size) in sizes.enumerated() {
                    let item = lives.client.get(text("r\(round)s\(size)"))
                    #expect(item?.value == pattern(round * 100 + UInt64(number), size))
                    #expect(item?.flags == UInt32(size) & 7)
                    #expect(item?.expiry == start + 10_000)
                }
            }
            #expect(lives.client.get(text("r1s100"))?.cas == cas)
        }
        #expect(lives.world.store.statistics().damagedSegments == 0)
        #expect(lives.world.store.statistics().damagedReads == 0)
        lives.client.set("new", "1")
        #expect(try #require(lives.client.get(text("new"))).cas > cas)
        lives.world.stop()
    }

    @Test(arguments: [false, true]) func removalsStayRemoved(isCrash: Bool) throws {
        let lives = try Lives()
        for number in 0..<600 { lives.client.set("k\(number)", "old") }
        #expect(lives.client.commit())
        for number in 0..<200 { #expect(lives.client.delete("k\(number)") == .deleted) }
        for number in 200..<300 {
            #expect(lives.client.store(.set, text("k\(number)"), [], isExpired: true) == .stored)
        }
        for number in 300..<400 {
            let key = text("k\(number)")
            #expect(lives.client.touch(key, expiry: 1, isExpired: true) == .touched)
        }
        for number in 400..<500 { lives.client.set("k\(number)", "new") }
        for _ in 0..<3 {
            if isCrash { try lives.crash() } else { try lives.restart() }
            for number in 0..<400 { #expect(lives.client.get("k\(number)") == nil) }
            for number in 400..<500 { #expect(lives.client.get("k\(number)") == "new") }
            for number in 500..<600 { #expect(lives.client.get("k\(number)") == "old") }
        }
        lives.world.stop()
    }

    @Test(arguments: [false, true]) func flushesHold(isCrash: Bool) throws {
        let lives = try Lives()
        for number in 0..<300 { lives.client.set("k\(number)", "old") }
        #expect(lives.client.commit())
        lives.client.flushAll()
        for number in 0..<100 { lives.client.set("k\(number)", "new") }
        for _ in 0..<2 {
            if isCrash { try lives.crash() } else { try lives.restart() }
            for number in 0..<300 {
                #expect(lives.client.get("k\(number)") == (number < 100 ? "new" : nil))
            }
        }
        // A delayed one is on disk as well, for whoever runs in its second; what restarts and the
        // second have to do with each other is in ExpiryTests, by a given clock.
        let due = lives.client.now + 1000
        lives.client.flushAll(at: due)
        #expect(lives.client.get("k1") == "new")
        if isCrash { try lives.crash() } else { try lives.restart() }
        #expect(lives.client.get("k1") == "new")
        lives.client.now = due
        #expect(lives.client.get("k1") == nil)
        lives.world.stop()
    }

    /// A delayed flush_all holds from the first request of its second on, and what is set in that
    /// second stays.
    @Test func aDelayedFlushHoldsToTheSecond() throws {
        let world = try World()
        let client = world.client
        let due = client.now + 1000
        for number in 0..<100 { client.set("k\(number)", "old") }
        client.flushAll(at: due)
        client.now = due - 1
        for number in 0..<100 { #expect(client.get("k\(number)") == "old") }
        client.now = due
        client.set("k0", "new")
        #expect(client.get("k0") == "new")
        for number in 1..<100 { #expect(client.get("k\(number)") == nil) }
        client.now = due + 1
        #expect(client.get("k0") == "new")
        world.stop()
    }

    /// A store written with one frame size is read with another, and back.
    @Test(arguments: [false, true]) func memoryMayShrinkAndGrow(isCrash: Bool) throws {
        let lives = try Lives(memory: 256 << 20, diskBytes: 256 << 20)
        var expected: [String: [UInt8]] = [:]
        var removed: [String] = []
        var number: UInt64 = 0
        func write(_ sizes: [Int]) {
            for size in sizes {
                number += 1
                expected["k\(number)"] = pattern(number, size)
                let key = text("k\(number)")
                #expect(lives.client.store(.set, key, pattern(number, size)) == .stored)
            }
        }
        func readAll(_ what: String) {
            var missing = 0
            var wrong = 0
            let frame = Int(lives.world.store.statistics().segmentBytes)
            for (key, value) in expected {
                guard let item = lives.client.get(text(key)) else {
                    // What shared a larger frame is out of reach while frames are smaller.
                    if value.count < frame - 100 { missing += 1 }
                    continue
                }
                if item.value != value { wrong += 1 }
            }
            #expect(wrong == 0, "\(what)")
            #expect(missing == 0, "\(what)")
            let back = removed.filter { lives.client.get(text($0)) != nil }
            #expect(back == [], "\(what)")
        }
        let sizes = [10, 1000, 20_000, 33_000, 60_000, 70_000, 140_000, 400_000, 600_000]
        for _ in 0..<4 {
            write(sizes + [Int](repeating: 900, count: 500))
            #expect(lives.client.commit())
        }
        write([50, 60, 100_000, 300_000])
        for memory in [8 << 20, 4 << 20, 256 << 20, 24 << 20, 256 << 20] {
            let frames = lives.world.store.statistics().segmentBytes
            if isCrash {
                try lives.crash(memory: memory)
            } else {
                try lives.restart(memory: memory)
            }
            let after = lives.world.store.statistics().segmentBytes
            readAll("\(frames) → \(after), memory \(memory)")
            #expect(lives.world.store.statistics().damagedSegments == 0)
            write(sizes + [Int](repeating: 900, count: 200))
            for name in ["k3", "k7", "k9", "k\(number - 3)"] {
                if expected.removeValue(forKey: name) != nil {
                    #expect(lives.client.delete(name) != .stuck)
                    removed.append(name)
                }
            }
            readAll("after writing at \(after)")
        }
        lives.world.stop()
    }
}
