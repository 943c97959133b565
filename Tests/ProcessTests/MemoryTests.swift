// MemoryTests: the bound on memory, and what workers allocate.

import Testing

extension ProcessTests {
    @Suite struct MemoryTests {
        @Test(arguments: [
            "with_a_store", "without_a_store", "while_it_recovers",
            "a_large_set_always_finds_room",
        ])
        func theProcessStaysWithinItsLimit(_ scenario: String) throws {
            try Scenario.run("memory.\(scenario)")
        }

        @Test(arguments: ["from_memory", "with_a_store", "mostly_from_disk"])
        func workersAllocateNothingAndCountNoReferences(_ scenario: String) throws {
            try Scenario.run("counting.\(scenario)")
        }
    }
}
