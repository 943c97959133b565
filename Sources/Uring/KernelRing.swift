// KernelRing: the ring that a worker uses in production, over io_uring.
//
// One struct in C holds the queues (CUring.h); liburing makes it, its inline functions and ours
// fill it. This file is the fence around it: nothing outside sees a pointer or a constant of
// io_uring. What it does not do: retry, count or interpret results; the connection does.

public import CUring
internal import Glibc
public import Primitives

/// How large a ring is.
public struct RingConfiguration: BitwiseCopyable, Sendable, Equatable {
    /// Operations that can be queued between two submits without an extra system call; a power
    /// of two, at most 32768.
    public var entries: Int
    /// Completions that can wait before they cost an extra system call; a power of two.
    public var completions: Int
    /// Provided receive buffers: zero or a power of two, at most 32768.
    public var bufferCount: Int
    /// Bytes in each provided buffer; a multiple of 64.
    public var bufferBytes: Int

    public init(
        entries: Int = 1024, completions: Int = 8192, bufferCount: Int = 512,
        bufferBytes: Int = 16 << 10
    ) {
        self.entries = entries
        self.completions = completions
        self.bufferCount = bufferCount
        self.bufferBytes = bufferBytes
    }

    /// A ring that only accepts, waits and wakes: no provided buffers.
    public static var control: RingConfiguration {
        RingConfiguration(entries: 64, completions: 1024, bufferCount: 0, bufferBytes: 64)
    }

    /// Bytes of user memory that provided buffers take.
    public var bufferMemoryBytes: Int { bufferCount * (bufferBytes + 16) }

    func check() {
        func isPowerOfTwo(_ value: Int) -> Bool { value > 0 && value & (value - 1) == 0 }
        precondition(isPowerOfTwo(entries) && entries <= 32768)
        precondition(isPowerOfTwo(completions) && completions >= entries)
        precondition(completions <= 65536)
        precondition(bufferCount == 0 || isPowerOfTwo(bufferCount))
        precondition(bufferCount <= 32768)
        precondition(bufferBytes > 0 && bufferBytes % 64 == 0 && bufferBytes <= 1 << 24)
    }
}

/// A ring of io_uring, with its provided buffers and its wake-up descriptor.
///
/// Make it, use it and let it go on one thread. Memory that an operation names must stay
/// untouched until the completion, also when the ring ends first.
@safe public struct KernelRing: ~Copyable, Ring {
    // SAFETY (the whole file): allocated by curing_make, freed in deinit only, used by one thread
    // at a time because the ring is not Sendable in practice: the kernel refuses other threads.
    @usableFromInline let handle: UnsafeMutablePointer<curing>
    public let buffers: Region
    public let bufferBytes: Int
    @usableFromInline let bufferCount: Int
    /// What this ring uses of what the kernel offers.
    public let features: KernelFeatures
    public let waker: Waker

    /// Makes the ring and lends it all its buffers. The calling thread becomes the ring's owner.
    public init(configuration: RingConfiguration = RingConfiguration()) throws(RingError) {
        configuration.check()
        let made = try unsafe Self.make(configuration)
        unsafe handle = unsafe made.handle
        buffers = unsafe made.buffers
        features = unsafe made.features
        unsafe waker = Waker(descriptor: made.handle.pointee.wake_descriptor)
        bufferBytes = configuration.bufferBytes
        bufferCount = configuration.bufferCount
        for id in 0..<bufferCount { unsafe curing_lend(handle, UInt16(id)) }
    }

    @unsafe private struct Made {
        var handle: UnsafeMutablePointer<curing>
        var buffers: Region
        var features: KernelFeatures
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
            return unsafe Made(handle: handle, buffers: buffers, features: features)
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
