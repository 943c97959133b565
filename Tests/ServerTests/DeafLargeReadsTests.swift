// DeafLargeReadsTests: hundreds of peers that ask for large values on disk and read none of them:
// what was read for them, or is to be read and finds no memory, holds no slot that honest reads
// wait for.
//
// Nothing here runs on threads (World).

import Primitives
import ServerSimulation
import Simulation
import Store
import Support
import Testing
import Uring

@Suite struct DeafLargeReadsTests {
    private static func value(_ count: Int) -> String { String(repeating: "v", count: count) }

    private static let smallCount = 120

    /// Values of which deaf peers ask for more than fits the memory that reads may have.
    struct Kind: Sendable, CustomStringConvertible {
        let description: String
        let largeBytes: Int
        let largeCount: Int
        /// Small values that each asks for first, and large ones behind them.
        var small = 0
        var large = 1
        var isOneByOne = false

        func request(_ number: Int) -> String {
            let first = (0..<small).map { "k\((number * small + $0) % (smallCount - 10))" }
            let last = (0..<large).map { "l\((number * large + $0) % (largeCount - 10))" }
            let keys = first + last
            return isOneByOne
                ? keys.map { "get \($0)\r\n" }.joined()
                : "get \(keys.joined(separator: " "))\r\n"
        }
    }

    static let kinds = [
        Kind(description: "large", largeBytes: 20_000, largeCount: 160, large: 8),
        Kind(
            description: "one by one", largeBytes: 20_000, largeCount: 160, large: 8,
            isOneByOne: true),
        Kind(
            description: "small, then large", largeBytes: 20_000, largeCount: 160, small: 6,
            large: 12),
    ]

    private func world(_ kind: Kind) throws -> World {
        let disk = PlayedDisk()
        let small = (0..<Self.smallCount).map { (key: "k\($0)", byteCount: 3000) }
        let large = (0..<kind.largeCount).map { (key: "l\($0)", byteCount: kind.largeBytes) }
        let isFilled = try disk.fill(small + large, memoryBytes: 16 << 20)
        #expect(isFilled)
        let world = try World(
            memoryBytes: 12 << 20, poolBlocks: 64, connections: 512, disk: disk)
        let isRecovered = try world.recover()
        #expect(isRecovered)
        return world
    }

    /// Tenths of a second until a new connection's request is answered whole; nil for none in 6 s.
    private func tenths(
        _ world: World, _ request: String, _ start: String
    ) throws -> Int? {
        let peer = world.connect()
        world.network.setSocketBuffer(40_000, of: peer)
        world.network.send(request, from: peer)
        var received = ""
        for tenth in 0..<60 {
            if tenth == 0 { try world.turn(200) } else { try world.pass(milliseconds: 100) }
            received += world.received(peer)
            guard received.hasSuffix("END\r\n") else { continue }
            world.network.finish(peer)
            #expect(received.hasPrefix(start), "\(request.prefix(20)): \(received.prefix(40))")
            return tenth
        }
        return nil
    }

    @Test(arguments: kinds) func whoeverReadsIsAnswered(_ kind: Kind) throws {
        let world = try world(kind)
        let deaf = (0..<100).map { _ in world.connect() }
        for (number, peer) in deaf.enumerated() {
            world.network.setSocketBuffer(10_000, of: peer)
            world.network.setAppetite(10_000, of: peer)
            world.network.send(kind.request(number), from: peer)
        }
        try world.turn(100)
        for number in 1...2 {
            let (small, large) = (Self.smallCount - number, kind.largeCount - number)
            // A large one needs memory as well: who has some, and stalls, gives way after 0.4 s.
            let honest = [
                ("get none\r\n", "END", 0),
                ("get k\(small)\r\n", "VALUE k\(small) 0 3000\r\n", 1),
                ("get l\(large)\r\n", "VALUE l\(large) 0 \(kind.largeBytes)\r\n", 20),
            ]
            for (request, start, bound) in honest {
                let tenths = try tenths(world, request, start)
                #expect(
                    tenths.map { $0 <= bound } == true,
                    "\(request.prefix(20)): \(tenths.map { "\($0) tenths" } ?? "no answer")")
            }
        }
        #expect(world.shared.total("waitsForReadSlot") ?? 0 > 0, "there was enough")
        for peer in deaf { world.network.reset(peer) }
        #expect(try world.close())
    }
}
