// Time: the system's clock and the cache's, and what a start makes of them.

import Server
import Store

extension WholeWorld {
    func pass(_ nanoseconds: UInt64) {
        now.nanoseconds += nanoseconds
        now.unixNanoseconds += nanoseconds
        network.advance(nanoseconds: nanoseconds)
        law.setTime(now.unixSeconds)
        clock.move(to: moment)
    }

    var moment: Moment {
        Moment(
            nanoseconds: now.nanoseconds, seconds: now.unixSeconds,
            secondsAhead: now.nanosecondsAhead / 1_000_000_000)
    }

    /// The system's clock is set, which the law knows nothing of: no life ends by it. Not while a
    /// date is under way, which is read against the clock of some moment.
    func setClock(by seconds: Int) {
        guard !clients.contains(where: \.hasDates) else { return }
        now.nanosecondsAhead -= Int64(seconds) * 1_000_000_000
        clock.move(to: moment)
    }

    /// A run counts on from where the one before was, as far as the store tells.
    func beginCount(secondsAhead: Int32) {
        let ahead = Int64(secondsAhead) * 1_000_000_000
        let jump = ahead - now.nanosecondsAhead
        if isCountKept, jump.magnitude > 1_000_000_000 {
            fail("a start has moved the cache's time by \(jump / 1_000_000_000) s")
        }
        isCountKept = false
        now.unixNanoseconds = UInt64(Int64(now.unixNanoseconds) + jump)
        now.nanosecondsAhead = ahead
        law.stepClock(to: now.unixSeconds)
        clock.move(to: moment)
    }
}
