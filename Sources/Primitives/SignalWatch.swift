// SignalWatch: signals as values that one thread waits for, instead of handlers that run anywhere.

internal import Glibc

/// The signals a server answers to.
public enum StopSignal: Int32, Sendable, CaseIterable {
    case hangup = 1
    case interrupt = 2
    case user = 10
    case terminate = 15
}

/// Waits for signals on a thread of its own.
public enum SignalWatch {
    /// Keeps these signals from interrupting any thread that is started from now on by the
    /// calling one, and the calling one itself. Call it on the main thread before any other.
    public static func hold() {
        // SAFETY: a local set, for the calls only.
        unsafe withHeldSet { set in unsafe _ = pthread_sigmask(SIG_BLOCK, set, nil) }
        // A peer that went away is an error of a send, not a signal.
        _ = signal(SIGPIPE, SIG_IGN)
    }

    /// Waits for the next of the held signals.
    public static func next() -> StopSignal {
        while true {
            var number: Int32 = 0
            // SAFETY: a local set and a local number, for the call only.
            let code = unsafe withHeldSet { set in unsafe sigwait(set, &number) }
            if code == 0, let signal = StopSignal(rawValue: number) { return signal }
        }
    }

    /// Waits for the next of the held signals, for so long at most; nil if none came.
    public static func next(withinNanoseconds nanoseconds: UInt64) -> StopSignal? {
        var time = timespec()
        time.tv_sec = Int(nanoseconds / 1_000_000_000)
        time.tv_nsec = Int(nanoseconds % 1_000_000_000)
        // SAFETY: a local set and a local time, for the call only.
        let number = unsafe withHeldSet { set in unsafe sigtimedwait(set, nil, &time) }
        return StopSignal(rawValue: number)
    }

    @unsafe private static func withHeldSet<R>(
        _ body: (UnsafePointer<sigset_t>) -> R
    ) -> R {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in StopSignal.allCases { unsafe sigaddset(&set, signal.rawValue) }
        return unsafe body(&set)
    }
}
