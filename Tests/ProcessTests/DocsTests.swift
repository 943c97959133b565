// DocsTests: what the documentation shows is run, and what it states is looked at.

import Testing

extension ProcessTests {
    @Suite struct DocsTests {
        @Test(arguments: ["readme", "operating"])
        func everyBlockDoesWhatThePageSays(_ page: String) throws {
            try Scenario.run("docs.\(page)")
        }

        @Test(arguments: [
            "the_tour_names_what_is_there", "flags_are_explained", "the_fixed_part_is_as_stated",
            "lines_of_the_log_have_their_form",
        ])
        func whatIsStatedIsTrue(_ scenario: String) throws {
            try Scenario.run("docs.\(scenario)")
        }
    }
}
