// RescueTests: what leaves a disk that is smaller than memory is written anew if memory wants it,
// and that comes to an end.

import Store
import StoreSimulation
import Testing

@Suite struct RescueTests {
    @Test func aStoreSmallerThanMemoryComesToRest() throws {
        let home = MemoryHome(seed: 1, ballast: 0)
        let stepped = try Stepped(
            home, memoryBytes: 160 << 20, sizeBytes: 16 << 20, at: Stepped.beginning)
        // Twice what the disk holds, and all of it is wanted: three times at most, as is counted.
        for number in 0..<2200 {
            #expect(stepped.fill(1, from: number) == 1)
            for _ in 0..<4 { #expect(stepped.isThere("key:\(number)")) }
            stepped.step()
        }
        #expect(comesToRest(stepped), "it writes on and on")
        #expect(stepped.store.statistics().rescues > 0, "nothing was rescued")
    }

    /// Steps while nobody asks for anything; whether nothing is rescued any more in the end.
    private func comesToRest(_ stepped: Stepped) -> Bool {
        var (before, still) = (stepped.store.statistics().rescues, 0)
        for _ in 0..<60_000 {
            stepped.step()
            let now = stepped.store.statistics().rescues
            still = now == before ? still + 1 : 0
            before = now
            // Twenty intervals between commits, of 50 steps each.
            if still == 1000 { return true }
        }
        return false
    }
}
