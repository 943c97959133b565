// EchoServer: the smallest honest user of a ring, generic, so that both kinds of ring run it.
//
// It obeys every rule that `Ring` states (memory, buffers, stale tokens, close), and fails a
// precondition when the ring breaks one.

import Primitives
import Uring

struct EchoServer<Network: Ring & ~Copyable>: ~Copyable {
    struct Connection {
        var socket = Socket(descriptor: -1)
        var generation: UInt32 = 0
        var isOpen = false
        var isReceiving = false
        var hasEnded = false
        var isClosing = false
        var outstanding = 0
        /// What is to be echoed; the first `inFlight` bytes are in the send memory.
        var unsent: [UInt8] = []
        var inFlight = 0
        /// A counted send is under way; otherwise what is in flight went out unless told.
        var isCounted = false
        var mustCount = false
        /// The socket is full.
        var isWaiting = false
    }

    static var sendBytesMax: Int { 512 }

    var ring: Network
    let listener: Socket
    let memory: Region
    var isAccepting = false
    var slots: [Connection]
    var dry: [Int] = []
    var staleCount = 0
    var closedCount = 0

    init(_ ring: consuming Network, listener: Socket, slots: Int) throws {
        self.ring = ring
        self.listener = listener
        self.slots = Array(repeating: Connection(), count: slots)
        memory = try Region.map(byteCount: slots * Self.sendBytesMax)
    }

    func token(_ operation: Token.Operation, _ slot: Int) -> Token {
        Token(operation, slot: UInt32(slot), generation: slots[slot].generation)
    }

    /// A send that is out without a completion leaves more to do: no turn may wait on it.
    private var isIdle: Bool {
        !slots.contains { $0.isOpen && $0.inFlight > 0 && !$0.isCounted }
    }

    mutating func turn() throws {
        if !isAccepting {
            ring.accept(listener, token: Token(.accept, slot: 0, generation: 0))
            isAccepting = true
        }
        try ring.submit(waiting: isIdle)
        while let completion = ring.nextCompletion() { try settle(completion) }
        for slot in dry where slots[slot].isOpen { arm(slot) }
        dry = []
        for slot in slots.indices where slots[slot].isOpen { advance(slot) }
    }

    private mutating func arm(_ slot: Int) {
        let connection = slots[slot]
        guard !connection.isReceiving, !connection.hasEnded, !connection.isClosing else { return }
        slots[slot].isReceiving = true
        slots[slot].outstanding += 1
        ring.receive(slots[slot].socket, token: token(.receive, slot))
    }

    private mutating func settle(_ completion: Completion) throws {
        if completion.token.operation == .accept {
            isAccepting = completion.isArmed
            guard completion.result >= 0 else { return }
            guard let slot = slots.firstIndex(where: { !$0.isOpen }) else {
                preconditionFailure("the test opens too many")
            }
            let generation = slots[slot].generation
            slots[slot] = Connection()
            slots[slot].generation = generation
            slots[slot].socket = Socket(descriptor: completion.result)
            slots[slot].isOpen = true
            return arm(slot)
        }
        let slot = Int(completion.token.slot)
        guard slots[slot].isOpen, completion.token.generation == slots[slot].generation else {
            staleCount += 1
            if let id = completion.buffer { ring.lendBuffer(id) }
            return
        }
        switch completion.token.operation {
        case .receive: received(completion, slot)
        case .send: sent(Int(completion.result), slot)
        case .room:
            slots[slot].outstanding -= 1
            slots[slot].isWaiting = false
        case .close:
            slots[slot].isOpen = false
            slots[slot].generation = (slots[slot].generation + 1) & 0xFF_FFFF
            closedCount += 1
        default: slots[slot].outstanding -= 1
        }
    }

    private mutating func received(_ completion: Completion, _ slot: Int) {
        precondition(slots[slot].isReceiving)
        if let id = completion.buffer {
            slots[slot].unsent += ring.buffers.bytes(
                ring.bufferOffset(id), Int(completion.result))
            ring.lendBuffer(id)
        }
        guard !completion.isArmed else { return }
        slots[slot].isReceiving = false
        slots[slot].outstanding -= 1
        if completion.result > 0 || completion.result == -105 {
            dry.append(slot)
        } else {
            slots[slot].hasEnded = true
            if completion.result < 0 { slots[slot].unsent = [] }
        }
    }

    private mutating func sent(_ result: Int, _ slot: Int) {
        precondition(slots[slot].inFlight > 0)
        if slots[slot].isCounted { slots[slot].outstanding -= 1 }
        slots[slot].isCounted = false
        slots[slot].mustCount = true
        if result > 0 {
            slots[slot].unsent.removeFirst(min(result, slots[slot].unsent.count))
        } else if result == -11 {
            slots[slot].isWaiting = true
            slots[slot].outstanding += 1
            ring.awaitRoom(slots[slot].socket, repeatedly: false, token: token(.room, slot))
        } else {
            slots[slot].unsent = []
            slots[slot].hasEnded = true
        }
        slots[slot].inFlight = 0
    }

    private mutating func advance(_ slot: Int) {
        if slots[slot].inFlight > 0, !slots[slot].isCounted {
            // No completion came for it in its own submit: all of it is out.
            slots[slot].unsent.removeFirst(min(slots[slot].inFlight, slots[slot].unsent.count))
            slots[slot].inFlight = 0
        }
        let isQuiet = slots[slot].inFlight == 0 && !slots[slot].isWaiting
        if isQuiet, !slots[slot].unsent.isEmpty, !slots[slot].isClosing {
            send(slot)
        }
        guard slots[slot].hasEnded, slots[slot].unsent.isEmpty || slots[slot].isClosing else {
            return
        }
        if !slots[slot].isClosing {
            slots[slot].isClosing = true
            slots[slot].outstanding += 1
            ring.shutdown(slots[slot].socket, token: token(.shutdown, slot))
            if slots[slot].isReceiving {
                slots[slot].outstanding += 1
                ring.cancel(token(.receive, slot), token: token(.cancel, slot))
            }
        } else if slots[slot].outstanding == 0 {
            slots[slot].outstanding = .min
            ring.close(slots[slot].socket, token: token(.close, slot))
        }
    }

    private mutating func send(_ slot: Int) {
        let count = min(slots[slot].unsent.count, Self.sendBytesMax)
        let offset = slot * Self.sendBytesMax
        for index in 0..<count { memory.store(slots[slot].unsent[index], at: offset + index) }
        slots[slot].inFlight = count
        slots[slot].isCounted = slots[slot].mustCount
        let socket = slots[slot].socket
        if slots[slot].mustCount {
            slots[slot].mustCount = false
            slots[slot].outstanding += 1
            ring.send(socket, from: memory, at: offset, count: count, token: token(.send, slot))
        } else {
            ring.sendNow(socket, from: memory, at: offset, count: count, token: token(.send, slot))
        }
    }
}
