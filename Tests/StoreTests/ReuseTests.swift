// ReuseTests: what is overwritten without end gives its memory back before other memory is used.

import Store
import StoreSimulation
import Testing

@Suite struct ReuseTests {
    /// Some values, each overwritten again and again: memory stays near what lives, though much
    /// more was allowed.
    @Test func memoryStaysNearWhatLives() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 128 << 20, sizeBytes: 64 << 20, at: Stepped.beginning)
        let keys = 400
        for _ in 0..<30 {
            #expect(store.fill(keys, from: 0) == keys)
            for _ in 0..<20 { store.step() }
        }
        let statistics = store.store.statistics()
        let frameBytes = (128 << 20) / Int(statistics.frames)
        let used = Int(statistics.frames - statistics.framesFree) * frameBytes
        #expect(used < 5 * (keys * 14_000) / 2 + (32 << 20), "\(used) bytes")
        for number in 0..<keys { #expect(store.isThere("key:\(number)")) }
        home.die()
        store.played.discardMemory()
    }
}
