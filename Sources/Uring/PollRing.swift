// PollRing: a ring over epoll, for where io_uring is refused: containers, old kernels, sandboxes.
//
// It keeps every promise of `Ring`; the worker does not know the difference. CPoll.c does the
// work; this file is the fence around it. Files are read at once where the page cache has them,
// else by two helper threads of the process, so a slow disk never stands in a worker's way.

internal import CUring
internal import Glibc
public import Primitives

/// A ring of system calls, with its receive buffers and its wake-up descriptor.
///
/// Make it, use it and let it go on one thread.
@safe public struct PollRing: ~Copyable, SystemRing {
    // SAFETY (the whole file): allocated by cpoll_make, freed in deinit only; one owner, because
    // the ring is neither Copyable nor Sendable.
    private let handle: OpaquePointer
    public let buffers: Region
    public let bufferBytes: Int
    public let bufferCount: Int
    public let waker: Waker

    public static var engine: Engine { .epoll }
    public var featureNames: [String] { [] }

    /// Makes the ring and lends it all its buffers.
    public init(configuration: RingConfiguration = RingConfiguration()) throws(RingError) {
        configuration.check()
        let memory = try Self.map(configuration)
        let made = unsafe try Self.make(configuration, memory)
        unsafe handle = made
        buffers = memory
        bufferBytes = configuration.bufferBytes
        bufferCount = configuration.bufferCount
        waker = Waker(descriptor: unsafe cpoll_wake_descriptor(made))
    }

    private static func map(_ configuration: RingConfiguration) throws(RingError) -> Region {
        let bytes = configuration.bufferCount * configuration.bufferBytes
        do throws(MemoryError) {
            return try Region.map(byteCount: max(bytes, 4096))
        } catch {
            throw .memory
        }
    }

    private static func make(
        _ configuration: RingConfiguration, _ memory: Region
    ) throws(RingError) -> OpaquePointer {
        let count = configuration.bufferCount
        var code: Int32 = 0
        // SAFETY: the region is at least as long as said, and is never unmapped.
        let made = unsafe cpoll_make(
            UInt32(configuration.entries), UInt32(configuration.completions),
            memory.uncheckedAddress(at: 0, count: count * configuration.bufferBytes),
            UInt32(count), UInt32(configuration.bufferBytes), &code)
        guard let made = unsafe made else {
            throw code == ENOMEM ? .memory : .pollDenied(errno: code)
        }
        return unsafe made
    }

    deinit { unsafe cpoll_end(handle) }

    /// System calls made so far to wait for sockets.
    public var enterCount: UInt64 { unsafe cpoll_enters(handle) }

    // MARK: Buffers

    public func bufferOffset(_ id: UInt16) -> Int {
        precondition(Int(id) < bufferCount)
        return Int(id) &* bufferBytes
    }

    public mutating func lendBuffer(_ id: UInt16) {
        precondition(Int(id) < bufferCount)
        // SAFETY: the id is in range; whoever held the buffer gave it up by this call.
        unsafe cpoll_lend(handle, id)
    }

    // MARK: Operations

    public mutating func accept(_ listener: Socket, token: Token) {
        queue(CPOLL_ACCEPT, listener.descriptor, token)
    }

    public mutating func receive(_ socket: Socket, token: Token) {
        precondition(bufferCount > 0)
        queue(CPOLL_RECEIVE, socket.descriptor, token)
    }

    public mutating func receiveOnce(_ socket: Socket, whenReadable: Bool, token: Token) {
        precondition(bufferCount > 0)
        queue(CPOLL_RECEIVE_ONCE, socket.descriptor, token)
    }

    public mutating func receive(
        _ socket: Socket, into region: Region, at offset: Int, count: Int, token: Token
    ) {
        queue(CPOLL_RECEIVE_INTO, socket.descriptor, region, offset, count, 0, token)
    }

    public mutating func sendNow(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token
    ) {
        queue(CPOLL_SEND_NOW, socket.descriptor, region, offset, count, 0, token)
    }

    public mutating func send(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token
    ) {
        queue(CPOLL_SEND, socket.descriptor, region, offset, count, 0, token)
    }

    public mutating func awaitRoom(_ socket: Socket, repeatedly: Bool, token: Token) {
        queue(repeatedly ? CPOLL_ROOM_REPEATED : CPOLL_ROOM, socket.descriptor, token)
    }

    public mutating func read(
        _ descriptor: Int32, at fileOffset: UInt64, into region: Region, at offset: Int,
        count: Int, token: Token
    ) {
        queue(CPOLL_READ, descriptor, region, offset, count, fileOffset, token)
    }

    public mutating func cancel(_ target: Token, token: Token) {
        queue(CPOLL_CANCEL, -1, token, number: target.bits)
    }

    public mutating func shutdown(_ socket: Socket, token: Token) {
        queue(CPOLL_SHUTDOWN, socket.descriptor, token)
    }

    public mutating func close(_ socket: Socket, token: Token) {
        queue(CPOLL_CLOSE, socket.descriptor, token)
    }

    public mutating func timeout(nanoseconds: UInt64, token: Token) {
        queue(CPOLL_TIMEOUT, -1, token, number: nanoseconds)
    }

    public mutating func armWake(token: Token) { queue(CPOLL_WAKE, -1, token) }

    private func queue(
        _ kind: cpoll_kind, _ descriptor: Int32, _ token: Token, number: UInt64 = 0
    ) {
        unsafe cpoll_queue(handle, kind.rawValue, descriptor, nil, 0, number, token.bits)
    }

    private func queue(
        _ kind: cpoll_kind, _ descriptor: Int32, _ region: Region, _ offset: Int, _ count: Int,
        _ number: UInt64, _ token: Token
    ) {
        // SAFETY: the region checks the bounds and is never unmapped; the bytes are the ring's
        // until the completion, which is the caller's promise.
        unsafe cpoll_queue(
            handle, kind.rawValue, descriptor,
            region.uncheckedAddress(at: offset, count: count), UInt32(count), number, token.bits)
    }

    // MARK: Turns

    public mutating func submit(waiting: Bool) throws(RingError) {
        let code = unsafe cpoll_submit(handle, waiting ? 1 : 0)
        guard code == 0 else { throw .submission(errno: -code) }
    }

    public mutating func nextCompletion() -> Completion? {
        let entry = unsafe cpoll_next(handle)
        guard entry.present != 0 else { return nil }
        return Completion(
            token: Token(bits: entry.user_data),
            result: entry.result,
            buffer: entry.flags & CompletionFlags.hasBuffer != 0
                ? UInt16(truncatingIfNeeded: entry.flags >> 16) : nil,
            isArmed: entry.flags & CompletionFlags.more != 0)
    }
}
