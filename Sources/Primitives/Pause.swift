// Pause: short sleeps for the threads that may wait. Never for a worker.

internal import Glibc

/// Waits that end by themselves.
public enum Pause {
    /// About 50 microseconds: long enough for another thread to take this core.
    public static func short() { sleep(nanoseconds: 50_000) }

    public static func sleep(nanoseconds: Int) {
        var time = timespec()
        time.tv_sec = nanoseconds / 1_000_000_000
        time.tv_nsec = nanoseconds % 1_000_000_000
        // SAFETY: a local timespec, for the call only.
        _ = unsafe nanosleep(&time, nil)
    }
}
