// Mailbox: what other threads have for a worker: new sockets, news of the store, the order to
// stop.
//
// Going to sleep is the one delicate step. The sender makes its message visible, sets `pending`,
// then looks whether the worker is asleep. The worker sets `asleep`, then looks at `pending`. The
// two stores and the two loads are sequentially consistent, so at least one of them sees the
// other: either the worker stays awake or the sender wakes it. Senders pay for a system call only
// if the worker sleeps.

public import Primitives
public import Uring

/// One worker's mailbox. A plain value; copies name the same box.
///
/// ```text
/// byte 0        64        128       192       256       320              384
///      | asleep | pending | written | read    | stopping| connections    | sockets …
/// ```
public struct Mailbox: BitwiseCopyable, Sendable {
    private let region: Region
    private let capacity: UInt32

    private static let socketsStart = 384
    /// No descriptor has it: they are not negative.
    private static let localBit: UInt32 = 1 << 31

    /// A box for up to `connectionsMax` sockets that wait to be taken.
    public init(connectionsMax: Int) throws(MemoryError) {
        precondition(connectionsMax > 0)
        var capacity = 64
        while capacity < connectionsMax { capacity *= 2 }
        self.capacity = UInt32(capacity)
        region = try Region.map(byteCount: Self.byteCount(connectionsMax: connectionsMax))
    }

    static func byteCount(connectionsMax: Int) -> Int {
        var capacity = 64
        while capacity < connectionsMax { capacity *= 2 }
        return (socketsStart + capacity * 4 + 4095) / 4096 * 4096
    }

    private var asleep: AtomicWord32 { region.atomic32(at: 0) }
    private var pending: AtomicWord32 { region.atomic32(at: 64) }
    private var written: AtomicWord32 { region.atomic32(at: 128) }
    private var read: AtomicWord32 { region.atomic32(at: 192) }
    private var stopping: AtomicWord32 { region.atomic32(at: 256) }
    private var connections: AtomicWord32 { region.atomic32(at: 320) }

    // MARK: Senders, any thread unless it says otherwise

    /// Hands over a socket, a unix one if it `isLocal`; false if the box is full. The acceptor
    /// only.
    public func hand(_ socket: Socket, isLocal: Bool = false) -> Bool {
        precondition(socket.descriptor >= 0)
        let next = written.loadRelaxed()
        guard next &- read.loadAcquire() < capacity else { return false }
        region.atomic32(at: Self.socketsStart + Int(next & (capacity - 1)) * 4)
            .storeRelaxed(UInt32(socket.descriptor) | (isLocal ? Self.localBit : 0))
        connections.add(1)
        written.storeRelease(next &+ 1)
        return true
    }

    /// Connections that the worker has or will find in the box.
    public var connectionCount: Int { Int(connections.loadRelaxed()) }

    /// Orders the worker to stop, once it is notified.
    public func orderStop() { stopping.storeRelease(1) }

    /// Says that there is something to look at; wakes the worker only if it sleeps.
    public func notify(_ waker: Waker) {
        pending.storeSequential(1)
        guard asleep.loadSequential() == 1, asleep.exchange(0) == 1 else { return }
        waker.wake()
    }

    // MARK: The worker

    /// Announces sleep; true if nothing came meanwhile and sleeping is right.
    func fallAsleep() -> Bool {
        asleep.storeSequential(1)
        guard pending.loadSequential() == 0 else {
            asleep.storeRelaxed(0)
            return false
        }
        return true
    }

    @inline(__always)
    func wakeUp() { asleep.storeRelaxed(0) }

    /// Whether someone notified since the last call.
    @inline(__always)
    func takeNotice() -> Bool {
        guard pending.loadRelaxed() != 0 else { return false }
        return pending.exchange(0) != 0
    }

    /// The oldest socket in the box, and whether it is a unix one.
    func takeSocket() -> (socket: Socket, isLocal: Bool)? {
        let next = read.loadRelaxed()
        guard next != written.loadAcquire() else { return nil }
        let bits = region.atomic32(at: Self.socketsStart + Int(next & (capacity - 1)) * 4)
            .loadRelaxed()
        read.storeRelease(next &+ 1)
        let socket = Socket(descriptor: Int32(bitPattern: bits & ~Self.localBit))
        return (socket, bits & Self.localBit != 0)
    }

    var isStopOrdered: Bool { stopping.loadAcquire() == 1 }

    /// A connection is gone and its descriptor closed.
    func connectionEnded() { connections.subtract(1) }
}
