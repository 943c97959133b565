// ItemListTests: lists of all items name each key that a get finds once, wherever its record lies
// and whatever happens meanwhile, and a list that nobody takes is not made.
//
// The store steps when it is told to (Stepped): no threads, no clock.

import Primitives
import Store
import StoreSimulation
import Testing

@Suite struct ItemListTests {
    private let memoryBytes = 24 << 20
    private let sizeBytes = 256 << 20

    private func store(_ home: MemoryHome) throws -> Stepped {
        try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: Stepped.beginning)
    }

    /// A list that is being taken.
    private final class Taker {
        let lists: ItemLists
        let id: Int
        private let region: Region
        private(set) var text: [UInt8] = []
        private(set) var isComplete = false

        init?(_ store: Stepped) throws {
            guard let lists = store.store.lists else { return nil }
            let id = lists.begin { item, key, writer in
                writer.append(key)
                for number in [UInt64(item.expiry), UInt64(item.valueBytes), item.cas] {
                    writer.append(" ")
                    writer.append(decimal: number)
                }
                writer.append(item.wasFetched ? " fetched\n" : " new\n")
            } tell: {
            }
            guard let id else { return nil }
            self.lists = lists
            self.id = id
            region = try Region.map(byteCount: 4096)
        }

        /// Takes a little; false: there was nothing.
        func take() -> Bool {
            var writer = ByteWriter(region, at: 0, capacity: 4096)
            switch lists.take(id, bytesMax: 4096, into: &writer) {
            case .bytes: break
            case .nothing: return false
            case .end:
                isComplete = true
                lists.end(id)
                return false
            }
            let count = writer.count
            region.withBytes(0, count) { bytes in
                for index in bytes.indices { text.append(bytes[index]) }
            }
            return true
        }

        /// The lines by their key, each as often as it came.
        var lines: [String: [[Substring]]] {
            var lines: [String: [[Substring]]] = [:]
            for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
                let words = line.split(separator: " ")
                lines[String(words[0]), default: []].append(Array(words.dropFirst()))
            }
            return lines
        }
    }

    /// A whole list; `between` is called between the lister's steps.
    private func list(
        _ store: Stepped, between: () -> Void = {}
    ) throws -> [String: [[Substring]]] {
        let taker = try #require(try Taker(store))
        var steps = 0
        while !taker.isComplete, steps < 100_000 {
            _ = store.played.stepLister(at: store.now)
            while taker.take() {}
            between()
            steps += 1
        }
        #expect(taker.isComplete)
        #expect(taker.lists.counts.made == 0)
        return taker.lines
    }

    private func put(_ store: Stepped, _ name: String, _ value: [UInt8], expiry: UInt32) {
        let key = Array(name.utf8)
        store.quiet.beginTurn(now: store.now.unixSeconds)
        defer { store.quiet.endTurn() }
        let outcome = store.quiet.store(
            .set, key: key.span, hash: store.quiet.hash(key.span), value: value.span, flags: 0,
            expiry: expiry, isExpired: false, cas: 0)
        guard case .stored = outcome else {
            Issue.record("\(name) is not stored: \(outcome)")
            return
        }
    }

    /// Small values with an expiry, then large ones until the small have left memory.
    private func filled(_ home: MemoryHome) throws -> (store: Stepped, names: [String]) {
        let store = try store(home)
        var names = (0..<500).map { "small:\($0)" }
        for name in names { put(store, name, Array("value".utf8), expiry: 2_000_000_000) }
        #expect(store.fill(3000, from: 0) == 3000)
        names += (0..<3000).map { "key:\($0)" }
        let onDisk = names.filter { store.isOnDiskOnly($0) }.count
        #expect(onDisk > 1000 && names.count - onDisk > 500, "\(onDisk) on disk")
        return (store, names)
    }

    @Test func everyKeyIsListedOnceWhereverItLies() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let (store, names) = try filled(home)
        for name in names { #expect(store.isThere(name)) }
        let lines = try list(store)
        #expect(Set(lines.keys) == Set(names))
        #expect(lines.values.allSatisfy { $0.count == 1 })
        #expect(lines["small:7"]?[0].prefix(2) == ["2000000000", "5"])
        #expect(lines["key:7"]?[0].prefix(2) == ["0", "14000"])
        for number in stride(from: 0, to: 3000, by: 50) {
            guard let cas = store.cas("key:\(number)") else { continue }
            #expect(lines["key:\(number)"]?[0][2] == "\(cas)")
        }
        _ = store.stop()
    }

    @Test func whatIsGoneIsNotListed() throws {
        let home = MemoryHome(seed: 2, ballast: 0)
        let (store, names) = try filled(home)
        put(store, "brief", [1], expiry: store.now.unixSeconds - 1)
        for number in 2900..<3000 { #expect(store.delete("key:\(number)", isQuiet: true)) }
        var lines = try list(store)
        let left = names.filter { store.isThere($0) }
        #expect(left.count == names.count - 100)
        #expect(Set(lines.keys) == Set(left))
        store.flushAll()
        lines = try list(store)
        #expect(lines.isEmpty)
        _ = store.stop()
    }

    /// Memory gives up what was not listed yet, the index grows, keys come and go: those that stay
    /// as they are are listed once.
    @Test func keysWhoseRecordsMoveAreListedOnce() throws {
        let home = MemoryHome(seed: 3, ballast: 0)
        let (store, names) = try filled(home)
        let before = names.filter { store.isOnDiskOnly($0) }
        var number = 10_000
        var moved = 0
        let lines = try list(store) {
            guard number < 13_000 else { return }
            for _ in 0..<40 {
                _ = store.set("other:\(number)", [1], isQuiet: true)
                number += 1
            }
            store.fill(8, from: number)
            if number % 400 == 0 { _ = store.delete("other:\(number - 40)", isQuiet: true) }
            store.step()
        }
        for name in names where store.isOnDiskOnly(name) && !before.contains(name) { moved += 1 }
        #expect(moved > 20, "\(moved) have left memory meanwhile")
        for name in names {
            #expect(lines[name]?.count == 1, "\(name): \(lines[name]?.count ?? 0)")
        }
        #expect(lines.values.allSatisfy { $0.count == 1 })
        _ = store.stop()
    }

    @Test func aListBeginsWhenRecoveryIsOver() throws {
        let home = MemoryHome(seed: 4, ballast: 0)
        let (first, names) = try filled(home)
        #expect(first.commit())
        home.die()
        first.played.discardMemory()
        let store = try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: first.now)
        store.recovers = false
        #expect(try Taker(store) == nil)
        store.recover()
        let there = names.filter { store.isThere($0) }
        #expect(there.count == names.count)
        let lines = try list(store)
        #expect(Set(lines.keys).subtracting(["tick"]) == Set(names))
        #expect(lines.values.allSatisfy { $0.count == 1 })
        _ = store.stop()
    }

    /// What the last run had open lies in stretches for as long as it cannot be sealed.
    @Test func aDiskThatCannotBeReadIsWaitedFor() throws {
        let home = MemoryHome(seed: 5, ballast: 0)
        let (store, names) = try filled(home)
        home.plan.readFails = 1000
        let taker = try #require(try Taker(store))
        for _ in 0..<100 {
            _ = store.played.stepLister(at: store.now)
            while taker.take() {}
        }
        #expect(!taker.isComplete)
        home.plan = FaultPlan()
        var steps = 0
        while !taker.isComplete, steps < 100_000 {
            _ = store.played.stepLister(at: store.now)
            while taker.take() {}
            steps += 1
        }
        #expect(Set(taker.lines.keys) == Set(names))
        #expect(taker.lines.values.allSatisfy { $0.count == 1 })
        _ = store.stop()
    }

    @Test func whatNobodyTakesIsNotMade() throws {
        let home = MemoryHome(seed: 6, ballast: 0)
        let (store, names) = try filled(home)
        var count = names.count
        for number in 0..<20_000 {
            if store.set("more:\(number)", [1], isQuiet: true) { count += 1 }
            if number % 100 == 0 { store.step() }
        }
        #expect(count > 20_000)
        let idle = try #require(try Taker(store))
        for _ in 0..<2000 { _ = store.played.stepLister(at: store.now) }
        #expect(idle.lists.counts == (made: 1, paused: 1))
        guard case .bell = store.played.stepLister(at: store.now) else {
            Issue.record("a list that nobody takes is worked at")
            return
        }
        // Others are made beside it, as many as there may be.
        let others = try (1..<ItemLists.listsMax).map { _ in try #require(try Taker(store)) }
        #expect(try Taker(store) == nil)
        var steps = 0
        while !others.allSatisfy(\.isComplete), steps < 100_000 {
            _ = store.played.stepLister(at: store.now)
            for other in others where !other.isComplete { while other.take() {} }
            steps += 1
        }
        #expect(others.allSatisfy { $0.lines.count == count })
        // What was made and not taken is bounded, and the list goes on when it is.
        var taken = 0
        while idle.take() { taken = idle.text.count }
        #expect(taken > 0 && taken <= ItemLists.bufferBytes)
        while !idle.isComplete, steps < 200_000 {
            _ = store.played.stepLister(at: store.now)
            while idle.take() {}
            steps += 1
        }
        #expect(idle.lines.count == count)
        // Who leaves ends it.
        let last = try #require(try Taker(store))
        _ = store.played.stepLister(at: store.now)
        last.lists.end(last.id)
        #expect(last.lists.counts.made == 0)
        #expect(!last.take() && last.isComplete)
        _ = store.stop()
    }
}
