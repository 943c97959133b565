// SimulatedNetwork: the other side of a simulated ring: peers, files, time and luck.
//
// A test makes one network, gives it to one or more `SimulatedRing`s, and plays every peer by
// hand. All of it runs on one thread and is decided by the seed. No kernel is involved.

public import Primitives
internal import Support
public import Uring

/// Peers, files and a clock, all in memory. Not for the server: it allocates as it likes.
public final class SimulatedNetwork {
    /// The far end of one connection; stays valid after the connection has ended.
    public struct Peer: Hashable, Sendable {
        let index: Int
    }

    /// One connection, seen from the middle.
    struct Link {
        /// What the peer has sent; the first `taken` bytes were received.
        var arriving: [UInt8] = []
        var taken = 0
        /// What the peer was sent, less what the test has taken.
        var delivered: [UInt8] = []
        var deliveredCount = 0
        /// How much more the peer takes.
        var appetite = Int.max
        /// What the socket holds for the peer, and may hold.
        var held: [UInt8] = []
        var heldMax = 0
        /// Grows whenever the socket may have got room.
        var roomNews = 0
        var isPeerFinished = false
        var isReset = false
        var isShutDown = false
        /// -1 before it is accepted.
        var descriptor: Int32 = -1
        var isClosed = false
        /// Operations that hold it open although its descriptor is closed.
        var holders = 0

        var waiting: Int { arriving.count - taken }
        /// Bytes that a send would take now.
        var room: Int {
            appetite == .max ? .max : appetite + max(heldMax - held.count, 0)
        }
        /// Whether a wait for room would end now.
        var hasRoom: Bool { held.isEmpty ? room > 0 : room >= heldMax / 3 }

        /// The socket takes some more.
        mutating func hold(_ bytes: Span<UInt8>) {
            held.reserveCapacity(held.count + bytes.count)
            for index in bytes.indices { held.append(bytes[index]) }
        }

        /// The peer takes what it likes of what the socket holds.
        mutating func drain() {
            let count = min(appetite, held.count)
            guard count > 0 else { return }
            delivered += held[..<count]
            deliveredCount += count
            held.removeFirst(count)
            if appetite != .max { appetite -= count }
        }
    }

    struct File {
        var content: Region
        var byteCount: Int
        /// Or a file of the system, read as it is when the simulated read completes.
        var descriptor: Int32 = -1
        /// Or whatever this brings when the simulated read completes; nil: the disk fails.
        var reader: ((UInt64, Int) -> [UInt8]?)?
    }

    /// What a descriptor names.
    enum Object {
        case link(Int)
        case listener
        case file(Int)
    }

    /// May be changed at any time.
    public var faults: FaultPlan
    /// While true, no read of a file completes.
    public var holdsReads = false
    /// Descriptors that may be open at once; beyond that an accept fails with -EMFILE.
    public var descriptorsMax = Int.max
    /// Submits that a stalled read waits for at most.
    public var stalledTurns = 50

    var chance: Chance
    var links: [Link] = []
    var files: [File] = []
    var objects: [Int32: Object] = [:]
    var backlogs: [Int32: [Int]] = [:]
    /// Raised by `releaseReads`; a stalled read of an earlier number goes on.
    var releases = 0

    /// The time, in nanoseconds since the beginning.
    public private(set) var nanoseconds: UInt64 = 0
    /// Submits in a row, of any ring, that brought no completion.
    public internal(set) var idleSubmits = 0
    /// How often each fault struck, by its name in the plan.
    public var struck: [String: Int] {
        var counts: [String: Int] = [:]
        for fault in Fault.allCases where strikeCounts[fault.rawValue] > 0 {
            counts["\(fault)"] = strikeCounts[fault.rawValue]
        }
        return counts
    }
    private var strikeCounts = Array(repeating: 0, count: Fault.allCases.count)
    /// The last submit waited for something to happen, and nothing can: the peers or the clock must
    /// move first, or another thread.
    public internal(set) var isStill = false

    /// What each ring waits for that found nothing to tell when it was to wait; by its number.
    var sleepers: [Sleeper?] = []

    public init(seed: UInt64, faults: FaultPlan = .none) {
        chance = Chance(seed: seed)
        self.faults = faults
    }

    // MARK: Connections

    /// A connection that is open on both sides.
    public func open() -> (Peer, Socket) {
        links.append(Link())
        let socket = attach(links.count - 1)
        return (Peer(index: links.count - 1), socket)
    }

    /// A socket for a ring to accept from.
    public func listen() -> Socket {
        let descriptor = vacantDescriptor()
        objects[descriptor] = .listener
        backlogs[descriptor] = []
        return Socket(descriptor: descriptor)
    }

    /// A connection that waits to be accepted.
    public func connect(to listener: Socket) -> Peer {
        precondition(backlogs[listener.descriptor] != nil)
        links.append(Link())
        backlogs[listener.descriptor]?.append(links.count - 1)
        return Peer(index: links.count - 1)
    }

    /// The peer sends bytes.
    public func send(_ bytes: [UInt8], from peer: Peer) {
        precondition(!links[peer.index].isPeerFinished)
        links[peer.index].arriving += bytes
    }

    public func send(_ text: String, from peer: Peer) { send(Array(text.utf8), from: peer) }

    /// The peer will send no more, and goes on reading.
    public func finish(_ peer: Peer) { links[peer.index].isPeerFinished = true }

    /// The peer is gone: what is under way is lost, and operations fail.
    public func reset(_ peer: Peer) { links[peer.index].isReset = true }

    /// From now on the peer takes this many bytes and then no more.
    public func setAppetite(_ bytes: Int, of peer: Peer) {
        precondition(bytes >= 0)
        links[peer.index].appetite = bytes
        links[peer.index].drain()
        links[peer.index].roomNews += 1
    }

    /// From now on the socket takes this many bytes beyond what its peer takes.
    public func setSocketBuffer(_ bytes: Int, of peer: Peer) {
        links[peer.index].heldMax = bytes
        links[peer.index].roomNews += 1
    }

    /// What the peer was sent since it was last asked.
    public func takeReceived(by peer: Peer) -> [UInt8] {
        defer { links[peer.index].delivered = [] }
        return links[peer.index].delivered
    }

    /// Bytes that the peer was sent in all.
    public func receivedCount(by peer: Peer) -> Int { links[peer.index].deliveredCount }

    /// Bytes of the peer that nobody has received yet.
    public func unreceivedCount(from peer: Peer) -> Int { links[peer.index].waiting }

    /// Whether the peer sees the end of the stream: after a shutdown, or a close that no
    /// operation holds up, or a reset.
    public func hasEnded(_ peer: Peer) -> Bool {
        let link = links[peer.index]
        return link.isShutDown || link.isReset || (link.isClosed && link.holders == 0)
    }

    /// Whether the server has closed the connection's descriptor.
    public func isClosed(_ peer: Peer) -> Bool { links[peer.index].isClosed }

    /// The near end, once accepted and until closed.
    public func socket(of peer: Peer) -> Socket? {
        let link = links[peer.index]
        return link.descriptor >= 0 && !link.isClosed
            ? Socket(descriptor: link.descriptor) : nil
    }

    /// Descriptors in use: connections, listeners and files.
    public var openDescriptors: Int { objects.count }

    // MARK: Files and time

    /// A file with the first `byteCount` bytes of a region; later changes there are seen.
    public func addFile(_ content: Region, byteCount: Int) -> Int32 {
        precondition(byteCount >= 0)
        precondition(byteCount <= content.byteCount)
        let descriptor = vacantDescriptor()
        files.append(File(content: content, byteCount: byteCount))
        objects[descriptor] = .file(files.count - 1)
        return descriptor
    }

    /// A file of the system, under the number it has there. To be added before any connection
    /// gets that number; stays open as long as its owner keeps it open.
    public func addFile(descriptor: Int32) throws(RingError) {
        precondition(objects[descriptor] == nil)
        do throws(MemoryError) {
            let content = try Region.map(byteCount: 4096)
            files.append(File(content: content, byteCount: 0, descriptor: descriptor))
        } catch {
            throw .memory
        }
        objects[descriptor] = .file(files.count - 1)
    }

    /// A file whose bytes somebody else has, under a number that no connection has yet.
    public func addFile(
        descriptor: Int32, reader: @escaping (UInt64, Int) -> [UInt8]?
    ) throws(RingError) {
        try addFile(descriptor: descriptor)
        files[files.count - 1].descriptor = -1
        files[files.count - 1].reader = reader
    }

    /// From now on luck begins with this seed.
    public func reseed(_ seed: UInt64) { chance = Chance(seed: seed) }

    /// Ends all stalls of reads, and holds no more.
    public func releaseReads() {
        holdsReads = false
        releases += 1
    }

    public func advance(nanoseconds: UInt64) { self.nanoseconds += nanoseconds }

    // MARK: For the rings

    func strikes(_ fault: Fault) -> Bool {
        guard chance.happens(perMille: faults[fault]) else { return false }
        strikeCounts[fault.rawValue] += 1
        return true
    }

    /// As the kernel does it: the lowest number that is free, so numbers come back soon.
    private func vacantDescriptor() -> Int32 {
        var descriptor: Int32 = 3
        while objects[descriptor] != nil { descriptor += 1 }
        return descriptor
    }

    func attach(_ link: Int) -> Socket {
        let descriptor = vacantDescriptor()
        objects[descriptor] = .link(link)
        links[link].descriptor = descriptor
        return Socket(descriptor: descriptor)
    }

    func link(_ descriptor: Int32) -> Int? {
        guard case .link(let index)? = objects[descriptor] else { return nil }
        return index
    }

    /// The next connection of a listener, with a descriptor; a negated errno if there is none.
    func acceptNext(_ listener: Int32) -> Int32? {
        guard let waiting = backlogs[listener], !waiting.isEmpty else { return nil }
        guard objects.count < descriptorsMax else { return -Code.tooManyFiles }
        backlogs[listener]?.removeFirst()
        return attach(waiting[0]).descriptor
    }

    /// Forgets a descriptor; false if it names nothing.
    func close(_ descriptor: Int32) -> Bool {
        guard let object = objects.removeValue(forKey: descriptor) else { return false }
        if case .link(let index) = object { links[index].isClosed = true }
        backlogs[descriptor] = nil
        return true
    }
}

/// The errno values that simulated operations end with; Linux's own on every architecture.
enum Code {
    static let noEntry: Int32 = 2
    static let input: Int32 = 5
    static let badDescriptor: Int32 = 9
    static let again: Int32 = 11
    static let tooManyFiles: Int32 = 24
    static let pipe: Int32 = 32
    static let time: Int32 = 62
    static let reset: Int32 = 104
    static let noBuffers: Int32 = 105
    static let already: Int32 = 114
    static let cancelled: Int32 = 125
}
