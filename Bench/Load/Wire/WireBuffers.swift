// WireBuffers: memory for what is sent, and for replies that two receives share.

internal import Memcache
internal import Primitives

/// Send buffers of all connections of one worker, then their carry buffers.
struct WireBuffers: BitwiseCopyable {
    /// Bytes of an incomplete reply that may have to be kept: a line.
    static let carryBytesMax = 2 * ReplyParser.lineBytesMax

    let memory: Region
    /// Bytes of each send buffer.
    let sendBytesMax: Int
    private let connectionCount: Int

    init(connectionCount: Int, sendBytesMax: Int) throws(MemoryError) {
        self.connectionCount = connectionCount
        self.sendBytesMax = sendBytesMax
        memory = try Region.map(
            byteCount: Self.byteCount(connectionCount: connectionCount, sendBytesMax: sendBytesMax))
    }

    static func byteCount(connectionCount: Int, sendBytesMax: Int) -> Int {
        (sendBytesMax + carryBytesMax) * connectionCount
    }

    @inline(__always) func sendOffset(_ slot: Int) -> Int { slot &* sendBytesMax }
    @inline(__always) func carryOffset(_ slot: Int) -> Int {
        connectionCount &* sendBytesMax &+ slot &* Self.carryBytesMax
    }
    func writer(_ slot: Int) -> ByteWriter {
        ByteWriter(memory, at: sendOffset(slot), capacity: sendBytesMax)
    }
}
