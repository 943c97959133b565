// ReleaseTests: the executable that is shipped, which `make test` builds first.

import Testing

extension ProcessTests {
    @Suite struct ReleaseTests {
        @Test func theReleaseIsSmallAndWithoutFoundation() throws {
            try Scenario.run("release.it_is_small")
        }
    }
}
