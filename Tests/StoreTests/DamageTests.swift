// DamageTests: what lies on disk is not what was written there: a bit has changed, or a write was
// lost. It costs keys, and no older value is answered, then or later.

import Store
import StoreSimulation
import Testing

@Suite struct DamageTests {
    private let memoryBytes = 12 << 20
    private let sizeBytes = 12 << 20

    private func kill(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    private func next(_ store: Stepped, _ home: MemoryHome) throws -> Stepped {
        try store.crash(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes)
    }

    /// The newer record lies in the segment that was opened first, and so leaves first; its key is
    /// another one by then.
    @Test func theKeyOfARecordThatLeaves() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: Stepped.beginning)
        #expect(store.set("other", [1], isQuiet: true))
        store.fill(100, from: 0)
        #expect(store.set("the key", Array("old".utf8), isQuiet: false))
        #expect(store.set("the key", Array("new".utf8), isQuiet: true))
        let value = [UInt8](repeating: 8, count: 14_000)
        for number in 0..<40 { #expect(store.set("quiet:\(number)", value, isQuiet: true)) }
        #expect(store.commit())
        #expect(home.flip(1, near: "the keynew") == 1)
        var number = 100
        while store.isKnown("the key"), number < 5000 {
            store.fill(4, from: number)
            number += 4
        }
        #expect(number < 5000)
        for _ in 0..<20 { store.step() }
        #expect(try store.value("the key", home) == nil)
        let after = try next(store, home)
        #expect(try after.value("the key", home) == nil)
        // Until nothing of that time is left.
        after.fill(2000, from: 10_000)
        #expect(after.commit())
        let last = try next(after, home)
        #expect(try last.value("the key", home) == nil)
        kill(last, home)
    }

    /// Bits of a byte, so far behind where a record's key begins.
    struct Flip: Sendable {
        let distance: Int
        let bits: UInt8
    }

    /// A record that is too large for this run's segments is damaged: in its key, in its form (a
    /// tombstone, it says), in its length. Nobody waits for it.
    @Test(arguments: [
        Flip(distance: 0, bits: 1), Flip(distance: -13, bits: 16), Flip(distance: -4, bits: 8),
    ])
    func aRecordThatIsTooLarge(flip: Flip) throws {
        let home = MemoryHome(seed: 2, ballast: 0)
        let large = 256 << 20
        let first = try Stepped(
            home, memoryBytes: large, sizeBytes: 64 << 20, at: Stepped.beginning)
        let value = [UInt8](repeating: 3, count: 200_000)
        for number in 0..<4 { #expect(first.set("large:\(number)", value, isQuiet: true)) }
        #expect(first.commit())
        // What was open is sealed by the next start.
        let second = try first.crash(home, memoryBytes: large, sizeBytes: 64 << 20)
        #expect(second.commit())
        kill(second, home)
        #expect(home.flip(flip.bits, near: "large:1", at: flip.distance) == 1)
        #expect(home.flip(flip.bits, near: "large:2", at: flip.distance) == 1)
        let store = try Stepped(
            home, memoryBytes: 12 << 20, sizeBytes: 64 << 20, at: second.now)
        store.recover()
        #expect(try store.value("large:1", home) == nil)
        #expect(!store.isThere("large:1"))
        #expect(store.delete("large:1", isQuiet: true))
        #expect(try store.value("large:2", home) == nil)
        #expect(!store.isThere("large:2"))
        #expect(try store.value("large:0", home) != nil)
        #expect(try store.value("large:3", home) != nil)
        #expect(store.commit())
        kill(store, home)
    }

    /// The same keys are set in each of three runs, with values of one size, so that they lie at
    /// the same places of their segments. What the last has written there was lost, and what the
    /// first had written is found: tiny segments, which are loaded, others, and large records.
    @Test(arguments: [100, 5000, 900_000], [StoreTable.segments, .directories])
    func aWriteThatWasLost(valueBytes: Int, table: StoreTable) throws {
        let home = MemoryHome(seed: 3, ballast: 0)
        var store = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: 64 << 20, at: Stepped.beginning)
        for round in 0..<3 as Range<UInt8> {
            let value = [UInt8](repeating: round, count: valueBytes)
            for number in 0..<3 { #expect(store.set("same:\(number)", value, isQuiet: true)) }
            // What holds nothing that lives would leave.
            #expect(store.set("only:\(round)", value, isQuiet: true))
            #expect(store.commit())
            store = try store.crash(home, memoryBytes: memoryBytes, sizeBytes: 64 << 20)
            #expect(store.commit())
        }
        kill(store, home)
        #expect(home.loseWrite(of: "same:1", in: table))
        let after = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: 64 << 20, at: store.now)
        after.recover()
        for number in 0..<3 {
            let found = try after.value("same:\(number)", home)
            #expect(found == nil || found?.first == 2, "same:\(number)")
        }
        kill(after, home)
    }
}
