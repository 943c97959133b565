// ServingStatusTests: what the service manager is told of the state, second by second.

import Server
import Testing

@Suite struct ServingStatusTests {
    @Test func recoveryIsToldUntilItIsOver() {
        var status = ServingStatus(places: "127.0.0.1:11211")
        let served = "serving on 127.0.0.1:11211"
        #expect(status.next { (true, 0) } == served + ", recovering, 0 items so far")
        #expect(status.next { (true, 1200) } == served + ", recovering, 1200 items so far")
        #expect(status.next { (false, 1500) } == served)
        // Nobody is asked any more.
        #expect(status.next { (true, 1500) } == nil)
    }

    @Test func withoutRecoveryItIsSaidOnce() {
        var status = ServingStatus(places: "/run/brim")
        #expect(status.next { (false, 0) } == "serving on /run/brim")
        #expect(status.next { (false, 0) } == nil)
    }
}
