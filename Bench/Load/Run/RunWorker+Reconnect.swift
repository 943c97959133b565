// RunWorker+Reconnect: a connection that has had its share of requests ends, and a new one begins.
//
// It says quit and waits for the server to close: the side that closes first keeps the port
// busy for a minute, and the server's is always the same. Everything asked was answered before.

internal import Memcache
internal import Primitives
internal import Uring

extension RunWorker {
    /// Says goodbye on a connection that waits for nothing.
    mutating func retire(_ slot: Int) {
        precondition(wire.connections[slot].link.outstanding == 0)
        guard !wire.connections[slot].link.isRetiring else { return }
        var writer = wire.buffers.writer(slot)
        if plan.wireProtocol == .binary {
            BinaryEncoder.plain(.quitQ, opaque: 0, to: &writer)
        } else {
            RequestEncoder.quit(to: &writer)
        }
        wire.connections[slot].link.isRetiring = true
        wire.connections[slot].link.progressAt = wire.now
        wire.send(slot, count: writer.count)
    }

    /// The server has closed a retired connection: opens another in its place. The receive that
    /// ended with it is armed again by the wire.
    private mutating func reopen(_ slot: Int) {
        wire.connections[slot].link.socket.close()
        do throws(LoadFailure) {
            wire.connections[slot].reopen(
                try WireSetup.connect(target, seconds: plan.stallSeconds),
                requestsLeft: plan.requestsOfConnection)
        } catch {
            wire.connections[slot].link.socket = Socket(descriptor: -1)
            wire.failure = error
            return
        }
        counters.reconnections &+= 1
        makeReady(slot)
    }

    // MARK: Ends

    mutating func didEnd(_ slot: Int, errno code: Int32) {
        let connection = wire.connections[slot]
        guard !connection.link.isRetiring else { return reopen(slot) }
        let isWithin = connection.link.carriedBytes > 0 || connection.keyIndex > 0
        guard isWithin, connection.link.outstanding > 0 else {
            return wire.failClosed(slot, errno: code)
        }
        wire.failure = .cutOff(
            connection: wire.firstConnection + slot, request: describeHead(slot, connection),
            errno: code)
    }
}
