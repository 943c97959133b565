// BehaviourTests: connections, limits, signals, and the users that a server runs as.

import Testing

extension ProcessTests {
    @Suite struct BehaviourTests {
        @Test(arguments: [
            "connections_are_spread_evenly", "pipelines_that_nobody_reads",
            "pipelines_that_are_read", "slow_readers", "slow_writers", "half_close",
            "random_bytes", "major_faults_of_workers",
        ])
        func oneConnectionCostsNoOther(_ scenario: String) throws {
            try Scenario.run("behaviour.\(scenario)")
        }

        @Test(arguments: ["still_writers", "still_readers"])
        func whoDoesNothingGivesWayToWhoWaits(_ scenario: String) throws {
            try Scenario.run("scarcity.\(scenario)")
        }

        @Test(arguments: ["stops_under_load", "stops_with_open_connections", "hangup"])
        func signalsAreObeyed(_ scenario: String) throws {
            try Scenario.run("behaviour.\(scenario)")
        }

        @Test func aLargeValueThatIsTouchedWaitsForTheCommitLikeAnyChange() throws {
            try Scenario.run("behaviour.large_gat_waits_for_its_commit")
        }

        @Test func aRingThatIsRefusedIsExplainedInOneLine() throws {
            try Scenario.run("limits.rings_refused")
        }

        @Test func whereRingsAreRefusedEpollServes() throws {
            try Scenario.run("limits.epoll_where_rings_are_refused")
        }

        /// What is large, slow, cut off or random, once more without io_uring.
        @Test(arguments: [
            "transcripts.as_written", "behaviour.slow_readers", "behaviour.half_close",
            "behaviour.random_bytes", "behaviour.stops_under_load",
        ])
        func epollServesAlike(_ scenario: String) throws {
            try Scenario.run(scenario, engine: "epoll")
        }

        @Test(arguments: [
            "connection_limit", "idle_timeout", "few_descriptors", "little_address_space",
        ])
        func limitsAreKept(_ scenario: String) throws {
            try Scenario.run("limits.\(scenario)")
        }

        @Test(arguments: [
            "unprivileged", "unix_socket_of_another_user", "no_place_for_a_store",
        ])
        func ordinaryUsersAreServed(_ scenario: String) throws {
            try Scenario.run("limits.\(scenario)")
        }
    }
}
