// StoreModel: a dictionary and a clock, and a driver that runs random operations on both.
//
// Two contracts. Roomy: nothing was evicted, every answer is equal. Tight: a miss is allowed, and
// the model then forgets the key; a wrong or an older value never is.

import Glibc
import Store
import Support
import Testing

/// One operation of a history; values follow from seeds.
enum Operation {
    case get(Int)
    case store(StoreMode, Int, size: Int, seed: UInt64, isStaged: Bool, ttl: UInt32)
    case cas(Int, isRight: Bool, size: Int, seed: UInt64)
    case delete(Int)
    case touch(Int, ttl: UInt32)
    case number(Int, UInt64)
    case add(Int, UInt64, isDecrement: Bool)
    case flush
    case pass(UInt32)
    case pause
    case restart
}

enum Contract { case roomy, tight }

/// What kinds of history to draw.
struct Swarm {
    var keys = 60
    var sizes = [0, 1, 10, 100, 1000, 5000]
    /// Weights of: get, set, other stores, cas, delete, touch, numbers, flush, time, pause,
    /// restart.
    var weights = [30, 30, 12, 5, 8, 6, 8, 1, 1, 2, 0]
    var stagedPercent = 10

    func history(seed: UInt64, count: Int) -> [Operation] {
        var chance = Chance(seed: seed)
        // Every seed switches some kinds off (never set and get).
        var weights = weights
        for kind in 2..<9 where chance.below(3) == 0 { weights[kind] = 0 }
        let total = weights.reduce(0, +)
        return (0..<count).map { _ in
            var pick = chance.below(total)
            var kind = 0
            while pick >= weights[kind] {
                pick -= weights[kind]
                kind += 1
            }
            return draw(kind, &chance)
        }
    }

    private func draw(_ kind: Int, _ chance: inout Chance) -> Operation {
        let key = chance.below(4) == 0 ? chance.below(keys) : chance.below(max(keys / 8, 1))
        let base = sizes[chance.below(sizes.count)]
        let size = base < 64 ? base : base - chance.below(base / 4)
        let ttl: UInt32 = chance.below(4) == 0 ? 1000 + 1000 * UInt32(chance.below(4)) : 0
        let isStaged = chance.below(100) < stagedPercent
        let seed = chance.next()
        switch kind {
        case 0: return .get(key)
        case 1:
            return .store(.set, key, size: size, seed: seed, isStaged: isStaged, ttl: ttl)
        case 2:
            let modes: [StoreMode] = [.add, .replace, .append, .prepend]
            let mode = modes[chance.below(4)]
            return .store(mode, key, size: size, seed: seed, isStaged: isStaged, ttl: ttl)
        case 3: return .cas(key, isRight: chance.below(2) == 0, size: size, seed: seed)
        case 4: return .delete(key)
        case 5: return .touch(key, ttl: ttl)
        case 6:
            if chance.below(3) == 0 { return .number(key, seed % 100) }
            return .add(key, seed % 1000, isDecrement: chance.below(2) == 0)
        case 7: return .flush
        case 8: return .pass(UInt32(chance.below(900)))
        case 9: return .pause
        default: return .restart
        }
    }
}

/// The model beside the store; says where they part.
final class StoreModel {
    struct Entry {
        var value: [UInt8]
        var flags: UInt32 = 0
        var expiry: UInt32 = 0
        var cas: UInt64?
    }
    let contract: Contract
    let itemMax: Int
    let reopen: () throws -> World
    var world: World
    var entries: [Int: Entry] = [:]
    var now: UInt32
    var misses = 0
    var fault: String?

    init(
        _ contract: Contract, itemMax: Int = 1 << 20, _ open: @escaping () throws -> World
    ) throws {
        self.contract = contract
        self.itemMax = itemMax
        reopen = open
        world = try open()
        now = world.client.now
    }

    var client: Client { world.client }
    func key(_ number: Int) -> [UInt8] { text("key:\(number)") }

    private func alive(_ number: Int) -> Entry? {
        guard let entry = entries[number], entry.expiry == 0 || entry.expiry > now else {
            entries[number] = nil
            return nil
        }
        return entry
    }

    /// The store said that the key is not there.
    private func missed(_ number: Int, _ what: String) {
        guard alive(number) != nil else { return }
        guard contract == .tight else { return fail("\(what) missed key \(number)") }
        misses += 1
        entries[number] = nil
    }

    private func fail(_ what: String) { if fault == nil { fault = what } }
    private func expect(_ result: Result, _ wanted: Result, _ what: String) {
        if result != wanted { fail("\(what) answered \(result) instead of \(wanted)") }
    }

    /// Runs a history; nil, or what went wrong and at which operation.
    func run(_ history: [Operation]) throws -> (Int, String)? {
        for (step, operation) in history.enumerated() {
            try execute(operation)
            if let fault { return (step, "\(operation): \(fault)") }
        }
        for number in entries.keys.sorted() { get(number) }
        return fault.map { (history.count, "at the end: \($0)") }
    }

    private func execute(_ operation: Operation) throws {
        switch operation {
        case .get(let key): get(key)
        case .store(let mode, let key, let size, let seed, let isStaged, let ttl):
            store(mode, key, pattern(seed, size), seed: seed, isStaged: isStaged, ttl: ttl)
        case .cas(let key, let isRight, let size, let seed):
            cas(key, isRight, pattern(seed, size))
        case .delete(let number):
            let result = client.delete(key(number))
            let isThere = alive(number) != nil
            if result == .notFound { missed(number, "delete") }
            expect(
                result, isThere && contract == .roomy ? .deleted : result, "delete of \(number)")
            if result == .deleted, !isThere { fail("deleted what is not there: \(number)") }
            entries[number] = nil
        case .touch(let number, let ttl): touch(number, ttl)
        case .number(let number, let value):
            let bytes = text(String(value))
            expect(client.store(.set, key(number), bytes), .stored, "set of \(number)")
            entries[number] = Entry(value: bytes)
        case .add(let key, let delta, let isDecrement): add(key, delta, isDecrement)
        case .flush:
            client.flushAll()
            entries = [:]
        case .pass(let seconds):
            now += seconds
            client.now = now
        case .pause:
            for _ in 0..<40 {
                client.turn()
                usleep(1000)
            }
        case .restart: try restart()
        }
    }

    func restart() throws {
        world.stop()
        world = try reopen()
        client.now = now
        if !client.recovered() { fail("recovery does not end") }
        // CAS stays: records keep their order.
    }

    private func get(_ number: Int) {
        guard let item = client.get(key(number)) else { return missed(number, "get") }
        guard var entry = alive(number) else { return fail("key \(number) came back") }
        if item.value != entry.value {
            fail(
                "key \(number): wrong value, \(item.value.count) bytes for "
                    + "\(entry.value.count)")
        }
        if item.flags != entry.flags { fail("key \(number): wrong flags") }
        if item.expiry != entry.expiry { fail("key \(number): wrong expiry") }
        if let cas = entry.cas, cas != item.cas { fail("key \(number): its cas has changed") }
        entry.cas = item.cas
        entries[number] = entry
    }

    private func store(
        _ mode: StoreMode, _ number: Int, _ value: [UInt8], seed: UInt64, isStaged: Bool,
        ttl: UInt32
    ) {
        let key = key(number)
        let flags = UInt32(truncatingIfNeeded: seed) & 0x11
        let expiry = ttl == 0 ? 0 : now + ttl
        let old = alive(number)
        let result =
            isStaged
            ? client.storeStaged(mode, key, value, flags: flags, expiry: expiry)
            : client.store(mode, key, value, flags: flags, expiry: expiry)
        if mode == .set {
            expect(result, .stored, "set of \(number), \(value.count) bytes")
            entries[number] = Entry(value: value, flags: flags, expiry: expiry)
            return
        }
        if mode == .add {
            if result == .stored, old != nil { missed(number, "add") }
            if result == .notStored, old == nil { fail("add found \(number)") }
            if result == .stored {
                entries[number] = Entry(value: value, flags: flags, expiry: expiry)
            }
            return
        }
        if result == .notStored { return missed(number, "\(mode)") }
        guard let old else { return fail("\(mode) found \(number)") }
        switch mode {
        case .replace:
            expect(result, .stored, "replace of \(number)")
            entries[number] = Entry(value: value, flags: flags, expiry: expiry)
        default:
            let joined = mode == .append ? old.value + value : value + old.value
            // With the key, and what memcached keeps with an item.
            let bytes = joined.count + key.count + 59 + (old.flags == 0 ? 0 : 4)
            expect(result, bytes > itemMax ? .tooLarge : .stored, "\(mode) to \(number)")
            guard result == .stored else { return }
            entries[number] = Entry(value: joined, flags: old.flags, expiry: old.expiry)
        }
    }

    private func cas(_ number: Int, _ isRight: Bool, _ value: [UInt8]) {
        get(number)
        let entry = alive(number)
        let cas = entry?.cas.map { isRight ? $0 : $0 + 1 } ?? 1
        let result = client.store(.cas, key(number), value, cas: cas)
        if result == .notFound { return missed(number, "cas") }
        guard entry != nil else { return fail("cas found \(number)") }
        expect(result, isRight ? .stored : .exists, "cas of \(number)")
        if result == .stored { entries[number] = Entry(value: value) }
    }

    private func touch(_ number: Int, _ ttl: UInt32) {
        let expiry = ttl == 0 ? 0 : now + ttl
        let result = client.touch(key(number), expiry: expiry)
        if result == .notFound { return missed(number, "touch") }
        expect(result, .touched, "touch of \(number)")
        guard alive(number) != nil else { return fail("touched \(number), which is not there") }
        entries[number]?.expiry = expiry
    }

    /// What strtoull reads, up to a blank, a zero or the end.
    private static func number(_ value: [UInt8]) -> UInt64? {
        let blanks: Set<UInt8> = [9, 10, 11, 12, 13, 32]
        var rest = value.drop { blanks.contains($0) }
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let digits = rest.prefix { (48...57).contains($0) }
        if let next = rest.dropFirst(digits.count).first, next != 0, !blanks.contains(next) {
            return nil
        }
        guard let magnitude = UInt64(String(decoding: digits, as: UTF8.self)) else { return nil }
        guard isNegative else { return magnitude }
        // Negated in 64 bits, of which the highest must be clear then.
        let negated = 0 &- magnitude
        return negated >> 63 == 0 ? negated : nil
    }

    private func add(_ number: Int, _ delta: UInt64, _ isDecrement: Bool) {
        let result = client.add(delta, isDecrement: isDecrement, to: key(number))
        if result == .notFound { return missed(number, "incr") }
        guard let entry = alive(number) else { return fail("incr found \(number)") }
        guard let old = Self.number(entry.value) else {
            return expect(result, .notNumeric, "incr of \(number)")
        }
        let sum = isDecrement ? (old > delta ? old - delta : 0) : old &+ delta
        expect(result, .number(sum), "incr of \(number)")
        var value = text(String(sum))
        while value.count < entry.value.count { value.append(32) }
        entries[number] = Entry(value: value, flags: entry.flags, expiry: entry.expiry)
    }
}

/// Runs a seed; on failure halves the history as long as it still fails, and records it.
func check(
    seed: UInt64, _ swarm: Swarm, count: Int, _ make: () throws -> StoreModel
) throws {
    func outcome(_ history: [Operation]) throws -> (Int, String)? {
        let model = try make()
        defer { model.world.stop() }
        let result = try model.run(history)
        if result != nil { say("\(model.world.store.statistics())") }
        return result
    }
    var history = swarm.history(seed: seed, count: count)
    guard var (step, what) = try outcome(history) else { return }
    say("seed \(seed), step \(step): \(what)")
    let first = "seed \(seed), step \(step): \(what)"
    var isShrinking = true
    while isShrinking, history.count > 1 {
        isShrinking = false
        history = Array(history.prefix(step + 1))
        let middle = history.count / 2
        let halves = [Array(history[middle...]), Array(history[..<middle])]
        for half in halves {
            if let again = try outcome(half) {
                history = half
                (step, what) = again
                isShrinking = true
                break
            }
        }
    }
    Issue.record("\(first); shrunk to \(history.count) operations: \(what)")
}
