// PackageTests: what is installed beside the executable.

import Testing

extension ProcessTests {
    @Suite struct PackageTests {
        @Test(arguments: ["units_are_sound", "the_manual_has_every_flag", "the_package_is_built"])
        func whatIsInstalledIsSound(_ scenario: String) throws {
            try Scenario.run("packages.\(scenario)")
        }
    }
}
