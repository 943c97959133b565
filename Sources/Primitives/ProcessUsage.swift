// ProcessUsage: what this process has used, and who it is. Off every hot road.

internal import Glibc

/// The process as the system sees it.
public enum ProcessUsage {
    public static var processId: Int32 { getpid() }

    /// Time on a core so far, in microseconds: in the program, and in the kernel for it.
    public static func coreMicroseconds() -> (user: UInt64, system: UInt64) {
        var usage = rusage()
        // SAFETY: a local of the right type; the call cannot fail for the calling process.
        let code = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        guard code == 0 else { return (0, 0) }
        func microseconds(_ time: timeval) -> UInt64 {
            UInt64(clamping: time.tv_sec) &* 1_000_000 &+ UInt64(clamping: time.tv_usec)
        }
        return (microseconds(usage.ru_utime), microseconds(usage.ru_stime))
    }
}
