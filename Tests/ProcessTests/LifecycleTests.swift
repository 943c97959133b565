// LifecycleTests: a server and whoever manages it: messages, sockets, draining, settings, the log.

import Testing

extension ProcessTests {
    @Suite struct LifecycleTests {
        @Test(arguments: [
            "the_manager_is_told", "the_manager_hears_of_recovery",
            "the_watchdog_hears_of_every_worker",
            "a_hanging_disk_keeps_the_watchdog_fed", "sockets_are_taken_over",
            "drain_delay_serves_on", "drain_timeout_waits_for_half_a_request",
            "logs_have_their_form",
        ])
        func managersAreServed(_ scenario: String) throws {
            try Scenario.run("lifecycle.\(scenario)")
        }

        @Test(arguments: [
            "every_setting_is_read_again", "settings_are_shown_as_they_are_now",
            "what_is_read_again_holds", "commits_come_as_often_as_was_said_last",
            "credentials_may_move", "what_is_no_file_is_not_waited_for",
        ])
        func settingsAreReadAgain(_ scenario: String) throws {
            try Scenario.run("reload.\(scenario)")
        }
    }
}
