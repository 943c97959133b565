// ForgetTests: a set that fails takes the value with it that it was to replace, wherever that
// resides; and a value and its touch are one step.

import Primitives
import Store
import Testing

@Suite struct ForgetTests {
    enum Residence: CaseIterable { case clean, dirty, diskOnly, promoted, recovering, memoryAlone }

    /// A world in which `key` has a value in this residence.
    private func world(_ residence: Residence, _ scratch: Scratch) throws -> World {
        let hasDisk = residence != .memoryAlone
        let world = try World(memory: 6 << 20, directory: hasDisk ? scratch.path : nil)
        let client = world.client
        #expect(client.set("key", "old") == .stored)
        guard hasDisk, residence != .dirty else { return world }
        #expect(client.commit())
        guard residence != .clean else { return world }
        for number in 0..<700 {
            let value = pattern(UInt64(number), 16_000)
            #expect(client.store(.set, text("k\(number)"), value) == .stored)
        }
        #expect(client.commit())
        guard residence == .promoted else { return world }
        for _ in 0..<3 { #expect(client.get("key") == "old") }
        return world
    }

    private func forget(_ client: Client) {
        let key = text("key")
        client.door.beginTurn(now: client.now)
        let lasts = client.door.forget(key.span, hash: client.door.hash(key.span))
        client.door.endTurn()
        #expect(lasts)
        #expect(client.get("key") == nil)
        #expect(client.store(.replace, key, text("other")) == .notStored)
    }

    @Test(arguments: Residence.allCases)
    func aFailedSetRemovesTheOldValue(residence: Residence) throws {
        let scratch = Scratch()
        var world = try world(residence, scratch)
        guard residence != .recovering else {
            world.stop()
            return try forgetWhileRecovering(scratch)
        }
        forget(world.client)
        world.stop()
        guard residence != .memoryAlone else { return }
        world = try World(memory: 6 << 20, directory: scratch.path)
        #expect(world.client.recovered())
        #expect(world.client.get("key") == nil)
        world.stop()
    }

    private func forgetWhileRecovering(_ scratch: Scratch) throws {
        let disk = DiskConfiguration(
            directory: scratch.path, sizeBytes: 64 << 20, flushIntervalMilliseconds: 20)
        let store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: 6 << 20, workers: 1, itemBytesMax: 1 << 20, disk: disk),
            events: .silent, now: World.unixNow)
        let client = Client(store, now: World.unixNow)
        let recovery = try #require(try store.startStepped(wake: { _ in }))
        forget(client)
        while recovery.step(now: World.unixNow, at: Clock.monotonicNanoseconds()) {}
        #expect(client.get("key") == nil)
        client.close()
        store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
    }

    /// Between finding a value and touching it another worker may set one: that one keeps its own
    /// expiry.
    @Test func aTouchIsForTheValueThatWasSeen() throws {
        let world = try World(memory: 16 << 20)
        let client = world.client
        let key = text("key")
        let value = pattern(1, 100_000)
        #expect(client.store(.set, key, value) == .stored)
        client.door.beginTurn(now: client.now)
        let lookup = client.door.find(key.span, hash: client.door.hash(key.span))
        guard case .memory(let found) = lookup else { return #expect(Bool(false), "it is there") }
        let seen = found.recordOffset
        client.door.release(found)
        client.door.endTurn()
        #expect(client.store(.set, key, text("another"), expiry: client.now + 500) == .stored)
        let outcome = client.change(key) { door, hash, except in
            door.touch(
                key.span, hash: hash, expiry: 0, isExpired: true, record: seen, except: except)
        }
        #expect(outcome == .exists)
        let item = try #require(client.get(key))
        #expect(item.value == text("another") && item.expiry == client.now + 500)
        world.stop()
    }

    @Test func aValueIsFoundAndTouchedInOneStep() throws {
        let world = try World(memory: 16 << 20)
        let client = world.client
        let key = text("key")
        #expect(client.store(.set, key, text("value"), flags: 7) == .stored)
        let cas = try #require(client.get(key)).cas
        func gat(expiry: UInt32, isExpired: Bool = false, longest: Int = .max) -> [UInt8]? {
            client.door.beginTurn(now: client.now)
            defer { client.door.endTurn() }
            switch client.door.findTouching(
                key.span, hash: client.door.hash(key.span), expiry: expiry, isExpired: isExpired,
                valueBytesMax: longest)
            {
            case .found(let found):
                #expect(found.cas == cas && found.flags == 7)
                let bytes = client.bytes(client.door.memory, found.valueOffset, found.valueBytes)
                client.door.release(found)
                return bytes
            case .large(let found):
                client.door.release(found)
                return text("large")
            case .miss, .dead, .wait, .noOrder, .read: return nil
            }
        }
        #expect(gat(expiry: client.now + 100) == text("value"))
        #expect(client.get(key)?.expiry == client.now + 100)
        #expect(gat(expiry: client.now + 200, longest: 4) == text("large"))
        #expect(client.get(key)?.expiry == client.now + 100, "a long value is not touched yet")
        #expect(gat(expiry: 0, isExpired: true) == text("value"))
        #expect(client.get(key) == nil)
        #expect(gat(expiry: 0) == nil)
        world.stop()
    }
}
