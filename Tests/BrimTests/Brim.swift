// Brim: runs the built executable as an operator would, and keeps what it said.

import Foundation
import Support
import Testing

/// One finished run of `brim`.
struct Brim {
    let exitCode: Int32
    let output: String
    let errors: String

    /// The lines of `--check-config`, by name; several addresses are joined by blanks.
    var settings: [String: String] {
        var settings: [String: String] = [:]
        for line in output.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { continue }
            settings[parts[0], default: ""] += (settings[parts[0]] == nil ? "" : " ") + parts[1]
        }
        return settings
    }

    /// What went to standard error, without the line that only root sees.
    var complaints: [String] {
        errors.split(separator: "\n").map(String.init).filter { !$0.contains("running as root") }
    }

    static let executable = productsFolder.appending(path: "brim")

    /// Runs `brim` in an environment of exactly `environment`, and a home that nobody writes to.
    static func run(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> Brim {
        let child = try Child.run(
            executable.path, arguments,
            environment: ["HOME": "/nonexistent"].merging(environment) { $1 })
        return Brim(
            exitCode: try #require(child.exitCode, "ended by a signal"), output: child.output,
            errors: child.errors)
    }

    /// Runs `brim --check-config` with `arguments`, given as one line.
    static func check(
        _ line: String, environment: [String: String] = [:]
    ) throws -> Brim {
        try run(
            ["--check-config"] + line.split(separator: " ").map(String.init),
            environment: environment)
    }
}

/// Writes `text` to a file that is gone when `body` has run.
func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
    let file = FileManager.default.temporaryDirectory
        .appending(path: "brim-test-\(UUID().uuidString).yaml")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try body(file.path)
}
