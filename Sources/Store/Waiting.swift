// Waiting: what the threads of the store are told and what they wait for.
//
// None of the parts below them reads a clock or sleeps: a step is given the time, and answers what
// has to happen before the next one is of use. The loop around the steps is here.

internal import Primitives

/// One reading of the clocks.
package struct ClockReading: BitwiseCopyable, Sendable {
    /// Nanoseconds of the monotonic clock.
    package var nanoseconds: UInt64
    /// Nanoseconds since 1970 by the cache's own count, which goes on evenly however the system's
    /// clock is set: `Clock.cacheNanoseconds`.
    package var unixNanoseconds: UInt64
    /// What that count is above the system's clock, in nanoseconds; 0 as long as nobody sets it.
    package var nanosecondsAhead: Int64

    package init(nanoseconds: UInt64, unixNanoseconds: UInt64, nanosecondsAhead: Int64 = 0) {
        self.nanoseconds = nanoseconds
        self.unixNanoseconds = unixNanoseconds
        self.nanosecondsAhead = nanosecondsAhead
    }

    /// What the system's clocks say.
    static func system() -> ClockReading {
        let nanoseconds = Clock.monotonicNanoseconds()
        let count = Clock.cacheNanoseconds(at: nanoseconds)
        return ClockReading(
            nanoseconds: nanoseconds, unixNanoseconds: count,
            nanosecondsAhead: Int64(bitPattern: count &- Clock.unixNanoseconds()))
    }

    package var unixSeconds: UInt32 { UInt32(clamping: unixNanoseconds / 1_000_000_000) }

    /// Nanoseconds since 1970, as the system has them.
    package var systemNanoseconds: UInt64 {
        unixNanoseconds &- UInt64(bitPattern: nanosecondsAhead)
    }
    package var systemSeconds: UInt32 { UInt32(clamping: systemNanoseconds / 1_000_000_000) }
}

/// What has to happen before a thread's next step.
package enum NextStep: BitwiseCopyable, Equatable, Sendable {
    /// Nothing: there is more to do at once.
    case nothing
    /// This time of the monotonic clock.
    case time(UInt64)
    /// The thread's bell, or this time.
    case bell(until: UInt64)
    /// A worker, which has to say how far its open segment is complete.
    case cut(worker: Int)
    /// The end: there is no next step.
    case ended
}

extension NextStep {
    /// The loop of a thread: makes steps until there is none left.
    static func drive(_ bell: Bell?, _ step: (ClockReading) -> NextStep) {
        while true {
            switch step(.system()) {
            case .nothing: continue
            case .cut: Pause.short()
            case .time(let time): Pause.sleep(nanoseconds: left(until: time))
            case .bell(let time):
                if let bell {
                    bell.wait(nanoseconds: Int64(left(until: time)))
                } else {
                    Pause.sleep(nanoseconds: left(until: time))
                }
            case .ended: return
            }
        }
    }

    /// At least so long that other threads get their turn.
    private static func left(until time: UInt64) -> Int {
        let now = Clock.monotonicNanoseconds()
        return Int(clamping: max(time, now + 50_000) - now)
    }
}
