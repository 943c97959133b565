// CommandTests: every command through a door, each with memory alone and with a disk.

import Store
import Testing

@Suite(.serialized) struct CommandTests {
    static let residences = [false, true]

    /// Runs `body` with a world of either kind.
    func withWorld(_ hasDisk: Bool, _ body: (Client) throws -> Void) throws {
        let scratch = Scratch()
        let world = try World(directory: hasDisk ? scratch.path : nil)
        try body(world.client)
        world.stop()
    }

    @Test(arguments: residences) func storageCommandsAnswerAsMemcachedDoes(hasDisk: Bool) throws {
        try withWorld(hasDisk) { client in
            let key = text("key")
            #expect(client.get(key) == nil)
            #expect(client.store(.replace, key, text("a")) == .notStored)
            #expect(client.store(.append, key, text("a")) == .notStored)
            #expect(client.store(.prepend, key, text("a")) == .notStored)
            #expect(client.store(.cas, key, text("a"), cas: 7) == .notFound)
            #expect(client.store(.add, key, text("one"), flags: 5) == .stored)
            #expect(client.store(.add, key, text("two")) == .notStored)
            var item = try #require(client.get(key))
            #expect(item.value == text("one"))
            #expect(item.flags == 5)
            #expect(client.store(.append, key, text("+"), flags: 9) == .stored)
            #expect(client.store(.prepend, key, text("-")) == .stored)
            item = try #require(client.get(key))
            #expect(item.value == text("-one+"))
            #expect(item.flags == 5)
            #expect(client.store(.cas, key, text("two"), cas: item.cas + 1) == .exists)
            #expect(client.store(.cas, key, text("two"), flags: 1, cas: item.cas) == .stored)
            #expect(client.store(.cas, key, text("3"), cas: item.cas) == .exists)
            item = try #require(client.get(key))
            #expect(item.value == text("two"))
            #expect(item.flags == 1)
            #expect(client.store(.replace, key, text("four")) == .stored)
            #expect(client.delete(key) == .deleted)
            #expect(client.delete(key) == .notFound)
            #expect(client.get(key) == nil)
        }
    }

    /// Of two gets, and of two sets, `Client` tries the short way with one.
    @Test(arguments: residences) func whatLiesInMemoryIsFoundAndReplacedByItsHint(
        hasDisk: Bool
    ) throws {
        try withWorld(hasDisk) { client in
            let key = text("a key of more than sixteen bytes")
            var sets = 0
            for count in [0, 1, 15, 16, 17, 33, 100, 5000, 16 << 10, 16 << 10 + 1, 100] {
                for (flags, expiry) in [(0, 0), (7, 0), (0, client.now + 9), (9, client.now + 9)] {
                    let value = [UInt8](repeating: UInt8(count & 0xFF), count: count)
                    let before = client.hintedGets
                    for _ in 0..<2 {
                        let result = client.store(
                            .set, key, value, flags: UInt32(flags), expiry: expiry)
                        #expect(result == .stored)
                        sets += 1
                    }
                    let item = try #require(client.get(key))
                    #expect(item.value == value)
                    #expect(item.flags == flags)
                    #expect(item.expiry == expiry)
                    #expect(client.get(key) == item)
                    // What is longer is pinned, not copied under the lock.
                    #expect(client.hintedGets == before + (count <= 16 << 10 ? 1 : 0))
                }
            }
            // All but the first, which found nothing to replace.
            #expect(client.hintedSets == sets / 2 - 1)
            // A touch leaves a CAS of its own.
            let cas = try #require(client.get(key)).cas
            #expect(client.touch(key, expiry: client.now + 5) == .touched)
            for _ in 0..<2 { #expect(try #require(client.get(key)).cas == cas) }
            client.now += 5
            let hinted = client.hintedGets
            for _ in 0..<2 { #expect(client.get(key) == nil) }
            #expect(client.hintedGets == hinted)
        }
    }

    @Test(arguments: residences) func numbersCount(hasDisk: Bool) throws {
        try withWorld(hasDisk) { client in
            let key = text("n")
            #expect(client.add(1, to: key) == .notFound)
            client.set("n", "10")
            #expect(client.add(5, to: key) == .number(15))
            #expect(client.add(6, isDecrement: true, to: key) == .number(9))
            #expect(client.get("n") == "9 ")
            #expect(client.add(100, isDecrement: true, to: key) == .number(0))
            #expect(client.get("n") == "0 ")
            #expect(client.add(99_999, to: key) == .number(99_999))
            #expect(client.get("n") == "99999")
            client.set("n", "18446744073709551615")
            #expect(client.add(2, to: key) == .number(1))
            client.set("n", "18446744073709551616")
            #expect(client.add(1, to: key) == .notNumeric)
            client.set("n", "x")
            #expect(client.add(1, to: key) == .notNumeric)
            client.set("n", "")
            #expect(client.add(1, to: key) == .notNumeric)
        }
    }

    @Test(arguments: residences) func whatExpiresIsGone(hasDisk: Bool) throws {
        try withWorld(hasDisk) { client in
            let start = client.now
            client.set("a", "1", expiry: start + 1000)
            client.set("b", "2")
            let cas = try #require(client.get(text("b"))).cas
            #expect(client.touch(text("b"), expiry: start + 2000) == .touched)
            #expect(client.get(text("b"))?.cas == cas)
            #expect(client.get(text("b"))?.expiry == start + 2000)
            #expect(client.touch(text("c"), expiry: 0) == .notFound)
            client.now = start + 999
            #expect(client.get("a") == "1")
            client.now = start + 1000
            #expect(client.get("a") == nil)
            #expect(client.touch(text("a"), expiry: 0) == .notFound)
            #expect(client.add(1, to: text("a")) == .notFound)
            #expect(client.get("b") == "2")
            client.now = start + 2000
            #expect(client.get("b") == nil)
            #expect(client.store(.add, text("b"), text("3")) == .stored)
            #expect(client.store(.set, text("b"), text("4"), isExpired: true) == .stored)
            #expect(client.get("b") == nil)
            client.set("b", "5")
            #expect(client.touch(text("b"), expiry: 1, isExpired: true) == .touched)
            #expect(client.get("b") == nil)
        }
    }

    @Test(arguments: residences) func flushAllEmpties(hasDisk: Bool) throws {
        try withWorld(hasDisk) { client in
            for number in 0..<500 { client.set("k\(number)", "\(number)") }
            client.flushAll()
            for number in 0..<500 { #expect(client.get("k\(number)") == nil) }
            for number in 0..<500 {
                #expect(client.store(.add, text("k\(number)"), text("n")) == .stored)
            }
            for number in 0..<500 { #expect(client.get("k\(number)") == "n") }
        }
    }

    @Test(arguments: residences) func everySizeComesBack(hasDisk: Bool) throws {
        try withWorld(hasDisk) { client in
            let sizes = [
                0, 1, 7, 8, 100, 4000, 4096, 16 << 10, 30_000, 32_600, 32_768, 65_000, 65_535,
                65_536, 131_072, 524_000, 1 << 20,
            ]
            for size in sizes {
                let key = text("size\(size)")
                #expect(client.store(.set, key, pattern(UInt64(size), size), flags: 3) == .stored)
                #expect(client.get(key)?.value == pattern(UInt64(size), size))
            }
            for size in sizes {
                let key = text("staged\(size)")
                let value = pattern(UInt64(size + 1), size)
                #expect(client.storeStaged(.set, key, value, flags: 7, expiry: 0) == .stored)
                let item = try #require(client.get(key))
                #expect(item.value == value)
                #expect(item.flags == 7)
            }
            for size in sizes {
                #expect(client.get(text("size\(size)"))?.value == pattern(UInt64(size), size))
            }
            #expect(client.store(.set, text("k"), pattern(1, (1 << 20) + 1)) == .tooLarge)
        }
    }

    @Test(arguments: residences) func largeValuesJoinAndTouch(hasDisk: Bool) throws {
        try withWorld(hasDisk) { client in
            let key = text("large")
            var expected = pattern(1, 400_000)
            #expect(client.storeStaged(.set, key, expected, flags: 9) == .stored)
            #expect(client.store(.append, key, pattern(2, 100)) == .stored)
            expected += pattern(2, 100)
            #expect(client.get(key)?.value == expected)
            #expect(client.storeStaged(.prepend, key, pattern(3, 90_000)) == .stored)
            expected = pattern(3, 90_000) + expected
            #expect(client.get(key)?.value == expected)
            let cas = client.get(key)?.cas
            #expect(client.touch(key, expiry: client.now + 5000) == .touched)
            let item = try #require(client.get(key))
            #expect(item.value == expected)
            #expect(item.cas == cas)
            #expect(item.flags == 9)
            #expect(client.add(1, to: key) == .notNumeric)
            #expect(client.storeStaged(.append, key, pattern(3, 900_000)) == .tooLarge)
            #expect(client.storeStaged(.add, key, pattern(3, 900_000)) == .notStored)
            #expect(client.delete(key) == .deleted)
            #expect(client.get(key) == nil)
        }
    }
}
