// PlayedDisk: the store on disk of a world: its settings, and files in memory that outlive the
// world, so that a next one finds them as a next process would.

import Store
import StoreSimulation

package struct PlayedDisk {
    package let configuration: DiskConfiguration
    package let home: MemoryHome

    /// `flushIntervalMilliseconds`: of the world's clock.
    package init(
        seed: UInt64 = 1, isAcknowledging: Bool = false, flushIntervalMilliseconds: Int = 60_000
    ) {
        home = MemoryHome(seed: seed, ballast: 0)
        // No connection has this number.
        home.descriptor = 1_000_000
        configuration = DiskConfiguration(
            directory: "memory", sizeBytes: 256 << 20, isAcknowledging: isAcknowledging,
            flushIntervalMilliseconds: flushIntervalMilliseconds)
    }

    /// Sets values, each so many times the same letter, in a world of its own, which stops:
    /// the next one finds them on disk only. Answers whether all are there.
    package func fill(
        _ values: [(key: String, byteCount: Int)], letter: String = "v",
        memoryBytes: Int = 16 << 20
    ) throws -> Bool {
        let world = try World(memoryBytes: memoryBytes, disk: self)
        let peer = world.connect()
        for (key, count) in values {
            let value = String(repeating: letter, count: count)
            world.network.send("set \(key) 0 0 \(count) noreply\r\n\(value)\r\n", from: peer)
        }
        world.network.send("mn\r\n", from: peer)
        guard try world.turn(until: { world.received(peer) == "MN\r\n" }) else { return false }
        return try world.close()
    }
}
