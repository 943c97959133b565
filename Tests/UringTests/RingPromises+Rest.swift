// RingPromises+Rest: the promises about files, time, wakes, ends, and very many operations.

import Glibc
import Primitives
import Testing
import Uring

extension RingPromises where Network: ~Copyable {
    static func anotherThreadWakesIt() throws {
        var ring = try Network(configuration: .small())
        let waker = ring.waker
        for round in 0..<100 {
            ring.armWake(token: token(.wake, UInt32(round)))
            let thread = try Thread(name: "waker") { waker.wake() }
            let next = try ring.await()
            #expect(next.token == token(.wake, UInt32(round)))
            #expect(next.result > 0)
            thread.join()
        }
        // A wake before it is armed is not lost, and several are one.
        waker.wake()
        waker.wake()
        ring.armWake(token: token(.wake))
        #expect(try ring.await().token == token(.wake))
        ring.armWake(token: token(.wake))
        #expect(try ring.settled().isEmpty)
    }

    static func timeoutsEndInOrderOfTheirTime() throws {
        var ring = try Network(configuration: .small())
        let start = Clock.monotonicNanoseconds()
        ring.timeout(nanoseconds: 20_000_000, token: token(.timeout, 2))
        ring.timeout(nanoseconds: 1_000_000, token: token(.timeout, 1))
        let first = try ring.await()
        let second = try ring.await()
        #expect(first.token.slot == 1)
        #expect(second.token.slot == 2)
        #expect(first.result == -ETIME)
        #expect(second.result == -ETIME)
        #expect(Clock.monotonicNanoseconds() - start >= 20_000_000)
    }

    static func readsAFileAtAnOffset() throws {
        let path = temporaryPath("file")
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(descriptor)
            unlink(path)
        }
        let content = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(write(descriptor, content, content.count) == content.count)
        var ring = try Network(configuration: .small())
        let memory = try Region.pages(3)
        ring.read(
            descriptor, at: 4096, into: memory, at: 8, count: 4096, token: token(.read, 1))
        ring.read(descriptor, at: 9000, into: memory, at: 4200, count: 4096, token: token(.read, 2))
        ring.read(-1, at: 0, into: memory, at: 9000, count: 8, token: token(.read, 3))
        var results: [UInt32: Int32] = [:]
        for _ in 0..<3 {
            let next = try ring.await()
            results[next.token.slot] = next.result
        }
        #expect(results == [1: 4096, 2: 1000, 3: -EBADF])
        #expect(memory.bytes(8, 4096) == Array(content[4096..<8192]))
        #expect(memory.bytes(4200, 1000) == Array(content[9000...]))
    }

    static func acceptsAThousandConnections() throws {
        // Both ends are in this process; where the limit is low, as many as it allows.
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, 4096))
        setrlimit(__rlimit_resource_t(7), &limit)
        let count = min(1000, (Int(clamping: limit.rlim_cur) - 200) / 2)
        if count < 1000 { print("only \(count) connections: the descriptor limit is low") }
        let listener = try Listener.tcp(.loopback(port: 0))
        let address = listener.address
        var ring = try Network(configuration: .small(completions: 128))
        ring.accept(listener.socket, token: token(.accept))
        let thread = try Thread(name: "connect") {
            var open: [Socket] = []
            for _ in 0..<count {
                if let socket = try? Socket.connected(to: address) { open.append(socket) }
            }
            for socket in open { _ = socket.hear(1) }
            for socket in open { socket.close() }
        }
        var accepted: [Socket] = []
        while accepted.count < count {
            let next = try ring.await()
            try #require(next.result >= 0)
            accepted.append(Socket(descriptor: next.result))
            if !next.isArmed { ring.accept(listener.socket, token: token(.accept)) }
        }
        #expect(Set(accepted.map(\.descriptor)).count == count)
        #expect(accepted[count - 1].isWithoutDelay)
        for socket in accepted { ring.close(socket, token: token(.close)) }
        var closed = 0
        while closed < count {
            let next = try ring.await()
            if next.token.operation == .close, next.result == 0 { closed += 1 }
        }
        thread.join()
        listener.close()
    }

    static func moreOperationsThanEntriesAndCompletionsAreAllAnswered() throws {
        var ring = try Network(configuration: .small(entries: 8, completions: 8))
        for slot in 0..<1000 {
            ring.cancel(token(.receive, UInt32(slot)), token: token(.cancel, UInt32(slot)))
        }
        try ring.submit(waiting: true)
        var seen = Set<UInt32>()
        while let next = ring.nextCompletion() {
            #expect(next.result == -ENOENT)
            seen.insert(next.token.slot)
        }
        #expect(seen.count == 1000)
        // And many timeouts keep their times apart although the slots are few.
        for slot in 0..<100 {
            let time = UInt64(1 + slot % 3) * 1000
            ring.timeout(nanoseconds: time, token: token(.timeout, UInt32(slot)))
        }
        for _ in 0..<100 { #expect(try ring.await().result == -ETIME) }
    }

    static func peersThatGoAwayAreToldAsErrors() throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        defer { listener.close() }
        var ring = try Network(configuration: .small())
        ring.accept(listener.socket, token: token(.accept))
        let client = try Socket.connected(to: listener.address)
        let near = Socket(descriptor: try ring.await().result)
        ring.receive(near, token: token(.receive))
        try ring.submit(waiting: false)
        client.resetOnClose()
        client.close()
        let next = try ring.await()
        #expect(next.result == -ECONNRESET)
        #expect(!next.isArmed)
        near.close()
    }

    static func shutdownComesAfterWhatWasQueuedBeforeAndBeforeTheCloseBehindIt() throws {
        var ring = try Network(configuration: .small(entries: 8))
        let memory = try Region.pages(1)
        memory.put("last words")
        // More at once than there are submission slots, so some go out on the way.
        var pairs: [(Socket, Socket)] = []
        for slot in 0..<20 {
            let pair = try Socket.pair()
            pairs.append(pair)
            let slot = UInt32(slot)
            ring.receive(pair.0, token: token(.receive, slot))
            ring.sendNow(pair.0, from: memory, at: 0, count: 10, token: token(.send, slot))
            ring.shutdown(pair.0, token: token(.shutdown, slot))
        }
        var ended = Set<UInt32>()
        var received = Set<UInt32>()
        while ended.count < 20 || received.count < 20 {
            let next = try ring.await()
            #expect(next.result == 0)
            switch next.token.operation {
            case .shutdown: ended.insert(next.token.slot)
            case .receive: received.insert(next.token.slot)
            default: Issue.record("a completion of a send")
            }
        }
        for (near, far) in pairs {
            #expect(far.hear(11) == "last words")
            near.close()
            far.close()
        }
        // The descriptor is shut down before it is closed and can be someone else's.
        let (near, far) = try Socket.pair()
        ring.shutdown(near, token: token(.shutdown))
        ring.close(near, token: token(.close))
        #expect(try Set([ring.await().token, ring.await().token]).count == 2)
        #expect(far.hear(1) == "")
        far.close()
    }

    static func completionsThatDoNotFitAreNotLost() throws {
        // Eight slots for completions, a hundred receives that all end in one turn.
        var ring = try Network(
            configuration: .small(entries: 8, completions: 8, buffers: 128, bytes: 64))
        var pairs: [(Socket, Socket)] = []
        for slot in 0..<100 {
            let pair = try Socket.pair()
            pairs.append(pair)
            ring.receive(pair.0, token: token(.receive, UInt32(slot)))
        }
        try ring.submit(waiting: false)
        for (_, far) in pairs {
            try far.say("abc")
            far.close()
        }
        var bytes: [UInt32: Int32] = [:]
        var ended = Set<UInt32>()
        while ended.count < 100 {
            let next = try ring.await()
            try #require(next.result >= 0)
            bytes[next.token.slot, default: 0] += next.result
            if let id = next.buffer { ring.lendBuffer(id) }
            if next.result == 0 {
                ended.insert(next.token.slot)
            } else if !next.isArmed {
                ring.receive(pairs[Int(next.token.slot)].0, token: next.token)
            }
        }
        #expect(bytes.values.allSatisfy { $0 == 3 })
        #expect(bytes.count == 100)
        for (near, _) in pairs { near.close() }
    }
}
