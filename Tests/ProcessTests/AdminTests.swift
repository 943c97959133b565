// AdminTests: the admin port of a whole server.

import Testing

extension ProcessTests {
    @Suite struct AdminTests {
        @Test(arguments: [
            "limits_of_the_port_are_kept", "who_may_ask",
            "a_last_answer_that_nobody_reads_has_its_time", "health_is_told", "history_is_kept",
            "the_page_shows_a_running_server",
            "a_socket_that_was_lost_listens_again", "orders_are_carried_out",
            "requests_may_come_in_any_pieces_or_garbled",
        ])
        func operatorsAreServed(_ scenario: String) throws {
            try Scenario.run("admin.\(scenario)")
        }

        @Test func aStormOnItIsNotNoticed() throws {
            try Scenario.run("admin_storm.the_data_port_does_not_notice")
        }

        @Test(arguments: [
            "metrics_are_understood", "dashboard_and_rules_name_what_there_is",
            "promtool_is_content", "each_end_of_a_request_has_its_label",
            "the_form_is_the_one_that_is_preferred",
        ])
        func whatIsMeasuredIsUnderstood(_ scenario: String) throws {
            try Scenario.run("metrics.\(scenario)")
        }
    }
}
