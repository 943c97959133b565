// KillTests: kill -9 and stops in the middle of everything, some seventy times.

import Testing

extension ProcessTests {
    @Suite struct KillTests {
        @Test(arguments: ["roomy", "any_size", "small_store"])
        func whatWasPromisedIsThereFromTheFirstMomentOn(_ store: String) throws {
            try Scenario.run("crash.\(store)")
        }

        @Test func whatWasLargerThanThisRunsSegmentsIsThere() throws {
            try Scenario.run("crash.memory_shrinks")
        }
    }
}
