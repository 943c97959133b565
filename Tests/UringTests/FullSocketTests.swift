// FullSocketTests: what the rings say of sockets that are full, and of peers that send no more.

import Glibc
import Primitives
import Testing
import Uring

extension RingPromises where Network: ~Copyable {
    /// Over TCP: a wait for a peer that sends no more goes on, and costs no thread.
    static func roomIsAwaitedAlsoWhereThePeerSendsNoMore() throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        defer { listener.close() }
        var ring = try Network(configuration: .small())
        ring.accept(listener.socket, token: token(.accept))
        let far = try Socket.connected(to: listener.address)
        let near = Socket(descriptor: try ring.await().result)
        defer { near.close() }
        let memory = try Region.map(byteCount: 16 << 20)
        shutdown(far.descriptor, Int32(SHUT_WR))
        let sent = try fill(near, memory, &ring)
        if Network.engine == .uring {
            // It may; epoll does not.
            ring.awaitRoom(near, repeatedly: false, token: token(.room, 1))
            #expect(try ring.await().isArmed == false, "told at once, for nothing")
        }
        ring.awaitRoom(near, repeatedly: true, token: token(.room, 2))
        if Network.engine == .uring { #expect(try ring.await().isArmed) }
        ring.send(near, from: memory, at: 0, count: 1 << 20, token: token(.send))
        #expect(try ring.await().result == -EAGAIN)
        let drain = try Thread(name: "drain") {
            var left = sent
            while left > 0 { left -= far.hear(min(left, 1 << 20)).utf8.count }
        }
        let told = try ring.await()
        #expect(told.token == token(.room, 2))
        #expect(told.isArmed)
        drain.join()
        far.close()
        ring.cancel(token(.room, 2), token: token(.cancel))
        var results: [Token.Operation: Int32] = [:]
        while results.count < 2 {
            let next = try ring.await()
            if !next.isArmed { results[next.token.operation] = next.result }
        }
        #expect(results == [.room: -ECANCELED, .cancel: 0])
    }

    /// Sends until the socket takes no more; how many bytes.
    private static func fill(_ socket: Socket, _ memory: Region, _ ring: inout Network) throws
        -> Int
    {
        var sent = 0
        while true {
            ring.send(socket, from: memory, at: 0, count: 16 << 20, token: token(.send))
            let result = try ring.await().result
            if result > 0 { sent += Int(result) }
            // The peer's own buffer may still take some.
            if result == -EAGAIN {
                var attempts = 0
                while attempts < 20, ring.heldByteCount(of: socket) > 0 {
                    usleep(1000)
                    attempts += 1
                }
                ring.send(socket, from: memory, at: 0, count: 1, token: token(.send))
                if try ring.await().result == -EAGAIN { return sent }
                sent += 1
            }
        }
    }
}
