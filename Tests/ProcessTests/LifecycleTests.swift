// LifecycleTests: a server and whoever manages it: messages, sockets, draining, settings, the log.

import Testing

extension ProcessTests {
    @Suite struct LifecycleTests {
        @Test(arguments: [
            "the_manager_is_told", "the_watchdog_hears_of_every_worker",
            "a_hanging_disk_keeps_the_watchdog_fed", "sockets_are_taken_over",
            "drain_delay_serves_on", "drain_timeout_waits_for_half_a_request",
            "every_setting_is_read_again", "logs_have_their_form",
        ])
        func managersAreServed(_ scenario: String) throws {
            try Scenario.run("lifecycle.\(scenario)")
        }
    }
}
