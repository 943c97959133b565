// SteppedWorker: one worker over the kernel's ring, without a thread of its own: whoever drives it
// says when a turn begins.
//
// For counting what a request costs on its whole way, from the socket to the socket
// (Bench/micro). What it is made of is what the server runs, a `Worker<KernelRing>`. It is not for
// serving: nothing here runs by itself.

internal import Primitives
public import Store
public import Uring

/// A worker that never waits. One thread only, the one that made it.
public struct SteppedWorker: ~Copyable {
    private var worker: Worker<KernelRing>
    private let mailbox: Mailbox
    private let waker: Waker

    /// - Parameter keySampling: As of `SharedState`.
    public init(
        store: SteppedStore, connectionsMax: Int, keySampling: Int = SharedState.keySampling
    ) throws {
        let clock = try TimeSource.manual(SharedState.now())
        let shared = try SharedState(
            settings: Settings(), connectionsPerWorker: connectionsMax, startedAt: clock.now(),
            keySampling: keySampling, storeStatistics: { StoreStatistics() })
        var configuration = RingConfiguration()
        configuration.bufferCount = 128
        configuration.bufferBytes = ServerLimits.blockBytes
        let ring = try KernelRing(configuration: configuration)
        let waker = ring.waker
        let worker = try Self.make(
            ring, store: store, connectionsMax: connectionsMax, shared: shared, clock: clock)
        mailbox = shared.mailboxes[0]
        self.waker = waker
        self.worker = worker
    }

    private static func make(
        _ ring: consuming KernelRing, store: SteppedStore, connectionsMax: Int,
        shared: SharedState, clock: TimeSource
    ) throws -> Worker<KernelRing> {
        let receiveBuffers = ring.bufferCount
        return try Worker<KernelRing>(
            ring: ring, door: store.door(worker: 0),
            configuration: WorkerConfiguration(
                connectionsMax: connectionsMax, receiveBuffers: receiveBuffers,
                poolBlocks: 2 * receiveBuffers,
                requestsPerTurnMax: shared.settings.requestsPerTurnMax),
            mailbox: shared.mailboxes[0], shared: shared, number: 0, clock: clock)
    }

    /// Hands a connection over, for the next turn; false if there are too many.
    public func adopt(_ socket: Socket) -> Bool { mailbox.hand(socket) }

    /// One turn of the worker, which does not wait: it is told each time that there is news.
    public mutating func turn() throws(RingError) {
        mailbox.notify(waker)
        try worker.turn()
    }
}
