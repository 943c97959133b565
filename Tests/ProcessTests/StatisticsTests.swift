// StatisticsTests: the statistics by the rules of those who read them.

import Testing

extension ProcessTests {
    @Suite struct StatisticsTests {
        @Test(arguments: [
            "the_exporter_reads_them", "ages_and_losses_are_told",
            "words_without_answers_end_too", "tools_read_them",
            "the_general_ones_fit_one_small_buffer",
        ])
        func statisticsAreUnderstood(_ scenario: String) throws {
            try Scenario.run("statistics_text.\(scenario)")
        }
    }
}
