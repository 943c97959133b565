// FloorServer: the least that a server on io_uring does for a get: what the kernel takes, and
// hardly anything else.
//
// The same kind of ring as a worker's (one multishot receive for each connection, provided buffers,
// one immediate send for what one receive brought), but nothing is parsed, looked up or stored: it
// counts line ends, and answers each line with a value of fixed bytes. It knows a line by its first
// letters, so that the load generator can fill and ask it as any other server.

internal import Glibc
internal import Memcache
internal import Primitives
public import Uring

/// Answers lines; made, used and let go on one thread.
public struct FloorServer: ~Copyable {
    public static let valueBytesMax = 512 << 10
    /// What one receive may be answered with: whoever asks for more is disconnected.
    private static let answerBytesMax = 1 << 20
    private static let outputBytes = 8 << 20
    /// Descriptors above this are closed as soon as they are accepted.
    private static let peersMax = 4096

    private var ring: KernelRing
    private let listener: Listener
    private let reply: FloorReply
    private let peers: Table<FloorPeer>
    private let carried: Region
    private let output: Region
    private var filled = 0
    private var generation: UInt32 = 0

    /// Listens on a TCP address, and answers gets with values of so many bytes.
    public init(_ address: SocketAddress, valueBytes: Int) throws(LoadFailure) {
        precondition(valueBytes >= 0 && valueBytes <= Self.valueBytesMax)
        let (reply, peers, carried, output) = try Self.makeMemory(valueBytes: valueBytes)
        let ring = try Self.makeRing()
        do throws(SocketError) {
            listener = try Listener.tcp(address)
        } catch {
            throw .notStarted("floor", "\(error)")
        }
        self.reply = reply
        self.peers = peers
        self.carried = carried
        self.output = output
        self.ring = ring
    }

    private static func makeMemory(valueBytes: Int) throws(LoadFailure)
        -> (FloorReply, Table<FloorPeer>, Region, Region)
    {
        do throws(MemoryError) {
            return (
                try FloorReply(valueBytes: valueBytes), try Table(count: peersMax),
                try Region.map(byteCount: peersMax * FloorPeer.lineBytesMax),
                try Region.map(byteCount: outputBytes)
            )
        } catch {
            throw .memory(byteCount: outputBytes)
        }
    }

    private static func makeRing() throws(LoadFailure) -> KernelRing {
        do throws(RingError) {
            return try KernelRing()
        } catch {
            throw .ring(error)
        }
    }

    /// Serves until the process ends; throws if the ring fails.
    public mutating func run() throws(LoadFailure) {
        ring.accept(listener.socket, token: Token(.accept, slot: 0, generation: 0))
        var hasMore = false
        while true {
            do throws(RingError) {
                try ring.submit(waiting: !hasMore)
            } catch {
                throw .ring(error)
            }
            filled = 0
            hasMore = true
            while filled <= Self.outputBytes - Self.answerBytesMax {
                guard let completion = ring.nextCompletion() else {
                    hasMore = false
                    break
                }
                take(completion)
            }
        }
    }

    @inline(__always)
    private mutating func take(_ completion: Completion) {
        switch completion.token.operation {
        case .receive: takeReceived(completion)
        case .accept: adopt(completion)
        // It did not take all at once.
        case .send: give(up: Int(completion.token.slot), completion.token.generation)
        default: break
        }
    }

    private mutating func adopt(_ completion: Completion) {
        if !completion.isArmed { ring.accept(listener.socket, token: completion.token) }
        guard completion.result >= 0 else { return }
        let slot = Int(completion.result)
        let socket = Socket(descriptor: completion.result)
        guard slot < peers.count else { return socket.close() }
        generation = (generation + 1) & 0xFF_FFFF
        peers[slot] = FloorPeer(generation: generation)
        ring.receive(
            socket, token: Token(.receive, slot: UInt32(slot), generation: generation))
    }

    @inline(__always)
    private mutating func takeReceived(_ completion: Completion) {
        let slot = Int(completion.token.slot)
        let isCurrent =
            peers[slot].isOpen && peers[slot].generation == completion.token.generation
        if let buffer = completion.buffer {
            if isCurrent { answer(slot, buffer, byteCount: Int(completion.result)) }
            ring.lendBuffer(buffer)
        }
        guard isCurrent, !completion.isArmed else { return }
        let socket = Socket(descriptor: Int32(slot))
        if completion.buffer != nil || completion.result == -ENOBUFS {
            ring.receive(socket, token: completion.token)
        } else {
            peers[slot].isOpen = false
            ring.close(socket, token: Token(.close, slot: 0, generation: 0))
        }
    }

    /// Answers what one receive brought, with one send.
    @inline(__always)
    private mutating func answer(_ slot: Int, _ buffer: UInt16, byteCount: Int) {
        let table = peers
        let (reply, carried) = (reply, carried)
        var writer = ByteWriter(output, at: filled, capacity: Self.answerBytesMax)
        ring.buffers.withBytes(ring.bufferOffset(buffer), byteCount) { bytes in
            table[slot].take(
                bytes, carried, at: slot &* FloorPeer.lineBytesMax, reply, to: &writer)
        }
        let generation = table[slot].generation
        guard !writer.overflowed, !table[slot].isLost else { return give(up: slot, generation) }
        guard writer.count > 0 else { return }
        ring.sendNow(
            Socket(descriptor: Int32(slot)), from: output, at: filled, count: writer.count,
            token: Token(.send, slot: UInt32(slot), generation: generation))
        filled += writer.count
    }

    /// Disconnects; the end of its stream then closes the descriptor.
    private mutating func give(up slot: Int, _ generation: UInt32) {
        guard peers[slot].isOpen, peers[slot].generation == generation else { return }
        ring.shutdown(
            Socket(descriptor: Int32(slot)), token: Token(.shutdown, slot: 0, generation: 0))
    }
}

/// One connection: where in a line its input stands.
struct FloorPeer: BitwiseCopyable {
    /// Of a line that comes in parts, what is kept.
    static let lineBytesMax = 512

    var generation: UInt32
    var isOpen = true
    /// The line that comes next is the value of a set.
    var isInValue = false
    /// It sent a line that is longer than any of the generator's.
    var isLost = false
    /// Bytes that have come of the line before its end.
    var carriedBytes = 0

    init(generation: UInt32) { self.generation = generation }

    /// Answers every line that ends in `bytes`, and keeps what follows the last of them.
    @inline(__always)
    mutating func take(
        _ bytes: Span<UInt8>, _ carried: Region, at place: Int, _ reply: FloorReply,
        to writer: inout ByteWriter
    ) {
        var position = 0
        while position < bytes.count {
            let newline = ByteScan.newline(in: bytes, from: position)
            let part = bytes.extracting(position..<newline)
            position = newline &+ 1
            guard newline < bytes.count else { return keep(part, carried, at: place) }
            guard !isInValue else {
                isInValue = false
                continue
            }
            if carriedBytes == 0 {
                isInValue = reply.answer(part, to: &writer)
                continue
            }
            keep(part, carried, at: place)
            isInValue = carried.withBytes(place, carriedBytes) { reply.answer($0, to: &writer) }
            carriedBytes = 0
        }
    }

    private mutating func keep(_ part: Span<UInt8>, _ carried: Region, at place: Int) {
        guard !isInValue else { return }
        guard carriedBytes + part.count <= Self.lineBytesMax else {
            isLost = true
            return
        }
        carried.store(part, at: place + carriedBytes)
        carriedBytes += part.count
    }
}

/// What lines are answered with.
struct FloorReply: BitwiseCopyable {
    /// All of a value's reply that follows the key.
    private let memory: Region
    private let byteCount: Int

    init(valueBytes: Int) throws(MemoryError) {
        memory = try Region.map(byteCount: valueBytes + 64)
        var writer = ByteWriter(memory, at: 0, capacity: memory.byteCount)
        writer.append(" 0 ")
        writer.append(decimal: UInt64(valueBytes))
        writer.append("\r\n")
        for _ in 0..<valueBytes { writer.append(UInt8(ascii: "f")) }
        writer.append("\r\nEND\r\n")
        byteCount = writer.count
    }

    /// Answers a line, given without its `\n`. Whether the next line is a value.
    @inline(__always)
    func answer(_ line: Span<UInt8>, to writer: inout ByteWriter) -> Bool {
        let head = ByteScan.word(in: line, at: 0)
        if head & 0xffff_ffff == 0x2074_6567 {  // "get "
            // Whatever stands there, as the key; a carriage return is not part of it.
            writer.append("VALUE ")
            writer.append(line.extracting(4..<max(line.count &- 1, 4)))
            writer.append(memory, 0, byteCount)
            return false
        }
        return answerOther(head, to: &writer)
    }

    private func answerOther(_ head: UInt64, to writer: inout ByteWriter) -> Bool {
        switch head & 0xff_ffff {
        case 0x74_6573:  // "set"
            writer.append("STORED\r\n")
            return true
        case 0x72_6576:  // "ver"
            writer.append("VERSION floor\r\n")
        case 0x61_7473:  // "sta"
            writer.append("END\r\n")
        default:
            writer.append("ERROR\r\n")
        }
        return false
    }
}
