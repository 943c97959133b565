// FaultTests: disks that are full, fail, stall, are damaged, or belong to somebody else.

import Testing

extension ProcessTests {
    @Suite struct FaultTests {
        @Test(arguments: [
            "no_space", "failed_sync", "failed_writes", "failed_meta_pages", "torn_writes",
            "no_space_and_ack", "failed_sync_and_ack",
        ])
        func theServerOutlivesWhatTheDiskDoes(_ fault: String) throws {
            try Scenario.run("faults.\(fault)")
        }

        @Test(arguments: ["stalled_disk", "stalled_disk_and_a_flood", "dead_disk_and_a_flood"])
        func memoryIsServedWhileTheDiskStandsStill(_ scenario: String) throws {
            try Scenario.run("faults.\(scenario)")
        }

        @Test func whatIsLostAtAStopIsSaid() throws {
            try Scenario.run("faults.stop_while_the_disk_takes_nothing")
        }

        @Test(arguments: ["damaged_file", "damaged_values"])
        func noDamageIsEverServed(_ scenario: String) throws {
            try Scenario.run("faults.\(scenario)")
        }

        @Test func aFullDiskEndsNoStart() throws {
            try Scenario.run("starts.full_disk_at_start")
        }

        @Test(arguments: ["starts_that_are_killed", "starts_that_the_store_ends"])
        func onlyItsOwnFaultMovesAStoreAside(_ scenario: String) throws {
            try Scenario.run("starts.\(scenario)")
        }

        @Test(arguments: [
            "faults.unwritable_folder", "faults.store_of_another", "starts.no_regular_file",
        ])
        func aStoreThatCannotBeUsedIsNamedInOneLine(_ scenario: String) throws {
            try Scenario.run(scenario)
        }
    }
}
