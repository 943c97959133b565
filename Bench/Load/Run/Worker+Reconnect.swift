// Worker+Reconnect: a connection that has had its share of requests ends, and a new one begins.
//
// It says quit and waits for the server to close: the side that closes first keeps the port
// busy for a minute, and the server's is always the same. Everything asked was answered before.

internal import Memcache
internal import Primitives
internal import Uring

extension Worker {
    /// Says goodbye on a connection that waits for nothing.
    mutating func retire(_ slot: Int) {
        precondition(connections[slot].outstanding == 0)
        guard !connections[slot].isRetiring else { return }
        let base = sendOffset(slot)
        var writer = ByteWriter(memory, at: base, capacity: sendBufferBytes)
        if plan.wireProtocol == .binary {
            BinaryEncoder.plain(.quitQ, opaque: 0, to: &writer)
        } else {
            RequestEncoder.quit(to: &writer)
        }
        connections[slot].isRetiring = true
        connections[slot].progressAt = now
        connections[slot].sendBytes = writer.count
        connections[slot].sentBytes = 0
        counters.sentBytes &+= UInt64(writer.count)
        ring.sendNow(
            connections[slot].socket, from: memory, at: base, count: writer.count,
            token: token(.send, slot))
    }

    /// The server has closed a retired connection: opens another in its place. The receive that
    /// ended with it is armed again by the caller.
    mutating func reopen(_ slot: Int) {
        connections[slot].socket.close()
        do throws(SocketError) {
            connections[slot].socket = try Socket.connected(
                to: target.address, timeoutMilliseconds: Int(plan.stallSeconds * 1000))
        } catch {
            connections[slot].socket = Socket(descriptor: -1)
            failure = .unreachable(error)
            return
        }
        counters.reconnections &+= 1
        connections[slot].isRetiring = false
        connections[slot].isSending = false
        connections[slot].carried = 0
        connections[slot].parser = ReplyParser()
        connections[slot].binary = BinaryState()
        connections[slot].requestsLeft = plan.requestsOfConnection
        makeReady(slot)
    }
}
