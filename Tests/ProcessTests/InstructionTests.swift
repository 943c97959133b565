// InstructionTests: what a request may cost, by counts that do not depend on the machine's load.
//
// The limits are in Bench/thresholds. Allocations of a serving worker: MemoryTests.swift.

import Testing

extension ProcessTests {
    @Suite struct InstructionTests {
        @Test func theHotPathsTakeNoMoreInstructionsThanAccepted() throws {
            try Scenario.run("instructions.stay_within_their_budget")
        }
    }
}
