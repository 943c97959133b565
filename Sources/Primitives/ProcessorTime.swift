// ProcessorTime: how long processes and threads were on a core, and which cores they may use.
//
// These are the scheduler's own counters (the first number of /proc/PID/task/*/schedstat), read
// through a clock: the sum for a process keeps what threads used that have ended since.

internal import CPrimitives
internal import Glibc

/// Time on a core, in nanoseconds. Any thread.
public enum ProcessorTime {
    /// Of the calling thread, kernel and user.
    public static func ofThisThread() -> UInt64 { nanoseconds(CLOCK_THREAD_CPUTIME_ID) ?? 0 }

    /// Of all threads of a process, also of ended ones; nil if there is no such process.
    public static func ofProcess(_ id: Int32) -> UInt64? {
        var clock: clockid_t = 0
        // SAFETY: the clock's number, into a local.
        guard unsafe clock_getcpuclockid(id, &clock) == 0 else { return nil }
        return nanoseconds(clock)
    }

    /// Binds the calling thread to one core. Returns 0 or an errno.
    public static func pinThisThread(to core: Int) -> Int32 {
        guard core >= 0, core <= Int(Int32.max) else { return EINVAL }
        return cprim_pin(Int32(core))
    }

    private static func nanoseconds(_ clock: clockid_t) -> UInt64? {
        var time = timespec()
        // SAFETY: a local.
        guard unsafe clock_gettime(clock, &time) == 0 else { return nil }
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
