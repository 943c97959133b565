// RecoveryTests: what is answered at every moment of a recovery, which is played step by step.
//
// A key answers its newest state or misses, and no command computes from an older one. Every step
// of the recovery is followed by commands, so nothing here waits for it to end.

import Glibc
import LMDB
import Primitives
import Store
import Support
import Testing

/// Two workers' clients on one store, so that segments overlap; reopened again and again.
private final class Pair {
    let scratch: Scratch
    let memory: Int
    let diskBytes: Int
    private(set) var store: TieredStore
    private(set) var clients: [Client]
    private(set) var recovery: SteppedRecovery?
    let lines = Lines()

    init(
        memory: Int = 16 << 20, diskBytes: Int = 64 << 20, scratch: Scratch = Scratch(),
        memoryFailures: Int = 0
    ) throws {
        self.scratch = scratch
        self.memory = memory
        self.diskBytes = diskBytes
        let disk = DiskConfiguration(
            directory: scratch.path, sizeBytes: diskBytes, flushIntervalMilliseconds: 20)
        let now = World.unixNow
        store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: memory, workers: 2, itemBytesMax: 1 << 20, disk: disk),
            events: lines.events, now: now)
        let store = store
        clients = (0..<2).map { Client(store, worker: $0, now: now) }
        recovery = try store.startStepped(memoryFailures: memoryFailures, wake: { _ in })
    }

    /// Makes a step; false when there is none left.
    func step() -> Bool {
        guard let recovery else { return false }
        if recovery.step(now: clients[0].now, at: 0) { return true }
        self.recovery = nil
        return false
    }

    /// Everything changed so far is on disk.
    func commit() -> Bool {
        let barrier = clients[0].door.barrier()
        return eventually {
            for client in clients { client.turn() }
            return clients[0].door.news().commits >= barrier
        }
    }

    func stop() {
        for client in clients { client.close() }
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
    }

    /// Stops, or leaves the file as a crash would, and opens what is there.
    func reopened(
        crash: Bool, memory: Int? = nil, diskBytes: Int? = nil, memoryFailures: Int = 0
    ) throws -> Pair {
        var next = scratch
        if crash {
            #expect(commit())
            // The two of them may be in turns no longer: nothing changes the file now.
            next = scratch.copy()
        }
        stop()
        return try Pair(
            memory: memory ?? self.memory, diskBytes: diskBytes ?? self.diskBytes, scratch: next,
            memoryFailures: memoryFailures)
    }
}

/// What each key must answer, and what was changed since the last start.
private struct Truth {
    /// Nil: nothing is there.
    var values: [Int: Int?] = [:]
    var changed: Set<Int> = []
    var chance: Chance
    var misses = 0
    var hits = 0

    init(seed: UInt64) { chance = Chance(seed: seed) }

    func key(_ number: Int) -> [UInt8] { text("key:\(number)") }

    /// One random command; a sentence if the answer was wrong.
    mutating func act(_ client: Client, keys: Int, isRecovering: Bool) -> String? {
        let number = chance.below(keys)
        let key = key(number)
        let value = values[number] ?? nil
        let mayMiss = isRecovering && !changed.contains(number)
        switch chance.below(10) {
        case 0, 1:
            let fresh = chance.below(1_000_000)
            guard client.store(.set, key, text("\(fresh)")) == .stored else { return "set failed" }
            values[number] = fresh
            changed.insert(number)
        case 2:
            _ = client.delete(key)
            values[number] = Int?.none
            changed.insert(number)
        case 3:
            switch client.add(1, to: key) {
            case .number(let sum):
                guard let value, sum == UInt64(value) + 1 else {
                    return "incr of \(number) answered \(sum), it held \(String(describing: value))"
                }
                values[number] = value + 1
                changed.insert(number)
            case .notFound where value == nil || mayMiss: misses += 1
            case let other: return "incr of \(number) answered \(other)"
            }
        case 4:
            let answer = client.touch(key, expiry: client.now + 100_000)
            if answer == .touched {
                guard value != nil else { return "touched \(number), which is not there" }
                changed.insert(number)
            } else if value != nil, !mayMiss {
                return "touch of \(number) answered \(answer)"
            }
        case 5:
            let answer = client.store(.add, key, text("7"))
            if answer == .stored {
                guard value == nil || mayMiss else { return "add replaced \(number)" }
                values[number] = 7
                changed.insert(number)
            } else if value == nil {
                return "add found \(number)"
            }
        default: return look(client, number, mayMiss: mayMiss)
        }
        return nil
    }

    mutating func look(_ client: Client, _ number: Int, mayMiss: Bool) -> String? {
        let value = values[number] ?? nil
        guard let found = client.get(key(number)) else {
            misses += 1
            return value == nil || mayMiss ? nil : "key \(number) is gone"
        }
        hits += 1
        let text = String(decoding: found.value, as: UTF8.self)
        guard let value else { return "key \(number) came back as \(text)" }
        return text == "\(value)" ? nil : "key \(number) is \(text) instead of \(value)"
    }
}

@Suite(.serialized) struct RecoveryTests {
    /// Some lives; in each, commands between all steps of the recovery, then many more.
    @Test(arguments: (1...4 as ClosedRange<UInt64>).map { $0 * UInt64(effort) })
    func everyMomentAnswersTheNewestOrMisses(seed: UInt64) throws {
        var truth = Truth(seed: seed)
        var pair = try Pair()
        let keys = 4000
        for life in 0..<6 {
            truth.changed = []
            var isRecovering = life > 0
            var steps = 0
            while isRecovering {
                isRecovering = pair.step()
                steps += 1
                for _ in 0..<40 {
                    let client = pair.clients[truth.chance.below(2)]
                    if let fault = truth.act(client, keys: keys, isRecovering: isRecovering) {
                        Issue.record("seed \(seed), life \(life), step \(steps): \(fault)")
                        return pair.stop()
                    }
                }
            }
            if life > 0 { #expect(pair.store.statistics().isRecovering == 0) }
            for _ in 0..<15_000 {
                let client = pair.clients[truth.chance.below(2)]
                if let fault = truth.act(client, keys: keys, isRecovering: false) {
                    Issue.record("seed \(seed), life \(life), after recovery: \(fault)")
                    return pair.stop()
                }
            }
            for number in 0..<keys {
                if let fault = truth.look(pair.clients[0], number, mayMiss: false) {
                    Issue.record("seed \(seed), life \(life), at the end: \(fault)")
                    return pair.stop()
                }
            }
            pair = try pair.reopened(crash: truth.chance.below(2) == 0)
        }
        #expect(truth.hits > 10_000)
        pair.stop()
    }

    /// A start with so little memory that the index cannot hold what is there: misses, no lies,
    /// and what was lost is there again with more memory, unless it was changed meanwhile.
    @Test func anIndexThatIsFullForgetsButNeverLies() throws {
        var pair = try Pair(memory: 96 << 20, diskBytes: 256 << 20)
        let keys = 500_000
        for number in 0..<keys { pair.clients[number % 2].set("k\(number)", "old") }
        for number in stride(from: 0, to: keys, by: 5) {
            pair.clients[(number + 1) % 2].set("k\(number)", "new")
        }
        for number in stride(from: 1, to: keys, by: 5) {
            pair.clients[(number + 1) % 2].delete("k\(number)")
        }
        func check(_ what: String) -> Int {
            var hits = 0
            for number in 0..<keys where number % 7 == 0 {
                guard let found = pair.clients[0].get("k\(number)") else { continue }
                hits += 1
                let wanted = number % 5 == 0 ? "new" : number % 5 == 1 ? nil : "old"
                if found != wanted {
                    Issue.record("\(what): k\(number) is \(found)")
                    return hits
                }
            }
            return hits
        }
        let all = check("before")
        pair = try pair.reopened(crash: false, memory: 4 << 20)
        var isRecovering = true
        var number = 2
        var steps = 0
        while isRecovering {
            isRecovering = pair.step()
            steps += 1
            // Memory holds all of these tombstones: a commit waits for a turn of the other client.
            guard steps % 100 == 0 else { continue }
            for _ in 0..<20 {
                // Removed and set again while recovery runs.
                pair.clients[0].delete("k\(number)")
                number += 5
            }
        }
        let few = check("with little memory")
        #expect(few < all, "the index was not full")
        #expect(pair.store.statistics().indexDisplaced > 0 || few < all)
        for gone in stride(from: 2, to: number, by: 5) {
            #expect(pair.clients[0].get("k\(gone)") == nil)
        }
        pair = try pair.reopened(crash: false, memory: 96 << 20)
        while pair.step() {}
        for gone in stride(from: 2, to: number, by: 5) where pair.clients[0].get("k\(gone)") != nil
        {
            Issue.record("k\(gone) came back")
            break
        }
        pair.stop()
    }

    /// Without memory to begin with, recovery is tried again; it says so once, and what the disk
    /// holds misses until there is some.
    @Test func withoutMemoryItIsTriedAgain() throws {
        var pair = try Pair()
        for number in 0..<100 { pair.clients[0].set("k\(number)", "v") }
        pair = try pair.reopened(crash: false, memoryFailures: 3)
        for _ in 0..<3 {
            #expect(pair.step())
            #expect(pair.store.statistics().isRecovering == 1)
            #expect(pair.clients[0].get("k1") == nil)
        }
        while pair.step() {}
        #expect(pair.store.statistics().isRecovering == 0)
        for number in 0..<100 { #expect(pair.clients[0].get("k\(number)") == "v") }
        #expect(pair.lines.all.filter { $0.contains("recovery_without_memory") }.count == 1)
        // A stop does not wait for it.
        pair = try pair.reopened(crash: false, memoryFailures: .max)
        #expect(pair.step())
        pair.stop()
        #expect(!pair.step())
        #expect(pair.lines.contains("recovery_cut_short"))
    }

    /// A damaged directory is made anew from its segment; if that is damaged, too, all that it may
    /// have overtaken is gone, and leaves the disk before it does.
    @Test(arguments: [false, true]) func aDamagedDirectoryNeverLetsOlderValuesBack(
        isSegmentDamaged: Bool
    ) throws {
        var pair = try Pair()
        let filler = String(repeating: "f", count: 900)
        func fill(_ round: Int) {
            for number in 0..<2000 { pair.clients[0].set("f\(round):\(number)", filler) }
        }
        for number in 0..<100 { pair.clients[0].set("k\(number)", "old") }
        fill(0)
        for number in 0..<100 { pair.clients[0].set("k\(number)", "new") }
        fill(1)
        for number in 0..<100 { pair.clients[0].set("after\(number)", "v") }
        #expect(pair.commit())
        pair.stop()
        // The directory in the middle that holds the new values.
        try damage(pair.scratch.path, isSegmentDamaged: isSegmentDamaged)
        pair = try Pair(scratch: pair.scratch)
        for _ in 0..<2 {
            var isRecovering = true
            while isRecovering {
                isRecovering = pair.step()
                for number in 0..<100 {
                    let found = pair.clients[0].get("k\(number)")
                    guard found == nil || found == "new" else {
                        Issue.record("k\(number) is \(found ?? "")")
                        return pair.stop()
                    }
                }
            }
            if !isSegmentDamaged {
                for number in 0..<100 { #expect(pair.clients[0].get("k\(number)") == "new") }
            }
            pair.clients[0].set("again", "v")
            #expect(pair.commit())
            pair = try pair.reopened(crash: false)
        }
        pair.stop()
    }

    /// Breaks the directory, and maybe the segment, of every segment but the last two.
    private func damage(_ path: String, isSegmentDamaged: Bool) throws {
        let environment = try Environment(path: path, mapBytes: 64 << 20, databasesMax: 4)
        var transaction = try environment.beginWrite()
        let directories = try transaction.openDatabase(
            "directories", integerKeys: true, create: false)
        let segments = try transaction.openDatabase("segments", integerKeys: true, create: false)
        var sequences: [UInt64] = []
        try transaction.forEach(directories) { key, _ in
            sequences.append(key)
            return true
        }
        #expect(sequences.count > 8)
        for sequence in sequences.dropFirst(4).dropLast(2) {
            var bytes: [UInt8] = []
            _ = try transaction.get(directories, key: sequence) { value in
                for index in value.indices { bytes.append(value[index]) }
            }
            bytes[bytes.count / 2] ^= 1
            try transaction.put(directories, key: sequence, bytes: bytes.span)
            guard isSegmentDamaged else { continue }
            bytes = []
            _ = try transaction.get(segments, key: sequence << 10) { value in
                for index in value.indices { bytes.append(value[index]) }
            }
            bytes[bytes.count / 2] ^= 1
            try transaction.put(segments, key: sequence << 10, bytes: bytes.span)
        }
        try transaction.commit()
    }
}
