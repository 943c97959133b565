// HeldSignals: what one thread of the process sends to another is no signal to the server.

import Glibc
import Primitives
import Testing

@Suite struct HeldSignals {
    /// As Swift's runtime does when it tells where the process has crashed.
    @Test func whatIsSentToAThreadIsNotTold() async {
        await #expect(processExitsWith: .success) {
            SignalWatch.hold()
            pthread_kill(pthread_self(), SIGUSR1)
            #expect(SignalWatch.next(withinNanoseconds: 1_000_000_000) == nil)
        }
    }
}
