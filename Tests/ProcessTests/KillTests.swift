// KillTests: kill -9 in the middle of everything, fifty times.

import Testing

extension ProcessTests {
    @Suite struct KillTests {
        @Test(arguments: ["interval", "acknowledged", "small_store"])
        func whatWasPromisedIsThereAfterAKill(_ durability: String) throws {
            try Scenario.run("crash.\(durability)")
        }

        @Test func whatWasLargerThanThisRunsSegmentsIsThere() throws {
            try Scenario.run("crash.memory_shrinks")
        }
    }
}
