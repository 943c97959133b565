// ExampleTests: the programs of docs/examples do what they show.

import Testing

extension ProcessTests {
    @Suite struct ExampleTests {
        @Test(arguments: ["every_example", "examples_see_a_wrong_answer", "behind_a_proxy"])
        func theExampleWorks(_ scenario: String) throws {
            try Scenario.run("examples.\(scenario)")
        }
    }
}
