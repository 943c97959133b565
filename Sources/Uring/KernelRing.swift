// KernelRing: the ring that a worker uses in production, over io_uring.
//
// One struct in C holds the queues (CUring.h); liburing makes it, its inline functions and ours
// fill it. This file is the fence around it: nothing outside sees a pointer or a constant of
// io_uring. What it does not do: retry, count or interpret results; the connection does.

public import CUring
internal import Glibc
public import Primitives

/// A ring of io_uring, with its provided buffers and its wake-up descriptor.
///
/// Make it, use it and let it go on one thread. Memory that an operation names must stay
/// untouched until the completion, also when the ring ends first.
@safe public struct KernelRing: ~Copyable, Ring {
    // SAFETY (the whole file): allocated by curing_make, freed in deinit only; one owner, because
    // the ring is neither Copyable nor Sendable, and the kernel refuses any other thread.
    @usableFromInline let handle: UnsafeMutablePointer<curing>
    public let buffers: Region
    public let bufferBytes: Int
    /// Provided buffers; fewer than asked for where lockable memory is short.
    public let bufferCount: Int
    /// The sizes that the ring really has.
    public let configuration: RingConfiguration
    /// What this ring uses of what the kernel offers.
    public let features: KernelFeatures
    public let waker: Waker

    /// Makes the ring and lends it all its buffers. The calling thread becomes the ring's owner.
    ///
    /// Kernels count rings against the user's limit of locked memory (RLIMIT_MEMLOCK, for those
    /// without CAP_IPC_LOCK). Where that is too low the ring is made smaller, step by step; it
    /// works the same, with more system calls under load. `configuration` tells.
    public init(configuration: RingConfiguration = RingConfiguration()) throws(RingError) {
        configuration.check()
        let made = try unsafe Self.makeFitting(configuration)
        unsafe handle = unsafe made.handle
        unsafe buffers = made.buffers
        unsafe features = made.features
        unsafe waker = Waker(descriptor: made.handle.pointee.wake_descriptor)
        let actual = unsafe made.configuration
        self.configuration = actual
        bufferBytes = actual.bufferBytes
        bufferCount = actual.bufferCount
        for id in 0..<bufferCount { unsafe curing_lend(handle, UInt16(id)) }
    }

    @unsafe private struct Made {
        var handle: UnsafeMutablePointer<curing>
        var buffers: Region
        var features: KernelFeatures
        var configuration: RingConfiguration
    }

    /// The largest ring that the limit of locked memory allows.
    private static func makeFitting(_ wanted: RingConfiguration) throws(RingError) -> Made {
        var exempt: Int32 = 0
        let limit = unsafe Int(clamping: curing_raise_locked_limit(&exempt))
        var size = wanted
        if exempt == 0 {
            // At once, so that the first rings leave the last ones their share.
            size.fit(lockedBytes: limit)
        } else {
            do throws(RingError) {
                return try unsafe make(wanted)
            } catch {
                guard error == .memory else { throw error }
            }
            // A namespace may show a capability that the kernel does not honour.
            size.fit(lockedBytes: limit)
        }
        while true {
            // What a ring held is given back some time after its end: one of a process that
            // stopped just now may still count.
            for attempt in 0..<20 {
                do throws(RingError) {
                    return try unsafe make(size)
                } catch {
                    guard error == .memory else { throw error }
                }
                if attempt < 19 { usleep(10_000) }
            }
            guard size.shrink() else { throw .memory }
        }
    }

    private static func make(_ configuration: RingConfiguration) throws(RingError) -> Made {
        var code: Int32 = 0
        guard
            let handle = unsafe curing_make(
                UInt32(configuration.entries), UInt32(configuration.completions), &code)
        else {
            throw code == -ENOMEM ? .memory : .denied(errno: -code)
        }
        do throws(RingError) {
            let buffers = try unsafe provide(handle, configuration)
            let features = KernelFeatures(bits: unsafe handle.pointee.features)
            guard features.isSufficient else {
                throw .kernelLacks(features.missing.joined(separator: ", "))
            }
            return unsafe Made(
                handle: handle, buffers: buffers, features: features,
                configuration: configuration)
        } catch {
            unsafe curing_end(handle)
            throw error
        }
    }

    private static func provide(
        _ handle: UnsafeMutablePointer<curing>, _ configuration: RingConfiguration
    ) throws(RingError) -> Region {
        let count = configuration.bufferCount
        let memory: Region
        let entries: Region
        do throws(MemoryError) {
            memory = try Region.map(byteCount: max(count * configuration.bufferBytes, 4096))
            entries = try Region.map(byteCount: max(count * 16, 4096))
        } catch {
            throw .memory
        }
        guard count > 0 else { return memory }
        // SAFETY: both regions are at least as long as said, and are never unmapped.
        let code = unsafe curing_provide(
            handle, entries.uncheckedAddress(at: 0, count: count * 16),
            memory.uncheckedAddress(at: 0, count: count * configuration.bufferBytes),
            UInt32(count), UInt32(configuration.bufferBytes))
        switch code {
        case 0: return memory
        case -ENOMEM: throw .memory
        default: throw .kernelLacks("provided buffer rings (5.19)")
        }
    }

    deinit { unsafe curing_end(handle) }

    /// System calls made so far to enter the ring.
    public var enterCount: UInt64 { unsafe handle.pointee.enters }

    // MARK: Buffers

    @inlinable public func bufferOffset(_ id: UInt16) -> Int {
        precondition(Int(id) < bufferCount)
        return Int(id) &* bufferBytes
    }

    @inlinable public mutating func lendBuffer(_ id: UInt16) {
        precondition(Int(id) < bufferCount)
        // SAFETY: the id is in range; whoever held the buffer gave it up by this call.
        unsafe curing_lend(handle, id)
    }

    // MARK: Operations

    @inlinable public mutating func accept(_ listener: Socket, token: Token) {
        unsafe curing_accept(handle, listener.descriptor, token.bits)
    }

    @inlinable public mutating func receive(_ socket: Socket, token: Token) {
        precondition(bufferCount > 0)
        unsafe curing_receive(handle, socket.descriptor, token.bits)
    }

    @inlinable public mutating func receiveOnce(
        _ socket: Socket, whenReadable: Bool, token: Token
    ) {
        precondition(bufferCount > 0)
        unsafe curing_receive_once(
            handle, socket.descriptor, whenReadable ? 1 : 0, token.bits)
    }

    @inlinable public mutating func receive(
        _ socket: Socket, into region: Region, at offset: Int, count: Int, token: Token
    ) {
        // SAFETY (all operations on memory): the region checks the bounds and is never unmapped;
        // the bytes are the ring's until the completion, which is the caller's promise.
        unsafe curing_receive_into(
            handle, socket.descriptor, region.uncheckedAddress(at: offset, count: count),
            UInt32(count), token.bits)
    }

    @inlinable public mutating func sendNow(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token
    ) {
        unsafe curing_send_now(
            handle, socket.descriptor, region.uncheckedAddress(at: offset, count: count),
            UInt32(count), token.bits)
    }

    @inlinable public mutating func send(
        _ socket: Socket, from region: Region, at offset: Int, count: Int, token: Token
    ) {
        unsafe curing_send(
            handle, socket.descriptor, region.uncheckedAddress(at: offset, count: count),
            UInt32(count), token.bits)
    }

    @inlinable public mutating func awaitRoom(
        _ socket: Socket, repeatedly: Bool, token: Token
    ) {
        unsafe curing_await_room(handle, socket.descriptor, repeatedly ? 1 : 0, token.bits)
    }

    @inlinable public mutating func read(
        _ descriptor: Int32, at fileOffset: UInt64, into region: Region, at offset: Int,
        count: Int, token: Token
    ) {
        unsafe curing_read(
            handle, descriptor, region.uncheckedAddress(at: offset, count: count),
            UInt32(count), fileOffset, token.bits)
    }

    @inlinable public mutating func cancel(_ target: Token, token: Token) {
        unsafe curing_cancel(handle, target.bits, token.bits)
    }

    @inlinable public mutating func shutdown(_ socket: Socket, token: Token) {
        unsafe curing_shutdown(handle, socket.descriptor, token.bits)
    }

    @inlinable public mutating func close(_ socket: Socket, token: Token) {
        unsafe curing_close(handle, socket.descriptor, token.bits)
    }

    @inlinable public mutating func timeout(nanoseconds: UInt64, token: Token) {
        unsafe curing_timeout(handle, nanoseconds, token.bits)
    }

    @inlinable public mutating func armWake(token: Token) {
        unsafe curing_arm_wake(handle, token.bits)
    }

    // MARK: Turns

    @inlinable public mutating func submit(waiting: Bool) throws(RingError) {
        let code = unsafe curing_submit(handle, waiting ? 1 : 0)
        guard code == 0 else { throw .submission(errno: -code) }
    }

    @inlinable public mutating func nextCompletion() -> Completion? {
        let entry = unsafe curing_next(handle)
        guard entry.present != 0 else { return nil }
        return Completion(
            token: Token(bits: entry.user_data),
            result: entry.result,
            buffer: entry.flags & CompletionFlags.hasBuffer != 0
                ? UInt16(truncatingIfNeeded: entry.flags >> 16) : nil,
            isArmed: entry.flags & CompletionFlags.more != 0)
    }
}

/// The two bits of a completion's flags that mean something to us, as the kernel defines them.
@usableFromInline enum CompletionFlags {
    @inlinable static var hasBuffer: UInt32 { 1 << 0 }
    @inlinable static var more: UInt32 { 1 << 1 }
}
