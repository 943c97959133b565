// Thread and Clock: what the system has of threads and time, fenced.
//
// A thread here is a plain pthread with a name and a stack size of our choice, outside the
// runtime's pools: a worker owns its core's ring and must not share its thread with tasks.

internal import CPrimitives

/// A thread that could not be started: the errno.
public struct ThreadError: Error, Equatable {
    public var errno: Int32
    public init(errno: Int32) { self.errno = errno }
}

/// A running thread; `join` ends the value. One that is not joined runs on by itself.
public struct Thread: ~Copyable, Sendable {
    private let handle: UInt

    /// What the new thread runs, kept alive until it has.
    private final class Body: Sendable {
        private let body: @Sendable () -> Void
        private let isBackground: Bool
        init(_ body: @escaping @Sendable () -> Void, isBackground: Bool) {
            self.body = body
            self.isBackground = isBackground
        }

        func run() {
            if isBackground { cprim_thread_background() }
            body()
        }
    }

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: Shown by the system's tools; what exceeds 15 bytes is cut off.
    ///   - stackBytes: At least 64 KiB; untouched pages cost nothing.
    ///   - isBackground: It has its share of the cores, but takes none from a thread that runs
    ///     when it wakes up.
    public init(
        name: String, stackBytes: Int = 1 << 20, isBackground: Bool = false,
        body: @escaping @Sendable () -> Void
    ) throws(ThreadError) {
        precondition(stackBytes >= 64 << 10)
        let context = unsafe Unmanaged.passRetained(Body(body, isBackground: isBackground))
        var thread = cprim_thread(handle: 0)
        let short = String(decoding: name.utf8.prefix(15), as: UTF8.self)
        // SAFETY: the name is copied by the call; the context is released by the thread, exactly
        // once, or below if there is no thread.
        let code = unsafe cprim_thread_start(
            &thread, short, stackBytes,
            { pointer in
                guard let pointer = unsafe pointer else { return }
                let body = unsafe Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue()
                body.run()
            }, context.toOpaque())
        guard code == 0 else {
            unsafe context.release()
            throw ThreadError(errno: code)
        }
        handle = thread.handle
    }

    /// Waits until the thread has returned.
    public consuming func join() {
        let code = cprim_thread_join(cprim_thread(handle: handle))
        precondition(code == 0)
    }

    /// The system's number for the calling thread, as tools show it.
    public static var currentID: Int32 { cprim_thread_id() }
}

/// The machine as the process may use it.
public enum Machine {
    /// Where the process's address space is limited: its threads take as little of it as they can.
    /// Before there is any.
    public static func spareAddresses() { cprim_spare_addresses() }

    /// Cores that the process may run on, at least 1.
    public static var coreCount: Int { Int(cprim_core_count()) }
}

/// The clocks. Reading one costs some 20 ns: read it once per turn and pass the value on.
public enum Clock {
    /// Nanoseconds since some moment before the process began; never goes back.
    public static func monotonicNanoseconds() -> UInt64 { cprim_monotonic_nanoseconds() }

    /// Nanoseconds since 1970, as the system's clock has them; may be set back.
    public static func unixNanoseconds() -> UInt64 { cprim_unix_nanoseconds() }

    /// Seconds since 1970, as the system's clock has them; may be set back.
    public static func unixSeconds() -> UInt64 { cprim_unix_nanoseconds() / 1_000_000_000 }

    // MARK: The cache's time

    /// Nanoseconds since 1970 by the cache's own count, at a moment of the monotonic clock: what
    /// the system's clock said when the process began, and evenly on from there, however that clock
    /// is set. Lives end by it. At least a second.
    public static func cacheNanoseconds(at monotonic: UInt64) -> UInt64 {
        cprim_cache_nanoseconds(monotonic)
    }

    /// The cache's time begins anew, so many seconds ahead of the system's clock, as an earlier
    /// run's was in the end. Before anything has a life.
    public static func beginCache(secondsAhead: Int32) {
        cprim_begin_cache_time(Int64(secondsAhead) * 1_000_000_000)
    }

    // MARK: Debugging

    /// Moves this process's times of day, for all its threads.
    public static func shift(seconds: Int32) {
        cprim_shift_clock(Int64(seconds) * 1_000_000_000)
    }
    /// Has them stand, or run again.
    public static func pause(_ isPaused: Bool) { cprim_pause_clock(isPaused ? 1 : 0) }
}
