// MetaTests: of all who come for a stale item exactly one wins, wherever the item is.

import Primitives
import Store
import Support
import Testing

extension Client {
    /// A meta get of a key; nil if there is none. Counts the looks that needed the disk.
    func metaGet(_ key: String, _ get: MetaGet, reads: inout Int) -> MetaFacts? {
        let key = text(key)
        var facts: MetaFacts?
        var looks = 0
        let result = change(key) { door, hash, except in
            switch door.metaGet(get, key: key.span, hash: hash, except: except) {
            case .miss, .dead: return .notFound
            case .made(let made, _):
                facts = made
                return .touched
            case .found(let found, let learned):
                door.release(found)
                facts = learned
                return .touched
            case .large(let found):
                door.release(found)
                return .notStored
            case .wait: return .wait
            case .noOrder: return .noOrder
            case .read(let read):
                looks += 1
                return .read(read)
            }
        }
        #expect(result == .touched || result == .notFound)
        reads += looks
        return facts
    }

    func markStale(_ key: String) -> Result {
        let key = text(key)
        var delete = MetaDelete()
        delete.marksStale = true
        return change(key) { door, hash, except in
            door.metaDelete(delete, key: key.span, hash: hash, except: except)
        }
    }
}

@Suite struct MetaTests {
    private func fill(_ client: Client, _ prefix: String) {
        for number in 0..<700 {
            let value = pattern(UInt64(number), 16_000)
            #expect(client.store(.set, text("\(prefix)\(number)"), value) == .stored)
        }
        #expect(client.commit())
    }

    @Test func aStaleItemIsWonOnceInMemoryOnDiskAndAfterACrash() throws {
        let lives = try Lives(memory: 6 << 20)
        var reads = 0
        lives.client.set("a", "value")
        #expect(lives.client.markStale("a") == .deleted)
        fill(lives.client, "first")
        let first = try #require(lives.client.metaGet("a", MetaGet(), reads: &reads))
        #expect(reads == 1, "the item was to be on disk only")
        #expect(first.isStale && first.isWon && !first.wasSent)
        let second = try #require(lives.client.metaGet("a", MetaGet(), reads: &reads))
        #expect(second.isStale && !second.isWon && second.wasSent)
        fill(lives.client, "second")
        let third = try #require(lives.client.metaGet("a", MetaGet(), reads: &reads))
        #expect(!third.isWon && third.wasSent)
        try lives.crash()
        let fourth = try #require(lives.client.metaGet("a", MetaGet(), reads: &reads))
        #expect(fourth.isStale && !fourth.isWon && fourth.wasSent)
        // Who renews it ends that; the next time there is a winner again.
        lives.client.set("a", "new")
        let fifth = try #require(lives.client.metaGet("a", MetaGet(), reads: &reads))
        #expect(!fifth.isStale && !fifth.isWon && !fifth.wasSent)
        #expect(lives.client.markStale("a") == .deleted)
        let sixth = try #require(lives.client.metaGet("a", MetaGet(), reads: &reads))
        #expect(sixth.isWon)
        lives.world.stop()
    }

    @Test func aWinnerThatDiesIsReplacedInMemoryOnDiskAndAfterACrash() throws {
        let lives = try Lives(memory: 6 << 20)
        var reads = 0
        var isAccess = true
        func look(_ key: String = "a", after seconds: UInt32) throws -> MetaFacts {
            lives.client.now += seconds
            lives.client.door.winTimeoutSeconds = 10
            var get = MetaGet()
            get.isAccess = isAccess
            return try #require(lives.client.metaGet(key, get, reads: &reads))
        }
        lives.client.set("a", "value")
        #expect(lives.client.markStale("a") == .deleted)
        #expect(try look(after: 0).isWon)
        // Others' looks put nothing off.
        for _ in 0..<9 {
            let other = try look(after: 1)
            #expect(!other.isWon && other.wasSent)
            _ = lives.client.get("a")
        }
        let second = try look(after: 1)
        #expect(second.isWon && !second.wasSent && second.isStale)
        // On disk only: what nobody accesses leaves memory.
        isAccess = false
        lives.client.set("b", "value")
        #expect(lives.client.markStale("b") == .deleted)
        #expect(try look("b", after: 0).isWon)
        fill(lives.client, "first")
        fill(lives.client, "second")
        fill(lives.client, "third")
        #expect(try !look("b", after: 9).isWon)
        #expect(reads == 1, "the item was to be on disk only")
        #expect(try look("b", after: 1).isWon)
        #expect(lives.client.commit())
        let now = lives.client.now
        try lives.crash()
        lives.client.now = now
        #expect(try !look("b", after: 9).isWon)
        #expect(try look("b", after: 1).isWon)
        lives.client.set("a", "new")
        #expect(try !look(after: 100).isWon)
        lives.world.stop()
    }

    @Test func whoMadeAnItemAndDiedIsReplacedToo() throws {
        let lives = try Lives(memory: 6 << 20)
        lives.client.door.winTimeoutSeconds = 10
        var reads = 0
        var get = MetaGet()
        get.vivify = MetaExpiry(second: lives.client.now + 100_000, isOver: false)
        #expect(lives.client.metaGet("a", get, reads: &reads)?.isMade == true)
        lives.client.now += 9
        #expect(lives.client.metaGet("a", get, reads: &reads)?.isWon == false)
        lives.client.now += 1
        #expect(lives.client.metaGet("a", MetaGet(), reads: &reads)?.isWon == false)
        let facts = try #require(lives.client.metaGet("a", get, reads: &reads))
        #expect(facts.isWon && !facts.isMade && !facts.wasSent)
        lives.client.door.winTimeoutSeconds = 0
        lives.client.now += 1000
        #expect(lives.client.metaGet("a", get, reads: &reads)?.isWon == false)
        lives.world.stop()
    }

    @Test func anItemOnDiskIsReadBeforeItsCasIsCompared() throws {
        let lives = try Lives(memory: 6 << 20)
        lives.client.set("a", "value")
        let cas = try #require(lives.client.get(text("a"))).cas
        fill(lives.client, "first")
        func store(_ compare: UInt64) -> Result {
            let key = text("a")
            var set = MetaSet()
            set.compare = compare
            return lives.client.change(key) { door, hash, except in
                door.metaStore(
                    set, key: key.span, hash: hash, value: text("new").span, except: except
                ).outcome
            }
        }
        #expect(store(cas + 1) == .exists)
        fill(lives.client, "second")
        #expect(store(cas) == .stored)
        lives.world.stop()
    }

    @Test func anItemThatIsMadeIsMadeOnce() throws {
        let lives = try Lives(memory: 6 << 20)
        var reads = 0
        var get = MetaGet()
        get.vivify = MetaExpiry(second: lives.client.now + 100_000, isOver: false)
        let first = try #require(lives.client.metaGet("a", get, reads: &reads))
        #expect(first.isMade && first.isWon)
        fill(lives.client, "k")
        let second = try #require(lives.client.metaGet("a", get, reads: &reads))
        #expect(!second.isMade && !second.isWon && second.wasSent)
        try lives.crash()
        let third = try #require(lives.client.metaGet("a", get, reads: &reads))
        #expect(!third.isMade && !third.isWon && third.wasSent)
        lives.world.stop()
    }

    enum Intruder: CaseIterable, Sendable { case none, emptied, small, large }

    /// A get pins a large value before it touches it; what another worker puts in its place
    /// meanwhile, with the same CAS, is not answered with the pinned one's bytes.
    @Test(arguments: Intruder.allCases) func whatTakesThePinnedOnesPlaceIsSeen(
        _ intruder: Intruder
    ) throws {
        let now: UInt32 = 1_700_000_000
        let store = try SteppedStore(
            memoryBytes: 24 << 20, workers: 2, itemBytesMax: 1 << 20, seed: 1)
        var first = store.door(worker: 0)
        var second = store.door(worker: 1)
        first.beginTurn(now: now)
        second.beginTurn(now: now)
        let key = text("k")
        let hash = first.hash(key.span)
        func put(_ door: inout Door, _ bytes: Int, cas: UInt64) {
            var set = MetaSet()
            set.next = cas
            let value = pattern(1, bytes)
            let changed = door.metaStore(set, key: key.span, hash: hash, value: value.span)
            #expect(changed.cas == cas)
        }
        put(&first, 30_000, cas: 7)
        var get = MetaGet()
        get.wantsValue = true
        get.touch = MetaExpiry(second: now + 100, isOver: false)
        guard case .large(let found) = first.metaGet(get, key: key.span, hash: hash) else {
            return #expect(Bool(false), "it is to be pinned")
        }
        guard let pin = first.pin(found) else { return #expect(Bool(false), "there is room") }
        first.release(found)
        var expected: Int? = 30_000
        switch intruder {
        case .none: break
        case .emptied:
            var delete = MetaDelete()
            delete.removesValue = true
            _ = second.metaDelete(delete, key: key.span, hash: hash)
            expected = 0
        case .small:
            put(&second, 20, cas: 7)
            expected = 20
        case .large:
            put(&second, 40_000, cas: 7)
            expected = nil
        }
        get.pinnedAt = found.recordOffset
        switch first.metaGet(get, key: key.span, hash: hash) {
        case .found(let again, _):
            #expect(again.valueBytes == expected && again.cas == 7)
            first.release(again)
        case .large(let other):
            #expect(expected == nil && other.valueBytes == 40_000)
            first.release(other)
        default: #expect(Bool(false), "it is there")
        }
        // Nor is a touch.
        let touched = first.touch(
            key.span, hash: hash, expiry: now + 50, isExpired: false, record: found.recordOffset)
        if case .exists = touched {} else { #expect(Bool(false), "it is another one") }
        first.unpin(pin)
        first.endTurn()
        second.endTurn()
    }

    @Test func ofManyWorkersOneWins() throws {
        let workers = 4
        let keys = 400
        let now = World.unixNow
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: 24 << 20, workers: workers, itemBytesMax: 1 << 20),
            events: .silent, now: now)
        try store.start(wake: { _ in })
        let winners = Guarded([Int](repeating: 0, count: keys))
        let misses = Guarded(0)
        let preparing = Client(store, worker: 0, now: now)
        for number in 0..<keys {
            preparing.set("k\(number)", "value")
            #expect(preparing.markStale("k\(number)") == .deleted)
        }
        preparing.close()
        let threads = ThreadBox()
        for worker in 1..<workers {
            threads.append(
                try Thread(name: "client", stackBytes: 4 << 20) {
                    let client = Client(store, worker: worker, now: now)
                    var reads = 0
                    for number in 0..<keys {
                        let facts = client.metaGet("k\(number)", MetaGet(), reads: &reads)
                        if facts == nil { misses.withLock { $0 += 1 } }
                        if facts?.isWon == true { winners.withLock { $0[number] += 1 } }
                    }
                    client.close()
                })
        }
        threads.joinAll()
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
        #expect(misses.withLock { $0 } == 0)
        #expect(winners.withLock { $0 } == [Int](repeating: 1, count: keys))
    }
}
