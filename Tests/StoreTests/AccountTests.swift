// AccountTests: frames, rooms and pins come back, whatever became of what they held; and a set of
// any legal size finds room, whatever filled memory before.

import Primitives
import Store
import Support
import Testing

@Suite(.serialized) struct AccountTests {
    @Test(arguments: [false, true]) func everySizeFindsRoomInFullMemory(hasDisk: Bool) throws {
        let scratch = Scratch()
        let world = try World(
            memory: 8 << 20, directory: hasDisk ? scratch.path : nil, diskBytes: 256 << 20,
            itemMax: 3 << 20)
        let client = world.client
        var chance = Chance(seed: 5)
        let sizes = [0, 100, 5000, 31_000, 40_000, 65_000, 300_000, 1 << 20, 2 << 20, 3 << 20]
        for round in 0..<6 {
            // A history that fills memory with one kind of value, some of it read.
            let kind = sizes[chance.below(7)]
            for number in 0..<max(10 << 20 / max(kind, 2000), 40) {
                let key = text("f\(round)-\(number)")
                #expect(client.store(.set, key, pattern(1, kind)) == .stored)
                if number % 3 == 0 { _ = client.get(key) }
            }
            for size in sizes {
                let value = pattern(UInt64(size), size)
                #expect(client.store(.set, text("s\(size)"), value) == .stored, "\(size)")
                #expect(client.get(text("s\(size)"))?.value == value, "\(size)")
                #expect(client.storeStaged(.set, text("t\(size)"), value, step: 50_000) == .stored)
            }
        }
        world.stop()
    }

    @Test(arguments: [false, true]) func abandonedRoomsAndPinsComeBack(hasDisk: Bool) throws {
        let scratch = Scratch()
        let world = try World(memory: 16 << 20, directory: hasDisk ? scratch.path : nil)
        let client = world.client
        #expect(client.store(.set, text("pinned"), pattern(1, 200_000)) == .stored)
        for round in 0..<50 {
            var stagings: [Staging] = []
            for size in [10, 3000, 20_000, 100_000, 200_000] {
                let key = text("k\(round)-\(size)")
                if let staging = client.stage(key, pattern(1, size)) { stagings.append(staging) }
            }
            #expect(stagings.count == 5)
            client.door.beginTurn(now: client.now)
            for staging in stagings { client.door.abandon(staging) }
            client.door.endTurn()
        }
        let pins = (0..<1000).compactMap { _ in pin("pinned", client) }
        #expect(pins.count == 1000, "a pin of what is pinned costs nothing")
        // What is pinned stays readable when its key is gone.
        #expect(client.delete("pinned") == .deleted)
        for number in 0..<2000 { _ = client.store(.set, text("x\(number)"), pattern(2, 9000)) }
        var value: [UInt8] = []
        while value.count < pins[0].valueBytes {
            let (offset, count) = client.door.piece(pins[0], from: value.count)
            value += client.bytes(client.door.memory, offset, count)
        }
        #expect(value == pattern(1, 200_000))
        for pin in pins { client.door.unpin(pin) }
        #expect(world.store.statistics().framesPinned == 0)
        // What is not free is in a region, but for open segments and a staging frame.
        func missing() -> Int {
            let now = world.store.statistics()
            let held = now.framesFree + now.framesLog + now.framesPromotion + now.framesDirty
            return Int(now.frames) - Int(held)
        }
        #expect(client.pump { missing() <= 8 }, "\(missing()) frames are nowhere")
        world.stop()
    }

    private func pin(_ name: String, _ client: Client) -> Pin? {
        let key = text(name)
        client.door.beginTurn(now: client.now)
        defer { client.door.endTurn() }
        guard
            case .memory(let found) = client.door.find(
                key.span, hash: client.door.hash(key.span))
        else { return nil }
        defer { client.door.release(found) }
        return client.door.pin(found)
    }

    @Test(arguments: [false, true]) func pinnedFramesAreBounded(hasDisk: Bool) throws {
        let scratch = Scratch()
        let world = try World(memory: 16 << 20, directory: hasDisk ? scratch.path : nil)
        let client = world.client
        var pins: [Pin] = []
        while pins.count < 1000 {
            let name = "k\(pins.count)"
            #expect(client.store(.set, text(name), pattern(1, 200_000)) == .stored)
            guard let one = pin(name, client) else { break }
            pins.append(one)
        }
        #expect(pins.count > 1 && pins.count < 1000)
        let statistics = world.store.statistics()
        #expect(statistics.framesPinned > statistics.frames / 4)
        #expect(statistics.framesPinned <= statistics.frames / 2)
        for one in pins { client.door.unpin(one) }
        #expect(world.store.statistics().framesPinned == 0)
        world.stop()
    }
}
