// Ring: what a worker may ask of the kernel, and what comes back.
//
// `KernelRing` drives io_uring; the tests' `SimulatedRing` (Tests/Simulation) misbehaves on
// purpose. The worker is generic over this protocol, so tests run the production loop. No constant
// of io_uring passes this border: results are bytes or a negated errno, flags are properties.

internal import CUring
public import Primitives

/// What became of one operation.
public struct Completion: BitwiseCopyable, Equatable, Sendable {
    public var token: Token
    /// Bytes, a descriptor (accept), or a negated errno.
    public var result: Int32
    /// The provided buffer that holds the received bytes, if one was taken; the receiver owns it
    /// until `lendBuffer`.
    public var buffer: UInt16?
    /// Whether a multishot operation stays armed. False means: arm it again if you want more.
    public var isArmed: Bool
    @inlinable public init(token: Token, result: Int32, buffer: UInt16?, isArmed: Bool) {
        self.token = token
        self.result = result
        self.buffer = buffer
        self.isArmed = isArmed
    }
}

/// One ring, used by one thread only, the one that made it.
///
/// Operations queue up; `submit` hands them all over in one system call. When the submission
/// queue is full an implementation submits by itself, without waiting. An operation never fails
/// at the call; what went wrong arrives as a completion with its token (also for a skip-success
/// send). Completions come in any order.
public protocol Ring: ~Copyable {
    /// Memory of the provided receive buffers; buffer `id` begins at `bufferOffset(id)`.
    var buffers: Region { get }
    /// Bytes in each provided buffer.
    var bufferBytes: Int { get }
    func bufferOffset(_ id: UInt16) -> Int
    /// Gives a provided buffer back; takes effect at once or at the next submit.
    mutating func lendBuffer(_ id: UInt16)

    /// Multishot accept: one completion per connection.
    mutating func accept(_ listener: Socket, token: Token)
    /// Multishot receive into provided buffers. Result 0 is the end of the stream; -ENOBUFS ends
    /// the multishot (not armed) when no buffer is left.
    mutating func receive(_ socket: Socket, token: Token)
    /// One receive into a provided buffer. Completes once, not armed, also with -ENOBUFS, which may
    /// come at once where no buffer is left, unless it is to look for one only when there is
    /// something to receive.
    mutating func receiveOnce(_ socket: Socket, whenReadable: Bool, token: Token)
    /// One receive straight into memory, which the ring owns until the completion.
    mutating func receive(
        _ socket: Socket, into region: Region, at offset: Int, count: Int, token: Token)
    /// Receives at once what has arrived: bytes, 0 at the end of the stream, or a negated errno,
    /// -EAGAIN if nothing has. Not while a receive of the same socket is owed. A system call of its
    /// own: ask rarely.
    mutating func receiveNow(
        _ socket: Socket, into region: Region, at offset: Int, count: Int
    ) -> Int
    /// An immediate send that never waits: no completion when all bytes went out; otherwise one
    /// with the bytes that did (maybe -EAGAIN), within the same `submit`. The memory is free
    /// again once that submit's completions have been taken.
    mutating func sendNow(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token)
    /// The same, but it always completes, within the same `submit`: with the bytes that the socket
    /// took, or -EAGAIN.
    mutating func send(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token)
    /// Completes, with a result that means nothing, once a socket that was full has room again, or
    /// a send would fail. A wait for a peer that sends no more may complete at once without either:
    /// then wait `repeatedly`, which says so at once as well, and then each time that room comes to
    /// be, until it is cancelled. (A send that waits would cost a thread of the kernel's there.)
    mutating func awaitRoom(_ socket: Socket, repeatedly: Bool, token: Token)
    /// Bytes that a socket was sent and still holds, because its peer has not taken them.
    /// A system call of its own: ask rarely.
    func heldByteCount(of socket: Socket) -> Int
    /// Bytes that the socket is sure to take of a send now. A system call of its own as well.
    func roomByteCount(of socket: Socket) -> Int
    /// Whether the peer is gone, so that nothing that is sent can reach it: it has reset the
    /// connection. One that has only ended its stream is not. A system call of its own as well.
    func isGone(_ socket: Socket) -> Bool
    /// One buffered read from a file.
    mutating func read(
        _ descriptor: Int32, at fileOffset: UInt64, into region: Region, at offset: Int,
        count: Int, token: Token)
    /// Cancels the operation that was started with `target`; both complete, in either order.
    mutating func cancel(_ target: Token, token: Token)
    /// Both directions, after what was queued before; receives then see the end of the stream.
    /// Completes with 0, also if the peer was gone already.
    mutating func shutdown(_ socket: Socket, token: Token)
    mutating func close(_ socket: Socket, token: Token)
    /// Completes once, -ETIME, after that many nanoseconds.
    mutating func timeout(nanoseconds: UInt64, token: Token)
    /// Completes once, after another thread has called the waker of this ring. Arm again.
    mutating func armWake(token: Token)
    /// What another thread calls to wake this ring out of a waiting `submit`.
    var waker: Waker { get }

    /// Hands over everything queued; if `waiting`, until at least one completion is there.
    /// Always takes what has completed into reach of `nextCompletion`.
    mutating func submit(waiting: Bool) throws(RingError)
    mutating func nextCompletion() -> Completion?
    /// System calls made so far to enter the ring, or to wait.
    var enterCount: UInt64 { get }
}

/// Both engines ask the same system.
extension Ring where Self: ~Copyable {
    public func heldByteCount(of socket: Socket) -> Int { Int(curing_held(socket.descriptor)) }
    public func roomByteCount(of socket: Socket) -> Int { Int(curing_room(socket.descriptor)) }
    public func isGone(_ socket: Socket) -> Bool { curing_gone(socket.descriptor) != 0 }
    public mutating func receiveNow(
        _ socket: Socket, into region: Region, at offset: Int, count: Int
    ) -> Int {
        // SAFETY: the region checks the bounds; the bytes are written before the call returns.
        unsafe Int(
            curing_receive_now(
                socket.descriptor, region.uncheckedAddress(at: offset, count: count),
                UInt32(count)))
    }
}
