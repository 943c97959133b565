// ReplayQueue: requests on their way from the thread that reads the trace to a worker.
//
// One writer, one reader, a ring in mapped memory: nothing is allocated, and the reader of the
// trace is never further ahead than the ring is long.

internal import Primitives

/// A ring of requests between two threads; copies name the same ring.
struct ReplayQueue: BitwiseCopyable, Sendable {
    static let capacity = 4096
    /// Requests that are made known together.
    static let batchMax: UInt64 = 64

    private let requests: Table<TraceRequest>
    /// Words on cache lines of their own: requests written, requests taken, whether the writer
    /// is done, whether the reader sleeps, what the writer sleeps on, and whether it does.
    private let words: Region

    init() throws(MemoryError) {
        requests = try Table(count: Self.capacity)
        words = try Region.map(byteCount: 4096)
    }

    private var written: AtomicWord64 { words.atomic64(at: 0) }
    private var taken: AtomicWord64 { words.atomic64(at: 128) }
    private var closed: AtomicWord32 { words.atomic32(at: 256) }
    private var sleeping: AtomicWord32 { words.atomic32(at: 384) }
    private var room: AtomicWord32 { words.atomic32(at: 512) }
    private var waiting: AtomicWord32 { words.atomic32(at: 640) }

    // MARK: The writer

    /// Puts a request at place `index` (0, 1, 2, …); false if the ring is full.
    func put(_ request: TraceRequest, at index: UInt64) -> Bool {
        guard index &- taken.loadAcquire() < UInt64(Self.capacity) else { return false }
        requests[Int(index % UInt64(Self.capacity))] = request
        return true
    }

    /// Makes known that `count` requests are there. Returns whether the reader must be woken.
    func publish(_ count: UInt64) -> Bool {
        written.storeRelease(count)
        return sleeping.exchange(0) != 0
    }

    /// No more requests come. The reader must be woken.
    func close() { closed.storeRelease(1) }

    /// Waits for room, at most so long.
    func waitForRoom(_ index: UInt64, nanoseconds: Int64) {
        let seen = room.loadAcquire()
        waiting.storeSequential(1)
        guard index &- taken.loadAcquire() >= UInt64(Self.capacity) else { return }
        room.wait(while: seen, nanoseconds: nanoseconds)
    }

    // MARK: The reader

    /// How many requests were written so far.
    @inline(__always) var writtenCount: UInt64 { written.loadAcquire() }

    @inline(__always)
    func request(at index: UInt64) -> TraceRequest {
        requests[Int(index % UInt64(Self.capacity))]
    }

    /// The first `count` requests are done with. The writer is woken when half the ring is free.
    func release(_ count: UInt64) {
        guard taken.loadRelaxed() != count else { return }
        taken.storeRelease(count)
        guard waiting.loadSequential() != 0,
            written.loadRelaxed() &- count <= UInt64(Self.capacity / 2)
        else { return }
        waiting.storeRelaxed(0)
        room.add(1)
        room.wake()
    }

    /// Whether nothing comes behind what is written.
    var isClosed: Bool { closed.loadAcquire() != 0 }

    /// Says that the reader sleeps from now on; it looks at the ring once more after this.
    func goToSleep() { sleeping.storeSequential(1) }
    func wakeUp() { sleeping.storeRelaxed(0) }
}
