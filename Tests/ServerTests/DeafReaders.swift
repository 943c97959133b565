// DeafReaders: a world with little memory for replies, and peers that take nothing of theirs.

import ServerSimulation
import Simulation
import Testing

extension World {
    /// 32 blocks for replies and 16 for input; somebody who reads, and has stored `k`, 9000 bytes.
    static func scarce(
        connections: Int
    ) throws -> (world: World, reader: SimulatedNetwork.Peer) {
        let world = try World(receiveBuffers: 16, poolBlocks: 32, connections: connections)
        let reader = world.connect()
        let value = String(repeating: "v", count: 9000)
        #expect(try world.ask("set k 0 0 9000\r\n\(value)\r\n", reader) == "STORED\r\n")
        return (world, reader)
    }

    /// Peers that ask, each by its number, and take nothing beyond what their sockets hold.
    func connectDeaf(
        _ count: Int, socketBytes: Int, asking request: (Int) -> String
    ) -> [SimulatedNetwork.Peer] {
        let peers = (0..<count).map { _ in connect() }
        for (number, peer) in peers.enumerated() {
            network.setAppetite(0, of: peer)
            network.setSocketBuffer(socketBytes, of: peer)
            network.send(request(number), from: peer)
        }
        return peers
    }
}
