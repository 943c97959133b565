// AdministrationTests: signing in, and what operators ask of a server that runs.

import Testing

extension ProcessTests {
    @Suite struct AdministrationTests {
        @Test(arguments: [
            "both_listeners", "sasl_of_a_library", "file_read_again", "files_that_cannot_be_used",
            "ten_thousand_tries",
        ])
        func strangersAreKeptOut(_ scenario: String) throws {
            try Scenario.run("sign_in.\(scenario)")
        }

        @Test func randomCommandsAreAnsweredAsByMemcached() throws {
            try Scenario.run("differential.random_commands")
        }

        @Test(arguments: [
            "lists_of_items", "lists_are_refused", "memory_limit", "counted_requests",
            "prefixes_of_an_own_kind", "verbosity", "tools", "evictions_are_watched",
            "nothing_is_made_without_room",
        ])
        func operatorsAreAnswered(_ scenario: String) throws {
            try Scenario.run("administration.\(scenario)")
        }
    }
}
