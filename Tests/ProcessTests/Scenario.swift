// Scenario: one function of Tests/processes, run against the built server.
//
// The scenarios are written in Python, as the clients of half of them are: they start servers on
// free ports, talk to them, kill them by their number, and bound every wait themselves. Here each
// becomes a test, and gets a second bound.

import Support
import Testing

/// All tests with whole servers, one after the other: each of them wants the machine for itself.
@Suite(.serialized) enum ProcessTests {}

enum Scenario {
    /// Longer than run.py lets a scenario take, so that the children end by its hand.
    private static let secondsMax = 180

    /// Runs a scenario, named `file.function`, on that engine; what it printed is the comment of a
    /// failure.
    static func run(_ name: String, engine: String? = nil) throws {
        let script = packageFolder.appending(path: "Tests/processes/run.py").path
        let brim = productsFolder.appending(path: "brim").path
        let child = try Child.run(
            "/usr/bin/python3",
            [script, "--brim", brim] + (engine.map { ["--engine", $0] } ?? []) + [name],
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"],
            secondsMax: secondsMax)
        let said = child.output + child.errors
        #expect(child.exitCode == 0, "\(name)\(child.wasTooLong ? ": too long" : "")\n\(said)")
        print(said)
    }
}
