// BehaviourTests: connections, limits, signals, and the users that a server runs as.

import Testing

extension ProcessTests {
    @Suite struct BehaviourTests {
        @Test(arguments: [
            "connections_are_spread_evenly", "pipelines_that_nobody_reads",
            "pipelines_that_are_read", "slow_readers", "slow_writers", "connection_limit",
            "idle_timeout", "half_close", "random_bytes", "major_faults_of_workers",
        ])
        func oneConnectionCostsNoOther(_ scenario: String) throws {
            try Scenario.run("behaviour.\(scenario)")
        }

        @Test(arguments: ["stops_under_load", "stops_with_open_connections", "hangup"])
        func signalsAreObeyed(_ scenario: String) throws {
            try Scenario.run("behaviour.\(scenario)")
        }

        @Test(arguments: ["few_descriptors", "unprivileged"])
        func ordinaryUsersAreServed(_ scenario: String) throws {
            try Scenario.run("behaviour.\(scenario)")
        }
    }
}
