// PowerCutTests: images of what the disk may hold after a power cut, opened by the server.

import Testing

extension ProcessTests {
    @Suite struct PowerCutTests {
        @Test(arguments: ["acknowledged", "interval", "full_map"])
        func whatWasPromisedIsThereAfterAPowerCut(_ durability: String) throws {
            try Scenario.run("powercut.\(durability)")
        }
    }
}
