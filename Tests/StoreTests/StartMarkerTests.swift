// StartMarkerTests: a store that ended three starts makes way, and no other does.

import Glibc
import Primitives
import Store
import Support
import Testing

@Suite struct StartMarkerTests {
    private let boot = SmallFile.read("/proc/sys/kernel/random/boot_id", byteCountMax: 36)

    /// Whether a store is moved aside at its start that marks of other starts lie beside.
    private func isMovedAside(by marks: [UInt8]) throws -> Bool {
        let scratch = Scratch()
        let configuration = StoreConfiguration(
            memoryBytes: 16 << 20, workers: 1, itemBytesMax: 1 << 20,
            disk: DiskConfiguration(directory: scratch.path, sizeBytes: 16 << 20))
        for _ in 0..<2 {
            let lines = Lines()
            let store = try TieredStore(
                configuration: configuration, events: lines.events, now: World.unixNow)
            let marker = scratch.path + "/starting"
            #expect(SmallFile.read(marker, byteCountMax: 64) == nil, "a start that succeeded")
            _ = try store.startStepped(wake: { _ in })
            store.stop(deadlineNanoseconds: Clock.monotonicNanoseconds() + 10_000_000_000)
            if lines.contains("store.moved_aside") { return true }
            SmallFile.write(marker, marks)
        }
        return false
    }

    @Test func threeStartsInARowMoveItAside() throws {
        let boot = try #require(boot)
        #expect(try isMovedAside(by: boot + [1, 1, 1]))
        #expect(try !isMovedAside(by: boot + [1, 1]))
    }

    @Test func whatAnotherBootMarkedDoesNotCount() throws {
        let boot = try #require(boot)
        #expect(try !isMovedAside(by: boot.reversed() + [1, 1, 1]))
        #expect(try !isMovedAside(by: [0, 0, 0]))
    }
}
