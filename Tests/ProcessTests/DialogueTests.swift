// DialogueTests: the transcripts over a real socket, in whole and in pieces, with a store and
// without; and against the packaged memcached.

import Testing

extension ProcessTests {
    @Suite struct DialogueTests {
        @Test(arguments: ["as_written", "in_one_piece", "byte_by_byte", "cut_somewhere"])
        func theServerAnswersAsWritten(_ scenario: String) throws {
            try Scenario.run("transcripts.\(scenario)")
        }

        @Test func memcachedAnswersAlikeButForTheDifferencesOnTheList() throws {
            try Scenario.run("transcripts.memcached_answers_alike")
        }
    }
}
